//! Nodes that join over TLS, with the node's own library, and others who try.

use std::time::Duration;

use chancery_api::server::{
    AdmitNodeAuthority, EvictNode, JoinMeans, JoinNode, JoinToken, JoinedNode, NewNodeToken,
    NodeEvicted,
};
use chancery_api::tls::{TlsIdentity, client_config, joining_config};
use chancery_api::{ClientError, TlsClient};
use chancery_attestation::tpm::PcrValues;
use chancery_crypto::SigningKey;
use chancery_identity::{NodeChannel, NodeSpiffeId, SpiffeId, X509Bundle, node_key_signing_input};
use chancery_node::{Ended, Issuer as _, JoinError, Joined, Joining, Means, PinnedTrust};
use chancery_server::NODE_ROUTES;
use chancery_store::{AgentRow, InstanceRow};
use chancery_types::id::{InstanceId, NodeId};
use chancery_types::{Algorithm, Digest, base64url, jws};
use serde_json::{Value, json};

use super::domain::{Domain, now};
use super::instances::asking;

mod admission;
mod issuing;
mod tpm;

pub(crate) const AGENT: &str = "spiffe://own.example/agent/a";

impl Domain {
    async fn token(&self) -> JoinToken {
        let request = NewNodeToken {
            lifetime_seconds: 600,
        };
        self.client().node_token(&request).await.unwrap().token
    }

    fn pinned(&self, name: &str) -> PinnedTrust {
        PinnedTrust::start(self.trust.clone(), self.file(name)).unwrap()
    }

    async fn join(&self, means: Means) -> Result<Joined, JoinError> {
        let joining = Joining {
            server: self.nodes_at.to_string(),
            trust: self.pinned(&format!(
                "{}.json",
                Digest::of(format!("{means:?}")).to_hex()
            )),
            means,
        };
        Joined::join(joining).await
    }

    pub(crate) async fn joined(&self) -> Joined {
        self.join(Means::Token(self.token().await)).await.unwrap()
    }

    fn server_id(&self) -> SpiffeId {
        let id = format!("spiffe://{}/service/server", self.authority.name);
        id.parse().unwrap()
    }

    fn authorities(&self) -> X509Bundle {
        self.authority.keys().x509
    }

    /// A client with an SVID that the authority issues for that path, `age` seconds ago.
    pub(crate) fn with_svid(&self, path: &str, age: u64) -> TlsClient {
        let (chain, key) = self.authority.leaf(path, now().minus_seconds(age));
        let identity = TlsIdentity::new(chain, key.pkcs8(), self.authorities()).unwrap();
        let config = client_config(&identity, self.server_id()).unwrap();
        TlsClient::new(self.nodes_at.to_string(), config)
    }

    fn stranger(&self) -> TlsClient {
        let config = joining_config(self.authorities(), self.server_id()).unwrap();
        TlsClient::new(self.nodes_at.to_string(), config)
    }

    async fn evict(&self, node: NodeId) -> NodeEvicted {
        let request = EvictNode {
            reason: "lost".to_owned(),
        };
        self.client().evict_node(node, &request).await.unwrap()
    }

    /// Running instances, each on a node or on none.
    pub(crate) async fn with_instances(&mut self, nodes: &[Option<NodeId>]) -> Vec<InstanceId> {
        let store = self.tables().await;
        let agent = AgentRow {
            agent_id: AGENT.to_owned(),
            manifest_id: "one".to_owned(),
            manifest_digest: Digest::of("manifest"),
            expires_at: now(),
            federates_with: Vec::new(),
            may_spawn: None,
            terms: Default::default(),
            owner: None,
            log_index: 0,
        };
        store.put_agent(&agent, b"no manifest").await.unwrap();
        let mut instances = Vec::new();
        for (number, node) in nodes.iter().enumerate() {
            let instance_id = InstanceId::from_random([u8::try_from(number).unwrap() + 1; 16]);
            if let Some(node) = node {
                store.put_instance_node(instance_id, *node).await.unwrap();
            }
            let row = InstanceRow {
                instance_id,
                agent_id: AGENT.to_owned(),
                spiffe_id: format!("{AGENT}/instance/{instance_id}"),
                manifest_digest: Digest::of("manifest"),
                evidence: json!({
                    "kind": "process", "executable": Digest::of("program"), "uid": 1000,
                }),
                running: true,
                agent_key: None,
                opened_at: now(),
            };
            store.put_instance(&row).await.unwrap();
            instances.push(instance_id);
        }
        drop(store);
        self.restart().await;
        instances
    }
}

/// The reason of a refusal, or that there was none: the connection, for example, broke.
pub(crate) async fn refusal(client: &TlsClient, method: &str, path: &str, body: &Value) -> String {
    let answer: Result<Value, _> = match method {
        "GET" => client.get(path).await,
        _ => client.post(path, body).await,
    };
    match answer {
        Ok(value) => format!("answered: {value}"),
        Err(ClientError::Refused(problem)) => problem.reason,
        Err(_) => "broken".to_owned(),
    }
}

fn reason(error: JoinError) -> String {
    match error {
        JoinError::Server(ClientError::Refused(problem)) => problem.reason,
        other => format!("{other:?}"),
    }
}

/// Every endpoint that answers nodes alone, with values that name the instance, or nothing.
fn requests(instance: InstanceId) -> impl Iterator<Item = (&'static str, String, Value)> {
    let for_nodes = NODE_ROUTES
        .iter()
        .filter(|(_, path)| !["/v1/node/tpm", "/v1/node/join"].contains(path));
    for_nodes.map(move |(method, path)| {
        let path = path
            .replace("{id}", &instance.to_string())
            .replace("{digest}", &Digest::of("").to_string());
        let path = path.replace("bundles", &format!("bundles?state={}", Digest::of("")));
        let body = match *method {
            "POST" if path.starts_with("/v1/issue") => json!({
                "instance_id": instance, "spki": "", "audience": ["a"],
            }),
            _ => json!({"reason": "exited"}),
        };
        (*method, path, body)
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_admits_one_node_once() {
    let domain = Domain::start("own.example").await;
    let token = domain.token().await;
    let node = domain.join(Means::Token(token.clone())).await.unwrap();
    let again = domain.join(Means::Token(token)).await.unwrap_err();
    assert_eq!(reason(again), "join_refused");
    let unknown = Means::Token(JoinToken::new("chj_unknown".to_owned()));
    // Whoever has none learns no more than whoever has one that was used.
    assert_eq!(
        reason(domain.join(unknown).await.unwrap_err()),
        "join_refused"
    );
    let listed = domain.client().nodes().await.unwrap().nodes;
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].spiffe_id, node.spiffe_id().as_str());
    assert_eq!(listed[0].proof, "token");
    let many: Vec<_> = {
        let token = domain.token().await;
        let joins = (0..4).map(|_| domain.join(Means::Token(token.clone())));
        let mut all = Vec::new();
        for join in joins.collect::<Vec<_>>() {
            all.push(join.await.is_ok());
        }
        all
    };
    assert_eq!(many.iter().filter(|joined| **joined).count(), 1);
    for lifetime_seconds in [0, 9, 86_401] {
        let request = NewNodeToken { lifetime_seconds };
        let refused = domain.client().node_token(&request).await.unwrap_err();
        assert!(refused.to_string().contains("node_token_lifetime"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_endpoint_answers_a_node_alone_and_about_its_own_alone() {
    let mut domain = Domain::start("own.example").await;
    let (one, other) = (domain.joined().await, domain.joined().await);
    let id = one.spiffe_id().node();
    let instances = domain.with_instances(&[Some(id), None]).await;
    let [on_one, local] = instances[..] else {
        panic!("two instances");
    };
    let path = |node: &NodeSpiffeId| format!("/service/node/{}", node.node());
    let nobody = NodeId::from_random([9; 16]);
    let refused = [
        (domain.stranger(), "node_certificate"),
        (
            domain.with_svid(&format!("/agent/a/instance/{on_one}"), 0),
            "not_a_node",
        ),
        (domain.with_svid("/service/node", 0), "not_a_node"),
        (domain.with_svid("/service/gateway", 0), "not_a_node"),
        (
            domain.with_svid(&format!("/service/node/{nobody}"), 0),
            "node_unknown",
        ),
        (domain.with_svid(&path(one.spiffe_id()), 3_700), "broken"),
    ];
    for (client, expected) in &refused {
        for (method, path, body) in requests(on_one) {
            // Of whoever is not let in nothing is read.
            let said = refusal(client, method, &path, &body).await;
            assert_eq!(said, *expected, "{method} {path}");
        }
    }
    // What is about an instance is for its own node, whether there is such an instance or not.
    let as_other = domain.with_svid(&path(other.spiffe_id()), 0);
    let as_one = domain.with_svid(&path(one.spiffe_id()), 0);
    let unknown = InstanceId::from_random([8; 16]);
    for (client, instance) in [(&as_other, on_one), (&as_one, local), (&as_one, unknown)] {
        let root = format!("/v1/instances/{instance}/root");
        let end = format!("/v1/instances/{instance}/end");
        let spki = json!({"instance_id": instance, "spki": ""});
        let key = json!({"instance_id": instance, "key":
            SigningKey::generate(Algorithm::Ed25519).unwrap().public()});
        let audience = json!({"instance_id": instance, "audience": ["a"]});
        for (method, path, body) in [
            ("GET", root.as_str(), &Value::Null),
            ("POST", &end, &json!({"reason": "exited"})),
            ("POST", "/v1/issue/x509", &spki),
            ("POST", "/v1/issue/wit", &key),
            ("POST", "/v1/issue/jwt", &audience),
        ] {
            assert_eq!(
                refusal(client, method, path, body).await,
                "other_node",
                "{path}"
            );
        }
    }
    // And its own node is answered.
    let asked = asking(on_one);
    let issued: Value = as_one.post("/v1/issue/x509", &asked).await.unwrap();
    assert!(
        issued["spiffe_id"]
            .as_str()
            .unwrap()
            .ends_with(&on_one.to_string())
    );
    // In a broker's name the server's own node asks alone.
    let broker = "spiffe://own.example/agent/broker";
    for (path, asked) in [
        (
            "/v1/issue/x509",
            json!({"instance_id": on_one, "spki": asked.spki, "broker": broker}),
        ),
        (
            "/v1/issue/jwt",
            json!({"instance_id": on_one, "audience": ["a"], "broker": broker}),
        ),
    ] {
        assert_eq!(refusal(&as_one, "POST", path, &asked).await, "node_broker");
    }
    let ended = json!({"reason": "exited"});
    let end = format!("/v1/instances/{on_one}/end");
    let _: Value = as_one.post(&end, &ended).await.unwrap();
    // What has ended is revoked with its node all the same.
    let evicted = domain.evict(id).await;
    assert_eq!(evicted.instances.len(), 1);
    assert!(evicted.instances[0].ends_with(&on_one.to_string()));
    let as_one = as_other;
    // What the owner's socket answers besides is not there.
    for path in [
        "/v1/status",
        "/v1/nodes",
        "/v1/instances",
        "/v1/revocations",
        "/v1/snapshot",
    ] {
        let said = refusal(&as_one, "GET", path, &Value::Null).await;
        assert_eq!(said, "unreadable", "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_outlives_no_svid() {
    let domain = Domain::start("own.example").await;
    let node = domain.joined().await;
    let path = format!("/service/node/{}", node.spiffe_id().node());
    let client = domain.with_svid(&path, 3_596);
    let first = refusal(&client, "GET", "/v1/agents", &Value::Null).await;
    assert!(first.starts_with("answered"), "{first}");
    tokio::time::sleep(Duration::from_secs(6)).await;
    let later = refusal(&client, "GET", "/v1/agents", &Value::Null).await;
    assert_eq!(later, "node_svid_expired");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_outlives_no_authority() {
    let mut domain = Domain::start("own.example").await;
    let node = domain.joined().await;
    let client = domain.with_svid(&format!("/service/node/{}", node.spiffe_id().node()), 0);
    // Another document that still has the authority changes nothing.
    for _ in 0..2 {
        let said = refusal(&client, "GET", "/v1/agents", &Value::Null).await;
        assert!(said.starts_with("answered"), "{said}");
        domain.add_authority().await;
    }
    domain.replace_authority().await;
    for (method, path, body) in requests(InstanceId::from_random([1; 16])) {
        let said = refusal(&client, method, &path, &body).await;
        assert_eq!(said, "node_untrusted", "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_takes_its_part_alone() {
    let mut domain = Domain::start("own.example").await;
    let (one, other) = (domain.joined().await, domain.joined().await);
    let nodes = [&one, &other].map(|joined| joined.spiffe_id().node());
    let [id, _] = nodes;
    let store = domain.tables().await;
    for number in 0..1_000_u16 {
        let mut bits = [1; 16];
        bits[..2].copy_from_slice(&number.to_be_bytes());
        let instance_id = InstanceId::from_random(bits);
        store.put_instance_node(instance_id, id).await.unwrap();
        let row = InstanceRow {
            instance_id,
            agent_id: AGENT.to_owned(),
            spiffe_id: format!("{AGENT}/instance/{instance_id}"),
            manifest_digest: Digest::of("manifest"),
            evidence: json!({}),
            // One that has ended counts as well.
            running: number % 2 == 0,
            agent_key: None,
            opened_at: now(),
        };
        store.put_instance(&row).await.unwrap();
    }
    drop(store);
    domain.restart().await;
    let open = json!({"agent_id": AGENT, "evidence": {
        "kind": "process", "executable": Digest::of("program"), "uid": 1000,
    }});
    let [as_one, as_other] =
        nodes.map(|node| domain.with_svid(&format!("/service/node/{node}"), 0));
    let said = refusal(&as_one, "POST", "/v1/instances", &open).await;
    assert_eq!(said, "node_instances");
    let said = refusal(&as_other, "POST", "/v1/instances", &open).await;
    assert_eq!(said, "agent_unknown");
    let mut clients = Vec::new();
    let mut answered = 0;
    for _ in 0..20 {
        let client = domain.with_svid(&format!("/service/node/{id}"), 0);
        let said = refusal(&client, "GET", "/v1/agents", &Value::Null).await;
        answered += usize::from(said.starts_with("answered"));
        clients.push(client);
    }
    // The node's own ones, and the one above, count.
    assert!((10..16).contains(&answered), "{answered}");
    let said = refusal(&as_other, "GET", "/v1/agents", &Value::Null).await;
    assert!(said.starts_with("answered"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_put_out_is_refused_on_what_is_open_and_everything_on_it_is_revoked() {
    let mut domain = Domain::start("own.example").await;
    let mut node = domain.joined().await;
    let other = domain.joined().await;
    let id = node.spiffe_id().node();
    let nodes = [Some(id), Some(other.spiffe_id().node()), None];
    let instances = domain.with_instances(&nodes).await;
    let client = domain.with_svid(&format!("/service/node/{id}"), 0);
    let open = client.clone();
    let root = format!("/v1/instances/{}/root?wait_seconds=60", instances[0]);
    let waiting = tokio::spawn(async move { refusal(&open, "GET", &root, &Value::Null).await });
    tokio::time::sleep(Duration::from_millis(200)).await;
    let begun = std::time::Instant::now();
    let evicted = domain.evict(id).await;
    assert_eq!(waiting.await.unwrap(), "node_evicted");
    assert!(begun.elapsed() < Duration::from_secs(5));
    assert_eq!(evicted.instances.len(), 1);
    assert!(evicted.instances[0].ends_with(&instances[0].to_string()));
    let revoked = domain.client().revocations().await.unwrap().revocations;
    assert_eq!(revoked.len(), 1);
    // Put out first, revoked second.
    assert!(evicted.log_index < revoked[0].log_index);
    let running = domain.client().instances().await.unwrap().instances;
    let running: Vec<_> = running
        .iter()
        .filter(|one| one.state == chancery_api::server::InstanceState::Running)
        .map(|one| one.instance_id)
        .collect();
    assert!(running.contains(&instances[1]) && running.contains(&instances[2]));
    assert_eq!(running.len(), 2);
    for (method, path, body) in requests(instances[0]) {
        let said = refusal(&client, method, &path, &body).await;
        assert_eq!(said, "node_evicted", "{path}");
    }
    assert_eq!(reason(node.renew().await.unwrap_err()), "node_evicted");
    let ended = tokio::time::timeout(Duration::from_secs(10), node.keep()).await;
    let Ok(Ended::TurnedAway(problem)) = ended else {
        panic!("it does not notice");
    };
    assert_eq!(problem.reason, "node_evicted");
    // It stays out, also of another process over the same folder; a repeat changes nothing.
    domain.restart().await;
    let client = domain.with_svid(&format!("/service/node/{id}"), 0);
    let said = refusal(&client, "GET", "/v1/agents", &Value::Null).await;
    assert_eq!(said, "node_evicted");
    assert_eq!(domain.evict(id).await.log_index, evicted.log_index);
    let unknown = EvictNode {
        reason: "lost".to_owned(),
    };
    let client = domain.client();
    let unknown = client.evict_node(NodeId::from_random([3; 16]), &unknown);
    assert!(
        unknown
            .await
            .unwrap_err()
            .to_string()
            .contains("node_unknown")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_renews_with_a_fresh_key_and_finds_a_server_that_comes_back() {
    let mut domain = Domain::start("own.example").await;
    let mut node = domain.joined().await;
    let before = node.not_after();
    domain.stop().await;
    // A server that is away is no refusal.
    assert!(matches!(
        node.renew().await,
        Err(JoinError::Server(ClientError::Remote { .. }))
    ));
    domain.restart().await;
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    node.renew().await.unwrap();
    assert!(node.not_after() > before);
    // The trust document's successor is followed without a restart.
    let mut known = node.issuer().x509_bundle();
    domain.add_authority().await;
    let followed = async {
        loop {
            let count = known
                .borrow_and_update()
                .as_ref()
                .map(|one| one.authorities().len());
            if count == Some(2) {
                return;
            }
            known.changed().await.unwrap();
        }
    };
    tokio::time::timeout(Duration::from_secs(40), followed)
        .await
        .unwrap();
    node.renew().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_but_the_server_of_the_trust_document_is_believed() {
    let (own, other) = (
        Domain::start("own.example").await,
        Domain::start("other.example").await,
    );
    let joining = Joining {
        server: other.nodes_at.to_string(),
        trust: own.pinned("pinned.json"),
        means: Means::Token(own.token().await),
    };
    let refused = Joined::join(joining).await.unwrap_err();
    assert!(matches!(
        refused,
        JoinError::Server(ClientError::Remote { .. })
    ));
    assert!(other.client().nodes().await.unwrap().nodes.is_empty());
    // A folder that has seen one trust domain takes no other.
    let mixed = PinnedTrust::start(other.trust.clone(), own.file("pinned.json"));
    assert!(mixed.is_err());
}
