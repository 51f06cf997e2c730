use chancery_crypto::{AwsLc, random_bytes, random_id};
use chancery_delegation::{Entry, LinkDraft, Terms};
use chancery_identity::{AgentId, InstanceSpiffeId, SpiffeId, VerifiedWit, WitBundle, verify_wit};
use chancery_types::id::DelegationKind;
use chancery_types::jws::Compact;
use chancery_types::{Digest, Jwk, Timestamp, base64url};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};

use super::HandoverError;
use super::conversation::Conversation;
use super::wire::{ACCEPT_TYP, Accept, Acceptance, FromChild, FromParent, Link, Offer, Refused};
use crate::clock::now;
use crate::held::Held;
use crate::key::{AgentKey, AgentKeyError};

/// Most bytes of what a child says at once: a token and a little.
const MOST_BYTES: usize = 32 << 10;

/// The one who passes authority on.
#[derive(Debug, Clone, Copy)]
pub struct Delegator<'a> {
    /// Its agent key: the key of the chain's last link.
    pub key: &'a AgentKey,
    /// Its SPIFFE ID.
    pub spiffe_id: &'a SpiffeId,
    /// Its authority.
    pub held: &'a Held,
    /// The token authorities that it believes, from its own trust document.
    pub wits: &'a WitBundle,
}

/// What is passed on.
#[derive(Debug, Clone)]
pub struct Grant {
    /// The agent that the child must be an instance of.
    pub agent: AgentId,
    /// What the child may do: never more than the delegator.
    pub entries: Vec<Entry>,
    /// How long, where less than the delegator's own time.
    pub lifetime_seconds: Option<u64>,
    /// Whether the child may pass its authority on in turn, as far as the delegator may.
    pub may_delegate: bool,
}

/// Authority that was passed on.
#[derive(Debug, Clone)]
pub struct Given {
    /// The child.
    pub child: InstanceSpiffeId,
    /// The link's `jti`: revoking it ends the child's authority.
    pub jti: String,
    /// The digest of the child's chain.
    pub chain: Digest,
}

/// Whether this could be passed on now: a link is made for a name and a key that nobody has, and thrown
/// away. So that no child is started that would be given nothing.
pub fn check_grant(delegator: &Delegator<'_>, grant: &Grant) -> Result<(), HandoverError> {
    let nobody = AgentKey::generate()?;
    let instance = random_id().map_err(AgentKeyError::from)?;
    let subject = grant.agent.instance(instance).to_spiffe_id();
    narrow(delegator, grant, (&subject, nobody.public()), now()).map(drop)
}

/// Passes authority on to the child at the other end. Signs nothing before the child's key is
/// verified by its credential and by its answer to a fresh nonce.
pub async fn give<S: AsyncRead + AsyncWrite>(
    stream: S,
    delegator: &Delegator<'_>,
    grant: &Grant,
) -> Result<Given, HandoverError> {
    let mut conversation = Conversation::new(stream);
    let outcome = converse(&mut conversation, delegator, grant).await;
    if let Err(error) = &outcome {
        let refused = Refused {
            reason: error.reason().to_owned(),
        };
        // The child may be gone already.
        let _ = conversation.say(&FromParent::Refused(refused)).await;
    }
    outcome
}

async fn converse<S: AsyncRead + AsyncWrite>(
    conversation: &mut Conversation<S>,
    delegator: &Delegator<'_>,
    grant: &Grant,
) -> Result<Given, HandoverError> {
    let FromChild::Hello(hello) = conversation.hear(MOST_BYTES).await? else {
        return Err(HandoverError::Malformed);
    };
    let wit =
        verify_wit(&hello.wit, delegator.wits, now(), &AwsLc).map_err(HandoverError::Credential)?;
    let child = InstanceSpiffeId::try_from(wit.spiffe_id());
    let child = child.map_err(|_| HandoverError::WrongAgent)?;
    if *child.agent() != grant.agent {
        return Err(HandoverError::WrongAgent);
    }
    let nonce = random_bytes::<32>().map_err(AgentKeyError::from)?;
    let nonce = base64url::encode(nonce);
    let cth = delegator.held.digest().to_base64url();
    let offer = Offer {
        nonce: nonce.clone(),
        cth: cth.clone(),
    };
    conversation.say(&FromParent::Offer(offer)).await?;
    let FromChild::Accept(accept) = conversation.hear(MOST_BYTES).await? else {
        return Err(HandoverError::Malformed);
    };
    let expected = Acceptance {
        aud: delegator.spiffe_id.to_string(),
        cth,
        nonce,
    };
    check(&accept, &wit, &expected)?;
    let holder = (wit.spiffe_id(), wit.agent_key());
    let (link, jti) = narrow(delegator, grant, holder, now())?;
    let held = delegator.held;
    let chain: Vec<String> = held.chain().iter().cloned().chain([link]).collect();
    let made = Held::new(
        chain.clone(),
        held.consent().clone(),
        held.mission().as_bytes().to_vec(),
        held.principal().clone(),
    )?;
    let link = Link {
        chain,
        consent: held.consent().clone(),
        mission: base64url::encode(held.mission().as_bytes()),
        principal: held.principal().clone(),
    };
    conversation.say(&FromParent::Link(Box::new(link))).await?;
    Ok(Given {
        child,
        jti,
        chain: made.digest(),
    })
}

fn check(accept: &Accept, wit: &VerifiedWit, expected: &Acceptance) -> Result<(), HandoverError> {
    let proof = Compact::parse(&accept.proof).map_err(|_| HandoverError::Malformed)?;
    if proof.header.typ != ACCEPT_TYP || proof.header.kid.is_some() {
        return Err(HandoverError::Malformed);
    }
    if !proof.verify(wit.agent_key(), &AwsLc) {
        return Err(HandoverError::BadSignature);
    }
    let claims: Acceptance = serde_json::from_value(Value::Object(proof.claims))
        .map_err(|_| HandoverError::Malformed)?;
    if !Digest::of(&claims.nonce).ct_eq(&Digest::of(&expected.nonce)) {
        Err(HandoverError::WrongNonce)
    } else if claims.cth != expected.cth {
        Err(HandoverError::WrongChain)
    } else if claims.aud != expected.aud {
        Err(HandoverError::WrongAudience)
    } else {
        Ok(())
    }
}

fn narrow(
    delegator: &Delegator<'_>,
    grant: &Grant,
    (subject, key): (&SpiffeId, &Jwk),
    now: Timestamp,
) -> Result<(String, String), HandoverError> {
    let own = delegator.held.tip().grant();
    let depth = own.depth.saturating_add(1);
    let end = own.expires_at;
    let end = grant
        .lifetime_seconds
        .map_or(end, |seconds| end.min(now.plus_seconds(seconds)));
    if now.as_seconds() >= end.as_seconds() {
        return Err(HandoverError::Expired);
    }
    let jti = random_id::<DelegationKind>()
        .map_err(AgentKeyError::from)?
        .to_string();
    let draft = LinkDraft {
        terms: Terms {
            subject: subject.clone(),
            key: *key,
            audience: None,
            issued_at: now,
            not_before: own
                .not_before
                .max(Timestamp::from_seconds(now.as_seconds())),
            expires_at: end,
            jti: jti.clone(),
            max_depth: if grant.may_delegate {
                own.max_depth
            } else {
                depth
            },
            entries: grant.entries.clone(),
            forbid: Vec::new(),
            ask: Vec::new(),
        },
    };
    let link = delegator
        .key
        .narrow(delegator.held.tip(), &draft)
        .map_err(HandoverError::Link)?;
    Ok((link, jti))
}
