use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use chancery_api::Problem;
use chancery_crypto::{AwsLc, random_bytes};
use chancery_delegation::handshake::{
    Accepting, HandshakeRefusal, Nonce, OpenHandshakes, OwnEnd, PeerContext,
};
use chancery_delegation::http_signature::{
    HttpContext, HttpRequest, PresentedRequest, verify_presentation,
};
use chancery_delegation::{BoundedReplayMemory, VerifiedChain};
use chancery_types::{Digest, Timestamp, base64url};
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::Full;
use serde_json::Value;

use super::a2a;
use super::card::AgentCard;
use super::channel::Channel;
use super::error::HandshakeError;
use super::routes::HandshakeRoute;
use super::trust::{Believed, PeerTrust};
use super::wire::{Answered, Concluding, Said, read};
use crate::clock::now;
use crate::held::Held;
use crate::identity::Credential;
use crate::key::AgentKeyError;
use crate::session::{Instance, SessionError};

/// Handshakes of one peer within two minutes, and how many peers are remembered.
const HANDSHAKES_PER_PEER: usize = 32;
const PEERS: usize = 1_024;

/// Signed requests of one peer within a minute.
const REQUESTS_PER_PEER: usize = 128;

/// Chains that one channel remembers for references.
const CHAINS_PER_CHANNEL: usize = 4;

/// Whether an offer is one that this agent takes, out of that chain of the peer's. It is asked before
/// the answer is signed.
pub type AdmitOffer = Arc<dyn Fn(&Accepting, &VerifiedChain) -> bool + Send + Sync>;

/// Takes authority from other agents, for one instance. What is taken is held by the instance, which
/// joins its session with it at the next call.
///
/// Everything that a peer can make this remember is bounded for each peer.
pub struct HandshakeService {
    instance: Arc<Instance>,
    trust: PeerTrust,
    card: AgentCard,
    admit: AdmitOffer,
    open: Mutex<OpenHandshakes>,
    replay: Mutex<BoundedReplayMemory>,
    started_at: Timestamp,
}

/// What is remembered for one channel: the chains that its peer presented in full.
#[derive(Debug, Default)]
pub struct ChannelMemory(Mutex<BTreeMap<Digest, Vec<String>>>);

/// A request whose peer proved its key, and what it presented.
struct Signed {
    credential: Credential,
    presented: PresentedRequest,
    body: Value,
}

impl HandshakeService {
    /// A service for that instance. Proofs that were made before now are refused.
    pub fn new(
        instance: Arc<Instance>,
        trust: PeerTrust,
        card: AgentCard,
        admit: AdmitOffer,
    ) -> Self {
        Self {
            instance,
            trust,
            card,
            admit,
            open: Mutex::new(OpenHandshakes::new(HANDSHAKES_PER_PEER, PEERS)),
            replay: Mutex::new(BoundedReplayMemory::new(REQUESTS_PER_PEER, PEERS)),
            // Signatures have whole seconds: those of the very second are refused too.
            started_at: now(),
        }
    }

    /// Answers one request of that channel. `memory` lives as long as the channel.
    pub async fn answer(
        &self,
        channel: &Channel,
        memory: &ChannelMemory,
        request: Request<Bytes>,
    ) -> Response<Full<Bytes>> {
        let (head, body) = request.into_parts();
        let Some(route) = HandshakeRoute::find(&head.method, head.uri.path()) else {
            return refuse(&Problem::not_found(
                "no_such_endpoint",
                "there is no such endpoint",
            ));
        };
        if !channel.is_valid_at(now()) {
            return refuse(&Problem::forbidden(
                "certificate_expired",
                "the peer's certificate has expired; connect anew",
            ));
        }
        if route == HandshakeRoute::Card {
            let believed = self.trust.believed();
            let authorities = believed.anchors.iter().map(|known| known.issuer.as_str());
            let authorities: Vec<_> = authorities.collect();
            return json(StatusCode::OK, &self.card.to_json(&authorities));
        }
        let signed = match self.verify(channel, memory, &head, &body).await {
            Ok(signed) => signed,
            Err(error) => return refuse(&problem(&error)),
        };
        if route == HandshakeRoute::A2a {
            return self.answer_a2a(channel, signed);
        }
        let said = Said::parse(signed.body.clone());
        let is_due = matches!(
            (&said, route),
            (Ok(Said::Offer(_)), HandshakeRoute::Offer)
                | (Ok(Said::Conclusion(_)), HandshakeRoute::Conclusion)
                | (Err(_), _)
        );
        let said = if is_due {
            said
        } else {
            Err(HandshakeRefusal::Malformed)
        };
        let answered = said
            .map_err(HandshakeError::from)
            .and_then(|said| self.hear(channel, &signed, said));
        match answered {
            Ok(answered) => json(StatusCode::OK, &answered.to_json()),
            Err(error) => refuse(&problem(&error)),
        }
    }

    fn answer_a2a(&self, channel: &Channel, mut signed: Signed) -> Response<Full<Bytes>> {
        let (id, message) = match a2a::from_request(signed.body.take()) {
            Ok(opened) => opened,
            Err((id, error)) => {
                let refusal = a2a::refusal(&id, error.reason(), &error.to_string());
                return json(StatusCode::OK, &refusal);
            }
        };
        let answered = Said::parse(message)
            .map_err(HandshakeError::from)
            .and_then(|said| self.hear(channel, &signed, said));
        let answered = answered.and_then(|answered| {
            let bytes = random_bytes::<16>().map_err(AgentKeyError::from)?;
            Ok((answered, base64url::encode(bytes)))
        });
        let value = match answered {
            Ok((answered, message_id)) => a2a::answer(&id, &message_id, answered.to_json()),
            Err(error) => {
                let problem = problem(&error);
                a2a::refusal(&id, &problem.reason, &problem.message)
            }
        };
        json(StatusCode::OK, &value)
    }

    /// Verifies who asks: the request's signature by the credential's key, of the channel's peer,
    /// for this agent, once; and the chain that it presents.
    async fn verify(
        &self,
        channel: &Channel,
        memory: &ChannelMemory,
        head: &http::request::Parts,
        body: &Bytes,
    ) -> Result<Signed, HandshakeError> {
        let credential = self.instance.credential().await?;
        let fields = head.headers.iter().map(|(name, value)| {
            let value = value.to_str().map_err(|_| HandshakeRefusal::Malformed)?;
            Ok((name.as_str(), value))
        });
        let fields: Vec<_> = fields.collect::<Result<_, HandshakeRefusal>>()?;
        let target = head
            .uri
            .path_and_query()
            .map(http::uri::PathAndQuery::as_str);
        let request = HttpRequest {
            method: head.method.as_str(),
            target: target.unwrap_or_default(),
            fields: &fields,
            body,
        };
        let believed = self.trust.believed();
        let presented = self.verify_request(channel, memory, &request, &credential, &believed)?;
        memory.remember(&presented);
        Ok(Signed {
            credential,
            presented,
            body: read(body)?,
        })
    }

    fn verify_request(
        &self,
        channel: &Channel,
        memory: &ChannelMemory,
        request: &HttpRequest<'_>,
        credential: &Credential,
        believed: &Believed,
    ) -> Result<PresentedRequest, HandshakeError> {
        let now = now();
        let presented = believed.chains(credential.gateway.spiffe_id.as_str(), now, |chains| {
            let context = HttpContext {
                now,
                audience: credential.spiffe_id.as_str(),
                started_at: self.started_at,
                peer: channel.peer(),
                wits: &believed.wits,
                chains,
                referenced: &|digest| memory.find(digest),
                verifier: &AwsLc,
            };
            verify_presentation(request, &context, &mut *lock(&self.replay))
        });
        Ok(presented?)
    }

    /// Takes one step of a handshake.
    fn hear(
        &self,
        channel: &Channel,
        signed: &Signed,
        said: Said,
    ) -> Result<Answered, HandshakeError> {
        let believed = self.trust.believed();
        let context = PeerContext {
            now: now(),
            peer: channel.peer(),
            wits: &believed.wits,
            verifier: &AwsLc,
        };
        match said {
            Said::Offer(offer) => {
                let bytes = random_bytes::<32>().map_err(AgentKeyError::from)?;
                let own = OwnEnd {
                    spiffe_id: &signed.credential.spiffe_id,
                    key: self.instance.key().public(),
                    wit: &signed.credential.wit,
                    channel: channel.binding(),
                };
                let nonce = Nonce::from_random(bytes);
                let accepting = Accepting::hear(&own, *offer, nonce, &context)?;
                self.accept(signed, accepting, &context)
            }
            Said::Conclusion(concluding) => {
                self.conclude(channel, signed, *concluding, &context, &believed)
            }
        }
    }

    fn accept(
        &self,
        signed: &Signed,
        accepting: Accepting,
        context: &PeerContext<'_>,
    ) -> Result<Answered, HandshakeError> {
        let presented = &signed.presented;
        if accepting.peer().agent_key() != presented.credential().agent_key() {
            return Err(HandshakeRefusal::WrongKey.into());
        }
        // Nobody offers out of a chain that it has not shown.
        let chain = presented
            .delegation()
            .filter(|chain| chain.leaf().hash() == accepting.offer().parent)
            .ok_or(HandshakeRefusal::WrongChain)?;
        if !self.instance.takes(chain.sid()) {
            return Err(SessionError::OtherSession.into());
        }
        if !(self.admit)(&accepting, chain) {
            return Err(HandshakeError::NotAdmitted);
        }
        let accept = self.instance.key().accept_offer(&accepting, context.now)?;
        lock(&self.open).open(context.peer, accepting, context.now)?;
        Ok(Answered::Accept(Box::new(accept)))
    }

    fn conclude(
        &self,
        channel: &Channel,
        signed: &Signed,
        concluding: Concluding,
        context: &PeerContext<'_>,
        believed: &Believed,
    ) -> Result<Answered, HandshakeError> {
        let Concluding {
            conclusion,
            consent,
            mission,
            principal,
        } = concluding;
        let accepting = lock(&self.open).take(context.peer, &conclusion.nonce, context.now)?;
        let gateway = signed.credential.gateway.spiffe_id.as_str();
        let taken = believed.chains(gateway, context.now, |chains| {
            accepting.conclude(&conclusion, channel.binding(), context, chains)
        })?;
        if !believed.is_consented(taken.chain(), &consent) {
            return Err(HandshakeError::Consent);
        }
        let held = Held::new(taken.links().to_vec(), consent, mission, principal)?;
        self.instance.take(held)?;
        tracing::info!(from = %context.peer, chain = %taken.digest(), "authority was taken");
        Ok(Answered::Taken(taken.digest()))
    }
}

impl fmt::Debug for HandshakeService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HandshakeService")
            .field("instance", &self.instance)
            .field("trust", &self.trust)
            .finish_non_exhaustive()
    }
}

impl ChannelMemory {
    fn remember(&self, presented: &PresentedRequest) {
        let Some(chain) = presented.delegation() else {
            return;
        };
        let mut known = lock(&self.0);
        if known.len() < CHAINS_PER_CHANNEL {
            let links = chain.links().map(|link| link.token().to_owned()).collect();
            known.insert(chain.digest(), links);
        }
    }

    fn find(&self, digest: &Digest) -> Option<Vec<String>> {
        lock(&self.0).get(digest).cloned()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the peer is told. What failed inside of this agent stays inside.
fn problem(error: &HandshakeError) -> Problem {
    let reason = error.reason();
    match error {
        HandshakeError::Node(_) | HandshakeError::Key(_) => Problem::internal(reason, error),
        HandshakeError::Refused(HandshakeRefusal::TooMany) => {
            Problem::new(StatusCode::TOO_MANY_REQUESTS, reason, error.to_string())
        }
        HandshakeError::Refused(HandshakeRefusal::Malformed | HandshakeRefusal::Protocol) => {
            Problem::bad_request(reason, error.to_string())
        }
        _ => Problem::forbidden(reason, error.to_string()),
    }
}

pub(super) fn refuse(problem: &Problem) -> Response<Full<Bytes>> {
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::FORBIDDEN);
    json(status, &serde_json::to_value(problem).unwrap_or_default())
}

fn json(status: StatusCode, value: &Value) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(value.to_string())));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}
