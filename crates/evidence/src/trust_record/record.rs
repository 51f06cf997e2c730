use chancery_types::{Algorithm, Digest, Jwk, base64url};
use serde::{Deserialize, Serialize};

/// A TRACE v0.2 record as we write it: the closed schema's members that our sessions fill. Unknown
/// members are refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrustRecord {
    /// The profile.
    pub eat_profile: Profile,
    /// When it was signed, in seconds since the epoch.
    pub iat: u64,
    /// The `sub` of the root of the session's chain (decision 26).
    pub subject: String,
    /// What model acted.
    pub model: Model,
    /// Where it ran.
    pub runtime: Runtime,
    /// The policy that was in force.
    pub policy: Policy,
    /// The highest class of data that was touched.
    pub data_class: String,
    /// How the code was built.
    pub build_provenance: BuildProvenance,
    /// Who appraised the runtime.
    pub appraisal: Appraisal,
    /// The key that signs this record.
    pub cnf: Confirmation,
    /// The calls, in the order of the log.
    pub tool_transcript: ToolTranscript,
    /// What this record stands on, each by digest.
    pub references: Vec<Reference>,
    /// The log that holds every entry of the session.
    pub transparency: String,
    /// Ed25519 over the RFC 8785 form of the rest, base64url.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub signature: Option<String>,
}

/// The one profile that is written and read. Others are refused; nothing is negotiated down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Profile {
    /// TRACE v0.2.
    #[serde(rename = "tag:agentrust-io.com,2026:trace-v0.2")]
    V02,
}

/// What model acted; `none` and `deterministic` where no model did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// Who provides it.
    pub provider: String,
    /// Its name.
    pub model_id: String,
}

/// Where the session's code ran.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Runtime {
    /// What vouches for it.
    pub platform: Platform,
    /// The digest of the executable that held the root.
    pub measurement: Digest,
}

/// What vouches for a runtime. Only what we can prove is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Platform {
    /// No hardware root of trust.
    SoftwareOnly,
}

/// The policy that was in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// The digest of the bundle.
    pub bundle_hash: Digest,
    /// Whether its denials blocked.
    pub enforcement_mode: EnforcementMode,
    /// The bundle's version.
    pub version: String,
}

/// Whether denials blocked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EnforcementMode {
    /// Every denial blocked.
    Enforce,
    /// Some calls went on though policy said otherwise.
    Advisory,
}

impl EnforcementMode {
    /// The mode of a session in which so many calls went on unenforced.
    pub const fn of(unenforced: u64) -> Self {
        match unenforced {
            0 => Self::Enforce,
            _ => Self::Advisory,
        }
    }
}

/// How the code was built; level 0 claims nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BuildProvenance {
    /// The SLSA level.
    pub slsa_level: u8,
    /// The digest of the artifact.
    pub digest: Digest,
}

/// Who appraised the runtime.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Appraisal {
    /// What the appraisal said.
    pub status: AppraisalStatus,
    /// Who appraised: an absolute URI.
    pub verifier: String,
}

/// What an appraisal said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AppraisalStatus {
    /// Nobody appraised.
    None,
}

/// The key that signs the record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Confirmation {
    /// Its public half.
    pub jwk: ConfirmationKey,
}

/// An Ed25519 key in the spelling of the TRACE schema, which has no `alg`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfirmationKey {
    /// `OKP`.
    pub kty: String,
    /// `Ed25519`.
    pub crv: String,
    /// The point, base64url.
    pub x: String,
    /// The RFC 7638 thumbprint, base64url.
    pub kid: String,
}

/// The calls of the session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolTranscript {
    /// The digest over the leaf hashes of the session's decisions, gaps and outcomes, in log order.
    pub hash: Digest,
    /// How many calls were decided.
    pub call_count: u64,
    /// How many of them a run of the gateway that broke off left without an outcome; absent where there
    /// are none.
    #[serde(skip_serializing_if = "is_zero", default)]
    pub gap_count: u64,
    /// In how many of them the call went on though policy said otherwise; absent where there are none.
    #[serde(skip_serializing_if = "is_zero", default)]
    pub unenforced_count: u64,
}

/// Something that the record stands on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reference {
    /// What it is to the record.
    pub rel: String,
    /// Its name.
    pub id: String,
    /// Where it is found.
    pub resolver: String,
    /// Its digest.
    pub digest: Digest,
}

impl ConfirmationKey {
    /// The TRACE spelling of an Ed25519 key; `None` for another kind.
    pub fn of(key: &Jwk) -> Option<Self> {
        (key.algorithm() == Algorithm::Ed25519).then(|| Self {
            kty: "OKP".to_owned(),
            crv: "Ed25519".to_owned(),
            x: base64url::encode(key.to_public_bytes()),
            kid: key.kid(),
        })
    }
}

/// The digest of a transcript: over the leaf hashes of the session's decisions and outcomes, in the
/// order of the log, one after the other.
pub fn transcript_hash(leaves: impl IntoIterator<Item = Digest>) -> Digest {
    let leaves: Vec<Digest> = leaves.into_iter().collect();
    Digest::of_parts(leaves.iter().map(|leaf| &leaf.as_bytes()[..]))
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
const fn is_zero(count: &u64) -> bool {
    *count == 0
}
