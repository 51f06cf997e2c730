//! Mission, policy, catalog and manifest.

use std::collections::BTreeMap;

use chancery_crypto::SigningKey;
use chancery_delegation::{CatalogTool, sign_manifest};
use chancery_evidence::Catalog;
use chancery_policy::{Files as BundleFiles, Index, SignedBundle, schema_text};
use chancery_session::Rulebook;
use chancery_types::{Digest, base64url, to_canonical};
use serde_json::{Value, json};

use super::signers::Signers;
use super::{AGENT, ISSUER};

pub(crate) const CODE: &[u8] = b"program";
pub(crate) const POLICIES: &str = r#"
@id("reads") permit (principal, action == Chancery::Action::"bank/list", resource);
@id("small") permit (principal, action == Chancery::Action::"bank/pay", resource)
  when { context.args.amount <= 1000 };
@id("large") @effect("ask") @reason("large payments need a person")
  permit (principal, action == Chancery::Action::"bank/pay", resource)
  when { context.args.amount > 1000 };
@id("huge") forbid (principal, action == Chancery::Action::"bank/pay", resource)
  when { context.args.amount > 1000000 };
"#;

pub(crate) fn mission() -> Value {
    let means =
        ["pay", "list"].map(|tool| json!({"type": "mcp_tool", "server": "bank", "tool": tool}));
    json!({
        "mission": "chancery/mission/v1",
        "goal": "Pay the invoices of June.",
        "outcome": {"unpaid": 0},
        "steps": [{"id": "step-1", "text": "Look and pay.", "means": means}],
        "forbid": [],
        "stop": [],
        "budget": {"calls": 100, "cost_micros": 1_000_000_000, "seconds": 3_600},
        "approver": {"role": "approver"},
        // Two hours after the start.
        "expires": "2027-01-15T10:00:00Z",
    })
}

/// A bundle with `delegation.json` and `session.json` where they are given.
pub(crate) fn bundle(
    signer: &SigningKey,
    [rules, sessions]: [Option<&Value>; 2],
) -> (Rulebook, Vec<u8>) {
    let index = json!({"name": "p", "version": 1, "tools": {
        "bank/pay": {
            "args": {"amount": "long"}, "clear": ["amount"],
            "cost_arg": "amount", "cost_unit": "cents"
        },
        "bank/list": {},
    }});
    let mut files = BundleFiles::from([
        ("bundle.json".to_owned(), index.to_string().into_bytes()),
        ("p.cedar".to_owned(), POLICIES.as_bytes().to_vec()),
    ]);
    let schema = schema_text(&Index::parse(&files).unwrap());
    files.insert("schema.cedarschema".to_owned(), schema.into_bytes());
    for (name, rules) in [("delegation.json", rules), ("session.json", sessions)] {
        if let Some(rules) = rules {
            files.insert(name.to_owned(), rules.to_string().into_bytes());
        }
    }
    let texts: BTreeMap<_, _> = files
        .iter()
        .map(|(path, bytes)| (path.clone(), String::from_utf8(bytes.clone()).unwrap()))
        .collect();
    let bundle = Rulebook::load(&files).unwrap();
    let statement = SignedBundle::statement(bundle.digest());
    let signed = SignedBundle {
        files: texts,
        kid: signer.public().kid(),
        signature: base64url::encode(signer.sign(&statement).unwrap()),
        approvals: Vec::new(),
    };
    let object = to_canonical(&signed).unwrap();
    (bundle, object)
}

pub(crate) fn catalog() -> Catalog {
    let tool = |name: &str| {
        let id = format!("spiffe://example.org/tool/bank/{name}");
        let leaf = CatalogTool::of(&id, &json!({"type": "object"}), name).unwrap();
        json!({
            "tool_id": id, "server": "bank", "name": name, "schema_hash": leaf.schema_hash,
            "description_hash": leaf.description_hash, "read_only": false, "destructive": true,
        })
    };
    let document = json!({"format": "chancery/catalog/v1", "tools": [tool("list"), tool("pay")]});
    Catalog::parse(&to_canonical(&document).unwrap()).unwrap()
}

pub(crate) fn manifest(signers: &Signers, bundle: &Rulebook, catalog: &Catalog) -> Vec<u8> {
    manifest_that(signers, bundle.digest(), catalog, "pays invoices")
}

/// The manifest of an agent that is for something.
pub(crate) fn manifest_that(
    signers: &Signers,
    policy: Digest,
    catalog: &Catalog,
    intent: &str,
) -> Vec<u8> {
    let bound_at = "2027-01-15T00:00:00Z";
    let tools: Vec<_> = catalog
        .tools
        .iter()
        .map(|tool| {
            json!({
                "tool_id": tool.tool_id, "tool_name": tool.name, "endpoint_id": tool.server,
                "schema_hash": tool.schema_hash, "description_hash": tool.description_hash,
                "version": "1",
            })
        })
        .collect();
    let document = json!({
        "@context": "https://manifest.agentrust-io.com/v0.2/context.json",
        "@type": "AgentManifest",
        "manifest_id": "018f4a3b-2c1d-7e5f-a8b9-0d1e2f3a4b5c",
        "agent_id": AGENT,
        "version": "0.2",
        "issued_at": "2027-01-15T00:00:00Z",
        "expires_at": "2027-07-15T00:00:00Z",
        "issuer": ISSUER,
        "crypto_profile": "standard",
        "artifacts": {
            "system_prompt": {
                "hash": Digest::of("prompt"), "version": "1", "classification": "internal",
                "bound_at": bound_at
            },
            "policy_bundle": {
                "hash": policy, "policy_language": "cedar", "version": "1",
                "enforcement_mode": "enforce", "bound_at": bound_at
            },
            "tool_manifest": {
                "catalog_hash": catalog.root().unwrap(),
                "tools": tools,
                "rug_pull_policy": "deny-and-alert", "bound_at": bound_at
            },
            "model_identity": {
                "provider": "none", "model_id": "none", "version": "1", "deployment_type": "api",
                "model_attestation_type": "provider-asserted", "bound_at": bound_at
            },
            "supply_chain": {"container_image_digest": Digest::of(CODE), "bound_at": bound_at}
        },
        "intent": {"statement": intent}
    });
    let key = &signers.issuer;
    sign_manifest(&document, key.public(), &|message| key.sign(message)).unwrap()
}
