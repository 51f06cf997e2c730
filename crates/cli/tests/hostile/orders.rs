//! What the attacker is told, and what it answers.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

use nix::errno::Errno;
use serde::{Deserialize, Serialize};

/// Everything that an attacker could learn from a careless operator.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Orders {
    /// Whether the attacker's sandbox shares the host's network.
    pub(crate) has_network: bool,
    /// Whether nothing may be harmed: the attempts are made by the test itself.
    pub(crate) is_control: bool,
    /// The attacker's own SPIFFE ID.
    pub(crate) own: String,
    /// The reviewed program of every agent here, as the host names it.
    pub(crate) program: PathBuf,
    /// The data folder.
    pub(crate) data: PathBuf,
    /// Keys, tables, authenticators, the books.
    pub(crate) files: Vec<PathBuf>,
    /// Processes of the deployment by what they are.
    pub(crate) processes: BTreeMap<String, i32>,
    /// Sockets of the operator and of the neighbour.
    pub(crate) sockets: Vec<PathBuf>,
    /// An abstract socket of the host on which somebody listens.
    pub(crate) abstract_socket: String,
    /// A file in the host's shared memory.
    pub(crate) shared_memory: PathBuf,
    /// The gateway's port.
    pub(crate) port: u16,
    pub(crate) gateway: String,
    /// A request for approval that waits for a person.
    pub(crate) approval: String,
    /// The person's software authenticator, and their mission.
    pub(crate) authenticator: PathBuf,
    pub(crate) mission: PathBuf,
    pub(crate) neighbour: Neighbour,
}

/// The neighbour's authority, and one of its calls as it was presented.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Neighbour {
    pub(crate) spiffe_id: String,
    pub(crate) session: String,
    pub(crate) chain: Vec<String>,
    pub(crate) proof: String,
    pub(crate) arguments: serde_json::Value,
}

/// What came of one attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Outcome {
    /// The attacker got what it wanted.
    Succeeded(String),
    /// It was kept from it, and how.
    Refused(String),
}

impl Outcome {
    /// What the system said.
    pub(crate) fn of<T>(result: io::Result<T>) -> Self {
        match result {
            Ok(_) => Self::Succeeded(String::new()),
            Err(error) => Self::Refused(named(&error)),
        }
    }
}

/// An error of the system by its name.
pub(crate) fn named(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(number) => format!("{:?}", Errno::from_raw(number)),
        None => error.to_string(),
    }
}

/// One attempt.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Attempt {
    pub(crate) attack: String,
    pub(crate) target: String,
    pub(crate) outcome: Outcome,
}

/// What the attacker says.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "event")]
pub(crate) enum Told {
    Attempt(Attempt),
    /// It wants the proof of its own denied call, as somebody who sees the bridge's traffic has it.
    WantsProof,
    Done,
}
