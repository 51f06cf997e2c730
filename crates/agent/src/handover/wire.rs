use chancery_audit::Disclosure;
use chancery_delegation::ConsentArtefact;
use serde::{Deserialize, Serialize};

/// The `typ` of a child's acceptance.
pub(crate) const ACCEPT_TYP: &str = "agent-accept+jwt";

/// What a child says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum FromChild {
    Hello(Hello),
    Accept(Accept),
}

/// What a parent says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum FromParent {
    Offer(Offer),
    Link(Box<Link>),
    Refused(Refused),
}

/// The credential of the child's agent key.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Hello {
    pub(super) wit: String,
}

/// A nonce for one acceptance, and the `cth` of the chain that is to be narrowed.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Offer {
    pub(super) nonce: String,
    pub(super) cth: String,
}

/// A compact JWS by the child's agent key over [`Acceptance`].
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Accept {
    pub(super) proof: String,
}

/// The claims of an acceptance.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Acceptance {
    /// The parent's SPIFFE ID.
    pub(crate) aud: String,
    /// `cth` of the parent's chain.
    pub(crate) cth: String,
    /// The parent's nonce.
    pub(crate) nonce: String,
}

/// The narrowed authority.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Link {
    pub(super) chain: Vec<String>,
    pub(super) consent: ConsentArtefact,
    /// Base64url.
    pub(super) mission: String,
    pub(super) principal: Disclosure,
}

/// Why the parent gives nothing.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Refused {
    pub(super) reason: String,
}
