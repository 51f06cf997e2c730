//! Somebody with a valid SVID, credential and chain who says whatever it likes.

use std::sync::Arc;

use bytes::Bytes;
use chancery_agent::Held;
use chancery_agent::handshake::{Channel, HandshakeRoute, Peer};
use chancery_api::tls::{TlsIdentity, client_config};
use chancery_crypto::{AwsLc, SigningKey, random_bytes};
use chancery_delegation::handshake::{
    Accept, Agreed, Nonce, OfferedTerms, Offering, OwnEnd, PeerContext,
};
use chancery_delegation::http_signature::RequestSignature;
use chancery_identity::{SpiffeId, WitBundle};
use chancery_types::{Algorithm, base64url};
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::domain::{Domain, entry, instance, now};

/// Somebody with a valid SVID, credential and chain who says whatever it likes.
pub(super) struct Stranger {
    pub(super) name: SpiffeId,
    pub(super) key: SigningKey,
    pub(super) wit: String,
    pub(super) held: Held,
    pub(super) sender: SendRequest<Full<Bytes>>,
    pub(super) channel: Channel,
    pub(super) audience: String,
}

impl Stranger {
    pub(super) async fn connect(domain: &Arc<Domain>, to: &Peer) -> Self {
        let name = instance("stranger").unwrap();
        Self::connect_as(
            domain,
            to,
            name,
            SigningKey::generate(Algorithm::Ed25519).unwrap(),
        )
        .await
    }

    pub(super) async fn connect_as(
        domain: &Arc<Domain>,
        to: &Peer,
        name: SpiffeId,
        key: SigningKey,
    ) -> Self {
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

    pub(super) fn request(&self, path: &str, body: &str, chain: &str) -> Request<Full<Bytes>> {
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

    pub(super) async fn say(&mut self, path: &str, body: &Value) -> (StatusCode, Value) {
        let chain = self.held.chain().join(",");
        let request = self.request(path, &body.to_string(), &chain);
        self.send(request).await
    }

    pub(super) async fn send(&mut self, request: Request<Full<Bytes>>) -> (StatusCode, Value) {
        send(&mut self.sender, request).await
    }

    /// Says it and tells the code of the refusal.
    pub(super) async fn refused(&mut self, path: &str, body: &Value) -> String {
        let (_, answer) = self.say(path, body).await;
        reason(&answer)
    }

    pub(super) fn own(&self) -> OwnEnd<'_> {
        OwnEnd {
            spiffe_id: &self.name,
            key: self.key.public(),
            wit: &self.wit,
            channel: self.channel.binding(),
        }
    }

    pub(super) fn offering(&self, to: &Peer, tool: &str) -> Offering {
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
    pub(super) async fn agree(&mut self, domain: &Domain, to: &Peer) -> Agreed {
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

    pub(super) fn conclusion(&self, agreed: Agreed) -> Value {
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

pub(super) async fn dial(identity: &TlsIdentity, to: &Peer) -> (SendRequest<Full<Bytes>>, Channel) {
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

pub(super) async fn send(
    sender: &mut SendRequest<Full<Bytes>>,
    request: Request<Full<Bytes>>,
) -> (StatusCode, Value) {
    sender.ready().await.unwrap();
    let response = sender.send_request(request).await.unwrap();
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
}

pub(super) fn reason(answer: &Value) -> String {
    let reason = answer
        .get("reason")
        .or(answer.pointer("/error/data/reason"));
    let reason = reason.and_then(Value::as_str);
    reason
        .unwrap_or_else(|| panic!("taken: {answer}"))
        .to_owned()
}

pub(super) fn wits(domain: &Domain) -> WitBundle {
    let document = domain.document();
    let keys = document.token_authorities.iter().copied();
    WitBundle::new(document.trust_domain.parse().unwrap(), keys)
}

pub(super) const OFFER: &str = "/v1/handshake/offer";

pub(super) const CONCLUSION: &str = "/v1/handshake/conclusion";
