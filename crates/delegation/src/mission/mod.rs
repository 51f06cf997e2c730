//! The mission: what a person wants done, as a document that never changes.
//!
//! Strict JSON, named by the SHA-256 of its exact bytes: nobody re-encodes it, so that layout is
//! the author's and every byte counts.

mod error;
mod fields;
mod parse;
mod service;
mod stop;

use chancery_types::id::PersonId;
use chancery_types::{Digest, Timestamp};
use serde_json::{Map, Value};

use crate::token::Entry;

pub use error::{MissionError, MissionProblem};
pub use service::Unserved;
pub use stop::{Progress, StopCondition};

/// Largest mission document.
pub const MAX_MISSION_BYTES: usize = 65_536;

/// What the member `mission` of every document says: its form.
pub const MISSION_FORM: &str = "chancery/mission/v1";

/// A mission document that was read. Only [`Mission::parse`] makes one, so that every part of it is
/// known to be well formed, and its digest is that of the bytes a person consented to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mission {
    bytes: Vec<u8>,
    goal: String,
    outcome: Map<String, Value>,
    steps: Vec<Step>,
    forbid: Vec<Entry>,
    stop: Vec<StopCondition>,
    budget: Budget,
    approver: Approver,
    expires: Timestamp,
}

/// One step of a mission: what is to be done, and by which means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    id: String,
    text: String,
    means: Vec<Entry>,
}

/// What the whole mission may use up, counted by the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Most calls.
    pub calls: u64,
    /// Most cost, in millionths of the currency.
    pub cost_micros: u64,
    /// How long a session may last, in seconds.
    pub seconds: u64,
}

/// Who answers the mission's escalations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Approver {
    /// Anybody whom the trust document names as an approver.
    AnyApprover,
    /// This person alone, who has to be an approver too.
    Person(PersonId),
}

impl Mission {
    /// Reads a document. What is not understood whole is refused, with the field and what helps.
    pub fn parse(bytes: Vec<u8>) -> Result<Self, MissionError> {
        parse::read(bytes)
    }

    /// The document's exact bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The digest of the exact bytes: `mission_s256` of a root, in base64url.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.bytes)
    }

    /// What is wanted, in a person's words.
    pub fn goal(&self) -> &str {
        &self.goal
    }

    /// What is expected to hold at the end, as data.
    pub const fn outcome(&self) -> &Map<String, Value> {
        &self.outcome
    }

    /// The steps, in the order of the document.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// The means that nobody may use in this mission, whatever a step or a chain says.
    pub fn forbidden(&self) -> &[Entry] {
        &self.forbid
    }

    /// When the mission stops before its end.
    pub fn stop_conditions(&self) -> &[StopCondition] {
        &self.stop
    }

    /// What it may use up.
    pub const fn budget(&self) -> Budget {
        self.budget
    }

    /// Who answers its escalations.
    pub const fn approver(&self) -> Approver {
        self.approver
    }

    /// When it is over; no root outlives it.
    pub const fn expires(&self) -> Timestamp {
        self.expires
    }
}

impl Step {
    /// By which calls name it.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What is to be done.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The means that it may use.
    pub fn means(&self) -> &[Entry] {
        &self.means
    }
}

impl Approver {
    /// The person, where it is one alone.
    pub const fn person(self) -> Option<PersonId> {
        match self {
            Self::AnyApprover => None,
            Self::Person(person) => Some(person),
        }
    }
}
