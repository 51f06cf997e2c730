use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chancery_api::Problem;
use chancery_api::tls::client_config;
use chancery_crypto::random_bytes;
use chancery_delegation::http_signature::{CREDENTIAL_FIELD, DELEGATION_FIELD, DelegationField};
use chancery_types::base64url;
use http::header::{CONTENT_TYPE, HOST};
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::channel::Channel;
use super::client::Peer;
use super::error::HandshakeError;
use super::wire::MESSAGE_BYTES;
use crate::clock::now;
use crate::key::{AgentKey, AgentKeyError};
use crate::svid::OwnSvid;

const CONNECT: Duration = Duration::from_secs(10);
const ANSWER: Duration = Duration::from_secs(20);

/// One connection to a peer, on which every request is signed.
pub(super) struct Exchange<'a> {
    peer: &'a Peer,
    key: &'a AgentKey,
    wit: &'a str,
    sender: SendRequest<Full<Bytes>>,
    /// The channel of the connection.
    pub(super) channel: Channel,
    /// Whether the peer knows the chain on this connection.
    presented: bool,
}

impl<'a> Exchange<'a> {
    /// Connects, and speaks to nobody but that peer.
    pub(super) async fn open(
        peer: &'a Peer,
        svid: &OwnSvid,
        key: &'a AgentKey,
        wit: &'a str,
    ) -> Result<Self, HandshakeError> {
        let address = peer.address;
        let config = client_config(svid.identity(), peer.spiffe_id.clone())?;
        let broken = HandshakeError::Broken { address };
        let stream = match timeout(CONNECT, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(source)) => return Err(HandshakeError::Unreachable { address, source }),
            Err(_) => return Err(broken),
        };
        let name = ServerName::IpAddress(address.ip().into());
        let connecting = TlsConnector::from(Arc::new(config)).connect(name, stream);
        let stream = match timeout(CONNECT, connecting).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(source)) => return Err(HandshakeError::Tls { address, source }),
            Err(_) => return Err(broken),
        };
        let channel = Channel::of(stream.get_ref().1, svid.identity())?;
        let (sender, connection) = match handshake(TokioIo::new(stream)).await {
            Ok(opened) => opened,
            Err(_) => return Err(broken),
        };
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "the connection to a peer ended");
            }
        });
        Ok(Self {
            peer,
            key,
            wit,
            sender,
            channel,
            presented: false,
        })
    }

    /// Sends one signed message with the chain that it presents: in full until the peer knows it,
    /// by reference from then on, and in full again where the peer does not know the reference.
    pub(super) async fn say(
        &mut self,
        path: &str,
        message: &Value,
        chain: &[String],
    ) -> Result<Vec<u8>, HandshakeError> {
        let full = DelegationField::Chain(chain.to_vec());
        let reference = DelegationField::Reference(full.digest());
        let field = if self.presented { &reference } else { &full };
        let answer = match self.send(path, message, field).await {
            Err(HandshakeError::Peer(problem))
                if self.presented && problem.reason == "delegation_reference_unknown" =>
            {
                self.send(path, message, &full).await?
            }
            other => other?,
        };
        self.presented = true;
        Ok(answer)
    }

    async fn send(
        &mut self,
        path: &str,
        message: &Value,
        delegation: &DelegationField,
    ) -> Result<Vec<u8>, HandshakeError> {
        let address = self.peer.address;
        let request = self.request(path, message, delegation)?;
        let broken = |_| HandshakeError::Broken { address };
        let answering = async {
            // The connection may still be finishing the answer before.
            self.sender.ready().await.map_err(broken)?;
            let response = self.sender.send_request(request).await.map_err(broken)?;
            let status = response.status();
            let body = Limited::new(response.into_body(), MESSAGE_BYTES);
            let body = body
                .collect()
                .await
                .map_err(|_| HandshakeError::Broken { address })?;
            Ok::<_, HandshakeError>((status, body.to_bytes()))
        };
        let (status, body) = match timeout(ANSWER, answering).await {
            Ok(answered) => answered?,
            Err(_) => return Err(HandshakeError::Broken { address }),
        };
        if status == StatusCode::OK {
            return Ok(body.to_vec());
        }
        match serde_json::from_slice::<Problem>(&body) {
            Ok(problem) => Err(HandshakeError::Peer(problem)),
            Err(_) => Err(HandshakeError::Answer),
        }
    }

    fn request(
        &self,
        path: &str,
        message: &Value,
        delegation: &DelegationField,
    ) -> Result<Request<Full<Bytes>>, HandshakeError> {
        let body = message.to_string();
        let delegation = delegation.to_string();
        let nonce = random_bytes::<32>().map_err(AgentKeyError::from)?;
        let mut fields = vec![
            ("content-type", "application/json"),
            (CREDENTIAL_FIELD, self.wit),
            (DELEGATION_FIELD, &delegation),
        ];
        let signed = self.key.sign_request(
            path,
            &fields,
            body.as_bytes(),
            self.peer.spiffe_id.as_str(),
            &base64url::encode(nonce),
            now(),
        )?;
        fields.retain(|(name, _)| *name != "content-type");
        let digest = signed.content_digest.as_deref();
        fields.extend(digest.map(|value| ("content-digest", value)));
        fields.push(("signature-input", &signed.signature_input));
        fields.push(("signature", &signed.signature));
        let mut request = Request::post(path)
            .header(HOST, self.peer.address.to_string())
            .header(CONTENT_TYPE, "application/json");
        for (name, value) in fields {
            request = request.header(name, value);
        }
        Ok(request.body(Full::new(Bytes::from(body)))?)
    }
}
