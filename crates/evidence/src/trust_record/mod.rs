//! The Trust Record of a session: the signed summary, in the form of TRACE v0.2.

mod record;
mod signed;

pub use record::{
    Appraisal, AppraisalStatus, BuildProvenance, Confirmation, ConfirmationKey, EnforcementMode,
    Model, Platform, Policy, Profile, Reference, Runtime, ToolTranscript, TrustRecord,
    transcript_hash,
};
pub use signed::{TrustRecordError, VerifiedTrustRecord};
