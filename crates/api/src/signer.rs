//! What the signer signs, each kind only by its rule.

use std::time::Duration;

use chancery_audit::Label;
use chancery_delegation::ConsentArtefact;
use chancery_identity::DnsName;
use chancery_policy::BundleSignature;
use chancery_types::Timestamp;
use chancery_types::id::ConsentId;
use chancery_types::limits::MAX_REVOCATIONS;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::authority::{
    Authorities, Authority, CertifyAuthority, ChangeAuthority, PrepareAuthority,
};
use crate::lift::SignedLift;
use crate::server::{IssuedX509s, TrustText};
use crate::{ClientError, UnixClient};

/// Asks for an X.509-SVID.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignX509 {
    /// The SPIFFE ID to certify.
    pub spiffe_id: String,
    /// The DNS names beside it; of an instance alone.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub dns_names: Vec<DnsName>,
    /// The P-256 key to certify: SubjectPublicKeyInfo in base64url DER.
    pub spki: String,
    /// The time of issuance.
    pub now: Timestamp,
    /// How long it is valid from `now` on.
    pub lifetime_seconds: u64,
    /// The serial number that the log enrolled: 16 bytes, base64url.
    pub serial: String,
}

/// An X.509-SVID with its intermediates.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedX509 {
    /// Certificates in base64url DER, leaf first, root not among them.
    pub chain: Vec<String>,
}

/// Asks for several X.509-SVIDs, each of which is signed or refused by itself.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignX509s {
    /// At least one, and [`MAX_TOGETHER`](crate::server::MAX_TOGETHER) at most.
    pub requests: Vec<SignX509>,
}

/// Asks for a workload identity token.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignWit {
    /// The canonical claims.
    pub claims: String,
}

/// Asks for a JWT-SVID.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignJwt {
    /// The canonical claims.
    pub claims: String,
    /// The `kid` of the key that the log says signs them.
    pub kid: String,
}

/// Asks for a WIT-SVID that a workload is handed with its key.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignWitSvid {
    /// The canonical claims.
    pub claims: String,
    /// The `kid` of the key that signs them.
    pub kid: String,
}

/// Asks for the root of a delegation chain.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignRoot {
    /// The canonical claims, without `prn.apr`.
    pub claims: String,
    /// The person's assertion over them, or a standing consent that covers them.
    pub consent: ConsentArtefact,
    /// The mission document's exact bytes, base64url.
    pub mission: String,
}

/// Asks for an access token: for a chain, by a proof that its holder made for just this exchange.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignAccess {
    /// The links, root first.
    pub chain: Vec<String>,
    /// The holder's proof of the exchange.
    pub proof: String,
    /// The arguments of the exchange, as JSON text.
    pub arguments: String,
    /// The gateway that the proof and the chain are for, and that decided.
    pub gateway: String,
    /// The one audience of the token.
    pub audience: String,
    /// The entries that the token carries: each within one of the leaf's.
    pub authorization_details: Vec<Value>,
    /// When the token is over at the latest.
    pub expires_at: Timestamp,
}

/// How often a standing consent was used, by the signer's own count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConsentCount {
    /// So many numbers were given; each is in one root at most.
    pub uses: u64,
}

/// A signed token.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedToken {
    /// The compact JWS.
    pub token: String,
}

/// Asks for the signatures of a checkpoint of the server's log.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignCheckpoint {
    /// The note's text.
    pub text: String,
    /// The proof that its tree begins with the one that was signed last: base64url hashes.
    pub consistency: Vec<String>,
}

/// The signatures of a checkpoint, in the order Ed25519, ML-DSA-44.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedCheckpoint {
    /// The signatures.
    pub signatures: Vec<CheckpointSignature>,
}

/// One signature of a checkpoint; the key is called like the log.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckpointSignature {
    /// The four bytes of the key id, base64url.
    pub key_id: String,
    /// The signature, base64url.
    pub signature: String,
}

/// The checkpoint that the signer signed last.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LastCheckpoint {
    /// Its text; absent before the first.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub text: Option<String>,
}

/// Asks for a snapshot's signature.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignSnapshot {
    /// The canonical snapshot.
    pub snapshot: String,
    /// The signatures of policy signers over the bundle that it names: where the trust document has a
    /// quorum, the signer holds them against it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub policy: Vec<BundleSignature>,
}

impl SignSnapshot {
    /// Most bytes of a request: as much is revoked as may be, each by the longest name that can be enrolled. A
    /// name has no character that is longer within a text within a text, but that of a token, which is short.
    pub const MAX_BYTES: usize = 65_536 + MAX_REVOCATIONS * (Label::MAX_BYTES + 128);
}

/// A signature.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedSnapshot {
    /// The thumbprint of the key.
    pub kid: String,
    /// The signature, base64url.
    pub signature: String,
}

/// An answer without content.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Done {}

/// Longer than the signer waits for the PKI that certifies its intermediates.
const PATIENCE: Duration = Duration::from_secs(30);

/// Speaks to the signer; waits for no answer longer than 30 seconds.
#[derive(Debug, Clone)]
pub struct SignerClient(UnixClient);

impl SignerClient {
    /// A client of that socket.
    pub fn new(socket: impl Into<std::path::PathBuf>) -> Self {
        Self(UnixClient::new(socket).with_patience(PATIENCE))
    }

    /// Asks for an X.509-SVID.
    pub async fn x509(&self, request: &SignX509) -> Result<SignedX509, ClientError> {
        self.0.post("/v1/sign/x509", request).await
    }

    /// Asks for several X.509-SVIDs.
    pub async fn x509s(&self, request: &SignX509s) -> Result<IssuedX509s, ClientError> {
        self.0.post("/v1/sign/x509s", request).await
    }

    /// Asks for a workload identity token.
    pub async fn wit(&self, request: &SignWit) -> Result<SignedToken, ClientError> {
        self.0.post("/v1/sign/wit", request).await
    }

    /// Asks for a JWT-SVID.
    pub async fn jwt(&self, request: &SignJwt) -> Result<SignedToken, ClientError> {
        self.0.post("/v1/sign/jwt", request).await
    }

    /// Asks for a WIT-SVID that a workload is handed with its key.
    pub async fn wit_svid(&self, request: &SignWitSvid) -> Result<SignedToken, ClientError> {
        self.0.post("/v1/sign/wit-svid", request).await
    }

    /// Asks for an access token.
    pub async fn access(&self, request: &SignAccess) -> Result<SignedToken, ClientError> {
        self.0.post("/v1/sign/access", request).await
    }

    /// Asks for the root of a delegation chain.
    pub async fn root(&self, request: &SignRoot) -> Result<SignedToken, ClientError> {
        self.0.post("/v1/sign/root", request).await
    }

    /// Asks how often a standing consent was used.
    pub async fn consent(&self, id: ConsentId) -> Result<ConsentCount, ClientError> {
        self.0.get(&format!("/v1/consents/{id}")).await
    }

    /// Asks for the signatures of a checkpoint.
    pub async fn checkpoint(
        &self,
        request: &SignCheckpoint,
    ) -> Result<SignedCheckpoint, ClientError> {
        self.0.post("/v1/sign/checkpoint", request).await
    }

    /// Asks for the checkpoint that was signed last.
    pub async fn last_checkpoint(&self) -> Result<LastCheckpoint, ClientError> {
        self.0.get("/v1/checkpoint").await
    }

    /// Asks for a snapshot's signature.
    pub async fn snapshot(&self, request: &SignSnapshot) -> Result<SignedSnapshot, ClientError> {
        self.0.post("/v1/sign/snapshot", request).await
    }

    /// Has a revocation that root keys lifted no longer held.
    pub async fn lift(&self, lift: &SignedLift) -> Result<Done, ClientError> {
        self.0.post("/v1/lift", lift).await
    }

    /// Installs a later version of the trust document.
    pub async fn install_trust(&self, trust: &TrustText) -> Result<Done, ClientError> {
        self.0.post("/v1/trust", trust).await
    }

    /// The authorities that the signer holds.
    pub async fn authorities(&self) -> Result<Authorities, ClientError> {
        self.0.get("/v1/authorities").await
    }

    /// Has another authority made.
    pub async fn prepare_authority(
        &self,
        request: &PrepareAuthority,
    ) -> Result<Authority, ClientError> {
        self.0.post("/v1/authorities/prepare", request).await
    }

    /// Hands over a prepared authority's certificate.
    pub async fn certify_authority(
        &self,
        request: &CertifyAuthority,
    ) -> Result<Authority, ClientError> {
        self.0.post("/v1/authorities/certify", request).await
    }

    /// Has a prepared authority sign in the place of the active one.
    pub async fn activate_authority(
        &self,
        request: &ChangeAuthority,
    ) -> Result<Authority, ClientError> {
        self.0.post("/v1/authorities/activate", request).await
    }

    /// Marks an old authority as not believed any more.
    pub async fn taint_authority(
        &self,
        request: &ChangeAuthority,
    ) -> Result<Authority, ClientError> {
        self.0.post("/v1/authorities/taint", request).await
    }

    /// Has the key of an authority that is not active destroyed.
    pub async fn destroy_authority(
        &self,
        request: &ChangeAuthority,
    ) -> Result<Authority, ClientError> {
        self.0.post("/v1/authorities/destroy", request).await
    }

    /// Whether the signer answers.
    pub async fn ready(&self) -> Result<Done, ClientError> {
        self.0.get("/v1/ready").await
    }
}
