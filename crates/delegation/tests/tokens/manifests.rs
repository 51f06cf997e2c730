use chancery_crypto::{AwsLc, KeyError, SigningKey};
use chancery_delegation::{
    CatalogTool, EnforcementMode, IssuerKey, ManifestContext, ManifestError, SealError,
    VerifiedManifest, catalog_root, seal_manifest_payload, sign_manifest, verify_manifest,
};
use chancery_types::{Algorithm, Digest, Timestamp, to_canonical};
use serde_json::{Value, json};

use crate::support::NOW;

const ISSUER: &str = "spiffe://acme.example/issuer";

fn hash(text: &str) -> String {
    Digest::of(text).to_string()
}

fn manifest() -> Value {
    let bound_at = "2027-01-15T00:00:00Z";
    let tool = CatalogTool::of("fs/read_file", &json!({"type": "object"}), "reads").unwrap();
    json!({
        "@context": "https://manifest.agentrust-io.com/v0.2/context.json",
        "@type": "AgentManifest",
        "manifest_id": "018f4a3b-2c1d-7e5f-a8b9-0d1e2f3a4b5c",
        "agent_id": "spiffe://acme.example/agent/worker",
        "version": "0.2",
        "issued_at": "2027-01-15T00:00:00Z",
        "expires_at": "2027-07-15T00:00:00Z",
        "issuer": ISSUER,
        "crypto_profile": "standard",
        "artifacts": {
            "system_prompt": {
                "hash": hash("prompt"), "version": "1", "classification": "internal",
                "bound_at": bound_at
            },
            "policy_bundle": {
                "hash": hash("policy"), "policy_language": "cedar", "version": "1",
                "enforcement_mode": "enforce", "bound_at": bound_at
            },
            "tool_manifest": {
                "catalog_hash": catalog_root(std::slice::from_ref(&tool)).unwrap().to_string(),
                "tools": [{
                    "tool_id": tool.tool_id, "tool_name": "read_file", "endpoint_id": "fs",
                    "schema_hash": tool.schema_hash, "description_hash": tool.description_hash,
                    "version": "1", "egress_destinations": []
                }],
                "rug_pull_policy": "deny-and-alert", "bound_at": bound_at
            },
            "model_identity": {
                "provider": "none", "model_id": "none", "version": "1", "deployment_type": "api",
                "model_attestation_type": "provider-asserted", "bound_at": bound_at
            },
            "supply_chain": {"container_image_digest": hash("image"), "bound_at": bound_at}
        },
        "intent": {"statement": "reads files"}
    })
}

struct Issuer(SigningKey);

impl Issuer {
    fn new() -> Self {
        Self(SigningKey::generate(Algorithm::Ed25519).unwrap())
    }

    fn seal(&self, document: &Value) -> Vec<u8> {
        let payload = to_canonical(document).unwrap();
        let sign = |message: &[u8]| self.0.sign(message);
        seal_manifest_payload::<KeyError>(payload, self.0.public(), &sign).unwrap()
    }

    fn sign(&self, document: &Value) -> Result<Vec<u8>, SealError<KeyError>> {
        sign_manifest(document, self.0.public(), &|message| self.0.sign(message))
    }

    fn verify_at(
        &self,
        envelope: &[u8],
        issuer: &str,
        now: Timestamp,
    ) -> Result<VerifiedManifest, ManifestError> {
        let issuers = [IssuerKey {
            issuer: issuer.to_owned(),
            key: *self.0.public(),
        }];
        let revoked = |_: &str| false;
        let context = ManifestContext {
            now,
            issuers: &issuers,
            revoked: &revoked,
            verifier: &AwsLc,
        };
        verify_manifest(envelope, &context)
    }

    fn verify(&self, envelope: &[u8]) -> Result<VerifiedManifest, ManifestError> {
        self.verify_at(envelope, ISSUER, NOW)
    }
}

#[test]
fn a_complete_manifest_is_verified() {
    let issuer = Issuer::new();
    let envelope = issuer.sign(&manifest()).unwrap();
    let verified = issuer.verify(&envelope).unwrap();
    assert_eq!(
        verified.agent_id().as_str(),
        "spiffe://acme.example/agent/worker"
    );
    assert_eq!(
        verified.manifest_id(),
        "018f4a3b-2c1d-7e5f-a8b9-0d1e2f3a4b5c"
    );
    assert_eq!(
        verified.payload_digest(),
        Digest::of(to_canonical(&manifest()).unwrap())
    );
    assert_eq!(verified.policy_bundle(), Some(Digest::of("policy")));
    assert_eq!(verified.enforcement_mode(), Some(EnforcementMode::Enforce));
    assert_eq!(verified.container_image(), Some(Digest::of("image")));
    assert_eq!(verified.system_prompt(), Some(Digest::of("prompt")));
    assert_eq!(verified.tools()[0].egress_destinations, Some(Vec::new()));
    assert_eq!(verified.intent(), Some("reads files"));
    assert_eq!(verified.unproven(), ["model_identity"]);
    assert_eq!(
        verified.expires_at(),
        Timestamp::from_seconds(1_815_609_600)
    );
}

/// The document with one member set, or taken out where the value is null.
fn with(pointer: &str, value: Value) -> Value {
    let mut document = manifest();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let parent = document.pointer_mut(parent).unwrap();
    match parent {
        Value::Array(items) => items[name.parse::<usize>().unwrap()] = value,
        Value::Object(members) if value.is_null() => drop(members.remove(name)),
        other => other[name] = value,
    }
    document
}

#[test]
fn every_required_member_is_required_and_no_other_is_known() {
    let issuer = Issuer::new();
    let mut pointers = Vec::new();
    let document = manifest();
    collect("", &document, &mut pointers);
    for pointer in pointers {
        let optional = [
            "/@context",
            "/@type",
            "/crypto_profile",
            "/intent",
            "/artifacts/tool_manifest",
            "/artifacts/supply_chain",
            "/artifacts/tool_manifest/tools/0/egress_destinations",
        ];
        if !optional.contains(&&*pointer) {
            let without = with(&pointer, Value::Null);
            assert!(issuer.sign(&without).is_err(), "without {pointer}");
            assert!(
                issuer.verify(&issuer.seal(&without)).is_err(),
                "without {pointer}"
            );
        }
        let wrong = with(&pointer, json!(7));
        assert!(
            issuer.verify(&issuer.seal(&wrong)).is_err(),
            "{pointer} is 7"
        );
    }
    for parent in [
        "",
        "/artifacts",
        "/artifacts/policy_bundle",
        "/artifacts/tool_manifest/tools/0",
        "/intent",
    ] {
        let unknown = with(&format!("{parent}/unknown"), json!("x"));
        assert!(issuer.verify(&issuer.seal(&unknown)).is_err(), "{parent}");
    }
}

fn collect(path: &str, value: &Value, pointers: &mut Vec<String>) {
    let members: Vec<_> = match value {
        Value::Object(members) => members
            .iter()
            .map(|(name, value)| (name.clone(), value))
            .collect(),
        _ => return,
    };
    for (name, value) in members {
        let pointer = format!("{path}/{name}");
        collect(&pointer, value, pointers);
        if let Value::Array(items) = value {
            for (at, item) in items.iter().enumerate() {
                collect(&format!("{pointer}/{at}"), item, pointers);
            }
        }
        pointers.push(pointer);
    }
}

#[test]
fn each_rule_has_its_refusal() {
    let issuer = Issuer::new();
    let refused = |document: &Value| issuer.verify(&issuer.seal(document)).unwrap_err();
    macro_rules! refuse {
        ($pointer:literal, $value:expr, $error:pat) => {
            let error = refused(&with($pointer, $value));
            assert!(matches!(error, $error), "{}: {error}", $pointer);
        };
    }
    refuse!("/version", json!("0.1"), ManifestError::IncompatibleVersion);
    refuse!("/version", json!("0.3"), ManifestError::IncompatibleVersion);
    refuse!(
        "/min_verifier_version",
        json!("0.16.0"),
        ManifestError::IncompatibleVersion
    );
    refuse!(
        "/min_verifier_version",
        json!("new"),
        ManifestError::IncompatibleVersion
    );
    refuse!(
        "/crypto_profile",
        json!("post-quantum"),
        ManifestError::Downgrade
    );
    refuse!(
        "/issuer",
        json!("spiffe://acme.example/other"),
        ManifestError::IssuerNotAuthorised
    );
    refuse!(
        "/agent_id",
        json!("spiffe://acme.example/agent/w/instance/1"),
        ManifestError::Schema { .. }
    );
    refuse!(
        "/expires_at",
        json!("2027-01-15T00:59:59Z"),
        ManifestError::Expired
    );
    refuse!(
        "/expires_at",
        json!("2028-01-16T00:00:00Z"),
        ManifestError::Lifetime
    );
    refuse!(
        "/issued_at",
        json!("2027-01-15T08:00:01Z"),
        ManifestError::NotYetValid
    );
    refuse!(
        "/artifacts/system_prompt",
        Value::Null,
        ManifestError::Unbound("system_prompt")
    );
    refuse!(
        "/artifacts/tool_manifest/catalog_hash",
        json!(hash("x")),
        ManifestError::CatalogHash
    );
    refuse!(
        "/artifacts/tool_manifest/tools/0/description_hash",
        json!(hash("x")),
        ManifestError::CatalogHash
    );
    refuse!(
        "/artifacts/policy_bundle/hash",
        json!(format!("shake256:{}", Digest::of("x").to_hex())),
        ManifestError::Schema { .. }
    );
    refuse!(
        "/artifacts/policy_bundle/policy_language",
        json!("composite"),
        ManifestError::Schema { .. }
    );
    refuse!(
        "/artifacts/model_identity/deployment_type",
        json!("local"),
        ManifestError::Schema { .. }
    );
    refuse!(
        "/delegation_chain",
        json!([]),
        ManifestError::Unverifiable(_)
    );
    refuse!(
        "/hitl_record",
        json!({"required": true}),
        ManifestError::Unverifiable(_)
    );
    refuse!("/signature", json!({}), ManifestError::Schema { .. });
    let test = json!({
        "suite_id": "s", "suite_version": "1", "harness_version": "1", "result": "flagged",
        "assessed_at": "2027-01-15T00:00:00Z"
    });
    refuse!(
        "/artifacts/system_prompt/assurance_test",
        test,
        ManifestError::Flagged("system_prompt")
    );
    refuse!(
        "/artifacts/tool_manifest/tools/0/tool_id",
        json!("a\u{0}b"),
        ManifestError::Catalog(_)
    );
}

#[test]
fn a_composition_lists_what_it_leaves_out() {
    let issuer = Issuer::new();
    let mut document = with("/artifacts/model_identity", Value::Null);
    document["profile"] = json!("composition-only");
    let error = issuer.verify(&issuer.seal(&document)).unwrap_err();
    assert!(matches!(error, ManifestError::Unbound("model_identity")));
    document["unbound_artifacts"] = json!(["model_identity"]);
    assert!(
        issuer
            .verify(&issuer.seal(&document))
            .unwrap()
            .unproven()
            .is_empty()
    );
}

#[test]
fn only_an_authorised_key_speaks_for_an_issuer() {
    let issuer = Issuer::new();
    let envelope = issuer.sign(&manifest()).unwrap();
    let as_other = issuer.verify_at(&envelope, "spiffe://acme.example/agent/worker", NOW);
    assert!(matches!(as_other, Err(ManifestError::IssuerNotAuthorised)));
    assert!(matches!(
        Issuer::new().verify(&envelope),
        Err(ManifestError::UnknownKey)
    ));
    let late = issuer.verify_at(&envelope, ISSUER, NOW.plus_seconds(365 * 86_400));
    assert!(matches!(late, Err(ManifestError::Expired)));
    let p256 = SigningKey::generate(Algorithm::Es256).unwrap();
    let sealed =
        sign_manifest::<KeyError>(&manifest(), p256.public(), &|message| p256.sign(message));
    assert!(matches!(sealed, Err(SealError::Key)));
    for name in ["manifest_id", "agent_id"] {
        let named = manifest()[name].as_str().unwrap().to_owned();
        let revoked = |text: &str| text == named;
        let issuers = [IssuerKey {
            issuer: ISSUER.to_owned(),
            key: *issuer.0.public(),
        }];
        let context = ManifestContext {
            now: NOW,
            issuers: &issuers,
            revoked: &revoked,
            verifier: &AwsLc,
        };
        assert!(matches!(
            verify_manifest(&envelope, &context),
            Err(ManifestError::Revoked)
        ));
    }
    assert!(matches!(
        issuer.verify(&vec![0xd2; 262_145]),
        Err(ManifestError::TooLarge)
    ));
}
