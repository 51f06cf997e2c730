//! What every test here asks of a server in the name of agents and their instances.

use chancery_api::ClientError;
use chancery_api::server::{
    EndInstance, IssueX509, IssueX509s, IssuedX509, Leaf, RevocationDone, Revoke, ServerClient,
};
use chancery_crypto::SigningKey;
use chancery_delegation::Revocable;
use chancery_delegation::manifest::{CatalogTool, catalog_root, sign_manifest};
use chancery_identity::spki_der;
use chancery_types::id::InstanceId;
use chancery_types::{Algorithm, Digest, RevocationKind, Timestamp, base64url};
use serde_json::json;

use crate::domain::{DAY, Domain, now};

/// The code of every agent.
pub(crate) const CODE: &str = "program";

impl Domain {
    /// The manifest of an agent that its issuer signed and that is in force.
    pub(crate) fn signed(&self, agent: &str) -> String {
        manifest(&self.manifests, agent, 30 * DAY)
    }

    /// An X.509-SVID over a fresh key, or why there is none.
    pub(crate) async fn x509(&self, instance: InstanceId) -> Result<IssuedX509, String> {
        let issued = self.client().issue_x509(&asking(instance)).await;
        issued.map_err(reason)
    }

    /// The leaf of each, asked for together, or why there is none.
    pub(crate) async fn x509s(&self, instances: &[InstanceId]) -> Vec<Result<Vec<u8>, String>> {
        let request = asking_together(instances);
        let issued = self.client().issue_x509s(&request).await.unwrap();
        let leaves = issued.leaves.into_iter().map(Leaf::into_result);
        leaves
            .map(|leaf| match leaf {
                Ok(leaf) => Ok(base64url::decode(&leaf).unwrap()),
                Err(problem) => Err(problem.reason),
            })
            .collect()
    }

    pub(crate) async fn end(&self, instance: InstanceId) {
        let request = EndInstance {
            reason: "process-exited".to_owned(),
        };
        let ended = self.client().end_instance(instance, &request).await;
        ended.unwrap();
    }
}

/// The manifest of an agent, made a day ago for so many seconds, as it is registered.
pub(crate) fn manifest(key: &SigningKey, agent: &str, seconds: u64) -> String {
    let tool = CatalogTool::of("spiffe://own.example/tool/a/b", &json!({}), "b").unwrap();
    let second = |at: Timestamp| at.to_string().replace(".000000Z", "Z");
    let issued = Timestamp::from_seconds(now().as_seconds()).minus_seconds(DAY);
    let bound_at = second(issued);
    let tools = json!([{
        "tool_id": tool.tool_id, "tool_name": "b", "endpoint_id": "a",
        "schema_hash": tool.schema_hash, "description_hash": tool.description_hash,
        "version": "1",
    }]);
    let document = json!({
        "@context": "https://manifest.agentrust-io.com/v0.2/context.json",
        "@type": "AgentManifest",
        "manifest_id": "018f4a3b-2c1d-7e5f-a8b9-0d1e2f3a4b5c",
        "agent_id": agent,
        "version": "0.2",
        "issued_at": bound_at,
        "expires_at": second(issued.plus_seconds(seconds)),
        "issuer": "spiffe://own.example/issuer/manifests",
        "crypto_profile": "standard",
        "profile": "composition-only",
        "unbound_artifacts": ["model_identity", "system_prompt"],
        "artifacts": {
            "policy_bundle": {
                "hash": Digest::of("policy"), "policy_language": "cedar", "version": "1",
                "enforcement_mode": "enforce", "bound_at": bound_at,
            },
            "tool_manifest": {
                "catalog_hash": catalog_root(&[tool]).unwrap(), "tools": tools,
                "rug_pull_policy": "deny-and-alert", "bound_at": bound_at,
            },
            "supply_chain": {
                "container_image_digest": Digest::of(CODE), "bound_at": bound_at,
            },
        },
        "intent": {"statement": "is tested"},
    });
    let envelope = sign_manifest(&document, key.public(), &|message| key.sign(message));
    base64url::encode(envelope.unwrap())
}

/// A request for an X.509-SVID over that key.
pub(crate) fn asking_over(key: &SigningKey, instance: InstanceId) -> IssueX509 {
    IssueX509 {
        instance_id: instance,
        spki: base64url::encode(spki_der(key.public())),
        broker: None,
    }
}

/// A request for an X.509-SVID over a fresh key.
pub(crate) fn asking(instance: InstanceId) -> IssueX509 {
    asking_over(&SigningKey::generate(Algorithm::Es256).unwrap(), instance)
}

/// The same for several, each over a key of its own.
pub(crate) fn asking_together(instances: &[InstanceId]) -> IssueX509s {
    IssueX509s {
        requests: instances.iter().copied().map(asking).collect(),
    }
}

pub(crate) async fn revoke(
    client: &ServerClient,
    kind: RevocationKind,
    id: &str,
) -> RevocationDone {
    let what = Revocable::new(kind, id).unwrap();
    let reason = "lost".to_owned();
    client.revoke(&Revoke { what, reason }).await.unwrap()
}

/// Lets the server do whatever it does meanwhile.
pub(crate) async fn meanwhile(client: &ServerClient) {
    for _ in 0..100 {
        client.trust().await.unwrap();
    }
}

/// Why the server refused.
pub(crate) fn reason(error: ClientError) -> String {
    match error {
        ClientError::Refused(problem) => problem.reason,
        other => panic!("{other}"),
    }
}
