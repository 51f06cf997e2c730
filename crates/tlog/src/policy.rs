mod evaluate;
mod parse;

use std::str::FromStr;

use crate::VerifierKey;

pub(crate) use evaluate::verify_log_line;
pub use evaluate::{
    Cosigned, CosignedError, PolicyRefusal, TimeWindow, WitnessedCheckpoint, verify_checkpoint_any,
    verify_checkpoint_cosigned,
};
pub use parse::{PolicyError, PolicyProblem};

/// Most bytes of a policy that is read: room for 64 post-quantum keys.
pub const MAX_POLICY_BYTES: usize = 262_144;

/// Most logs, most witnesses and most groups of a policy.
pub const MAX_POLICY_MEMBERS: usize = 64;

/// A log policy (C2SP tlog-policy): which logs are known, which witnesses, and whose cosignatures
/// together make a checkpoint acceptable. Read from octets by [`LogPolicy::parse`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogPolicy {
    logs: Vec<PolicyLog>,
    witnesses: Vec<PolicyWitness>,
    /// In the order of their definition: members stand before the groups that name them.
    nodes: Vec<Node>,
    /// The node that must have witnessed; none with `quorum none`.
    quorum: Option<usize>,
}

/// A log of a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyLog {
    key: VerifierKey,
    url: Option<Vec<u8>>,
}

/// A witness of a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyWitness {
    name: Vec<u8>,
    key: VerifierKey,
    url: Option<Vec<u8>>,
}

/// A witness or a group.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Node {
    /// The index of a witness.
    Witness(usize),
    /// So many of these nodes, each of which stands before this one.
    Group { least: usize, members: Vec<usize> },
}

impl LogPolicy {
    /// The logs, in the order of the file.
    pub fn logs(&self) -> &[PolicyLog] {
        &self.logs
    }

    /// The witnesses, in the order of the file, whether the quorum asks for them or not.
    pub fn witnesses(&self) -> &[PolicyWitness] {
        &self.witnesses
    }

    /// Whether any cosignature is asked for: `quorum none` asks for none.
    pub const fn asks_for_witnesses(&self) -> bool {
        self.quorum.is_some()
    }

    /// Whether the quorum is met when exactly those witnesses cosigned of which `cosigned` says
    /// so, by their place in [`LogPolicy::witnesses`].
    pub fn is_met(&self, cosigned: impl Fn(usize) -> bool) -> bool {
        let Some(quorum) = self.quorum else {
            return true;
        };
        let mut met: Vec<bool> = Vec::with_capacity(self.nodes.len());
        for node in &self.nodes {
            let this = match node {
                Node::Witness(place) => cosigned(*place),
                Node::Group { least, members } => {
                    let count = members
                        .iter()
                        .filter(|member| met.get(**member) == Some(&true))
                        .count();
                    count >= *least
                }
            };
            met.push(this);
        }
        met.get(quorum) == Some(&true)
    }

    /// A smallest set of witnesses that meets the quorum, by their places in
    /// [`LogPolicy::witnesses`] and of those alone of which `there` says that they are there; none
    /// where they do not meet it.
    pub fn smallest_quorum(&self, there: impl Fn(usize) -> bool) -> Option<Vec<usize>> {
        let Some(quorum) = self.quorum else {
            return Some(Vec::new());
        };
        // A name is a member of one group at most, so that no witness counts in two of them.
        let mut smallest: Vec<Option<Vec<usize>>> = Vec::with_capacity(self.nodes.len());
        for node in &self.nodes {
            let this = match node {
                Node::Witness(place) => there(*place).then(|| vec![*place]),
                Node::Group { least, members } => {
                    let mut met: Vec<_> = members
                        .iter()
                        .filter_map(|member| smallest.get(*member)?.as_ref())
                        .collect();
                    met.sort_by_key(|set| set.len());
                    met.get(..*least)
                        .map(|met| met.iter().copied().flatten().copied().collect())
                }
            };
            smallest.push(this);
        }
        smallest.into_iter().nth(quorum).flatten()
    }
}

impl FromStr for LogPolicy {
    type Err = PolicyError;

    fn from_str(text: &str) -> Result<Self, PolicyError> {
        Self::parse(text.as_bytes())
    }
}

impl PolicyLog {
    /// The key; its name is the log's origin.
    pub const fn key(&self) -> &VerifierKey {
        &self.key
    }

    /// Where the log is, as the file spells it.
    pub fn url(&self) -> Option<&[u8]> {
        self.url.as_deref()
    }
}

impl PolicyWitness {
    /// What the file calls it: octets without meaning outside of the file.
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// The key, an Ed25519 cosignature key or an ML-DSA-44 key.
    pub const fn key(&self) -> &VerifierKey {
        &self.key
    }

    /// Where the witness takes checkpoints, as the file spells it.
    pub fn url(&self) -> Option<&[u8]> {
        self.url.as_deref()
    }
}
