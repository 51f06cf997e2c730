//! A manifest for one agent, in the form of Agent Manifest v0.2.

use anyhow::Context as _;
use chancery_crypto::{SigningKey, random_bytes};
use chancery_delegation::manifest::sign_manifest;
use chancery_server::Clock;
use chancery_types::{Digest, Timestamp};
use serde_json::{Value, json};

use super::Catalog;

/// How long a manifest is good.
const LIFETIME_SECONDS: u64 = 30 * 86_400;

/// What a reviewer binds.
#[derive(Debug, Clone)]
pub(crate) struct ManifestDraft {
    pub(crate) trust_domain: String,
    pub(crate) name: String,
    pub(crate) intent: String,
    pub(crate) code: Digest,
    pub(crate) prompt: Option<Digest>,
    pub(crate) policy: Digest,
    pub(crate) catalog: Catalog,
}

impl ManifestDraft {
    /// The agent that the manifest names.
    pub(crate) fn agent_id(&self) -> String {
        format!("spiffe://{}/agent/{}", self.trust_domain, self.name)
    }

    fn document(&self, now: Timestamp) -> anyhow::Result<Value> {
        let issued = Timestamp::from_seconds(now.as_seconds());
        let bound_at = rfc3339(issued);
        let tools = self
            .catalog
            .tools()
            .iter()
            .zip(self.catalog.entries()?)
            .map(|((server, tool), entry)| {
                json!({
                    "tool_id": entry.tool_id,
                    "tool_name": tool.name,
                    "endpoint_id": server,
                    "schema_hash": entry.schema_hash,
                    "description_hash": entry.description_hash,
                    "version": "1",
                })
            })
            .collect::<Vec<_>>();
        let mut artifacts = json!({
            "policy_bundle": {
                "hash": self.policy,
                "policy_language": "cedar",
                "version": "1",
                "enforcement_mode": "enforce",
                "bound_at": bound_at,
            },
            "tool_manifest": {
                "catalog_hash": self.catalog.root()?,
                "tools": tools,
                "rug_pull_policy": "deny-and-alert",
                "bound_at": bound_at,
            },
            "supply_chain": {
                "container_image_digest": self.code,
                "bound_at": bound_at,
            },
        });
        let mut unbound = vec!["model_identity"];
        match (self.prompt, artifacts.as_object_mut()) {
            (Some(prompt), Some(artifacts)) => {
                let prompt = json!({
                    "hash": prompt,
                    "hash_algorithm": "SHA-256",
                    "version": "1",
                    "classification": "internal",
                    "bound_at": bound_at,
                });
                artifacts.insert("system_prompt".to_owned(), prompt);
            }
            _ => unbound.push("system_prompt"),
        }
        Ok(json!({
            "@context": "https://manifest.agentrust-io.com/v0.2/context.json",
            "@type": "AgentManifest",
            "manifest_id": uuid_v7(now)?,
            "agent_id": self.agent_id(),
            "version": "0.2",
            "issued_at": bound_at,
            "expires_at": rfc3339(issued.plus_seconds(LIFETIME_SECONDS)),
            "issuer": format!("spiffe://{}/issuer/manifests", self.trust_domain),
            "crypto_profile": "standard",
            "profile": "composition-only",
            "unbound_artifacts": unbound,
            "artifacts": artifacts,
            "intent": {"statement": self.intent},
        }))
    }
}

/// Signs a manifest; what a verifier would refuse is not signed.
pub(crate) fn sign(draft: &ManifestDraft, key: &SigningKey) -> anyhow::Result<Vec<u8>> {
    let document = draft.document(Clock::machine())?;
    sign_manifest(&document, key.public(), &|message| key.sign(message))
        .with_context(|| format!("manifest of {}", draft.agent_id()))
}

/// Whole seconds, as manifests have them.
fn rfc3339(time: Timestamp) -> String {
    time.to_string().replace(".000000Z", "Z")
}

/// A UUID of version 7 (RFC 9562 section 5.7): milliseconds, then random bits.
fn uuid_v7(now: Timestamp) -> anyhow::Result<String> {
    let random = u128::from_be_bytes(random_bytes::<16>()?);
    let millis = u128::from(now.as_micros() / 1_000) << 80;
    let bits = millis
        | (random & 0x0000_0000_0000_0fff_3fff_ffff_ffff_ffff)
        | 0x0000_0000_0000_7000_8000_0000_0000_0000;
    let hex = format!("{bits:032x}");
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
    Ok([
        part(0, 8),
        part(8, 12),
        part(12, 16),
        part(16, 20),
        part(20, 32),
    ]
    .join("-"))
}
