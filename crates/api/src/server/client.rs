use std::path::PathBuf;

use chancery_identity::TrustDomain;
use chancery_policy::SignedBundle;
use chancery_types::Digest;
use chancery_types::id::{ApprovalId, ConsentId, InstanceId, NodeId, PersonId};

use super::{
    AddFederation, AdmitNodeAuthority, AdmitNodeTpm, Agent, AgentRetired, Agents, AllowBroker,
    AnswerApproval, Approval, Approvals, BrokerChanged, Brokers, DraftRoot, EndInstance,
    EnrolCheckpoint, EnrolRecord, Enrolled, ErasePerson, Erasures, EvictNode, FederationEnded,
    FederationView, Federations, ForeignBundles, InstanceEvidence, Instances, Introspect,
    Introspection, Invite, Invited, IssueJwt, IssueService, IssueWit, IssueWitSvid, IssueX509,
    IssueX509s, IssuedRoot, IssuedX509, IssuedX509s, JudgedAgent, KeptOfPerson, LaunchedInstance,
    LiftRevocation, Manifest, NewNodeToken, NodeAuthorityView, NodeEvicted, NodeToken, NodeTpmView,
    Nodes, OpenApproval, OpenInstance, PersonAuthority, PersonErased, RaiseEpoch, RegisterAgent,
    RemoveBroker, RetireAgent, RevocationDone, Revocations, Revoke, RootDraft, Roster,
    RosterFilter, ServerStatus, StandingConsent, StandingConsents, SubmitConsent, SubmitRoot,
    TrustText, UseConsent, WithdrawnIdentities,
};
use crate::authority::{
    AuthorityChanged, AuthorityList, CertifyAuthority, ChangeAuthority, PrepareAuthority,
};
use crate::signer::{Done, SignAccess, SignedToken};
use crate::snapshot::SignedSnapshot;
use crate::{ClientError, TlsClient, Transport, UnixClient};

/// Speaks to the server: over its owner's socket, or, as a node on another host, over mutual TLS, where
/// the server answers what a node may ask.
#[derive(Debug, Clone)]
pub struct ServerClient(Transport);

macro_rules! get {
    ($($(#[$doc:meta])* $name:ident($($arg:ident: $ty:ty),*) -> $answer:ty = $path:literal;)*) => {$(
        $(#[$doc])*
        pub async fn $name(&self, $($arg: $ty),*) -> Result<$answer, ClientError> {
            self.0.get(&format!($path)).await
        }
    )*};
}

macro_rules! post {
    ($($(#[$doc:meta])* $name:ident($($arg:ident: $ty:ty,)* => $body:ty) -> $answer:ty = $path:literal;)*) => {$(
        $(#[$doc])*
        pub async fn $name(&self, $($arg: $ty,)* body: &$body) -> Result<$answer, ClientError> {
            self.0.post(&format!($path), body).await
        }
    )*};
}

impl ServerClient {
    /// A client of that socket.
    pub fn new(socket: impl Into<PathBuf>) -> Self {
        Self(Transport::Unix(UnixClient::new(socket)))
    }

    /// A client of a node on another host.
    pub const fn over(tls: TlsClient) -> Self {
        Self(Transport::Tls(tls))
    }

    /// Takes out an authority whose certificates admit nodes.
    pub async fn remove_node_authority(&self, fingerprint: Digest) -> Result<Done, ClientError> {
        let path = format!("/v1/nodes/authorities/{fingerprint}/remove");
        self.0.post(&path, &Done {}).await
    }

    /// Takes out a TPM whose host may join.
    pub async fn remove_node_tpm(&self, tpm: Digest) -> Result<Done, ClientError> {
        let path = format!("/v1/nodes/tpms/{tpm}/remove");
        self.0.post(&path, &Done {}).await
    }

    /// Withdraws a request for approval that waits.
    pub async fn withdraw_approval(&self, approval: ApprovalId) -> Result<Done, ClientError> {
        let path = format!("/v1/approvals/{approval}/withdraw");
        self.0.post(&path, &Done {}).await
    }

    /// Instances, living and dead, with what they do, for whom and until when.
    pub async fn roster(&self, filter: &RosterFilter) -> Result<Roster, ClientError> {
        self.0.get(&format!("/v1/roster{}", filter.query())).await
    }

    /// What an instance started, and what that started, and so on: living and dead.
    pub async fn descendants(
        &self,
        instance: InstanceId,
        filter: &RosterFilter,
    ) -> Result<Roster, ClientError> {
        let query = filter.query();
        let path = format!("/v1/instances/{instance}/descendants{query}");
        self.0.get(&path).await
    }

    /// Ends a relation to a foreign trust domain.
    pub async fn remove_federation(
        &self,
        trust_domain: &TrustDomain,
    ) -> Result<FederationEnded, ClientError> {
        let path = format!("/v1/federations/{trust_domain}/remove");
        self.0.post(&path, &Done {}).await
    }

    /// Fetches the bundle of a foreign trust domain now; says how that ended.
    pub async fn refresh_federation(
        &self,
        trust_domain: &TrustDomain,
    ) -> Result<FederationView, ClientError> {
        let path = format!("/v1/federations/{trust_domain}/refresh");
        self.0.post(&path, &Done {}).await
    }

    get! {
        /// One's own bundle and all relations to foreign trust domains.
        federations() -> Federations = "/v1/federations";
        /// The bundles of foreign trust domains, once they differ from `state`.
        foreign_bundles(state: Digest, wait_seconds: u64) -> ForeignBundles =
            "/v1/bundles?state={state}&wait_seconds={wait_seconds}";
        /// Which identities are revoked, once they differ from `state`.
        withdrawn(state: Digest, wait_seconds: u64) -> WithdrawnIdentities =
            "/v1/withdrawn?state={state}&wait_seconds={wait_seconds}";
        /// Where the authorities stand.
        authorities() -> AuthorityList = "/v1/authorities";
        /// The state of the server.
        status() -> ServerStatus = "/v1/status";
        /// The trust document in force.
        trust() -> TrustText = "/v1/trust";
        /// All registered agents.
        agents() -> Agents = "/v1/agents";
        /// A registered manifest.
        manifest(digest: Digest) -> Manifest = "/v1/manifests/{digest}";
        /// All instances.
        instances() -> Instances = "/v1/instances";
        /// What was attested of an instance.
        instance_evidence(instance: InstanceId) -> InstanceEvidence =
            "/v1/instances/{instance}/evidence";
        /// The root that a person granted to an instance; waits up to `wait_seconds` for it.
        root_of(instance: InstanceId, wait_seconds: u64) -> Option<IssuedRoot> =
            "/v1/instances/{instance}/root?wait_seconds={wait_seconds}";
        /// All requests for approval.
        approvals() -> Approvals = "/v1/approvals";
        /// One request for approval; waits up to `wait_seconds` for an answer.
        approval(approval: ApprovalId, wait_seconds: u64) -> Approval =
            "/v1/approvals/{approval}?wait_seconds={wait_seconds}";
        /// All standing consents.
        consents() -> StandingConsents = "/v1/consents";
        /// One standing consent with the roots that rest on it.
        consent(consent: ConsentId) -> StandingConsent = "/v1/consents/{consent}";
        /// A fresh snapshot.
        snapshot() -> SignedSnapshot = "/v1/snapshot";
        /// A snapshot that differs from the one of that sequence in more than its date as soon as
        /// there is one; a fresh one after `wait_seconds`.
        snapshot_after(after: u64, wait_seconds: u64) -> SignedSnapshot =
            "/v1/snapshot?after={after}&wait_seconds={wait_seconds}";
        /// All nodes on other hosts.
        nodes() -> Nodes = "/v1/nodes";
        /// What is revoked.
        revocations() -> Revocations = "/v1/revocations";
        /// Everything by which a person is at work here.
        person(person: PersonId) -> PersonAuthority = "/v1/people/{person}";
        /// What the server keeps of a person.
        kept_of(person: PersonId) -> KeptOfPerson = "/v1/people/{person}/kept";
        /// Everybody who was erased.
        erasures() -> Erasures = "/v1/erasures";
        /// Who is a broker.
        brokers() -> Brokers = "/v1/brokers";
        /// Who is a broker, once it differs from that state; the same again after `wait_seconds`.
        brokers_after(state: Digest, wait_seconds: u64) -> Brokers =
            "/v1/brokers?state={state}&wait_seconds={wait_seconds}";
        /// The policy bundle of that digest.
        policy(digest: Digest) -> SignedBundle = "/v1/policies/{digest}";
    }

    post! {
        /// Waits for a person's registration under a one-time code.
        invite(=> Invite) -> Invited = "/v1/invitations";
        /// Installs a later version of the trust document.
        install_trust(=> TrustText) -> Enrolled = "/v1/trust";
        /// Begins a relation to a foreign trust domain.
        add_federation(=> AddFederation) -> FederationView = "/v1/federations";
        /// Admits a broker.
        allow_broker(=> AllowBroker) -> BrokerChanged = "/v1/brokers";
        /// Takes a broker's admission back.
        remove_broker(=> RemoveBroker) -> BrokerChanged = "/v1/brokers/remove";
        /// Registers an agent.
        register_agent(=> RegisterAgent) -> Agent = "/v1/agents";
        /// Asks what a registration comes to; nothing is registered.
        judge_agent(=> RegisterAgent) -> JudgedAgent = "/v1/agents/judge";
        /// Takes an agent out, with every instance of it.
        retire_agent(=> RetireAgent) -> AgentRetired = "/v1/agents/retire";
        /// Opens an instance of an agent.
        open_instance(=> OpenInstance) -> LaunchedInstance = "/v1/instances";
        /// Issues an instance's X.509-SVID.
        issue_x509(=> IssueX509) -> IssuedX509 = "/v1/issue/x509";
        /// Issues the X.509-SVIDs of several instances.
        issue_x509s(=> IssueX509s) -> IssuedX509s = "/v1/issue/x509s";
        /// Issues the credential of an instance's agent key.
        issue_wit(=> IssueWit) -> SignedToken = "/v1/issue/wit";
        /// Issues a JWT-SVID of an instance.
        issue_jwt(=> IssueJwt) -> SignedToken = "/v1/issue/jwt";
        /// Issues a WIT-SVID of an instance.
        issue_wit_svid(=> IssueWitSvid) -> SignedToken = "/v1/issue/wit-svid";
        /// Issues an access token that a gateway decided about.
        issue_access(=> SignAccess) -> SignedToken = "/v1/issue/access";
        /// Issues the X.509-SVID of one of Chancery's own services.
        issue_service(=> IssueService) -> IssuedX509 = "/v1/issue/service";
        /// Ends an instance.
        end_instance(instance: InstanceId, => EndInstance) -> Done =
            "/v1/instances/{instance}/end";
        /// Drafts a root.
        draft_root(=> DraftRoot) -> RootDraft = "/v1/roots/draft";
        /// Hands in a person's consent and receives the signed root.
        submit_root(=> SubmitRoot) -> IssuedRoot = "/v1/roots";
        /// Hands in a standing consent.
        submit_consent(=> SubmitConsent) -> StandingConsent = "/v1/consents";
        /// Receives a root that rests on a standing consent.
        use_consent(consent: ConsentId, => UseConsent) -> IssuedRoot =
            "/v1/consents/{consent}/root";
        /// Opens a request for approval.
        open_approval(=> OpenApproval) -> Done = "/v1/approvals";
        /// Answers a request for approval.
        answer_approval(approval: ApprovalId, => AnswerApproval) -> Done =
            "/v1/approvals/{approval}/answer";
        /// Erases everything that is kept of a person.
        erase(person: PersonId, => ErasePerson) -> PersonErased = "/v1/people/{person}/erase";
        /// Makes a token that admits one node.
        node_token(=> NewNodeToken) -> NodeToken = "/v1/nodes/tokens";
        /// Takes in an authority whose certificates admit nodes.
        admit_node_authority(=> AdmitNodeAuthority) -> NodeAuthorityView =
            "/v1/nodes/authorities";
        /// Takes in one TPM whose host may join.
        admit_node_tpm(=> AdmitNodeTpm) -> NodeTpmView = "/v1/nodes/tpms";
        /// Puts a node out, with everything on it.
        evict_node(node: NodeId, => EvictNode) -> NodeEvicted = "/v1/nodes/{node}/evict";
        /// Revokes something.
        revoke(=> Revoke) -> RevocationDone = "/v1/revocations";
        /// Lifts a revocation.
        lift_revocation(=> LiftRevocation) -> RevocationDone = "/v1/revocations/lift";
        /// Raises the authorities' epoch.
        raise_epoch(=> RaiseEpoch) -> RevocationDone = "/v1/epoch";
        /// Asks where a chain stands.
        introspect(=> Introspect) -> Introspection = "/v1/introspect";
        /// Publishes a policy bundle.
        publish_policy(=> SignedBundle) -> Enrolled = "/v1/policies";
        /// Enrols a checkpoint of a gateway's log.
        enrol_checkpoint(=> EnrolCheckpoint) -> Enrolled = "/v1/checkpoints";
        /// Enrols a Trust Record.
        enrol_record(=> EnrolRecord) -> Enrolled = "/v1/records";
        /// Has another authority made, which signs nothing yet.
        prepare_authority(=> PrepareAuthority) -> AuthorityChanged = "/v1/authorities/prepare";
        /// Hands over the certificate of a prepared authority.
        certify_authority(=> CertifyAuthority) -> AuthorityChanged = "/v1/authorities/certify";
        /// Has a prepared authority sign.
        activate_authority(=> ChangeAuthority) -> AuthorityChanged = "/v1/authorities/activate";
        /// Believes an old authority no more.
        taint_authority(=> ChangeAuthority) -> AuthorityChanged = "/v1/authorities/taint";
        /// Has the key of an authority destroyed that does not sign.
        revoke_authority(=> ChangeAuthority) -> AuthorityChanged = "/v1/authorities/revoke";
    }
}
