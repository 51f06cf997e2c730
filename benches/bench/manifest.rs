//! The manifest of the measured agent.

use chancery_crypto::SigningKey;
use chancery_delegation::{CatalogTool, catalog_root, sign_manifest};
use chancery_types::{Digest, Timestamp};
use serde_json::{Value, json};

use crate::chains::{AGENT, SERVER};

pub(crate) const ISSUER: &str = "spiffe://acme.example/issuer/manifests";
/// What the agent's program is taken to be.
pub(crate) const CODE: &[u8] = b"the program";

/// The catalog root over the tools of the one server.
pub(crate) fn catalog(tools: &[Value]) -> anyhow::Result<Digest> {
    Ok(catalog_root(&leaves(tools)?)?)
}

/// A manifest of the one agent over `tools` and a policy bundle, issued a day before `now`.
pub(crate) fn sign(
    key: &SigningKey,
    tools: &[Value],
    policy: Digest,
    now: Timestamp,
) -> anyhow::Result<Vec<u8>> {
    sign_for(key, (AGENT, Digest::of(CODE)), (tools, policy), now)
}

/// A manifest of any agent and its program.
pub(crate) fn sign_for(
    key: &SigningKey,
    (agent, code): (&str, Digest),
    (tools, policy): (&[Value], Digest),
    now: Timestamp,
) -> anyhow::Result<Vec<u8>> {
    let leaves = leaves(tools)?;
    let bound: Vec<_> = leaves
        .iter()
        .zip(tools)
        .map(|(leaf, tool)| {
            json!({
                "tool_id": leaf.tool_id, "tool_name": tool.get("name"), "endpoint_id": SERVER,
                "schema_hash": leaf.schema_hash, "description_hash": leaf.description_hash,
                "version": "1"
            })
        })
        .collect();
    let second = |at: Timestamp| {
        let whole = Timestamp::from_seconds(at.as_seconds());
        whole.to_string().replace(".000000Z", "Z")
    };
    let bound_at = second(now.minus_seconds(2 * 86_400));
    let hash = |bytes: &[u8]| Digest::of(bytes).to_string();
    let document = json!({
        "@context": "https://manifest.agentrust-io.com/v0.2/context.json",
        "@type": "AgentManifest",
        "manifest_id": "018f4a3b-2c1d-7e5f-a8b9-0d1e2f3a4b5c",
        "agent_id": agent,
        "version": "0.2",
        "issued_at": second(now.minus_seconds(86_400)),
        "expires_at": second(now.plus_seconds(30 * 86_400)),
        "issuer": ISSUER,
        "crypto_profile": "standard",
        "artifacts": {
            "system_prompt": {
                "hash": hash(b"prompt"), "version": "1", "classification": "internal",
                "bound_at": bound_at
            },
            "policy_bundle": {
                "hash": policy.to_string(), "policy_language": "cedar", "version": "1",
                "enforcement_mode": "enforce", "bound_at": bound_at
            },
            "tool_manifest": {
                "catalog_hash": catalog_root(&leaves)?.to_string(), "tools": bound,
                "rug_pull_policy": "deny-and-alert", "bound_at": bound_at
            },
            "model_identity": {
                "provider": "none", "model_id": "none", "version": "1", "deployment_type": "api",
                "model_attestation_type": "provider-asserted", "bound_at": bound_at
            },
            "supply_chain": {"container_image_digest": code.to_string(), "bound_at": bound_at}
        },
        "intent": {"statement": "reads reports"}
    });
    Ok(sign_manifest(&document, key.public(), &|bytes| {
        key.sign(bytes)
    })?)
}

fn leaves(tools: &[Value]) -> anyhow::Result<Vec<CatalogTool>> {
    let text = |tool: &Value, name: &str| {
        let text = tool.get(name).and_then(Value::as_str);
        text.unwrap_or_default().to_owned()
    };
    let leaf = |tool: &Value| {
        let id = format!("spiffe://acme.example/tool/{SERVER}/{}", text(tool, "name"));
        let schema = tool.get("inputSchema").unwrap_or(&Value::Null);
        Ok(CatalogTool::of(&id, schema, &text(tool, "description"))?)
    };
    tools.iter().map(leaf).collect()
}
