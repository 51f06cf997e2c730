use chancery_audit::{Commitment, Disclosure};
use chancery_types::Timestamp;
use chancery_types::id::PersonId;
use serde::{Deserialize, Serialize};

/// Erases a person.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ErasePerson {
    /// Why, for the log as a commitment. Kept for the operator: it names nobody.
    pub reason: String,
}

/// How many values of one kind are kept of a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeptValues {
    /// What they are.
    pub what: String,
    /// How many.
    pub values: u64,
}

/// What the server keeps of a person, and what erasing them waits for.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeptOfPerson {
    /// The person.
    pub person: PersonId,
    /// By kind; those of which there are none are left out.
    pub kept: Vec<KeptValues>,
    /// By what they are still at work: nobody is erased before that has ended.
    pub at_work: Vec<String>,
    /// Their erasure, where there was one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub erased: Option<PersonErased>,
}

/// A person who was erased.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PersonErased {
    /// The person.
    pub person: PersonId,
    /// The commitment to them in the log.
    pub subject: Commitment,
    /// How many values the server had kept.
    pub values: u64,
    /// When it was enrolled.
    pub at: Timestamp,
    /// The index of the entry that enrolled it in the server's log.
    pub log_index: u64,
    /// What opens the commitment: with it the person can show that the entry is about them.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub receipt: Option<Disclosure>,
    /// What opens the commitments of that entry to what of the logs concerns the person; for gateways,
    /// which prove by it that what they miss was this person's. Only where one person is asked about.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub scope: Vec<Disclosure>,
    /// Whether it was so before, so that nothing was enrolled.
    pub before: bool,
}

/// Everybody who was erased, in the order of the log.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Erasures {
    /// The origin of the log that enrolled them.
    pub log: String,
    /// In the order of the log.
    pub erasures: Vec<PersonErased>,
}
