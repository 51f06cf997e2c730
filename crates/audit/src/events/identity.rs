//! Who exists, and what it is made of.

use chancery_types::id::{CredentialId, LaunchId};
use chancery_types::{Digest, Timestamp};

use crate::{Commitment, Credential, Isolation, Label};

body! {
    /// A signed manifest was verified and may be used.
    pub struct ManifestRegister = "manifest.register" in Server {
        /// The agent that it describes.
        agent: Label,
        /// The digest of the signed manifest.
        manifest: Digest,
        /// The thumbprint of the key that signed it.
        issuer: Digest,
        [optional]
        /// When it stops being valid.
        expires: Timestamp,
        /// The digest of the prompt that it names.
        prompt: Digest,
        /// The digest of the tool catalog that it names.
        tools: Digest,
        /// The digest of the policy bundle that it names.
        policy: Digest,
        /// The digest of the code that it names.
        code: Digest,
        /// The foreign trust domains whose bundles its instances are handed; absent where none is.
        federates_with: Vec<Label>,
        /// The agents whose instances its instances may start; absent where there are none.
        may_spawn: Vec<Label>,
        /// How many of them may live at once, for each instance that starts them.
        spawn_at_once: u64,
        /// Whether they may go on when the one that started them has ended.
        spawn_outlive: bool,
        /// The DNS names in its instances' X.509-SVIDs; absent where there is none.
        dns_names: Vec<Label>,
        /// The hint that goes with its instances' SVIDs.
        hint: Label,
        /// How many seconds an X.509-SVID of its instances lives at most; absent where the deployment's own life counts.
        x509_svid_seconds: u64,
        /// How many seconds a JWT-SVID or a WIT-SVID of its instances lives at most; absent as above.
        jwt_svid_seconds: u64,
        /// The isolation that its instances must have, at least.
        requires_isolation: Isolation,
        /// The attestation that its instances must have, at least, as tokens say it.
        requires_attestation: Label,
        /// Whose files the registration comes from; absent where it was made by hand.
        owner: Label,
    }
}

body! {
    /// An agent is registered no more: nothing is issued to instances of it, and those that run are
    /// revoked next.
    pub struct AgentRetire = "agent.retire" in Server {
        /// The agent.
        agent: Label,
        /// The digest of the manifest that was in force.
        manifest: Digest,
        /// How many instances of it ran, or were of the last hour.
        instances: u64,
        /// Who did it.
        by: Commitment,
        /// Why.
        reason: Commitment,
    }
}

body! {
    /// An instance was opened that another one started, or that has a task or a time of its own. Its
    /// credentials follow in `identity.issue`; without this entry it has none of the three.
    pub struct InstanceOpen = "instance.open" in Server {
        /// The agent.
        agent: Label,
        /// The SPIFFE ID of the instance.
        instance: Label,
        /// The node that vouches, for the parent as well.
        node: Label,
        /// Whether it goes on when its parent has ended.
        outlive: bool,
        [optional]
        /// The SPIFFE ID of the instance that started it.
        parent: Label,
        /// What it is to do.
        task: Commitment,
        /// When it is to end in any case.
        until: Timestamp,
        /// The launch that it came from.
        launch: LaunchId,
    }
}

body! {
    /// An instance was given credentials: which instance of which agent, bound to which code and
    /// manifest, on what evidence.
    pub struct IdentityIssue = "identity.issue" in Server {
        /// The agent.
        agent: Label,
        /// The SPIFFE ID of the instance.
        instance: Label,
        /// What was issued to it.
        credentials: Vec<Credential>,
        /// The digest of its manifest.
        manifest: Digest,
        /// What vouches for it, as the token says it.
        attestation_level: Label,
        /// Whether it has namespaces of its own.
        isolation: Isolation,
        /// The digest of the evidence.
        evidence: Digest,
        /// The digest of the file that it executes.
        executable: Digest,
        /// The node that vouches.
        node: Label,
        /// Whether the instance had credentials before.
        renewal: bool,
        /// When the last of the credentials expires.
        expires: Timestamp,
        [optional]
        /// The launch that it came from.
        launch: LaunchId,
        /// Who runs it.
        operator: Label,
        /// The broker that obtained them for it; absent where the instance did itself.
        broker: Label,
        /// The DNS names in the X.509-SVID; absent where there is none.
        dns_names: Vec<Label>,
    }
}

body! {
    /// An instance's credentials are no longer good.
    pub struct IdentityEnd = "identity.end" in Server {
        /// The SPIFFE ID of the instance.
        instance: Label,
        /// Why.
        reason: Label,
        /// Which credentials; all of the instance when empty.
        credentials: Vec<CredentialId>,
        [optional]
        /// The launch that it came from.
        launch: LaunchId,
    }
}
