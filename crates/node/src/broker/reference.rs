//! How a broker names a workload (SPIFFE Broker API section 3.1).

use chancery_identity::InstanceSpiffeId;
use chancery_identity::broker::ReferenceKind;
use chancery_types::id::LaunchId;
use prost::Message as _;
use prost_types::Any;

use crate::pb::broker::{WorkloadPidReference, WorkloadReference};
use crate::pb::broker_reference::AgentReference;

const PID: &str = "spiffe.broker.WorkloadPIDReference";
const KUBERNETES: &str = "spiffe.broker.KubernetesObjectReference";
const AGENT: &str = "chancery.broker.v1.AgentReference";

/// A workload as a broker names it, and nothing that the broker says about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reference {
    /// The process of this host that has this number in the node's pid namespace; above zero.
    Pid(i32),
    /// The instance of a launch that the broker started.
    Launch(LaunchId),
    /// The instance of that SPIFFE ID, which the broker started.
    Instance(InstanceSpiffeId),
}

/// Why a reference names nobody. Exhaustive: a refusal has exactly one reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// There is none.
    #[error("reference must be specified")]
    Missing,
    /// A type that is not known here.
    #[error("references of this type are not understood")]
    UnknownType,
    /// The node knows no Kubernetes.
    #[error("references to kubernetes objects are not supported")]
    Kubernetes,
    /// Not a message of the type that it says it is.
    #[error("the reference is not a message of its type")]
    Malformed,
    /// Not above zero.
    #[error("pid must be a positive integer")]
    Pid,
    /// Neither a launch nor an instance, or both.
    #[error("exactly one of launch_id and spiffe_id must be specified")]
    NotOne,
    /// No launch id.
    #[error("launch_id is not the id of a launch")]
    LaunchId,
    /// No SPIFFE ID of an instance.
    #[error("spiffe_id is not the SPIFFE ID of an instance")]
    Instance,
}

impl Reference {
    /// Reads a reference by the type that it says it is.
    pub fn read(reference: Option<&WorkloadReference>) -> Result<Self, ReferenceError> {
        let any = reference.and_then(|reference| reference.reference.as_ref());
        let any = any.ok_or(ReferenceError::Missing)?;
        match any.type_url.rsplit_once('/') {
            Some((_, PID)) => pid(any),
            Some((_, AGENT)) => agent(any),
            Some((_, KUBERNETES)) => Err(ReferenceError::Kubernetes),
            _ => Err(ReferenceError::UnknownType),
        }
    }

    /// Which kind of reference a broker must be allowed to use.
    pub const fn kind(&self) -> ReferenceKind {
        match self {
            Self::Pid(_) => ReferenceKind::Pid,
            Self::Launch(_) | Self::Instance(_) => ReferenceKind::Agent,
        }
    }
}

fn pid(any: &Any) -> Result<Reference, ReferenceError> {
    let message = WorkloadPidReference::decode(any.value.as_slice());
    let pid = message.map_err(|_| ReferenceError::Malformed)?.pid;
    if pid <= 0 {
        return Err(ReferenceError::Pid);
    }
    Ok(Reference::Pid(pid))
}

fn agent(any: &Any) -> Result<Reference, ReferenceError> {
    let message = AgentReference::decode(any.value.as_slice());
    let message = message.map_err(|_| ReferenceError::Malformed)?;
    match (message.launch_id.as_str(), message.spiffe_id.as_str()) {
        ("", "") => Err(ReferenceError::NotOne),
        (launch, "") => {
            (launch.parse().map(Reference::Launch)).map_err(|_| ReferenceError::LaunchId)
        }
        ("", id) => (id.parse().map(Reference::Instance)).map_err(|_| ReferenceError::Instance),
        _ => Err(ReferenceError::NotOne),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn any(name: &str, value: Vec<u8>) -> WorkloadReference {
        WorkloadReference {
            reference: Some(Any {
                type_url: format!("type.googleapis.com/{name}"),
                value,
            }),
        }
    }

    fn read(name: &str, value: Vec<u8>) -> Result<Reference, ReferenceError> {
        Reference::read(Some(&any(name, value)))
    }

    fn named(launch_id: &str, spiffe_id: &str) -> Result<Reference, ReferenceError> {
        let message = AgentReference {
            launch_id: launch_id.to_owned(),
            spiffe_id: spiffe_id.to_owned(),
        };
        read(AGENT, message.encode_to_vec())
    }

    #[test]
    fn r_09_a_pid_is_above_zero() {
        let of = |pid| read(PID, WorkloadPidReference { pid }.encode_to_vec());
        assert_eq!(of(1), Ok(Reference::Pid(1)));
        assert_eq!(of(i32::MAX), Ok(Reference::Pid(i32::MAX)));
        for pid in [0, -1, i32::MIN] {
            assert_eq!(of(pid), Err(ReferenceError::Pid), "{pid}");
        }
        assert_eq!(read(PID, vec![0xff]), Err(ReferenceError::Malformed));
    }

    #[test]
    fn r_10_types_that_are_not_known_are_refused() {
        assert_eq!(Reference::read(None), Err(ReferenceError::Missing));
        let empty = WorkloadReference { reference: None };
        assert_eq!(Reference::read(Some(&empty)), Err(ReferenceError::Missing));
        for name in [
            "",
            "spiffe.broker.workloadpidreference",
            "google.protobuf.Empty",
        ] {
            assert_eq!(
                read(name, vec![]),
                Err(ReferenceError::UnknownType),
                "{name}"
            );
        }
        let mut bare = any(PID, vec![8, 1]);
        if let Some(any) = &mut bare.reference {
            any.type_url = PID.to_owned();
        }
        assert_eq!(
            Reference::read(Some(&bare)),
            Err(ReferenceError::UnknownType)
        );
        assert_eq!(read(KUBERNETES, vec![]), Err(ReferenceError::Kubernetes));
    }

    #[test]
    fn r_10_an_instance_is_named_once() {
        let launch = "lau_00000000000000000000000000";
        let id = "spiffe://td/agent/a/instance/ins_00000000000000000000000000";
        assert!(matches!(named("", id), Ok(Reference::Instance(_))));
        assert_eq!(named("", ""), Err(ReferenceError::NotOne));
        assert_eq!(named(launch, id), Err(ReferenceError::NotOne));
        assert_eq!(named("x", ""), Err(ReferenceError::LaunchId));
        assert_eq!(
            named("", "spiffe://td/agent/a"),
            Err(ReferenceError::Instance)
        );
    }
}
