//! An instance with its keys, speaking to the gateway over mutual TLS.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use chancery_api::gateway::{Challenge, Presentation, SESSION_PROOF_TYP, SessionProof};
use chancery_api::server::{
    DraftRoot, IssueService, IssueWit, IssueX509, IssuedRoot, OpenInstance, SubmitRoot,
};
use chancery_api::tls::{TlsIdentity, client_config};
use chancery_attestation::{Evidence, Isolation, LaunchEvidence};
use chancery_crypto::{AwsLc, SigningKey, random_id};
use chancery_delegation::{Call, ChainTip, Entry, LinkDraft, ProofDraft, Target, Terms};
use chancery_identity::{TrustDomain, WitClaims, X509Bundle, spki_der};
use chancery_signer::SignerKeys;
use chancery_signer::ca::{IssuingAuthority, LeafRequest, SerialNumber, leaf_certificate};
use chancery_types::id::{DelegationKind, InstanceId, LaunchId, ProofKind};
use chancery_types::jws::{Header, assemble, signing_input};
use chancery_types::{Algorithm, Digest, Timestamp, base64url, to_canonical};
use http::response::Parts;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde_json::{Map, Value, json};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::plane::{AGENT, CODE, DOMAIN, Plane, now};

pub(crate) const GATEWAY: &str = "spiffe://acme.example/service/gateway";
pub(crate) const MISSION: &str = include_str!("mission.json");

/// An instance of the agent.
pub(crate) struct Agent {
    pub(crate) id: InstanceId,
    pub(crate) spiffe_id: String,
    pub(crate) key: SigningKey,
    pub(crate) wit: String,
    tls: TlsIdentity,
}

/// An answer of the gateway.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) body: Value,
}

impl Reply {
    /// The reason code of a refusal; `ok` where there is none.
    pub(crate) fn reason(&self) -> &str {
        let told = self
            .body
            .pointer("/error/data/reason")
            .or_else(|| self.body.get("reason"));
        match told.and_then(Value::as_str) {
            Some(reason) => reason,
            None if self.status.is_success() && self.body.get("error").is_none() => "ok",
            None => panic!("no reason: {self:?}"),
        }
    }
}

impl Agent {
    pub(crate) async fn launch(plane: &Plane) -> Self {
        let server = plane.client();
        let request = OpenInstance {
            parent: None,
            terms: Default::default(),
            agent_id: AGENT.to_owned(),
            evidence: evidence(),
        };
        let opened = server.open_instance(&request).await.unwrap();
        let tls_key = SigningKey::generate(Algorithm::Es256).unwrap();
        let request = IssueX509 {
            instance_id: opened.instance_id,
            spki: base64url::encode(spki_der(tls_key.public())),
            broker: None,
        };
        let svid = server.issue_x509(&request).await.unwrap();
        let decode = |ders: &[String]| -> Vec<Vec<u8>> {
            ders.iter()
                .map(|der| base64url::decode(der).unwrap())
                .collect()
        };
        let bundle = X509Bundle::new(DOMAIN.parse().unwrap(), decode(&svid.bundle)).unwrap();
        let tls = TlsIdentity::new(decode(&svid.chain), tls_key.pkcs8(), bundle).unwrap();
        let key = SigningKey::generate(Algorithm::Ed25519).unwrap();
        let request = IssueWit {
            instance_id: opened.instance_id,
            key: *key.public(),
        };
        let wit = server.issue_wit(&request).await.unwrap().token;
        Self {
            id: opened.instance_id,
            spiffe_id: opened.spiffe_id,
            key,
            wit,
            tls,
        }
    }

    /// An instance that nobody launched: whoever has the signer's keys makes its credentials, like
    /// those of `honest`.
    pub(crate) fn minted(plane: &Plane, keys: &SignerKeys, honest: &Self) -> Self {
        let domain: TrustDomain = DOMAIN.parse().unwrap();
        let id: InstanceId = random_id().unwrap();
        let spiffe_id = format!("{AGENT}/instance/{id}");
        let (tls_key, key) = (
            SigningKey::generate(Algorithm::Es256).unwrap(),
            SigningKey::generate(Algorithm::Ed25519).unwrap(),
        );
        let intermediate = keys.intermediate_certificate.clone();
        let authority =
            IssuingAuthority::new(&domain, intermediate.clone(), &keys.intermediate).unwrap();
        let request = LeafRequest {
            spiffe_id: &spiffe_id.parse().unwrap(),
            dns_names: &[],
            spki_der: &spki_der(tls_key.public()),
            now: now(),
            lifetime_seconds: 600,
            serial: SerialNumber::from_random([9; 16]),
        };
        let leaf = leaf_certificate(&authority, request).unwrap();
        let root = base64url::decode(plane.trust.x509_authorities.first().unwrap()).unwrap();
        let bundle = X509Bundle::new(domain, [root]).unwrap();
        let tls = TlsIdentity::new(vec![leaf, intermediate], tls_key.pkcs8(), bundle).unwrap();
        let claims = honest.wit.split('.').nth(1).unwrap();
        let mut claims: Value =
            serde_json::from_slice(&base64url::decode(claims).unwrap()).unwrap();
        claims["sub"] = spiffe_id.as_str().into();
        claims["cnf"] = json!({"jwk": key.public()});
        let claims: WitClaims = serde_json::from_value(claims).unwrap();
        let input = claims.signing_input(keys.token.public()).unwrap();
        Self {
            id,
            spiffe_id,
            key,
            wit: assemble(&input, &keys.token.sign(input.as_bytes()).unwrap()),
            tls,
        }
    }

    /// The same agent key behind the SVID of a service or a node.
    pub(crate) async fn behind(&mut self, plane: &Plane, service: &str) {
        let tls_key = SigningKey::generate(Algorithm::Es256).unwrap();
        let request = IssueService {
            service: service.to_owned(),
            spki: base64url::encode(spki_der(tls_key.public())),
        };
        let svid = plane.client().issue_service(&request).await.unwrap();
        let chain = svid.chain.iter();
        let chain = chain.map(|der| base64url::decode(der).unwrap()).collect();
        let bundle = X509Bundle::clone(&self.tls.bundle());
        self.tls = TlsIdentity::new(chain, tls_key.pkcs8(), bundle).unwrap();
    }

    pub(crate) async fn connect(&self, address: SocketAddr) -> Connection {
        let config = client_config(&self.tls, GATEWAY.parse().unwrap()).unwrap();
        let stream = TcpStream::connect(address).await.unwrap();
        let stream = TlsConnector::from(Arc::new(config))
            .connect("localhost".try_into().unwrap(), stream)
            .await
            .unwrap();
        let (sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        Connection(sender)
    }

    /// A root that the principal consents to.
    pub(crate) async fn root(&self, plane: &Plane, tools: &[Value], seconds: u64) -> IssuedRoot {
        self.root_for(plane, tools, seconds, MISSION).await
    }

    pub(crate) async fn root_for(
        &self,
        plane: &Plane,
        tools: &[Value],
        seconds: u64,
        mission: &str,
    ) -> IssuedRoot {
        let server = plane.client();
        let request = DraftRoot {
            instance_id: self.id,
            person_id: plane.principal.id,
            mission: base64url::encode(mission),
            authorization_details: tools.to_vec(),
            lifetime_seconds: Some(seconds),
            max_depth: 3,
            gateway: None,
        };
        let draft = server.draft_root(&request).await.unwrap();
        let claims = chancery_delegation::RootDraft::from_claims(draft.claims.as_bytes()).unwrap();
        let challenge = claims.challenge().unwrap();
        let consent = plane.principal.assert(&challenge);
        server
            .submit_root(&SubmitRoot {
                claims: draft.claims,
                consent,
            })
            .await
            .unwrap()
    }

    /// One more link: to `worker`, for `tools`.
    pub(crate) fn delegate(&self, chain: &[String], worker: &Self, tools: &[Value]) -> Vec<String> {
        let links: Vec<_> = chain.iter().map(String::as_str).collect();
        let tip = ChainTip::read(&links).unwrap();
        let grant = tip.grant();
        let terms = Terms {
            subject: worker.spiffe_id.parse().unwrap(),
            key: *worker.key.public(),
            audience: None,
            issued_at: grant.issued_at,
            not_before: grant.not_before,
            expires_at: grant.expires_at,
            jti: random_id::<DelegationKind>().unwrap().to_string(),
            max_depth: 3,
            entries: tools
                .iter()
                .map(|tool| Entry::parse(tool).unwrap())
                .collect(),
            forbid: Vec::new(),
            ask: Vec::new(),
        };
        let link = LinkDraft { terms }
            .sign(&tip, &AwsLc, &|message| self.key.sign(message))
            .unwrap();
        let mut chain = chain.to_vec();
        chain.push(link);
        chain
    }

    pub(crate) fn presentation(
        &self,
        root: &IssuedRoot,
        chain: &[String],
        nonce: &str,
    ) -> Presentation {
        let claims = SessionProof {
            aud: GATEWAY.to_owned(),
            nonce: nonce.to_owned(),
            cth: Digest::of(chain.join(",")).to_base64url(),
            iat: now().as_seconds(),
        };
        Presentation {
            chain: chain.to_vec(),
            consent: root.consent.clone(),
            mission: root.mission.clone(),
            manifest: root.manifest.clone(),
            wit: self.wit.clone(),
            principal: root.principal.clone(),
            proof: self.prove(&claims),
        }
    }

    pub(crate) fn prove(&self, claims: &SessionProof) -> String {
        let header = Header {
            algorithm: Algorithm::Ed25519,
            typ: SESSION_PROOF_TYP.to_owned(),
            kid: None,
        };
        let input = signing_input(&header, &to_canonical(claims).unwrap());
        assemble(&input, &self.key.sign(input.as_bytes()).unwrap())
    }

    /// A proof for one call.
    pub(crate) fn proof(&self, chain: &[String], tool: &str, arguments: &Value) -> String {
        self.proof_at(chain, tool, arguments, now(), GATEWAY)
    }

    pub(crate) fn proof_at(
        &self,
        chain: &[String],
        tool: &str,
        arguments: &Value,
        issued_at: Timestamp,
        audience: &str,
    ) -> String {
        self.proof_of(chain, tool, arguments, (issued_at, audience), Some("keep"))
    }

    /// A proof that cites a step, or none.
    pub(crate) fn proof_of(
        &self,
        chain: &[String],
        tool: &str,
        arguments: &Value,
        (issued_at, audience): (Timestamp, &str),
        step: Option<&str>,
    ) -> String {
        let none = Map::new();
        let args = arguments.as_object().unwrap_or(&none);
        let jti = random_id::<ProofKind>().unwrap().to_string();
        let draft = ProofDraft {
            audience,
            issued_at,
            jti: &jti,
            chain: Digest::of(chain.join(",")),
            call: Call {
                server: "fs",
                target: Target::Tool(tool),
                args,
            },
            execution: None,
            step,
        };
        draft
            .sign(self.key.public(), &|message| self.key.sign(message))
            .unwrap()
    }
}

/// What the node says of a process that runs the reviewed code.
pub(crate) fn evidence() -> Evidence {
    Evidence::Launch(LaunchEvidence {
        launch: LaunchId::from_random([7; 16]),
        isolation: Isolation::Isolated,
        executable: Digest::of(CODE),
        uid: 1_000,
    })
}

/// A connection of an instance to the gateway.
pub(crate) struct Connection(SendRequest<Full<Bytes>>);

impl Connection {
    pub(crate) async fn send(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: String,
    ) -> Reply {
        let (status, body) = self.raw(method, path, headers, body).await;
        Reply {
            status,
            body: serde_json::from_slice(&body).unwrap_or(Value::Null),
        }
    }

    /// Opens a transport session of the legacy era: its id, and the answer.
    pub(crate) async fn opening(
        &mut self,
        path: &str,
        headers: &[(&str, &str)],
        body: String,
    ) -> (String, Bytes) {
        let (head, answer) = self.exchange("POST", path, headers, body).await;
        let session = head.headers.get("mcp-session-id").unwrap();
        (session.to_str().unwrap().to_owned(), answer)
    }

    /// The answer as it came.
    pub(crate) async fn raw(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> (StatusCode, Bytes) {
        let (head, answer) = self.exchange(method, path, headers, body).await;
        (head.status, answer)
    }

    async fn exchange(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> (Parts, Bytes) {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in [("host", "localhost"), ("content-type", "application/json")] {
            if !headers.iter().any(|(known, _)| *known == name) {
                request = request.header(name, value);
            }
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body.into())).unwrap();
        self.0.ready().await.unwrap();
        let (head, body) = self.0.send_request(request).await.unwrap().into_parts();
        (head, body.collect().await.unwrap().to_bytes())
    }

    pub(crate) async fn nonce(&mut self) -> String {
        let reply = self
            .send("POST", "/v1/challenges", &[], String::new())
            .await;
        let challenge: Challenge = serde_json::from_value(reply.body).unwrap();
        challenge.nonce
    }

    pub(crate) async fn open(&mut self, presentation: &Presentation) -> Reply {
        let body = serde_json::to_string(presentation).unwrap();
        self.send("POST", "/v1/sessions", &[], body).await
    }

    pub(crate) async fn join(&mut self, session: &str, presentation: &Presentation) -> Reply {
        let body = serde_json::to_string(presentation).unwrap();
        self.send("POST", &format!("/v1/sessions/{session}/join"), &[], body)
            .await
    }

    pub(crate) async fn control(&mut self, method: &str, session: &str, verb: &str) -> Reply {
        let path = format!("/v1/sessions/{session}{verb}");
        self.send(method, &path, &[], String::new()).await
    }

    /// A request of the stateless era.
    pub(crate) async fn request(
        &mut self,
        method: &str,
        name: Option<&str>,
        params: Value,
    ) -> Reply {
        self.post(method, name, params, Some(1)).await
    }

    /// The same without an id.
    pub(crate) async fn tell(&mut self, method: &str, name: Option<&str>, params: Value) -> Reply {
        self.post(method, name, params, None).await
    }

    async fn post(
        &mut self,
        method: &str,
        name: Option<&str>,
        mut params: Value,
        id: Option<u64>,
    ) -> Reply {
        let meta = params
            .as_object_mut()
            .unwrap()
            .entry("_meta")
            .or_insert(json!({}));
        meta["io.modelcontextprotocol/protocolVersion"] = "2026-07-28".into();
        meta["io.modelcontextprotocol/clientCapabilities"] = json!({});
        let mut body = json!({"jsonrpc": "2.0", "method": method, "params": params});
        if let Some(id) = id {
            body["id"] = id.into();
        }
        let mut headers = vec![
            ("accept", "application/json"),
            ("mcp-protocol-version", "2026-07-28"),
            ("mcp-method", method),
        ];
        headers.extend(name.map(|name| ("mcp-name", name)));
        self.send("POST", "/mcp/fs", &headers, body.to_string())
            .await
    }

    /// A call with a chain and a proof.
    pub(crate) async fn call_with(
        &mut self,
        chain: &[String],
        proof: &str,
        tool: &str,
        arguments: &Value,
    ) -> Reply {
        let meta = json!({"io.chancery/delegation": chain, "io.chancery/proof": proof});
        let params = json!({"name": tool, "arguments": arguments, "_meta": meta});
        self.request("tools/call", Some(tool), params).await
    }

    pub(crate) async fn call(
        &mut self,
        agent: &Agent,
        chain: &[String],
        tool: &str,
        arguments: Value,
    ) -> Reply {
        let proof = agent.proof(chain, tool, &arguments);
        self.call_with(chain, &proof, tool, &arguments).await
    }
}
