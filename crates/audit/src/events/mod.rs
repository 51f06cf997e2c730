//! The bodies, by what they are about.

mod approval;
mod authority;
mod authority_change;
mod brake;
mod broker;
mod call;
mod enrolment;
mod erasure;
mod federation;
mod identity;
mod index;
mod node;
mod observe;
mod producer;
mod revocation;
mod session;

pub use approval::{ApprovalAnswer, ApprovalGrant, ApprovalRequest};
pub use authority::{ConsentStanding, DelegationEnrol, DelegationRoot, PolicyPublish, TrustChange};
pub use authority_change::AuthorityChange;
pub use brake::{BrakeRelease, BrakeSet};
pub use broker::{BrokerAllow, BrokerRemove};
pub use call::{Decision, GapDisclose, Outcome};
pub use enrolment::{CheckpointEnrol, LogSucceed, RecordEnrol};
pub use erasure::{Erasure, ErasureDone};
pub use federation::{FederationAdd, FederationBundle, FederationRemove};
pub use identity::{AgentRetire, IdentityEnd, IdentityIssue, InstanceOpen, ManifestRegister};
pub use index::IndexRoot;
pub use node::{NodeAuthority, NodeEvict, NodeJoin, NodeToken, NodeTpm};
pub use observe::{ObserveEnd, ObserveSet};
pub use producer::ProducerEntry;
pub use revocation::{EpochRaise, RevocationAdd, RevocationLift, SnapshotAdopt};
pub use session::{
    SessionEnd, SessionJoin, SessionLeave, SessionOpen, SessionRefuse, SessionVisit,
};
