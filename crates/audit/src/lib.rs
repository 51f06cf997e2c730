//! What is written into the logs: one typed, canonical entry per event, the salted commitments
//! that stand in for what a log must not carry, and the chain of every instance's entries.
//!
//! From the entries alone the five facts follow: which instance did it ([`IdentityIssue`],
//! [`Decision`]), what it was made of ([`IdentityIssue`], [`ManifestRegister`]), on whose behalf and
//! for which goal ([`SessionOpen`], [`DelegationRoot`], [`DelegationEnrol`]), who or what allowed it
//! ([`Decision`], [`ApprovalGrant`]) and until when that holds (the expiries of all of them).

#[macro_use]
mod body;
mod commitment;
mod content;
mod documentation;
mod entry;
mod event;
mod events;
mod export;
mod instance_chain;
mod label;
mod words;

pub use body::{Body, FieldDoc, FieldType, TypeDoc, Writer};
pub use commitment::{Commitment, Disclosure, DisclosureError, commit};
pub use content::{Content, ContentSizeError};
pub use documentation::{documentation, json_schema, markdown};
pub use entry::{Entry, EntryError, leaf_hash};
pub use event::Event;
pub use events::{
    AgentRetire, ApprovalAnswer, ApprovalGrant, ApprovalRequest, AuthorityChange, BrakeRelease,
    BrakeSet, BrokerAllow, BrokerRemove, CheckpointEnrol, ConsentStanding, Decision,
    DelegationEnrol, DelegationRoot, EpochRaise, Erasure, ErasureDone, FederationAdd,
    FederationBundle, FederationRemove, GapDisclose, IdentityEnd, IdentityIssue, IndexRoot,
    InstanceOpen, LogSucceed, ManifestRegister, NodeAuthority, NodeEvict, NodeJoin, NodeToken,
    NodeTpm, ObserveEnd, ObserveSet, Outcome, PolicyPublish, ProducerEntry, RecordEnrol,
    RevocationAdd, RevocationLift, SessionEnd, SessionJoin, SessionLeave, SessionOpen,
    SessionRefuse, SessionVisit, SnapshotAdopt, TrustChange,
};
pub use export::{LoggedEntry, OCSF_VERSION, SEMANTIC_CONVENTIONS, ocsf, otlp};
pub use instance_chain::{ChainError, InstanceChains, InstanceLink, LeafRef};
pub use label::{Label, LabelError};
pub use words::{
    Assurance, AuthorityKind, AuthorityStep, BrakeMode, BrakeOn, CallFacts, CallKind, CallRecord,
    Charge, ClearValue, Counts, Credential, CredentialForm, EndReason, EndpointProfile, Isolation,
    LeaveReason, NodeProof, ObservedBy, OutcomeStatus, Ruling, Unenforced, Verdict,
};
