use chancery_types::id::PersonId;
use chancery_types::{Digest, Jwk, Timestamp};
use serde::{Deserialize, Serialize};

use super::PolicyQuorum;

/// The one format of a trust document. Unknown formats are refused when read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum TrustFormat {
    /// Version 1 of the format.
    #[serde(rename = "chancery/trust/v1")]
    V1,
}

/// Everything that may speak in one trust domain. Canonical JSON; unknown members are refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrustDocument {
    /// The format.
    pub format: TrustFormat,
    /// Rises by at least one with every change.
    pub version: u64,
    /// The SPIFFE trust domain that this document speaks for.
    pub trust_domain: String,
    /// When this version was signed.
    pub issued_at: Timestamp,
    /// The digest of the version before this one; absent in the first.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub previous: Option<Digest>,
    /// How many of `roots` must sign the next version.
    pub threshold: u32,
    /// The offline root keys.
    pub roots: Vec<Jwk>,
    /// Roots of X.509-SVIDs: certificates in base64url DER.
    pub x509_authorities: Vec<String>,
    /// Keys that sign workload identity tokens (ES256).
    pub token_authorities: Vec<Jwk>,
    /// Keys that sign JWT-SVIDs (ES256); absent where nobody does.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub jwt_authorities: Vec<Jwk>,
    /// Who signs the roots of delegation chains.
    pub delegation_authorities: Vec<DelegationAuthority>,
    /// Who signs access tokens for relying parties outside, and under which issuer; absent where
    /// nobody does.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub access_token_authorities: Vec<AccessTokenAuthority>,
    /// Who signs agent manifests, and for which issuer.
    pub manifest_issuers: Vec<ManifestIssuer>,
    /// People: principals and approvers with their credentials.
    pub people: Vec<Person>,
    /// Keys that sign policy bundles.
    pub policy_signers: Vec<Jwk>,
    /// How many people must sign a policy bundle; absent where one policy signer does.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub policy_quorum: Option<PolicyQuorum>,
    /// Keys that sign the dated snapshots that gateways and nodes work from.
    pub snapshot_signers: Vec<Jwk>,
    /// Keys that sign Trust Records.
    pub record_signers: Vec<Jwk>,
    /// Log origins with their keys.
    pub log_origins: Vec<LogOrigin>,
    /// Who cosigns the checkpoints of all of them; absent where nobody is asked.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub witnesses: Option<WitnessRule>,
}

/// An authority that signs the roots of delegation chains.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DelegationAuthority {
    /// The `iss` of its roots.
    pub issuer: String,
    /// Its key.
    pub key: Jwk,
}

/// An authority that signs access tokens for relying parties outside (RFC 9068).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccessTokenAuthority {
    /// The `iss` of its tokens.
    pub issuer: String,
    /// Its key (ES256).
    pub key: Jwk,
}

/// An issuer of agent manifests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ManifestIssuer {
    /// The `issuer` of its manifests: a SPIFFE ID.
    pub issuer: String,
    /// Its key.
    pub key: Jwk,
}

/// A person, by an identifier that says nothing about them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Person {
    /// The pseudonymous identifier; the `prn.sub` of the roots that this person consents to.
    pub id: PersonId,
    /// What this person may do.
    pub roles: Vec<Role>,
    /// The credentials that this person signs with.
    pub credentials: Vec<PersonCredential>,
}

/// What a person may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Consents to missions on their own behalf.
    Principal,
    /// Answers escalations.
    Approver,
}

/// A WebAuthn credential of a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PersonCredential {
    /// The credential id, base64url.
    pub credential_id: String,
    /// The credential's public key.
    pub key: Jwk,
    /// The relying party id that the credential is scoped to.
    pub rp_id: String,
    /// The origin that its assertions come from.
    pub origin: String,
    /// Whether a person's hardware holds the key: `false` is said as `software-only` in every
    /// output that rests on this credential.
    pub hardware: bool,
    /// Whether the credential stands in for a person in a demonstration.
    pub stand_in: bool,
}

/// A log origin that the trust domain admits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogOrigin {
    /// The origin line of its checkpoints.
    pub origin: String,
    /// The SPIFFE ID of its writer.
    pub writer: String,
    /// The Ed25519 verifier key (C2SP signed-note).
    pub ed25519: String,
    /// The ML-DSA-44 verifier key (C2SP tlog-cosignature).
    pub ml_dsa_44: String,
}

/// Who cosigns the checkpoints of the logs, and what becomes of one that too few cosigned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WitnessRule {
    /// The witnesses with their addresses and their quorum, in the format of C2SP tlog-policy and
    /// without `log` lines: the logs are [`TrustDocument::log_origins`].
    pub policy: String,
    /// What the writers of the logs do with a checkpoint that too few cosigned.
    pub unwitnessed: UnwitnessedRule,
}

/// What becomes of a checkpoint that too few witnesses cosigned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UnwitnessedRule {
    /// It is published, and everything that rests on it is `unwitnessed`.
    Publish,
    /// It is withheld until the quorum has cosigned it.
    Withhold,
}

impl TrustDocument {
    /// The person with that identifier.
    pub fn person(&self, id: PersonId) -> Option<&Person> {
        self.people.iter().find(|person| person.id == id)
    }

    /// The credential with that id, and whose it is.
    pub fn credential(&self, credential_id: &str) -> Option<(&Person, &PersonCredential)> {
        self.people.iter().find_map(|person| {
            let mut credentials = person.credentials.iter();
            Some((
                person,
                credentials.find(|known| known.credential_id == credential_id)?,
            ))
        })
    }

    /// The credential with that id, where it is one of the principal with that identifier.
    pub fn principal_credential(
        &self,
        credential_id: &str,
        subject: &str,
    ) -> Option<(&Person, &PersonCredential)> {
        let known = self.credential(credential_id);
        known.filter(|(person, _)| {
            person.roles.contains(&Role::Principal) && person.id.to_string() == subject
        })
    }

    /// The log origin of that name.
    pub fn log_origin(&self, origin: &str) -> Option<&LogOrigin> {
        self.log_origins.iter().find(|known| known.origin == origin)
    }
}
