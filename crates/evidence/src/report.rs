//! What verification found: axes, findings, and what cannot be proven.

use std::fmt;

use chancery_types::id::SessionId;
use chancery_types::{Digest, Timestamp};
use serde::{Serialize, Serializer};

/// What is asked of evidence, one question each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Axis {
    /// Every byte is the one that was enrolled.
    Integrity,
    /// Every signature is of a key that the trust document names for that purpose.
    Authenticity,
    /// Every instance is who it says, made of what it says.
    Identity,
    /// Everything was in force when it was used, and the trust document is the latest.
    Freshness,
    /// Nothing was used after it was withdrawn.
    Revocation,
    /// Nothing is missing.
    Completeness,
    /// Every decision follows again from what was presented.
    Scope,
}

impl Axis {
    /// All axes, in the order of a report.
    pub const ALL: [Self; 7] = [
        Self::Integrity,
        Self::Authenticity,
        Self::Identity,
        Self::Freshness,
        Self::Revocation,
        Self::Completeness,
        Self::Scope,
    ];

    /// The word in a report.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Integrity => "integrity",
            Self::Authenticity => "authenticity",
            Self::Identity => "identity",
            Self::Freshness => "freshness",
            Self::Revocation => "revocation",
            Self::Completeness => "completeness",
            Self::Scope => "scope",
        }
    }
}

impl fmt::Display for Axis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a finding is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// A file of the evidence.
    File(String),
    /// An entry of a log.
    Entry {
        /// The log's origin.
        origin: String,
        /// The index.
        index: u64,
    },
    /// The trust document.
    Trust,
    /// The evidence as a whole.
    Whole,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => f.write_str(path),
            Self::Entry { origin, index } => write!(f, "{origin} entry {index}"),
            Self::Trust => f.write_str("trust document"),
            Self::Whole => f.write_str("evidence"),
        }
    }
}

impl Serialize for Place {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Something that does not hold. Any one of them makes the evidence fail.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Finding {
    /// Which question it answers with no.
    pub axis: Axis,
    /// The file or entry.
    pub place: Place,
    /// The reason code.
    pub reason: &'static str,
    /// What was found, for people.
    pub text: String,
}

/// What rests on less than proof, as a value (decision 17). Does not make evidence fail.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Note {
    /// The value.
    pub value: NoteValue,
    /// What it is about.
    pub about: String,
}

/// The values of notes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum NoteValue {
    /// No hardware vouches for it.
    SoftwareOnly,
    /// An instance without namespaces of its own.
    Unisolated,
    /// The witness quorum of the trust document did not cosign the log's checkpoint, or there is none.
    Unwitnessed,
    /// A credential that stands in for a person's.
    StandIn,
    /// Bound or said, and not compared with anything.
    Unproven,
    /// A root without the person's own consent.
    Asserted,
    /// The log went on after this evidence was taken.
    Continued,
    /// An execution whose end the gateway did not see.
    UnknownOutcome,
    /// An execution that a run of the gateway left, which broke off; it may have happened.
    Gap,
    /// Something happened within the time that a withdrawal may take to be heard of.
    LateWithdrawal,
    /// The log goes on from an older copy of another one, of which more was signed; or another one
    /// goes on from it.
    Succeeded,
    /// Not there any more, because whoever it was about was erased.
    Erased,
    /// A call that policy denied or asked about, and that went on all the same: observe mode.
    Unenforced,
}

impl NoteValue {
    /// The word in a report.
    pub const fn name(self) -> &'static str {
        match self {
            Self::SoftwareOnly => "software-only",
            Self::Unisolated => "unisolated",
            Self::Unwitnessed => "unwitnessed",
            Self::StandIn => "stand-in",
            Self::Unproven => "unproven",
            Self::Asserted => "asserted",
            Self::Continued => "continued",
            Self::UnknownOutcome => "unknown-outcome",
            Self::Gap => "gap",
            Self::LateWithdrawal => "late-withdrawal",
            Self::Succeeded => "succeeded",
            Self::Erased => "erased",
            Self::Unenforced => "unenforced",
        }
    }
}

/// What one axis came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum AxisVerdict {
    /// Everything that it asks holds.
    Holds,
    /// There is a finding.
    Fails,
    /// It could not be asked, because of findings on other axes.
    Unproven,
    /// It can no longer be asked in full, because what it rests on was erased.
    Erased,
    /// Every decision follows again, and in some of them what policy said was not enforced: those calls
    /// were not in scope. Of the axis of scope alone.
    Unenforced,
}

/// One axis and what it came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct AxisReport {
    /// The axis.
    pub axis: Axis,
    /// What it came to.
    pub verdict: AxisVerdict,
}

/// What the evidence as a whole is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReportOutcome {
    /// Everything holds.
    Verified,
    /// Everything holds that is still there, and some calls went on though policy said otherwise, which the
    /// evidence says: what was done was not all in scope. Whether something was erased, the axes say.
    Unenforced,
    /// Everything holds that is still there; the rest was erased, which is proven.
    Erased,
    /// Something does not hold.
    Failed,
    /// No trust was given: the evidence speaks for itself alone, which is a failure.
    SelfAsserted,
}

/// The result of [`crate::verify`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The session that the evidence is of, where its index can be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionId>,
    /// The digest of the trust document that was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trust: Option<Digest>,
    /// When it was verified.
    pub verified_at: Timestamp,
    /// What the evidence is.
    pub outcome: ReportOutcome,
    /// Every axis.
    pub axes: Vec<AxisReport>,
    /// What does not hold, sorted; each once.
    pub findings: Vec<Finding>,
    /// What rests on less than proof, sorted; each once.
    pub notes: Vec<Note>,
}

impl Report {
    /// Whether everything holds, and policy was enforced in every decision.
    pub fn is_verified(&self) -> bool {
        self.outcome == ReportOutcome::Verified
    }

    /// Whether something was erased, so that not everything could be asked.
    pub fn is_erased(&self) -> bool {
        let mut axes = self.axes.iter();
        axes.any(|one| one.verdict == AxisVerdict::Erased)
    }
}

/// Collects while verification goes on.
#[derive(Debug, Default)]
pub(crate) struct Found {
    findings: Vec<Finding>,
    notes: Vec<Note>,
    replayed: bool,
    erased: bool,
}

impl Found {
    pub(crate) fn add(
        &mut self,
        axis: Axis,
        place: Place,
        reason: &'static str,
        text: impl Into<String>,
    ) {
        self.findings.push(Finding {
            axis,
            place,
            reason,
            text: text.into(),
        });
    }

    /// Adds a finding unless it holds; says whether it does.
    pub(crate) fn require(
        &mut self,
        holds: bool,
        axis: Axis,
        place: &Place,
        reason: &'static str,
        text: &str,
    ) -> bool {
        if !holds {
            self.add(axis, place.clone(), reason, text);
        }
        holds
    }

    pub(crate) fn note(&mut self, value: NoteValue, about: impl Into<String>) {
        self.notes.push(Note {
            value,
            about: about.into(),
        });
    }

    /// Says that the logs could be read and the session was followed from its first entry on.
    pub(crate) const fn followed(&mut self) {
        self.replayed = true;
    }

    /// Says that something of the session was erased, so that nothing was replayed.
    pub(crate) const fn erased(&mut self) {
        self.erased = true;
    }

    pub(crate) fn report(
        mut self,
        session: Option<SessionId>,
        trust: Option<Digest>,
        verified_at: Timestamp,
    ) -> Report {
        self.findings.sort();
        self.findings.dedup();
        self.notes.sort();
        self.notes.dedup();
        let unenforced = self
            .notes
            .iter()
            .any(|note| note.value == NoteValue::Unenforced);
        let verdict = |axis| {
            let fails = self.findings.iter().any(|finding| finding.axis == axis);
            let whole = [Axis::Integrity, Axis::Completeness].contains(&axis);
            match (fails, self.replayed) {
                (true, _) => AxisVerdict::Fails,
                // What is known to have been out of scope outranks what can be asked no more.
                (false, true) if unenforced && axis == Axis::Scope => AxisVerdict::Unenforced,
                (false, true) if self.erased && !whole => AxisVerdict::Erased,
                (false, true) => AxisVerdict::Holds,
                (false, false) => AxisVerdict::Unproven,
            }
        };
        let axes = Axis::ALL
            .map(|axis| AxisReport {
                axis,
                verdict: verdict(axis),
            })
            .to_vec();
        let outcome = match (trust, self.findings.is_empty() && self.replayed) {
            (None, _) => ReportOutcome::SelfAsserted,
            (Some(_), true) if unenforced => ReportOutcome::Unenforced,
            (Some(_), true) if self.erased => ReportOutcome::Erased,
            (Some(_), true) => ReportOutcome::Verified,
            (Some(_), false) => ReportOutcome::Failed,
        };
        Report {
            session,
            trust,
            verified_at,
            outcome,
            axes,
            findings: self.findings,
            notes: self.notes,
        }
    }
}
