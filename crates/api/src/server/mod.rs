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
mod invitations;
mod nodes;
mod revocations;
mod roots;
mod roster;
mod state;
mod terms;

pub use agents::{
    Agent, AgentRetired, Agents, ExpectedRegistration, JudgedAgent, Manifest, RegisterAgent,
    RetireAgent,
};
pub use approvals::{
    AnswerApproval, Approval, ApprovalState, ApprovalSubject, Approvals, OpenApproval, SumView,
};
pub use brokers::{AllowBroker, BrokerChanged, Brokers, RemoveBroker};
pub use chancery_identity::MaySpawn;
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
    EndInstance, Instance, InstanceEvidence, InstanceState, Instances, IssueJwt, IssueService,
    IssueWit, IssueWitSvid, IssueX509, IssueX509s, IssuedX509, IssuedX509s, LaunchedInstance, Leaf,
    MAX_TOGETHER, OpenInstance,
};
pub use introspection::{Introspect, Introspection, LinkView, PersonAuthority, PersonRoot};
pub use invitations::{Invite, Invited, RegisteredPasskey};
pub use nodes::{
    AdmitNodeAuthority, AdmitNodeTpm, ChallengeTpm, EvictNode, JoinMeans, JoinNode, JoinToken,
    JoinedNode, NewNodeToken, NodeAuthorityView, NodeEvicted, NodeToken, NodeTpmView, NodeView,
    Nodes, RenewNode, TpmChallenge, TpmProof,
};
pub use revocations::{
    KnownRevocation, LiftRevocation, RaiseEpoch, RevocationDone, Revocations, Revoke,
    WithdrawnIdentities,
};
pub use roots::{DraftRoot, IssuedRoot, RootDraft, SubmitRoot};
pub use roster::{
    AgentName, AgentNameError, Roster, RosterEntry, RosterFilter, RosterPlace, RosterPlaceError,
};
pub use state::{EnrolCheckpoint, EnrolRecord, Enrolled, ServerStatus, TrustText};
pub use terms::{LaunchTerms, Task, TaskError};
