use chancery_identity::{AgentId, SpiffeId};
use chancery_types::{Digest, Timestamp};
use serde::Deserialize;
use serde_json::Value;

use super::authentic::check_document;
use super::schema::{Completeness, problem_at};
use super::{
    AuthenticManifest, CatalogTool, ManifestContext, ManifestError, authenticate_manifest,
    catalog_root,
};

const HOUR_MICROS: u64 = 3_600_000_000;
const MAX_LIFETIME_MICROS: u64 = 365 * 24 * HOUR_MICROS;

/// A manifest that is authentic and complete. Only [`verify_manifest`] makes one. It says what the
/// agent's issuer bound; that a running instance is made of it, the one who starts it compares.
#[derive(Debug, Clone)]
pub struct VerifiedManifest {
    authentic: AuthenticManifest,
    agent_id: AgentId,
    issuer: SpiffeId,
    policy_bundle: Option<Digest>,
    enforcement_mode: Option<EnforcementMode>,
    catalog_hash: Option<Digest>,
    tools: Vec<ManifestTool>,
    system_prompt: Option<Digest>,
    container_image: Option<Digest>,
    unproven: Vec<&'static str>,
}

/// What the manifest asks the gateway to do with a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EnforcementMode {
    /// A denied call does not happen.
    Enforce,
    /// Decisions are told and not enforced.
    Advisory,
    /// Decisions are recorded and not enforced.
    AuditOnly,
}

/// A tool that the manifest binds.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ManifestTool {
    /// Its identifier, unique in the catalog.
    pub tool_id: String,
    /// Its name at its server.
    pub tool_name: String,
    /// Its server.
    pub endpoint_id: String,
    /// The digest of its input schema's RFC 8785 form.
    pub schema_hash: Digest,
    /// The digest of its description.
    pub description_hash: Digest,
    /// Its version.
    pub version: String,
    /// Where it may send; empty is nowhere, absent is not said.
    #[serde(default)]
    pub egress_destinations: Option<Vec<String>>,
}

impl VerifiedManifest {
    /// The governed agent.
    pub const fn agent_id(&self) -> &AgentId {
        &self.agent_id
    }

    /// `manifest_id`.
    pub fn manifest_id(&self) -> &str {
        self.authentic.text("/manifest_id").unwrap_or_default()
    }

    /// The issuer, whose key signed.
    pub const fn issuer(&self) -> &SpiffeId {
        &self.issuer
    }

    /// The digest of the signing key's public bytes.
    pub const fn key_id(&self) -> Digest {
        self.authentic.key_id
    }

    /// The digest of the signed bytes: how tokens, log and evidence name this manifest.
    pub const fn payload_digest(&self) -> Digest {
        self.authentic.payload_digest
    }

    /// The digest of the policy bundle that governs the agent.
    pub const fn policy_bundle(&self) -> Option<Digest> {
        self.policy_bundle
    }

    /// What is to be done with that policy's decisions.
    pub const fn enforcement_mode(&self) -> Option<EnforcementMode> {
        self.enforcement_mode
    }

    /// The catalog root over [`VerifiedManifest::tools`], recomputed.
    pub const fn catalog_hash(&self) -> Option<Digest> {
        self.catalog_hash
    }

    /// The tools that the manifest binds.
    pub fn tools(&self) -> &[ManifestTool] {
        &self.tools
    }

    /// The digest of the system prompt, NFC and UTF-8.
    pub const fn system_prompt(&self) -> Option<Digest> {
        self.system_prompt
    }

    /// The digest of the code: the container image, or what stands for it.
    pub const fn container_image(&self) -> Option<Digest> {
        self.container_image
    }

    /// What the issuer says the agent is for.
    pub fn intent(&self) -> Option<&str> {
        self.authentic.text("/intent/statement")
    }

    /// From when the manifest holds.
    pub const fn issued_at(&self) -> Timestamp {
        self.authentic.issued_at
    }

    /// When it is over.
    pub const fn expires_at(&self) -> Timestamp {
        self.authentic.expires_at
    }

    /// The signed document.
    pub const fn document(&self) -> &Value {
        &self.authentic.document
    }

    /// The artifacts that the manifest binds and that nothing here gives a digest to compare with:
    /// to be named as unproven wherever the manifest is relied on.
    pub fn unproven(&self) -> &[&'static str] {
        &self.unproven
    }
}

/// Verifies a manifest by the full schema: what [`authenticate_manifest`] checks, and every
/// required member, a life of an hour to 365 days, the catalog root over its own tools, no flagged
/// test, and nothing that demands evidence which is not verified here.
pub fn verify_manifest(
    envelope: &[u8],
    context: &ManifestContext<'_>,
) -> Result<VerifiedManifest, ManifestError> {
    let authentic = authenticate_manifest(envelope, context)?;
    check_complete(&authentic.document)?;
    let digest = |pointer: &str| authentic.text(pointer).map(|text| sha256(pointer, text));
    let tools = tools(&authentic.document)?;
    let mode = authentic
        .document
        .pointer("/artifacts/policy_bundle/enforcement_mode");
    let mode = mode.cloned().map(serde_json::from_value).transpose();
    let unproven = [
        "model_identity",
        "rag_corpus",
        "memory_baseline",
        "decision_trace",
    ];
    let bound = |name: &&str| {
        let artifact = authentic.document.pointer(&format!("/artifacts/{name}"));
        artifact.is_some_and(|artifact| !artifact.is_null())
    };
    Ok(VerifiedManifest {
        agent_id: spiffe_id(&authentic, "/agent_id")?
            .try_into()
            .map_err(|_| problem_at("/agent_id", "not the id of an agent"))?,
        issuer: spiffe_id(&authentic, "/issuer")?,
        policy_bundle: digest("/artifacts/policy_bundle/hash").transpose()?,
        enforcement_mode: mode
            .map_err(|_| problem_at("/artifacts/policy_bundle", "not one of its words"))?,
        catalog_hash: digest("/artifacts/tool_manifest/catalog_hash").transpose()?,
        system_prompt: digest("/artifacts/system_prompt/hash").transpose()?,
        container_image: digest("/artifacts/supply_chain/container_image_digest").transpose()?,
        unproven: unproven.into_iter().filter(bound).collect(),
        tools,
        authentic,
    })
}

/// Checks that a document is complete by itself.
pub(super) fn check_complete(document: &Value) -> Result<(), ManifestError> {
    let (issued_at, expires_at) = check_document(document, Completeness::Full)?;
    let lifetime = expires_at.micros_since(issued_at);
    if !(HOUR_MICROS..=MAX_LIFETIME_MICROS).contains(&lifetime) {
        return Err(ManifestError::Lifetime);
    }
    check_conditions(document)?;
    check_unbound(document)?;
    let tools = tools(document)?;
    let catalog: Vec<_> = tools
        .into_iter()
        .map(|tool| CatalogTool {
            tool_id: tool.tool_id,
            schema_hash: tool.schema_hash,
            description_hash: tool.description_hash,
        })
        .collect();
    let stated = document.pointer("/artifacts/tool_manifest/catalog_hash");
    if let Some(stated) = stated.and_then(Value::as_str) {
        let root = catalog_root(&catalog).map_err(ManifestError::Catalog)?;
        if stated != root.to_string() {
            return Err(ManifestError::CatalogHash);
        }
    }
    Ok(())
}

/// The rules that hold between members.
fn check_conditions(document: &Value) -> Result<(), ManifestError> {
    let text = |pointer: &str| document.pointer(pointer).and_then(Value::as_str);
    let needs = |condition: bool, pointer: &'static str| {
        if condition && text(pointer).is_none() {
            Err(problem_at(pointer, "missing"))
        } else {
            Ok(())
        }
    };
    let test = text("/artifacts/system_prompt/assurance_test/result");
    needs(
        test.is_some_and(|result| result != "not-assessed"),
        "/artifacts/system_prompt/assurance_test/assessed_at",
    )?;
    let language = text("/artifacts/policy_bundle/policy_language");
    needs(
        matches!(language, Some("yaml-agt" | "composite")),
        "/artifacts/policy_bundle/agt_version",
    )?;
    let deployment = text("/artifacts/model_identity/deployment_type");
    needs(
        matches!(deployment, Some("local" | "confidential-inference")),
        "/artifacts/model_identity/model_hash",
    )?;
    if test == Some("flagged") {
        return Err(ManifestError::Flagged("system_prompt"));
    }
    if text("/artifacts/rag_corpus/poisoning_scan/result") == Some("flagged") {
        return Err(ManifestError::Flagged("rag_corpus"));
    }
    let present = |pointer: &str| document.pointer(pointer).is_some_and(|v| !v.is_null());
    if present("/delegation_chain") {
        return Err(ManifestError::Unverifiable("a delegation chain of its own"));
    }
    if document.pointer("/hitl_record/required") == Some(&Value::Bool(true)) {
        return Err(ManifestError::Unverifiable("approvals of the manifest"));
    }
    Ok(())
}

/// Checks that a manifest which binds less than everything lists what it leaves out of the core.
fn check_unbound(document: &Value) -> Result<(), ManifestError> {
    let listed = |name: &str| {
        let list = document.get("unbound_artifacts").and_then(Value::as_array);
        list.is_some_and(|list| list.iter().any(|listed| listed == name))
    };
    for name in ["system_prompt", "policy_bundle", "model_identity"] {
        let bound = document.pointer(&format!("/artifacts/{name}"));
        if bound.is_none_or(Value::is_null) && !listed(name) {
            return Err(ManifestError::Unbound(name));
        }
    }
    Ok(())
}

fn tools(document: &Value) -> Result<Vec<ManifestTool>, ManifestError> {
    let tools = document.pointer("/artifacts/tool_manifest/tools");
    tools.map_or(Ok(Vec::new()), |tools| {
        serde_json::from_value(tools.clone())
            .map_err(|_| problem_at("/artifacts/tool_manifest/tools", "not of SHA-256 digests"))
    })
}

fn spiffe_id(manifest: &AuthenticManifest, pointer: &str) -> Result<SpiffeId, ManifestError> {
    let text = manifest.text(pointer).unwrap_or_default();
    text.parse()
        .map_err(|_| problem_at(pointer, "not a SPIFFE ID"))
}

fn sha256(pointer: &str, text: &str) -> Result<Digest, ManifestError> {
    text.parse()
        .map_err(|_| problem_at(pointer, "not a SHA-256 digest"))
}
