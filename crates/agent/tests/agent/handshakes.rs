//! Handshakes over real TLS: two agents that have never met, and what a stranger, a thief of TLS
//! keys and a peer that cheats meet.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chancery_agent::handshake::{
    A2A_EXTENSION, AgentCard, Channel, HANDSHAKE_ROUTES, HandshakeClient, HandshakeError,
    HandshakeGrant, HandshakeRoute, HandshakeServer, HandshakeService, Peer, Wire, from_a2a_answer,
    to_a2a_request,
};
use chancery_agent::{AgentKey, GatewayClient, Held, Instance, OwnSvid};
use chancery_api::tls::{TlsIdentity, client_config, server_config};
use chancery_crypto::{AwsLc, SigningKey, random_bytes};
use chancery_delegation::handshake::{
    Accept, Agreed, Nonce, OfferedTerms, Offering, OwnEnd, PeerContext,
};
use chancery_delegation::http_signature::RequestSignature;
use chancery_delegation::{ChainContext, Entry, TrustAnchor};
use chancery_identity::{SpiffeId, WitBundle};
use chancery_types::{Algorithm, Digest, base64url};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::domain::{Domain, entry, gateway, instance, now};

/// An agent that serves handshakes.
struct Taker {
    instance: Arc<Instance>,
    peer: Peer,
    task: tokio::task::JoinHandle<Result<(), HandshakeError>>,
}

impl Drop for Taker {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn card() -> AgentCard {
    AgentCard {
        name: "reader".to_owned(),
        description: "reads".to_owned(),
        url: "https://127.0.0.1/a2a".to_owned(),
        version: "1".to_owned(),
    }
}

fn agent(domain: &Arc<Domain>, name: &SpiffeId) -> (Arc<Instance>, OwnSvid) {
    let svid = OwnSvid::new(domain.svid(name).unwrap());
    let client = GatewayClient::new(gateway().unwrap(), svid.clone());
    let key = AgentKey::generate().unwrap();
    (
        Arc::new(Instance::new(key, domain.node(name), client)),
        svid,
    )
}

impl Taker {
    /// Takes everything but what writes.
    async fn start(domain: &Arc<Domain>, agent_name: &str) -> Self {
        let name = instance(agent_name).unwrap();
        let (instance, svid) = agent(domain, &name);
        let write = entry("write").unwrap();
        let service = HandshakeService::new(
            Arc::clone(&instance),
            domain.trust(),
            card(),
            Arc::new(move |offer, _| !offer.offer().terms.entries.contains(&write)),
        );
        let any = ([127, 0, 0, 1], 0).into();
        let server = HandshakeServer::bind(any, svid, Arc::new(service))
            .await
            .unwrap();
        let address = server.address().unwrap();
        let task = tokio::spawn(server.serve(std::future::pending()));
        // Proofs of the second of the start are refused.
        tokio::time::sleep(Duration::from_millis(1_050)).await;
        Self {
            instance,
            peer: Peer {
                address,
                spiffe_id: name,
            },
            task,
        }
    }

    async fn held(&self) -> Option<Arc<Held>> {
        self.instance.held(Duration::ZERO).await.ok()
    }
}

fn grant(entries: Vec<Entry>) -> HandshakeGrant {
    HandshakeGrant {
        entries,
        forbid: Vec::new(),
        ask: Vec::new(),
        lifetime_seconds: Some(60),
        may_delegate: true,
    }
}

fn read() -> Vec<Entry> {
    vec![entry("read").unwrap()]
}

/// An agent with a person's delegation.
fn planner(domain: &Arc<Domain>) -> (Arc<Instance>, OwnSvid, Held) {
    let name = instance("planner").unwrap();
    let (instance, svid) = agent(domain, &name);
    let entries = vec![entry("read").unwrap(), entry("write").unwrap()];
    let held = domain
        .root(&name, instance.key().public(), entries)
        .unwrap();
    (instance, svid, held)
}

fn client(domain: &Domain, of: &(Arc<Instance>, OwnSvid, Held), wire: Wire) -> HandshakeClient {
    HandshakeClient::new(Arc::clone(&of.0), of.1.clone(), domain.trust(), wire)
}

#[tokio::test]
async fn two_agents_that_never_met_pass_authority_on() {
    let domain = Domain::new().unwrap();
    for wire in [Wire::Json, Wire::A2a] {
        let taker = Taker::start(&domain, "reader").await;
        let planner = planner(&domain);
        let delegating = client(&domain, &planner, wire);
        let delegated = delegating.delegate(&planner.2, &taker.peer, grant(read()));
        let delegated = delegated.await.unwrap();
        let held = taker.held().await.unwrap();
        assert_eq!(held.digest(), delegated.chain);
        assert_eq!(delegated.peer, taker.peer.spiffe_id);
        assert_eq!(held.session(), planner.2.session());
        assert_eq!(held.mission(), planner.2.mission());
        assert_eq!(held.tip().grant().jti, delegated.jti);
        assert_eq!(held.tip().grant().entries, read());
        assert!(held.is_for(taker.instance.key().public()));
    }
}

#[tokio::test]
async fn who_took_may_pass_on_in_turn() {
    let domain = Domain::new().unwrap();
    let (first, second) = tokio::join!(
        Taker::start(&domain, "reader"),
        Taker::start(&domain, "helper")
    );
    let planner = planner(&domain);
    let delegating = client(&domain, &planner, Wire::Json);
    delegating
        .delegate(&planner.2, &first.peer, grant(read()))
        .await
        .unwrap();
    let held = first.held().await.unwrap();
    let svid = OwnSvid::new(domain.svid(&first.peer.spiffe_id).unwrap());
    let middle = (Arc::clone(&first.instance), svid, (*held).clone());
    let delegating = client(&domain, &middle, Wire::A2a);
    let wider = delegating.delegate(&held, &second.peer, grant(vec![entry("list").unwrap()]));
    // The link is refused before it is signed.
    assert_eq!(wider.await.unwrap_err().reason(), "agent_key");
    assert!(second.held().await.is_none());
    let delegated = delegating.delegate(&held, &second.peer, grant(read()));
    delegated.await.unwrap();
    assert_eq!(second.held().await.unwrap().chain().len(), 3);
}

#[tokio::test]
async fn an_offer_that_is_not_admitted_is_not_answered() {
    let domain = Domain::new().unwrap();
    let taker = Taker::start(&domain, "reader").await;
    let planner = planner(&domain);
    for wire in [Wire::Json, Wire::A2a] {
        let delegating = client(&domain, &planner, wire);
        let write = grant(vec![entry("write").unwrap()]);
        let error = delegating
            .delegate(&planner.2, &taker.peer, write)
            .await
            .unwrap_err();
        assert_eq!(error.reason(), "offer_not_admitted");
    }
    assert!(taker.held().await.is_none());
}

#[tokio::test]
async fn an_agent_at_work_is_not_put_into_another_session() {
    let domain = Domain::new().unwrap();
    let taker = Taker::start(&domain, "reader").await;
    let (first, second) = (planner(&domain), planner(&domain));
    let delegating = client(&domain, &first, Wire::Json);
    let delegated = delegating.delegate(&first.2, &taker.peer, grant(read()));
    delegated.await.unwrap();
    let held = taker.held().await.unwrap();
    for wire in [Wire::Json, Wire::A2a] {
        let delegating = client(&domain, &second, wire);
        let error = delegating
            .delegate(&second.2, &taker.peer, grant(read()))
            .await
            .unwrap_err();
        assert_eq!(error.reason(), "other_session");
    }
    assert_eq!(taker.held().await.unwrap().digest(), held.digest());
    // Two that were answered before either ended: the first end counts.
    let other = Taker::start(&domain, "reader").await;
    let to = other.peer.clone();
    let mut one = Stranger::connect(&domain, &to).await;
    let mut two = Stranger::connect(&domain, &to).await;
    let (agreed, late) = (one.agree(&domain, &to).await, two.agree(&domain, &to).await);
    let (end, later) = (one.conclusion(agreed), two.conclusion(late));
    assert_eq!(one.say(CONCLUSION, &end).await.0, StatusCode::OK);
    assert_eq!(two.refused(CONCLUSION, &later).await, "other_session");
}

#[tokio::test]
async fn the_one_who_answers_is_the_one_who_was_meant() {
    let domain = Domain::new().unwrap();
    let taker = Taker::start(&domain, "reader").await;
    let planner = planner(&domain);
    let delegating = client(&domain, &planner, Wire::Json);
    let other = Peer {
        spiffe_id: instance("reader").unwrap(),
        ..taker.peer.clone()
    };
    let error = delegating
        .delegate(&planner.2, &other, grant(read()))
        .await
        .unwrap_err();
    assert_eq!(error.reason(), "peer_not_recognised");
    // Of another trust domain of the same name: other authorities.
    let foreign = Domain::new().unwrap();
    let stranger = self::planner(&foreign);
    let delegating = client(&foreign, &stranger, Wire::Json);
    let error = delegating
        .delegate(&stranger.2, &taker.peer, grant(read()))
        .await
        .unwrap_err();
    assert_eq!(error.reason(), "peer_not_recognised");
}

/// Ends TLS on both sides and passes the bytes between on: a server with one SVID, a client with
/// another. Returns where it listens.
async fn between(near: &TlsIdentity, far: &TlsIdentity, to: &Peer) -> std::net::SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(server_config(near).unwrap()));
    let connector = client_config(far, to.spiffe_id.clone()).unwrap();
    let connector = TlsConnector::from(Arc::new(connector));
    let target = to.address;
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let (acceptor, connector) = (acceptor.clone(), connector.clone());
            tokio::spawn(async move {
                let Ok(mut near) = acceptor.accept(stream).await else {
                    return;
                };
                let stream = TcpStream::connect(target).await.unwrap();
                let name = ServerName::IpAddress(target.ip().into());
                let mut far = connector.connect(name, stream).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
            });
        }
    });
    address
}

#[tokio::test]
async fn a_man_in_the_middle_is_refused() {
    let domain = Domain::new().unwrap();
    let taker = Taker::start(&domain, "reader").await;
    let planner = planner(&domain);
    let planner_name = planner.2.tip().grant().subject.clone();
    let mallory_name = instance("mallory").unwrap();
    let mallory = domain.svid(&mallory_name).unwrap();
    // By SVIDs of his own he is Mallory on either side.
    let address = between(&mallory, &mallory, &taker.peer).await;
    let delegating = client(&domain, &planner, Wire::Json);
    let meant = Peer {
        address,
        ..taker.peer.clone()
    };
    let error = delegating.delegate(&planner.2, &meant, grant(read())).await;
    assert_eq!(error.unwrap_err().reason(), "peer_not_recognised");
    // The planner's peer is Mallory indeed, who passes all on to the reader under his own name.
    let as_mallory = Peer {
        address,
        spiffe_id: mallory_name,
    };
    let error = delegating
        .delegate(&planner.2, &as_mallory, grant(read()))
        .await;
    assert_eq!(error.unwrap_err().reason(), "http_holder_mismatch");
    // With stolen TLS keys of both he is whom each expects; every message passes but for the channel.
    let (near, far) = (
        domain.svid(&taker.peer.spiffe_id).unwrap(),
        domain.svid(&planner_name).unwrap(),
    );
    let address = between(&near, &far, &taker.peer).await;
    for wire in [Wire::Json, Wire::A2a] {
        let delegating = client(&domain, &planner, wire);
        let meant = Peer {
            address,
            ..taker.peer.clone()
        };
        let error = delegating.delegate(&planner.2, &meant, grant(read())).await;
        assert_eq!(error.unwrap_err().reason(), "handshake_wrong_channel");
    }
    assert!(taker.held().await.is_none());
}

/// Somebody with a valid SVID, credential and chain who says whatever it likes.
struct Stranger {
    name: SpiffeId,
    key: SigningKey,
    wit: String,
    held: Held,
    sender: SendRequest<Full<Bytes>>,
    channel: Channel,
    audience: String,
}

impl Stranger {
    async fn connect(domain: &Arc<Domain>, to: &Peer) -> Self {
        let name = instance("stranger").unwrap();
        Self::connect_as(
            domain,
            to,
            name,
            SigningKey::generate(Algorithm::Ed25519).unwrap(),
        )
        .await
    }

    async fn connect_as(domain: &Arc<Domain>, to: &Peer, name: SpiffeId, key: SigningKey) -> Self {
        let identity = domain.svid(&name).unwrap();
        let wit = domain.wit(&name, key.public()).unwrap();
        let entries = vec![entry("read").unwrap(), entry("write").unwrap()];
        let held = domain.root(&name, key.public(), entries).unwrap();
        let (sender, channel) = dial(&identity, to).await;
        Self {
            name,
            key,
            wit,
            held,
            sender,
            channel,
            audience: to.spiffe_id.to_string(),
        }
    }

    fn request(&self, path: &str, body: &str, chain: &str) -> Request<Full<Bytes>> {
        let nonce = base64url::encode(random_bytes::<32>().unwrap());
        let fields = [
            ("content-type", "application/json"),
            ("workload-identity-token", self.wit.as_str()),
            ("agent-delegation", chain),
        ];
        let request = chancery_delegation::http_signature::HttpRequest {
            method: "POST",
            target: path,
            fields: &fields,
            body: body.as_bytes(),
        };
        let signature = RequestSignature {
            audience: &self.audience,
            created: now(),
            nonce: &nonce,
        };
        let signed = signature
            .sign(&request, &|base| self.key.sign(base))
            .unwrap();
        let mut request = Request::post(path).header("host", "agent");
        for (name, value) in fields {
            request = request.header(name, value);
        }
        if let Some(digest) = &signed.content_digest {
            request = request.header("content-digest", digest);
        }
        request
            .header("signature-input", &signed.signature_input)
            .header("signature", &signed.signature)
            .body(Full::new(Bytes::from(body.to_owned())))
            .unwrap()
    }

    async fn say(&mut self, path: &str, body: &Value) -> (StatusCode, Value) {
        let chain = self.held.chain().join(",");
        let request = self.request(path, &body.to_string(), &chain);
        self.send(request).await
    }

    async fn send(&mut self, request: Request<Full<Bytes>>) -> (StatusCode, Value) {
        send(&mut self.sender, request).await
    }

    /// Says it and tells the code of the refusal.
    async fn refused(&mut self, path: &str, body: &Value) -> String {
        let (_, answer) = self.say(path, body).await;
        reason(&answer)
    }

    fn own(&self) -> OwnEnd<'_> {
        OwnEnd {
            spiffe_id: &self.name,
            key: self.key.public(),
            wit: &self.wit,
            channel: self.channel.binding(),
        }
    }

    fn offering(&self, to: &Peer, tool: &str) -> Offering {
        let terms = OfferedTerms {
            entries: vec![entry(tool).unwrap()],
            forbid: Vec::new(),
            ask: Vec::new(),
            expires_at: now().plus_seconds(60),
            max_depth: 1,
        };
        let nonce = Nonce::from_random(random_bytes().unwrap());
        let tip = self.held.tip().clone();
        Offering::start(&self.own(), &to.spiffe_id, tip, terms, nonce, now()).unwrap()
    }

    /// As far as an honest peer comes before the end.
    async fn agree(&mut self, domain: &Domain, to: &Peer) -> Agreed {
        let offering = self.offering(to, "read");
        let offer = offering.offer().to_json();
        let (status, answer) = self.say(HandshakeRoute::Offer.path(), &offer).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        let accept = Accept::parse(answer).unwrap();
        let wits = [wits(domain)];
        let context = PeerContext {
            now: now(),
            peer: &to.spiffe_id,
            wits: &wits,
            verifier: &AwsLc,
        };
        offering.accepted(&accept, &context).unwrap()
    }

    fn conclusion(&self, agreed: Agreed) -> Value {
        let sign = |message: &[u8]| self.key.sign(message);
        let made = agreed.conclude(self.held.chain(), "del_x".into(), now(), &AwsLc, &sign);
        json!({
            "conclusion": made.unwrap().conclusion.to_json(),
            "consent": self.held.consent(),
            "mission": base64url::encode(self.held.mission().as_bytes()),
            "principal": self.held.principal(),
        })
    }
}

async fn dial(identity: &TlsIdentity, to: &Peer) -> (SendRequest<Full<Bytes>>, Channel) {
    let config = client_config(identity, to.spiffe_id.clone()).unwrap();
    let stream = TcpStream::connect(to.address).await.unwrap();
    let name = ServerName::IpAddress(to.address.ip().into());
    let stream = TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
        .unwrap();
    let channel = Channel::of(stream.get_ref().1, identity).unwrap();
    let (sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    (sender, channel)
}

async fn send(
    sender: &mut SendRequest<Full<Bytes>>,
    request: Request<Full<Bytes>>,
) -> (StatusCode, Value) {
    sender.ready().await.unwrap();
    let response = sender.send_request(request).await.unwrap();
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
}

fn reason(answer: &Value) -> String {
    let reason = answer
        .get("reason")
        .or(answer.pointer("/error/data/reason"));
    let reason = reason.and_then(Value::as_str);
    reason
        .unwrap_or_else(|| panic!("taken: {answer}"))
        .to_owned()
}

fn wits(domain: &Domain) -> WitBundle {
    let document = domain.document();
    let keys = document.token_authorities.iter().copied();
    WitBundle::new(document.trust_domain.parse().unwrap(), keys)
}

const OFFER: &str = "/v1/handshake/offer";
const CONCLUSION: &str = "/v1/handshake/conclusion";

#[tokio::test]
async fn every_endpoint_is_closed_to_strangers() {
    let domain = Domain::new().unwrap();
    let taker = Taker::start(&domain, "reader").await;
    // Without an SVID nobody is heard, whatever the endpoint.
    let mut plain = TcpStream::connect(taker.peer.address).await.unwrap();
    plain
        .write_all(b"GET /.well-known/agent-card.json HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    let mut heard = Vec::new();
    let _ = plain.read_to_end(&mut heard).await;
    assert!(!heard.starts_with(b"HTTP"));
    let name = instance("stranger").unwrap();
    let (mut sender, _) = dial(&domain.svid(&name).unwrap(), &taker.peer).await;
    for (method, path, route) in HANDSHAKE_ROUTES {
        let request = |method: &Method| {
            Request::builder()
                .method(method)
                .uri(*path)
                .header("host", "a")
                .body(Full::new(Bytes::new()))
                .unwrap()
        };
        let (status, answer) = send(&mut sender, request(method)).await;
        if *route == HandshakeRoute::Card {
            assert_eq!(status, StatusCode::OK);
            let extensions = &answer["capabilities"]["extensions"];
            assert_eq!(extensions[0]["uri"], A2A_EXTENSION);
            assert_eq!(extensions[0]["params"]["offer"], OFFER);
        } else {
            assert_eq!(status, StatusCode::FORBIDDEN);
            assert_eq!(reason(&answer), "http_signature_missing", "{path}");
        }
        let (status, _) = send(&mut sender, request(&Method::DELETE)).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
    }
    // Signed, but meant for somebody else; and heard before.
    let mut stranger = Stranger::connect(&domain, &taker.peer).await;
    let offer = stranger.offering(&taker.peer, "read").offer().to_json();
    for path in [OFFER, CONCLUSION, "/a2a"] {
        stranger.audience = gateway().unwrap().spiffe_id.to_string();
        assert_eq!(stranger.refused(path, &offer).await, "http_wrong_audience");
        stranger.audience = taker.peer.spiffe_id.to_string();
        let chain = stranger.held.chain().join(",");
        let first = stranger.request(path, &offer.to_string(), &chain);
        let (head, body) = first.into_parts();
        let again = Request::from_parts(head.clone(), body.clone());
        stranger.send(Request::from_parts(head, body)).await;
        let (_, answer) = stranger.send(again).await;
        assert_eq!(reason(&answer), "http_replay", "{path}");
    }
}

#[tokio::test]
async fn what_a_cheating_peer_says_is_refused() {
    let domain = Domain::new().unwrap();
    let taker = Taker::start(&domain, "reader").await;
    let to = taker.peer.clone();
    let mut peer = Stranger::connect(&domain, &to).await;
    let offer = peer.offering(&to, "read").offer().to_json();
    for (change, expected) in [
        (
            json!({"aud": "spiffe://example.org/agent/x"}),
            "handshake_wrong_audience",
        ),
        (
            json!({"protocol": "chancery/handshake/v0"}),
            "handshake_protocol",
        ),
        (
            json!({"par_hash": Digest::of("x").to_base64url()}),
            "handshake_wrong_chain",
        ),
        (json!({"iat": 1}), "handshake_stale_time"),
        (json!({"exp": 1}), "handshake_bad_offer"),
        (json!({"wit": "a.b.c"}), "handshake_credential_refused"),
        (json!({"score": 1000}), "handshake_malformed"),
        (json!({"nonce": "AA"}), "handshake_malformed"),
        (json!({"authorization_details": "*"}), "handshake_malformed"),
    ] {
        let mut changed = offer.clone();
        for (name, value) in change.as_object().unwrap() {
            changed[name] = value.clone();
        }
        assert_eq!(peer.refused(OFFER, &changed).await, expected);
        let carried = to_a2a_request("m", changed);
        assert_eq!(peer.refused("/a2a", &carried).await, expected);
    }
    // The credential of a key that did not sign the request, and of another instance.
    let other = SigningKey::generate(Algorithm::Ed25519).unwrap();
    let mut changed = offer.clone();
    changed["wit"] = domain.wit(&peer.name, other.public()).unwrap().into();
    assert_eq!(peer.refused(OFFER, &changed).await, "handshake_wrong_key");
    let elsewhere = instance("planner").unwrap();
    changed["wit"] = domain.wit(&elsewhere, peer.key.public()).unwrap().into();
    assert_eq!(peer.refused(OFFER, &changed).await, "handshake_wrong_peer");
    // An end where an offer is due, the other way round, and an end of nothing.
    let nothing = json!({
        "conclusion": {"protocol": "chancery/handshake/v1", "message": "conclusion",
            "nonce": base64url::encode([0_u8; 32]), "proof": "a.b.c", "chain": ["a.b.c"]},
        "consent": peer.held.consent(), "mission": "AA", "principal": peer.held.principal(),
    });
    assert_eq!(peer.refused(OFFER, &nothing).await, "handshake_malformed");
    assert_eq!(
        peer.refused(CONCLUSION, &offer).await,
        "handshake_malformed"
    );
    assert_eq!(
        peer.refused(CONCLUSION, &nothing).await,
        "handshake_unknown_nonce"
    );
    // Nobody offers out of a chain that it has not shown, or by a reference that nobody knows.
    let mut fresh = Stranger::connect(&domain, &to).await;
    let reference = fresh.held.digest().to_string();
    let offer = fresh.offering(&to, "read").offer().to_json();
    let request = fresh.request(OFFER, &offer.to_string(), &reference);
    let (_, answer) = fresh.send(request).await;
    assert_eq!(reason(&answer), "delegation_reference_unknown");
    let theirs = peer.held.chain().join(",");
    let request = fresh.request(OFFER, &offer.to_string(), &theirs);
    let (_, answer) = fresh.send(request).await;
    assert_eq!(reason(&answer), "http_holder_mismatch");
    let (_, answer) = {
        let body = "x".repeat(300_000);
        let request = fresh.request(OFFER, &body, &reference);
        fresh.send(request).await
    };
    assert_eq!(reason(&answer), "too_large");
    assert!(taker.held().await.is_none());
}

#[tokio::test]
async fn a_handshake_ends_once_and_as_it_was_agreed() {
    let domain = Domain::new().unwrap();
    let taker = Taker::start(&domain, "reader").await;
    let to = taker.peer.clone();
    let mut peer = Stranger::connect(&domain, &to).await;
    // The consent, the mission or the proof of something else.
    type Change = fn(&mut Value);
    let changes: [(Change, &str); 5] = [
        (
            |end| end["consent"]["signature"] = "AAAA".into(),
            "consent_invalid",
        ),
        (|end| end["mission"] = "AAAA".into(), "bad_link"),
        (
            |end| end["conclusion"]["proof"] = "a.b.c".into(),
            "handshake_malformed",
        ),
        (
            |end| drop(end["conclusion"]["chain"].as_array_mut().unwrap().pop()),
            "handshake_wrong_chain",
        ),
        (|end| end["more"] = 1.into(), "handshake_malformed"),
    ];
    for (change, expected) in changes {
        let agreed = peer.agree(&domain, &to).await;
        let mut end = peer.conclusion(agreed);
        change(&mut end);
        assert_eq!(peer.refused(CONCLUSION, &end).await, expected);
        assert!(taker.held().await.is_none(), "{expected}");
    }
    // Another peer cannot end it, nor use it up; the peer itself not on another channel.
    let agreed = peer.agree(&domain, &to).await;
    let end = peer.conclusion(agreed);
    let mut other = Stranger::connect(&domain, &to).await;
    assert_eq!(
        other.refused(CONCLUSION, &end).await,
        "handshake_unknown_nonce"
    );
    let (status, answer) = peer.say(CONCLUSION, &end).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    assert!(taker.held().await.is_some());
    assert_eq!(peer.refused(CONCLUSION, &end).await, "handshake_replay");
    let agreed = peer.agree(&domain, &to).await;
    let end = peer.conclusion(agreed);
    let key = SigningKey::from_pkcs8(
        Algorithm::Ed25519,
        chancery_types::Secret::new(peer.key.pkcs8().expose().to_vec()),
    );
    let mut again = Stranger::connect_as(&domain, &to, peer.name.clone(), key.unwrap()).await;
    assert_eq!(
        again.refused(CONCLUSION, &end).await,
        "handshake_wrong_channel"
    );
    // An offer is heard once.
    let offer = peer.offering(&to, "read").offer().to_json();
    assert_eq!(peer.say(OFFER, &offer).await.0, StatusCode::OK);
    assert_eq!(peer.refused(OFFER, &offer).await, "handshake_replay");
}

#[tokio::test]
async fn a_peer_that_floods_locks_nobody_else_out() {
    let domain = Domain::new().unwrap();
    let taker = Taker::start(&domain, "reader").await;
    let to = taker.peer.clone();
    let mut flood = Stranger::connect(&domain, &to).await;
    let mut opened = 0;
    let refusal = loop {
        let offer = flood.offering(&to, "read").offer().to_json();
        let (status, answer) = flood.say(OFFER, &offer).await;
        if status != StatusCode::OK {
            assert_eq!(status, StatusCode::TOO_MANY_REQUESTS);
            break reason(&answer);
        }
        opened += 1;
        assert!(opened < 100);
    };
    assert_eq!((opened, refusal.as_str()), (32, "handshake_too_many"));
    // On further connections it stays the same peer, and gets no more of them than eight.
    let identity = domain.svid(&flood.name).unwrap();
    let mut held = Vec::new();
    for _ in 0..12 {
        let config = client_config(&identity, to.spiffe_id.clone()).unwrap();
        let stream = TcpStream::connect(to.address).await.unwrap();
        let name = ServerName::IpAddress(to.address.ip().into());
        let connector = TlsConnector::from(Arc::new(config));
        held.push(connector.connect(name, stream).await);
    }
    let mut alive = 0;
    for stream in held.into_iter().flatten() {
        let (mut sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let request = Request::get("/.well-known/agent-card.json")
            .header("host", "a")
            .body(Full::new(Bytes::new()))
            .unwrap();
        alive += usize::from(sender.send_request(request).await.is_ok());
        std::mem::forget(sender);
    }
    assert_eq!(alive, 7);
    let planner = planner(&domain);
    let delegating = client(&domain, &planner, Wire::Json);
    let delegated = delegating.delegate(&planner.2, &to, grant(read()));
    delegated.await.unwrap();
    assert!(taker.held().await.is_some());
}

#[tokio::test]
async fn a_card_of_the_kind_that_clients_read_names_the_extension() {
    let card = card().to_json(&["https://example.org/authority"]);
    for name in [
        "protocolVersion",
        "name",
        "description",
        "url",
        "version",
        "capabilities",
        "defaultInputModes",
        "defaultOutputModes",
        "skills",
    ] {
        assert!(card.get(name).is_some(), "{name}");
    }
    let extension = &card["capabilities"]["extensions"][0];
    assert_eq!(extension["uri"], A2A_EXTENSION);
    assert_eq!(extension["required"], false);
    assert_eq!(
        extension["params"]["authorities"][0],
        "https://example.org/authority"
    );
}

#[tokio::test]
async fn messages_travel_inside_of_a2a_messages() {
    let domain = Domain::new().unwrap();
    let taker = Taker::start(&domain, "reader").await;
    let to = taker.peer.clone();
    let mut peer = Stranger::connect(&domain, &to).await;
    let offering = peer.offering(&to, "read");
    let request = to_a2a_request("m-1", offering.offer().to_json());
    assert_eq!(request["method"], "message/send");
    let (status, answer) = peer.say("/a2a", &request).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(answer["result"]["role"], "agent");
    assert_eq!(answer["result"]["parts"][0]["kind"], "data");
    let accept = from_a2a_answer(answer.to_string().as_bytes(), "m-1").unwrap();
    let wits = [wits(&domain)];
    let context = PeerContext {
        now: now(),
        peer: &to.spiffe_id,
        wits: &wits,
        verifier: &AwsLc,
    };
    let accept = Accept::parse(accept).unwrap();
    let agreed = offering.accepted(&accept, &context).unwrap();
    let end = to_a2a_request("m-2", peer.conclusion(agreed));
    let (_, answer) = peer.say("/a2a", &end).await;
    let taken = from_a2a_answer(answer.to_string().as_bytes(), "m-2").unwrap();
    let held = taker.held().await.unwrap();
    assert_eq!(taken["taken"], held.digest().to_base64url());
    // What is no message of ours is answered as JSON-RPC answers.
    let mut other = to_a2a_request("m-3", json!({}));
    other["method"] = "tasks/get".into();
    let (_, answer) = peer.say("/a2a", &other).await;
    assert_eq!(answer["error"]["code"], -32601);
    let (_, answer) = peer.say("/a2a", &json!([])).await;
    assert_eq!(answer["error"]["code"], -32600);
}

/// Whoever reads the chain that was taken elsewhere comes to the same.
#[tokio::test]
async fn what_was_taken_verifies_from_the_trust_document_alone() {
    let domain = Domain::new().unwrap();
    let taker = Taker::start(&domain, "reader").await;
    let planner = planner(&domain);
    let delegating = client(&domain, &planner, Wire::Json);
    delegating
        .delegate(&planner.2, &taker.peer, grant(read()))
        .await
        .unwrap();
    let held = taker.held().await.unwrap();
    let links: Vec<_> = held.chain().iter().map(String::as_str).collect();
    let anchors = domain.document().delegation_authorities.iter();
    let anchors: Vec<_> = anchors
        .map(|known| TrustAnchor {
            issuer: known.issuer.clone(),
            key: known.key,
        })
        .collect();
    let audience = gateway().unwrap().spiffe_id;
    let context = ChainContext {
        now: now(),
        audience: audience.as_str(),
        anchors: &anchors,
        epoch: 1,
        revoked: chancery_delegation::RevocationSet::none(),
        verifier: &AwsLc,
    };
    let chain = chancery_delegation::verify_chain(&links, &context).unwrap();
    assert_eq!(chain.leaf_subject(), &taker.peer.spiffe_id);
}
