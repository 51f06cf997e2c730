//! The authorities of a trust domain: what signs SVIDs and tokens, as the signer holds it and as the
//! server says where it stands.

use std::fmt;

use chancery_types::{Digest, Jwk, Timestamp};
use serde::{Deserialize, Serialize};

/// What an authority signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AuthorityKind {
    /// X.509-SVIDs, by an intermediate below a root that the trust document names.
    X509,
    /// JWT-SVIDs.
    Jwt,
    /// Workload identity tokens: the credentials of agent keys.
    Wit,
}

/// Where an authority stands. There is one active one of each kind, and one prepared one at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AuthorityState {
    /// It has a key, and signs nothing yet.
    Prepared,
    /// It signs.
    Active,
    /// It signs nothing any more; what it signed is believed until it ends.
    Old,
}

/// An authority, without its private key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Authority {
    /// What it signs.
    pub kind: AuthorityKind,
    /// The thumbprint of its key.
    pub id: Digest,
    /// Rises with every authority that is made: none that was made earlier becomes active again.
    pub number: u64,
    /// Where it stands.
    pub state: AuthorityState,
    /// Whether it is not believed any more: what it signed is issued again at once.
    pub tainted: bool,
    /// Its public key.
    pub key: Jwk,
    /// Of `x509`: its certificate and those between it and the root, in base64url DER; none before
    /// the root has certified it.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub chain: Vec<String>,
    /// Of `x509`: the digest of the root that the chain leads to.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub root: Option<Digest>,
    /// When its key was made.
    pub prepared_at: Timestamp,
    /// Since when it signs, or signed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub active_since: Option<Timestamp>,
    /// Since when it is old.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub old_since: Option<Timestamp>,
    /// When it ends: of `x509`, what its certificate says; of the others, when another one is due.
    pub ends: Timestamp,
}

/// The authorities that a signer holds, in the order in which they were made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Authorities {
    /// Rises with every change, across restarts too.
    pub generation: u64,
    /// Whether the signer has X.509 authorities certified by itself: it holds the root, or asks one.
    pub certifies: bool,
    /// The authorities.
    pub authorities: Vec<Authority>,
}

/// Asks for another authority of a kind.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PrepareAuthority {
    /// What it is to sign.
    pub kind: AuthorityKind,
    /// Without a certificate, also where the signer could have it certified by itself.
    #[serde(default)]
    pub bare: bool,
}

/// Hands over the certificate that a root made of a prepared authority's key.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CertifyAuthority {
    /// The authority.
    pub id: Digest,
    /// Its certificate and those between it and the root, in base64url DER.
    pub chain: Vec<String>,
}

/// Has an authority go another step.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChangeAuthority {
    /// The authority.
    pub id: Digest,
    /// Also where others may not have heard of it yet, or still rest on it.
    #[serde(default)]
    pub force: bool,
}

/// Where an authority stands for those who believe it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuthorityView {
    /// The authority.
    pub authority: Authority,
    /// Whether the trust document names it, or its root.
    pub named: bool,
    /// When everybody who believes it has had the time to hear of it; absent where it is not named.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub ready_at: Option<Timestamp>,
    /// How many instances and services rest on what it signed: their newest SVID or token is of it.
    pub holders: u64,
}

/// Where all authorities stand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuthorityList {
    /// The signer's count of changes.
    pub generation: u64,
    /// Whether the signer has X.509 authorities certified by itself.
    pub certifies: bool,
    /// The authorities, in the order in which they were made.
    pub authorities: Vec<AuthorityView>,
}

/// A step that an authority went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuthorityChanged {
    /// The authority as it is now.
    pub authority: Authority,
    /// The entry of the server's log that enrolled the step.
    pub log_index: u64,
}

impl AuthorityKind {
    /// All kinds.
    pub const ALL: [Self; 3] = [Self::X509, Self::Jwt, Self::Wit];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::X509 => "x509",
            Self::Jwt => "jwt",
            Self::Wit => "wit",
        }
    }
}

impl fmt::Display for AuthorityKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for AuthorityState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Prepared => "prepared",
            Self::Active => "active",
            Self::Old => "old",
        })
    }
}

impl Authorities {
    /// The one that signs.
    pub fn active(&self, kind: AuthorityKind) -> Option<&Authority> {
        let mut of_kind = self.authorities.iter().filter(|one| one.kind == kind);
        of_kind.find(|one| one.state == AuthorityState::Active)
    }

    /// The one of that id.
    pub fn by_id(&self, id: Digest) -> Option<&Authority> {
        self.authorities.iter().find(|one| one.id == id)
    }

    /// The one that signed at that time.
    pub fn active_at(&self, kind: AuthorityKind, at: Timestamp) -> Option<&Authority> {
        let of_kind = self.authorities.iter().filter(|one| one.kind == kind);
        let began = of_kind.filter(|one| one.active_since.is_some_and(|since| since <= at));
        began.max_by_key(|one| one.number)
    }
}
