//! The authority that an instance holds.

use std::fmt;

use chancery_api::gateway::Presentation;
use chancery_audit::Disclosure;
use chancery_delegation::chain::ChainTip;
use chancery_delegation::{ConsentArtefact, Mission, MissionError, Refusal};
use chancery_types::id::SessionId;
use chancery_types::jws::Compact;
use chancery_types::{Digest, Jwk, base64url};

use crate::identity::Credential;

/// A delegation to an instance with everything that it is presented with. The links continue and
/// narrow one another and name a session; whether the gateway's authorities signed them is for the
/// gateway to say.
#[derive(Clone)]
pub struct Held {
    chain: Vec<String>,
    consent: ConsentArtefact,
    mission: Mission,
    principal: Disclosure,
    tip: ChainTip,
    session: SessionId,
}

/// Why something is not a delegation that an instance can hold.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HeldError {
    /// The links are not a chain.
    #[error("the delegation is not a chain of links: {}", .0.reason)]
    Chain(Refusal),
    /// The root's `sid` is not a session id.
    #[error("the root names no session")]
    Session,
    /// The bytes are not a mission document.
    #[error("the mission, {0}")]
    Mission(MissionError),
    /// The mission document is not the one that the root names.
    #[error("the mission is not the root's")]
    OtherMission,
}

impl Held {
    /// Takes a delegation apart and checks that its parts belong together.
    pub fn new(
        chain: Vec<String>,
        consent: impl Into<ConsentArtefact>,
        mission: Vec<u8>,
        principal: Disclosure,
    ) -> Result<Self, HeldError> {
        let links: Vec<&str> = chain.iter().map(String::as_str).collect();
        let tip = ChainTip::read(&links).map_err(HeldError::Chain)?;
        let root = links.first().and_then(|root| Compact::parse(root).ok());
        let claims = root.map(|root| root.claims).unwrap_or_default();
        let claim = |name: &str| claims.get(name).and_then(serde_json::Value::as_str);
        let session = claim("sid")
            .and_then(|sid| sid.parse().ok())
            .ok_or(HeldError::Session)?;
        if claim("mission_s256") != Some(&Digest::of(&mission).to_base64url()) {
            return Err(HeldError::OtherMission);
        }
        let mission = Mission::parse(mission).map_err(HeldError::Mission)?;
        Ok(Self {
            chain,
            consent: consent.into(),
            mission,
            principal,
            tip,
            session,
        })
    }

    /// The links, root first.
    pub fn chain(&self) -> &[String] {
        &self.chain
    }

    /// The person's consent that the root rests on.
    pub const fn consent(&self) -> &ConsentArtefact {
        &self.consent
    }

    /// The mission.
    pub const fn mission(&self) -> &Mission {
        &self.mission
    }

    /// What opens the principal's commitment.
    pub const fn principal(&self) -> &Disclosure {
        &self.principal
    }

    /// The end of the chain, to be narrowed further.
    pub const fn tip(&self) -> &ChainTip {
        &self.tip
    }

    /// `cth` of the chain.
    pub const fn digest(&self) -> Digest {
        self.tip.digest()
    }

    /// The session that the authority is for.
    pub const fn session(&self) -> SessionId {
        self.session
    }

    /// Whether nothing was delegated further: this holder opens the session.
    pub fn is_root(&self) -> bool {
        self.chain.len() == 1
    }

    /// Whether the last link is for that key.
    pub fn is_for(&self, key: &Jwk) -> bool {
        self.tip.key() == key
    }

    /// What is presented to open or join the session.
    pub(crate) fn present(&self, credential: &Credential, proof: String) -> Presentation {
        Presentation {
            chain: self.chain.clone(),
            consent: self.consent.clone(),
            mission: base64url::encode(self.mission.as_bytes()),
            manifest: base64url::encode(&credential.manifest),
            wit: credential.wit.clone(),
            principal: self.principal.clone(),
            proof,
        }
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Held")
            .field("session", &self.session)
            .field("links", &self.chain.len())
            .field("cth", &self.digest())
            .finish_non_exhaustive()
    }
}
