//! An instance with its keys, speaking to the gateway over mutual TLS.

use std::sync::Arc;

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use chancery_api::gateway::{Challenge, Presentation, SESSION_PROOF_TYP, SessionProof};
use chancery_api::server::{DraftRoot, IssueWit, IssueX509, IssuedRoot, OpenInstance, SubmitRoot};
use chancery_api::tls::{TlsIdentity, client_config};
use chancery_attestation::{Evidence, Isolation, LaunchEvidence};
use chancery_crypto::{AwsLc, SigningKey, random_id};
use chancery_delegation::{Call, ChainTip, Entry, LinkDraft, ProofDraft, RootDraft, Target, Terms};
use chancery_identity::{X509Bundle, spki_der};
use chancery_types::id::{DelegationKind, InstanceId, LaunchId, ProofKind};
use chancery_types::jws::{Header, assemble, signing_input};
use chancery_types::{Algorithm, Digest, base64url, to_canonical};
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde_json::{Map, Value, json};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::chains::{AGENT, SERVER, STEP, TOOL, borrowed, mission};
use crate::manifest::CODE;
use crate::plane::{DOMAIN, Plane, now};
use crate::world::Home;

const LIFETIME_SECONDS: u64 = 1_800;

/// An instance of the agent.
pub(crate) struct Agent {
    id: InstanceId,
    pub(crate) spiffe_id: String,
    key: SigningKey,
    wit: String,
    tls: TlsIdentity,
}

/// A connection of an instance to the gateway.
pub(crate) struct Connection(SendRequest<Full<Bytes>>);

impl Agent {
    pub(crate) async fn launch(plane: &Plane) -> anyhow::Result<Self> {
        let opened = plane
            .client
            .open_instance(&OpenInstance {
                parent: None,
                terms: Default::default(),
                agent_id: AGENT.to_owned(),
                evidence: Evidence::Launch(LaunchEvidence {
                    launch: LaunchId::from_random([7; 16]),
                    isolation: Isolation::Isolated,
                    executable: Digest::of(CODE),
                    uid: 1_000,
                }),
            })
            .await?;
        let tls_key = SigningKey::generate(Algorithm::Es256)?;
        let svid = plane
            .client
            .issue_x509(&IssueX509 {
                instance_id: opened.instance_id,
                spki: base64url::encode(spki_der(tls_key.public())),
                broker: None,
            })
            .await?;
        let decoded = |ders: &[String]| -> anyhow::Result<Vec<Vec<u8>>> {
            ders.iter().map(|der| Ok(base64url::decode(der)?)).collect()
        };
        let bundle = X509Bundle::new(DOMAIN.parse()?, decoded(&svid.bundle)?)?;
        let key = SigningKey::generate(Algorithm::Ed25519)?;
        let wit = plane
            .client
            .issue_wit(&IssueWit {
                instance_id: opened.instance_id,
                key: *key.public(),
            })
            .await?;
        Ok(Self {
            id: opened.instance_id,
            spiffe_id: opened.spiffe_id,
            key,
            wit: wit.token,
            tls: TlsIdentity::new(decoded(&svid.chain)?, tls_key.pkcs8(), bundle)?,
        })
    }

    pub(crate) async fn connect(&self, home: &Home) -> anyhow::Result<Connection> {
        let config = client_config(&self.tls, home.id.parse()?)?;
        let stream = TcpStream::connect(home.address).await?;
        stream.set_nodelay(true)?;
        let stream = TlsConnector::from(Arc::new(config))
            .connect("localhost".try_into()?, stream)
            .await?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(Connection(sender))
    }

    /// A root for the one tool, to which the principal consents.
    pub(crate) async fn root(&self, plane: &Plane, home: &Home) -> anyhow::Result<IssuedRoot> {
        let draft = plane
            .client
            .draft_root(&DraftRoot {
                instance_id: self.id,
                person_id: plane.principal.id,
                mission: base64url::encode(mission()?.as_bytes()),
                authorization_details: vec![entry()],
                lifetime_seconds: Some(LIFETIME_SECONDS),
                max_depth: 3,
                gateway: Some(home.name.to_string()).filter(|name| !name.is_empty()),
            })
            .await?;
        let claims = RootDraft::from_claims(draft.claims.as_bytes());
        let challenge = claims.and_then(|claims| claims.challenge());
        let challenge = challenge.map_err(|reason| anyhow::anyhow!("{reason}"))?;
        let submitted = SubmitRoot {
            claims: draft.claims,
            consent: plane.principal.consent(&challenge)?,
        };
        Ok(plane.client.submit_root(&submitted).await?)
    }

    /// The chain, continued to `worker`.
    pub(crate) fn delegate(&self, chain: &[String], worker: &Self) -> anyhow::Result<Vec<String>> {
        let refused = |refusal: chancery_delegation::Refusal| anyhow::anyhow!("{}", refusal.reason);
        let tip = ChainTip::read(&borrowed(chain)).map_err(refused)?;
        let grant = tip.grant();
        let terms = Terms {
            subject: worker.spiffe_id.parse()?,
            key: *worker.key.public(),
            audience: None,
            issued_at: grant.issued_at,
            not_before: grant.not_before,
            expires_at: grant.expires_at,
            jti: random_id::<DelegationKind>()?.to_string(),
            max_depth: 3,
            entries: vec![Entry::parse(&entry()).map_err(|reason| refused(reason.into()))?],
            forbid: Vec::new(),
            ask: Vec::new(),
        };
        let link = LinkDraft { terms }.sign(&tip, &AwsLc, &|bytes| self.key.sign(bytes))?;
        Ok(chain.iter().cloned().chain([link]).collect())
    }

    pub(crate) fn presentation(
        &self,
        root: &IssuedRoot,
        chain: &[String],
        (home, nonce): (&Home, String),
    ) -> anyhow::Result<Presentation> {
        let claims = SessionProof {
            aud: home.id.clone(),
            nonce,
            cth: Digest::of(chain.join(",")).to_base64url(),
            iat: now().as_seconds(),
        };
        let header = Header {
            algorithm: Algorithm::Ed25519,
            typ: SESSION_PROOF_TYP.to_owned(),
            kid: None,
        };
        let input = signing_input(&header, &to_canonical(&claims)?);
        Ok(Presentation {
            chain: chain.to_vec(),
            consent: root.consent.clone(),
            mission: root.mission.clone(),
            manifest: root.manifest.clone(),
            wit: self.wit.clone(),
            principal: root.principal.clone(),
            proof: assemble(&input, &self.key.sign(input.as_bytes())?),
        })
    }

    /// A proof for one call, made now.
    pub(crate) fn proof(
        &self,
        home: &Home,
        chain: Digest,
        args: &Map<String, Value>,
    ) -> anyhow::Result<String> {
        let jti = random_id::<ProofKind>()?.to_string();
        let draft = ProofDraft {
            audience: &home.id,
            issued_at: now(),
            jti: &jti,
            chain,
            call: Call {
                server: SERVER,
                target: Target::Tool(TOOL),
                args,
            },
            execution: None,
            step: Some(STEP),
        };
        Ok(draft.sign(self.key.public(), &|bytes| self.key.sign(bytes))?)
    }
}

impl Connection {
    /// Posts a body; the answer's body, when it is no refusal.
    pub(crate) async fn post(
        &mut self,
        path: &str,
        headers: &[(&str, &str)],
        body: String,
    ) -> anyhow::Result<Value> {
        let mut request = Request::post(path)
            .header("host", "localhost")
            .header("content-type", "application/json");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.0.ready().await?;
        let request = request.body(Full::new(Bytes::from(body)))?;
        let (head, body) = self.0.send_request(request).await?.into_parts();
        let body = body.collect().await?.to_bytes();
        let text = || String::from_utf8_lossy(&body).into_owned();
        ensure!(
            head.status == StatusCode::OK,
            "{path}: {} {}",
            head.status,
            text()
        );
        serde_json::from_slice(&body).with_context(text)
    }

    /// Opens a session, or joins one; gives back which it is.
    pub(crate) async fn enter(
        &mut self,
        agent: &Agent,
        (root, chain): (&IssuedRoot, &[String]),
        home: &Home,
        session: Option<&str>,
    ) -> anyhow::Result<String> {
        let nonce = self.nonce().await?;
        let presentation = agent.presentation(root, chain, (home, nonce))?;
        let body = serde_json::to_string(&presentation)?;
        let path = match session {
            Some(session) => format!("/v1/sessions/{session}/join"),
            None => "/v1/sessions".to_owned(),
        };
        let entered = self.post(&path, &[], body).await?;
        let entered = entered.get("session").and_then(Value::as_str);
        Ok(entered.context("no session")?.to_owned())
    }

    pub(crate) async fn nonce(&mut self) -> anyhow::Result<String> {
        let answer = self.post("/v1/challenges", &[], String::new()).await?;
        Ok(serde_json::from_value::<Challenge>(answer)?.nonce)
    }
}

pub(crate) fn chain_digest(chain: &[String]) -> Digest {
    Digest::of(borrowed(chain).join(","))
}

fn entry() -> Value {
    json!({
        "type": "mcp_tool", "server": SERVER, "tool": TOOL,
        "args": {"path": {"path_prefix": "/reports"}}
    })
}
