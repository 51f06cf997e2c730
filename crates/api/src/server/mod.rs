//! What the server answers: one file for each group of endpoints.

mod agents;
mod approvals;
mod brokers;
mod client;
mod consents;
mod erasures;
mod federations;
mod instances;
mod introspection;
mod nodes;
mod revocations;
mod roots;
mod state;

pub use agents::{Agent, Agents, Manifest, RegisterAgent};
pub use approvals::{
    AnswerApproval, Approval, ApprovalState, ApprovalSubject, Approvals, OpenApproval,
};
pub use brokers::{AllowBroker, BrokerChanged, Brokers, RemoveBroker};
pub use client::ServerClient;
pub use consents::{
    ConsentState, ConsentUse, StandingConsent, StandingConsents, SubmitConsent, UseConsent,
};
pub use erasures::{ErasePerson, Erasures, KeptOfPerson, KeptValues, PersonErased};
pub use federations::{
    AddFederation, BundleView, FederationEnded, FederationView, Federations, ForeignBundles,
    LastFetch,
};
pub use instances::{
    EndInstance, Instance, InstanceState, Instances, IssueJwt, IssueService, IssueWit,
    IssueWitSvid, IssueX509, IssueX509s, IssuedX509, IssuedX509s, LaunchedInstance, Leaf,
    MAX_TOGETHER, OpenInstance,
};
pub use introspection::{Introspect, Introspection, LinkView, PersonAuthority, PersonRoot};
pub use nodes::{
    AdmitNodeAuthority, EvictNode, JoinMeans, JoinNode, JoinToken, JoinedNode, NewNodeToken,
    NodeAuthorityView, NodeEvicted, NodeToken, NodeView, Nodes, RenewNode,
};
pub use revocations::{
    KnownRevocation, LiftRevocation, RaiseEpoch, RevocationDone, Revocations, Revoke,
    WithdrawnIdentities,
};
pub use roots::{DraftRoot, IssuedRoot, RootDraft, SubmitRoot};
pub use state::{EnrolCheckpoint, EnrolRecord, Enrolled, ServerStatus, TrustText};
