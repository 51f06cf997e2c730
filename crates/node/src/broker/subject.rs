//! A workload that a broker speaks of, attested again whenever something of it leaves.

use std::sync::Arc;

use chancery_identity::broker::BrokerRule;
use chancery_types::Timestamp;
use tonic::Status;

use super::Reference;
use super::peer::BrokerPeer;
use super::refusal::{elsewhere, invalid, not_entitled, not_found};
use crate::Launches;
use crate::clock::{self, now};
use crate::launch::Launch;
use crate::pb::broker::WorkloadReference;
use crate::process::{Process, ProcessError};
use crate::workload::{Party, vouching};

/// A workload and the broker that named it: what the one is entitled to and the other may have.
#[derive(Debug)]
pub(super) struct Subject {
    broker: Arc<BrokerPeer>,
    /// What the broker might when it asked.
    rule: BrokerRule,
    reference: Reference,
    target: Target,
}

#[derive(Debug)]
enum Target {
    /// Whatever launches the process belongs to, as if it had asked itself.
    Process(Process),
    /// One launch, by its own process.
    Launch(Arc<Launch>),
}

impl Subject {
    /// Who is meant, as this host sees it; nothing that the broker says about it counts.
    pub(super) fn resolve(
        launches: &Launches,
        broker: Arc<BrokerPeer>,
        reference: Option<&WorkloadReference>,
    ) -> Result<Self, Status> {
        let rule = broker.rule(launches)?;
        let reference = Reference::read(reference).map_err(invalid)?;
        if !rule.allows(reference.kind()) {
            return Err(not_entitled());
        }
        let target = match &reference {
            Reference::Pid(_) if !broker.same_pids => return Err(elsewhere()),
            Reference::Pid(pid) => Target::Process(process(*pid)?),
            Reference::Launch(id) => {
                spawned(launches, &broker, |launch| launch.id() == *id).map(Target::Launch)?
            }
            Reference::Instance(id) => {
                spawned(launches, &broker, |launch| launch.instance() == id).map(Target::Launch)?
            }
        };
        Ok(Self {
            broker,
            rule,
            reference,
            target,
        })
    }

    /// The broker.
    pub(super) fn broker(&self) -> &BrokerPeer {
        &self.broker
    }

    /// The process that is looked at.
    fn process(&self) -> &Process {
        match &self.target {
            Target::Process(process) => process,
            Target::Launch(launch) => launch.subject(),
        }
    }
}

fn process(pid: i32) -> Result<Process, Status> {
    Process::open(pid).map_err(|error| match error {
        ProcessError::Gone | ProcessError::Contradiction => not_found(),
        ProcessError::Kernel(error) => {
            tracing::warn!(pid, %error, "a process cannot be attested for a broker");
            Status::unavailable("the process cannot be attested")
        }
    })
}

/// A running launch that the broker's own launch started: nobody else's is reached like that.
fn spawned(
    launches: &Launches,
    broker: &BrokerPeer,
    is: impl Fn(&Launch) -> bool,
) -> Result<Arc<Launch>, Status> {
    let found = launches.list().into_iter().find(|launch| is(launch));
    let launch = found.ok_or_else(not_found)?;
    let parent = launch.facts().parent();
    if parent.is_some_and(|parent| parent.to_spiffe_id() == broker.spiffe_id) {
        return Ok(launch);
    }
    tracing::warn!(broker = %broker.spiffe_id, launch = %launch.id(), "another one's launch");
    Err(not_entitled())
}

impl Party for Subject {
    async fn held(&self, launches: &Launches) -> Result<Vec<Arc<Launch>>, Status> {
        let rule = self.broker.rule(launches)?;
        if !rule.allows(self.reference.kind()) {
            return Err(not_entitled());
        }
        let process = self.process();
        if !process.is_alive() {
            return Err(not_found());
        }
        let mut held = match &self.target {
            Target::Process(process) => vouching(launches, process).await,
            Target::Launch(launch) if launch.vouches_for(process).await => vec![Arc::clone(launch)],
            Target::Launch(_) => Vec::new(),
        };
        held.retain(|launch| rule.covers(&launch.instance().to_spiffe_id()));
        if held.is_empty() {
            return Err(not_entitled());
        }
        Ok(held)
    }

    /// Both are what they were: the workload is attested again, and the broker may still have it.
    async fn release(&self, launches: &Launches, held: &[Arc<Launch>]) -> Result<(), Status> {
        let now = self.held(launches).await?;
        let known = |launch: &Arc<Launch>| now.iter().any(|other| other.id() == launch.id());
        if held.iter().all(known) {
            Ok(())
        } else {
            Err(not_entitled())
        }
    }

    async fn gone(&self, launches: &Launches) -> Option<Status> {
        let mut rules = launches.issuer().brokers();
        let changed = async {
            loop {
                let now = rules
                    .borrow_and_update()
                    .of(&self.broker.spiffe_id)
                    .cloned();
                match now {
                    None => return Status::permission_denied("not a broker"),
                    Some(now) if now != self.rule => {
                        return Status::unavailable("what the broker may has changed; ask again");
                    }
                    Some(_) => {}
                }
                if rules.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        };
        let mut bundle = launches.issuer().x509_bundle();
        let unbelieved = async {
            loop {
                bundle.borrow_and_update();
                if !self.broker.stands(launches) {
                    return;
                }
                if bundle.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        };
        let mut withdrawn = launches.issuer().withdrawn();
        let revoked = async {
            let broker = |known: &_| self.broker.is_revoked(known);
            if withdrawn.wait_for(broker).await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            () = self.process().exited() => Some(not_found()),
            status = changed => Some(status),
            () = unbelieved => {
                let said = "the broker's x509-svid is below no authority any more; connect again";
                Some(Status::unauthenticated(said))
            }
            () = revoked => Some(Status::permission_denied("not a broker")),
            () = until(self.broker.not_after) => {
                let said = "the broker's x509-svid has ended; connect again with another one";
                Some(Status::unauthenticated(said))
            }
        }
    }
}

async fn until(time: Timestamp) {
    while now() < time {
        clock::until(time).await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use prost::Message as _;
    use prost_types::Any;
    use tonic::Code;

    use super::*;
    use crate::pb::broker::WorkloadPidReference;
    use crate::tests::{BROKER, Serving, allow_all};

    #[tokio::test]
    async fn r_08_a_pid_of_another_namespace_names_nobody() {
        let serving = Serving::start_with_brokers();
        allow_all(&serving);
        serving.launch_own().await;
        let pid = i32::try_from(std::process::id()).unwrap();
        let reference = WorkloadReference {
            reference: Some(Any {
                type_url: "type.googleapis.com/spiffe.broker.WorkloadPIDReference".to_owned(),
                value: WorkloadPidReference { pid }.encode_to_vec(),
            }),
        };
        for (same_pids, code) in [(true, None), (false, Some(Code::InvalidArgument))] {
            let broker = Arc::new(BrokerPeer {
                spiffe_id: BROKER.parse().unwrap(),
                not_after: now().plus_seconds(60),
                chain: serving.svid_of(BROKER),
                same_pids,
            });
            let resolved = Subject::resolve(&serving.launches, broker, Some(&reference));
            assert_eq!(resolved.err().map(|status| status.code()), code);
        }
    }
}
