use chancery_types::id::LaunchId;
use chancery_types::{CanonicalError, Digest, StrictJsonError, parse_strict, to_canonical};
use serde::{Deserialize, Serialize};

use crate::{AttestationLevel, Isolation};

/// What is known about a process, and from whom. A canonical document of ours; unknown kinds and
/// unknown members are refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Evidence {
    /// Our node started the process.
    Launch(LaunchEvidence),
    /// The kernel's facts about a process that our node did not start.
    Process(ProcessEvidence),
}

/// The facts of a launch: the node that signs for them started the process itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LaunchEvidence {
    /// The launch, bound by the node to a pidfd.
    pub launch: LaunchId,
    /// Whether the process has namespaces of its own.
    pub isolation: Isolation,
    /// The digest of the file that was executed. Many agents share one, so it names nobody alone.
    pub executable: Digest,
    /// The user that the process runs as.
    pub uid: u32,
}

/// What the kernel says about a process that somebody else started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProcessEvidence {
    /// The digest of the file behind the process.
    pub executable: Digest,
    /// The user that the process runs as.
    pub uid: u32,
}

/// Why bytes are not evidence.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EvidenceError {
    /// Not strict JSON.
    #[error("evidence is not strict JSON")]
    Json(#[source] StrictJsonError),
    /// Not a document of a kind that is known here.
    #[error("evidence is not of a known kind")]
    Shape(#[source] serde_json::Error),
    /// The bytes are another spelling of the document, or it has no canonical form.
    #[error("evidence is not in canonical form")]
    NotCanonical,
}

impl Evidence {
    /// Reads the canonical bytes; refuses every other spelling.
    pub fn parse(bytes: &[u8]) -> Result<Self, EvidenceError> {
        let value = parse_strict(bytes).map_err(EvidenceError::Json)?;
        let evidence: Self = serde_json::from_value(value).map_err(EvidenceError::Shape)?;
        match evidence.to_bytes() {
            Ok(again) if again == bytes => Ok(evidence),
            _ => Err(EvidenceError::NotCanonical),
        }
    }

    /// The canonical bytes.
    pub fn to_bytes(&self) -> Result<Vec<u8>, CanonicalError> {
        to_canonical(self)
    }

    /// The digest of the canonical bytes.
    pub fn digest(&self) -> Result<Digest, CanonicalError> {
        self.to_bytes().map(Digest::of)
    }

    /// The level that this evidence reaches.
    pub const fn level(&self) -> AttestationLevel {
        match self {
            Self::Process(_) => AttestationLevel::Process,
            Self::Launch(_) => AttestationLevel::Launch,
        }
    }

    /// Whether the process was fenced in when it started.
    pub const fn isolation(&self) -> Isolation {
        match self {
            Self::Process(_) => Isolation::Unisolated,
            Self::Launch(launch) => launch.isolation,
        }
    }

    /// The digest of the file behind the process.
    pub const fn executable(&self) -> Digest {
        match self {
            Self::Process(process) => process.executable,
            Self::Launch(launch) => launch.executable,
        }
    }

    /// The launch, where our node started the process.
    pub const fn launch(&self) -> Option<LaunchId> {
        match self {
            Self::Process(_) => None,
            Self::Launch(launch) => Some(launch.launch),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn launch(isolation: Isolation) -> Evidence {
        Evidence::Launch(LaunchEvidence {
            launch: LaunchId::from_random([7; 16]),
            isolation,
            executable: Digest::of(b"program"),
            uid: 1_000,
        })
    }

    #[test]
    fn reads_its_own_writing() {
        let process = Evidence::Process(ProcessEvidence {
            executable: Digest::of(b"program"),
            uid: 0,
        });
        for evidence in [
            launch(Isolation::Isolated),
            launch(Isolation::Unisolated),
            process,
        ] {
            let bytes = evidence.to_bytes().unwrap();
            assert_eq!(Evidence::parse(&bytes).unwrap(), evidence);
            assert_eq!(evidence.digest().unwrap(), Digest::of(&bytes));
        }
    }

    #[test]
    fn what_it_says_follows_from_the_facts() {
        let process = Evidence::Process(ProcessEvidence {
            executable: Digest::of(b"program"),
            uid: 0,
        });
        assert!(process.level() < launch(Isolation::Unisolated).level());
        assert_eq!(process.isolation(), Isolation::Unisolated);
        assert_eq!(launch(Isolation::Isolated).isolation(), Isolation::Isolated);
        assert_eq!(process.launch(), None);
    }

    #[test]
    fn refuses_what_it_does_not_know() {
        let good = String::from_utf8(launch(Isolation::Unisolated).to_bytes().unwrap()).unwrap();
        assert!(good.contains(r#""isolation":"unisolated""#), "{good}");
        for (from, to) in [
            (r#""kind":"launch""#, r#""kind":"tpm""#),
            (r#""kind":"launch","#, ""),
            (r#""isolation":"unisolated","#, ""),
            (r#""isolation":"unisolated""#, r#""isolation":"Isolated""#),
            (r#""uid":1000"#, r#""uid":-1"#),
            (r#""uid":1000"#, r#""uid":4294967296"#),
            (r#""uid":1000"#, r#""uid":1000.0"#),
            (r#""uid":1000"#, r#""uid":1000,"level":"hardware""#),
            (r#""uid":1000"#, r#""uid": 1000"#),
            (r#""uid":1000"#, r#""uid":1000,"uid":1000"#),
            ("sha256:", "sha512:"),
            ("lau_", "ins_"),
        ] {
            let bad = good.replace(from, to);
            assert_ne!(bad, good, "{from}");
            assert!(Evidence::parse(bad.as_bytes()).is_err(), "{bad}");
        }
        assert!(Evidence::parse(b"").is_err());
    }
}
