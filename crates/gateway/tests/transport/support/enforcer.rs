use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use chancery_gateway::{
    Answer, Call, ControlReply, ControlRequest, Enforcer, Listing, MethodClass, Outcome, Peer,
    Pending, Permit, Refusal, Seat, Verdict, Visit,
};
use chancery_types::id::{ApprovalId, ExecutionId, InstanceId, SessionId};
use http::StatusCode;
use rustls::pki_types::CertificateDer;

/// Decides by the name of the tool, and remembers what it was asked and told.
#[derive(Debug, Default)]
pub(crate) struct Scripted {
    pub(crate) calls: Mutex<Vec<Seen>>,
    pub(crate) outcomes: Mutex<Vec<(ExecutionId, Outcome)>>,
    pub(crate) log_is_full: AtomicBool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) peer: String,
    pub(crate) target: String,
    pub(crate) arguments: Option<String>,
    pub(crate) delegation: Option<String>,
    pub(crate) proof: Option<String>,
}

pub(crate) const EXECUTION: [u8; 16] = [7; 16];

pub(crate) fn seat(peer: &str) -> Seat {
    let mut bits = [0; 16];
    for (place, byte) in peer.bytes().rev().take(16).enumerate() {
        bits[place] = byte;
    }
    Seat {
        session: SessionId::from_random([1; 16]),
        instance: InstanceId::from_random(bits),
    }
}

impl Scripted {
    /// The outcomes, once there are `count`.
    pub(crate) async fn outcomes(&self, count: usize) -> Vec<Outcome> {
        for _ in 0..400 {
            let outcomes = self.outcomes.lock().unwrap().clone();
            if outcomes.len() >= count {
                return outcomes.into_iter().map(|(_, outcome)| outcome).collect();
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        panic!("no outcome");
    }
}

impl Enforcer for Scripted {
    fn identify(&self, chain: &[CertificateDer<'static>]) -> Result<Arc<str>, Refusal> {
        // The URI stands in the certificate as plain bytes.
        let text = String::from_utf8_lossy(&chain[0]).into_owned();
        let name = text.split("spiffe://test/").nth(1).unwrap();
        let name: String = name.chars().take_while(char::is_ascii_lowercase).collect();
        match name.as_str() {
            "stranger" => Err(Refusal::new("unknown-peer", "not of this trust domain")),
            name => Ok(format!("spiffe://test/{name}").into()),
        }
    }

    fn decide<'a>(&'a self, peer: &'a Peer, call: &'a Call) -> Answer<'a, Verdict> {
        Box::pin(async move {
            self.calls.lock().unwrap().push(Seen {
                peer: peer.name().to_string(),
                target: call.target().to_owned(),
                arguments: call.arguments().map(str::to_owned),
                delegation: call.delegation().map(str::to_owned),
                proof: call.proof().map(str::to_owned),
            });
            let execution = ExecutionId::from_random(EXECUTION);
            match call.target() {
                "denied" => Verdict::Deny(Refusal {
                    execution: Some(execution),
                    ..Refusal::new("policy-forbids", "this tool is forbidden")
                }),
                "pending" => Verdict::Pending(Pending {
                    execution,
                    approval: ApprovalId::from_random([9; 16]),
                    text: "a person is asked".to_owned(),
                    retry_after_seconds: 5,
                }),
                _ => Verdict::Forward(Permit::new(execution, seat(peer.name()))),
            }
        })
    }

    fn outcome<'a>(&'a self, permit: Permit, outcome: Outcome) -> Answer<'a, Result<(), Refusal>> {
        Box::pin(async move {
            self.outcomes
                .lock()
                .unwrap()
                .push((permit.execution(), outcome));
            if self.log_is_full.load(Ordering::Relaxed) {
                return Err(Refusal::new("log-unavailable", "the log is full"));
            }
            Ok(())
        })
    }

    fn admit<'a>(&'a self, peer: &'a Peer, visit: &'a Visit) -> Answer<'a, Result<Seat, Refusal>> {
        Box::pin(async move {
            match visit.class() {
                MethodClass::Unknown => Err(Refusal::new("unknown-method", "not admitted")),
                _ if peer.name().ends_with("outsider") => {
                    Err(Refusal::new("not-joined", "join a session first"))
                }
                _ => Ok(seat(peer.name())),
            }
        })
    }

    fn filter<'a>(
        &'a self,
        _: &'a Peer,
        _: &'a Visit,
        listing: &'a Listing,
    ) -> Answer<'a, Result<Vec<bool>, Refusal>> {
        Box::pin(async move {
            let entries = listing.entries().iter();
            Ok(entries.map(|entry| entry.name() != "hidden").collect())
        })
    }

    fn control<'a>(&'a self, peer: &'a Peer, request: ControlRequest) -> Answer<'a, ControlReply> {
        Box::pin(async move {
            let said = format!(
                "{} {:?} {:?}",
                peer.name(),
                request.endpoint,
                request.parameters
            );
            ControlReply {
                status: StatusCode::CREATED,
                body: Bytes::from(serde_json::json!({"said": said}).to_string()),
            }
        })
    }
}
