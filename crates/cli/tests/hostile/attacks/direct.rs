//! The gateway itself, where the sandbox has the host's network: without a certificate, with one of
//! the attacker's own making, and with its own SVID, which the Workload API gives to it.

use std::io::Write as _;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use chancery_agent::{Gateway, GatewayClient, McpHeaders, OwnSvid};
use chancery_crypto::{SigningKey, random_id};
use chancery_delegation::{Call, ProofDraft, Target};
use chancery_types::id::ProofKind;
use chancery_types::{Algorithm, Digest, Timestamp};
use rcgen::{CertificateParams, KeyPair, SanType};
use serde_json::{Value, json};
use spiffe::WorkloadApiClient;

use super::attempts;
use super::bridge::outcome;
use crate::orders::{Attempt, Orders, Outcome};

const REVISION: &str = "2026-07-28";
const SCRIPT: &str = include_str!("../tls.py");

/// What is not possible without the gateway's taking the peer's certificate.
pub(crate) async fn handshakes(orders: &Orders, workload: &Path) -> Vec<Attempt> {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    let name = orders.neighbour.spiffe_id.as_str();
    params.subject_alt_names = vec![SanType::URI(name.try_into().unwrap())];
    let forged = params.self_signed(&key).unwrap();
    let forged = json!({"pem": format!("{}{}", forged.pem(), key.serialize_pem())});
    let node = WorkloadApiClient::connect_to(format!("unix:{}", workload.display()));
    let svid = node.await.unwrap().fetch_x509_svid().await.unwrap();
    let chain = svid.cert_chain().iter().map(|one| hex(one.as_ref()));
    let own = json!({"chain": chain.collect::<Vec<_>>(), "key": hex(svid.private_key().as_ref())});
    let mut made = attempts(
        "speak to the gateway without its trust",
        [
            ("no TLS".to_owned(), shake(orders, json!({"plain": true}))),
            ("no certificate".to_owned(), shake(orders, json!({}))),
            (
                "the neighbour's name, self-signed".to_owned(),
                shake(orders, forged),
            ),
        ],
    );
    made.extend(attempts(
        "control: the own SVID is taken",
        [("nonce".to_owned(), shake(orders, own))],
    ));
    made
}

fn shake(orders: &Orders, mut order: Value) -> Outcome {
    order["port"] = orders.port.into();
    let mut python = Command::new("/usr/bin/python3")
        .args(["-c", SCRIPT])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = python.stdin.take().unwrap();
    input.write_all(order.to_string().as_bytes()).unwrap();
    drop(input);
    let output = python.wait_with_output().unwrap();
    let said: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    match (said["answer"].as_str(), said["refused"].as_str()) {
        (Some(answer), _) => Outcome::Succeeded(answer.to_owned()),
        (None, Some(why)) => Outcome::Refused(why.to_owned()),
        _ => Outcome::Refused(format!("the script failed: {output:?}")),
    }
}

/// The attacker's own connection, with everybody's authority.
pub(crate) struct Direct {
    client: GatewayClient,
    gateway: String,
}

impl Direct {
    pub(crate) async fn new(orders: &Orders, workload: &Path) -> Self {
        let gateway = Gateway {
            address: (Ipv4Addr::LOCALHOST, orders.port).into(),
            spiffe_id: orders.gateway.parse().unwrap(),
        };
        let svid = OwnSvid::follow(workload).await.unwrap();
        Self {
            client: GatewayClient::new(gateway, svid),
            gateway: orders.gateway.clone(),
        }
    }

    /// With the neighbour's delegation, its captured proof, and keys of the attacker's own making.
    pub(crate) async fn with_others_authority(
        &self,
        orders: &Orders,
        own: &[String],
    ) -> Vec<Attempt> {
        let neighbour = &orders.neighbour;
        let (theirs, arguments) = (neighbour.chain.as_slice(), &neighbour.arguments);
        let own_book = json!({"book": "west"});
        let mut made = Vec::new();
        for (target, proof) in [
            ("no proof", None),
            ("its captured proof", Some(neighbour.proof.clone())),
            ("a proof of an own key", Some(self.forge(theirs, arguments))),
        ] {
            let outcome = self.call(theirs, proof.as_deref(), arguments).await;
            made.extend(attempts(
                "present the neighbour's delegation directly",
                [(target.to_owned(), outcome)],
            ));
        }
        for (target, proof) in [
            ("no proof", None),
            (
                "the neighbour's captured proof",
                Some(neighbour.proof.clone()),
            ),
            ("a proof of another key", Some(self.forge(own, &own_book))),
        ] {
            let outcome = self.call(own, proof.as_deref(), &own_book).await;
            made.extend(attempts(
                "use the own delegation without the bridge",
                [(target.to_owned(), outcome)],
            ));
        }
        let session = neighbour.session.parse().unwrap();
        let refused =
            |error: chancery_agent::GatewayError| Outcome::Refused(error.reason().to_owned());
        let ended = self.client.end(session).await;
        let seen = self.client.view(session).await;
        let left = self.client.leave(session).await;
        let succeeded = || Outcome::Succeeded(String::new());
        made.extend(attempts(
            "act on the neighbour's session",
            [
                (
                    "end".to_owned(),
                    ended.map_or_else(refused, |_| succeeded()),
                ),
                (
                    "view".to_owned(),
                    seen.map_or_else(refused, |_| succeeded()),
                ),
                (
                    "leave".to_owned(),
                    left.map_or_else(refused, |()| succeeded()),
                ),
            ],
        ));
        let listed = self.send("tools/list", None, json!({})).await;
        made.extend(attempts(
            "control: lists are answered",
            [("tools/list".to_owned(), listed)],
        ));
        made
    }

    /// The very bytes of an own call that the bridge has made before.
    pub(crate) async fn replayed(
        &self,
        own: &[String],
        proof: &str,
        arguments: &Value,
    ) -> Vec<Attempt> {
        let outcome = self.call(own, Some(proof), arguments).await;
        attempts("replay a proof", [("balance".to_owned(), outcome)])
    }

    fn forge(&self, chain: &[String], arguments: &Value) -> String {
        let key = SigningKey::generate(Algorithm::Ed25519).unwrap();
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let jti = random_id::<ProofKind>().unwrap().to_string();
        let draft = ProofDraft {
            audience: &self.gateway,
            issued_at: Timestamp::from_seconds(since.as_secs()),
            jti: &jti,
            chain: Digest::of(chain.join(",")),
            call: Call {
                server: "ledger",
                target: Target::Tool("balance"),
                args: arguments.as_object().unwrap(),
            },
            execution: None,
            step: None,
        };
        draft
            .sign(key.public(), &|message| key.sign(message))
            .unwrap()
    }

    async fn call(&self, chain: &[String], proof: Option<&str>, arguments: &Value) -> Outcome {
        let mut meta = json!({"io.chancery/delegation": chain});
        if let Some(proof) = proof {
            meta["io.chancery/proof"] = proof.into();
        }
        let params = json!({"name": "balance", "arguments": arguments, "_meta": meta});
        self.send("tools/call", Some("balance"), params).await
    }

    async fn send(&self, method: &str, name: Option<&str>, mut params: Value) -> Outcome {
        if params.get("_meta").is_none() {
            params["_meta"] = json!({});
        }
        params["_meta"]["io.modelcontextprotocol/protocolVersion"] = REVISION.into();
        params["_meta"]["io.modelcontextprotocol/clientCapabilities"] = json!({});
        let headers = McpHeaders {
            version: Some(REVISION.to_owned()),
            session: None,
            method: Some(method.to_owned()),
            name: name.map(str::to_owned),
        };
        let message = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        match self
            .client
            .call("ledger", message.to_string(), &headers)
            .await
        {
            Ok(mut reply) => match reply.messages.next().await {
                Some(Ok(answer)) => outcome(&answer),
                other => Outcome::Refused(format!("{}: {other:?}", reply.status)),
            },
            Err(error) => Outcome::Refused(error.to_string()),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
