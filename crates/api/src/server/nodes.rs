use std::fmt;
use std::net::SocketAddr;

use chancery_attestation::AttestationLevel;
use chancery_attestation::tpm::{PcrSelection, PcrValues, TpmEvidence};
use chancery_types::id::NodeId;
use chancery_types::{Digest, Jwk, Timestamp};
use serde::{Deserialize, Serialize};

/// A token that admits one node, once. Whoever has it may join: it is never shown by `Debug`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JoinToken(String);

impl JoinToken {
    /// Takes a text over.
    pub const fn new(text: String) -> Self {
        Self(text)
    }

    /// Shows the text to the one who needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// What is kept and enrolled of it.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.0)
    }
}

impl fmt::Debug for JoinToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JoinToken([redacted])")
    }
}

/// The operator asks for a token.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewNodeToken {
    /// How long it admits a node.
    pub lifetime_seconds: u64,
}

/// A token.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeToken {
    /// The token.
    pub token: JoinToken,
    /// When it stops admitting anybody.
    pub expires_at: Timestamp,
    /// The entry that enrolled its digest.
    pub log_index: u64,
}

/// A process on another host asks to be a node.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JoinNode {
    /// The P-256 key that the SVID is asked for.
    pub key: Jwk,
    /// The proof of possession of the key, of this connection.
    pub proof: String,
    /// What admits it.
    pub means: JoinMeans,
}

/// What admits a node.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub enum JoinMeans {
    /// A token of the operator's.
    Token(JoinToken),
    /// A certificate of an admitted authority.
    X509 {
        /// Certificates in base64url DER, the host's first.
        chain: Vec<String>,
        /// The signature of the certificate's key, base64url.
        signature: String,
    },
    /// The TPM that opened the credential of this connection.
    Tpm(TpmProof),
}

/// A TPM asks for a credential, before its host asks to join on the same connection.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChallengeTpm {
    /// The endorsement key: `TPM2B_PUBLIC`, base64url.
    pub endorsement_key: String,
    /// Its maker's certificate in base64url DER, where the TPM has one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub certificate: Option<String>,
    /// The attestation key: `TPM2B_PUBLIC`, base64url.
    pub attestation_key: String,
}

/// What the TPM must open, and quote. It is good once, on its own connection.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TpmChallenge {
    /// `TPM2B_ID_OBJECT`, base64url.
    pub credential: String,
    /// `TPM2B_ENCRYPTED_SECRET`, base64url.
    pub encrypted_secret: String,
    /// What the quote is bound to besides the secret, the connection and the key; base64url.
    pub nonce: String,
    /// The registers to quote, of the SHA-256 bank.
    pub registers: PcrSelection,
}

/// What a TPM answers its challenge.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TpmProof {
    /// The secret that was in the credential, base64url.
    pub secret: String,
    /// `TPMS_ATTEST`, base64url.
    pub quote: String,
    /// `TPMT_SIGNATURE`, base64url.
    pub signature: String,
    /// What the registers hold.
    pub pcrs: PcrValues,
}

impl fmt::Debug for TpmProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TpmProof")
            .field("secret", &"[redacted]")
            .field("pcrs", &self.pcrs)
            .finish_non_exhaustive()
    }
}

/// A node asks for another SVID, over a fresh key.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RenewNode {
    /// The P-256 key that the SVID is asked for.
    pub key: Jwk,
    /// The proof of possession of the key, of this connection.
    pub proof: String,
}

/// A node's SVID, and where its instances are at home.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JoinedNode {
    /// The node's SPIFFE ID.
    pub spiffe_id: String,
    /// Certificates in base64url DER, leaf first.
    pub chain: Vec<String>,
    /// When it ends to be valid.
    pub not_after: Timestamp,
    /// Where the gateway is reached.
    pub gateway_address: SocketAddr,
    /// The gateway's SPIFFE ID.
    pub gateway_spiffe_id: String,
}

/// A node that joined from another host.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeView {
    /// The node.
    pub node_id: NodeId,
    /// Its SPIFFE ID.
    pub spiffe_id: String,
    /// What it joined by: `token`, `x509` or `tpm`.
    pub proof: String,
    /// What vouches for the host itself: absent where nothing does that is known here, since the key of
    /// a certificate may be anywhere.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub level: Option<AttestationLevel>,
    /// What its TPM showed when it joined, the last time.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub tpm: Option<TpmEvidence>,
    /// The subject of the certificate that it joined by; of a TPM, manufacturer, model and version.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub subject: Option<String>,
    /// When it joined, the last time.
    pub joined_at: Timestamp,
    /// When its SVID expires.
    pub expires_at: Timestamp,
    /// When it was put out.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub evicted_at: Option<Timestamp>,
    /// How many instances run on it.
    pub instances: u64,
    /// The entry that enrolled it, or its end.
    pub log_index: u64,
}

/// An authority whose certificates admit nodes.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeAuthorityView {
    /// The digest of its certificate.
    pub fingerprint: Digest,
    /// Its name.
    pub subject: String,
    /// When its certificate expires; absent where that is later than any time of ours.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub not_after: Option<Timestamp>,
    /// Whether it is the maker of TPMs: its certificates admit them, and no host by itself.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub tpms: bool,
    /// What the registers of such a TPM must hold.
    #[serde(skip_serializing_if = "PcrValues::is_empty", default)]
    pub pcrs: PcrValues,
    /// The entry that enrolled it.
    pub log_index: u64,
}

/// A TPM whose host may join.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeTpmView {
    /// The digest of its endorsement key.
    pub tpm: Digest,
    /// What its registers must hold.
    #[serde(skip_serializing_if = "PcrValues::is_empty", default)]
    pub pcrs: PcrValues,
    /// The entry that enrolled it.
    pub log_index: u64,
}

/// All nodes on other hosts, newest first, and who admits them.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nodes {
    /// Newest first.
    pub nodes: Vec<NodeView>,
    /// The authorities whose certificates admit nodes.
    pub authorities: Vec<NodeAuthorityView>,
    /// The TPMs that were admitted one by one.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub tpms: Vec<NodeTpmView>,
}

/// Puts a node out.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvictNode {
    /// Why.
    pub reason: String,
}

/// A node is out, with everything on it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeEvicted {
    /// The node's SPIFFE ID.
    pub spiffe_id: String,
    /// The instances that run on it, or were opened or ended there in the hour before; they are revoked.
    pub instances: Vec<String>,
    /// The entry that enrolled it.
    pub log_index: u64,
}

/// Takes in an authority whose certificates admit nodes.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdmitNodeAuthority {
    /// The certificate in base64url DER.
    pub certificate: String,
    /// Whether it is the maker of TPMs.
    #[serde(default)]
    pub tpms: bool,
    /// What the registers of such a TPM must hold.
    #[serde(default)]
    pub pcrs: PcrValues,
}

/// Takes in one TPM.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdmitNodeTpm {
    /// The digest of its endorsement key.
    pub tpm: Digest,
    /// What its registers must hold.
    #[serde(default)]
    pub pcrs: PcrValues,
}
