//! Who may join a session.

use chancery_audit::Isolation;
use chancery_delegation::manifest::VerifiedManifest;
use chancery_identity::{AgentId, AttestationLevel, InstanceSpiffeId, SpiffeId, VerifiedWit};
use chancery_types::id::InstanceId;
use chancery_types::{Digest, Timestamp};

/// An instance whose token and manifest were verified and belong together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    pub(crate) instance: SpiffeId,
    pub(crate) id: InstanceId,
    pub(crate) agent: AgentId,
    pub(crate) manifest: Digest,
    pub(crate) policy: Option<Digest>,
    pub(crate) agent_key: Digest,
    pub(crate) level: AttestationLevel,
    pub(crate) isolation: Isolation,
    pub(crate) expires: Timestamp,
}

/// Why token and manifest do not make a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MemberError {
    /// The token's subject is not an instance of an agent.
    #[error("the token's subject is not an instance")]
    NotAnInstance,
    /// The manifest is another agent's.
    #[error("the manifest is another agent's")]
    WrongAgent,
    /// The token is bound to another manifest.
    #[error("the token is bound to another manifest")]
    WrongManifest,
    /// The catalog that the manifest binds is not the pinned one.
    #[error("the manifest binds another tool catalog")]
    WrongCatalog,
}

impl Member {
    /// Joins a token and a manifest. `catalog` is the catalog root over the pinned tools that the
    /// manifest names; a manifest that binds another one is refused.
    pub fn new(
        token: &VerifiedWit,
        manifest: &VerifiedManifest,
        catalog: Option<Digest>,
    ) -> Result<Self, MemberError> {
        let claims = token.claims();
        let named =
            InstanceSpiffeId::try_from(&claims.sub).map_err(|_| MemberError::NotAnInstance)?;
        if named.agent() != manifest.agent_id() {
            return Err(MemberError::WrongAgent);
        }
        if claims.manifest_digest != manifest.payload_digest() {
            return Err(MemberError::WrongManifest);
        }
        if manifest.catalog_hash().is_some() && manifest.catalog_hash() != catalog {
            return Err(MemberError::WrongCatalog);
        }
        Ok(Self {
            instance: claims.sub.clone(),
            id: named.instance(),
            agent: named.agent().clone(),
            manifest: manifest.payload_digest(),
            policy: manifest.policy_bundle(),
            agent_key: token.agent_key().thumbprint(),
            level: claims.attestation_level,
            isolation: match claims.isolation {
                chancery_identity::Isolation::Isolated => Isolation::Isolated,
                chancery_identity::Isolation::Unisolated => Isolation::Unisolated,
            },
            expires: token.expires().min(manifest.expires_at()),
        })
    }

    /// Its SPIFFE ID.
    pub const fn instance(&self) -> &SpiffeId {
        &self.instance
    }

    /// The thumbprint of its agent key.
    pub const fn agent_key(&self) -> Digest {
        self.agent_key
    }

    /// The agent that it is a run of.
    pub const fn agent(&self) -> &AgentId {
        &self.agent
    }
}
