use std::path::Path;

use chancery_crypto::AwsLc;
use chancery_delegation::MAX_MISSION_BYTES;
use chancery_delegation::chain::ChainTip;
use chancery_identity::SpiffeId;
use chancery_types::base64url;
use chancery_types::jws::Compact;
use chancery_types::limits::MAX_CHAIN_BYTES;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixStream;

use super::HandoverError;
use super::conversation::Conversation;
use super::wire::{Accept, Acceptance, FromChild, FromParent, Hello, Link};
use crate::held::Held;
use crate::identity::Credential;
use crate::key::AgentKey;

/// Most bytes of what a parent says at once: a chain, a consent, a mission in base64url, a
/// disclosure, and room for their names.
const MOST_BYTES: usize = 2 * MAX_CHAIN_BYTES + 2 * MAX_MISSION_BYTES + (64 << 10);

/// Connects to the parent's socket and takes what it passes on; see [`receive`].
pub async fn receive_from(
    socket: &Path,
    key: &AgentKey,
    credential: &Credential,
    parent: &SpiffeId,
) -> Result<Held, HandoverError> {
    receive(UnixStream::connect(socket).await?, key, credential, parent).await
}

/// Takes authority from the parent at the other end. Accepts for `parent` and for nobody else, and
/// takes nothing but a link for its own name and key that the parent's chain vouches for.
pub async fn receive<S: AsyncRead + AsyncWrite>(
    stream: S,
    key: &AgentKey,
    credential: &Credential,
    parent: &SpiffeId,
) -> Result<Held, HandoverError> {
    let mut conversation = Conversation::new(stream);
    let hello = Hello {
        wit: credential.wit.clone(),
    };
    conversation.say(&FromChild::Hello(hello)).await?;
    let offer = match conversation.hear(MOST_BYTES).await? {
        FromParent::Offer(offer) => offer,
        FromParent::Refused(refused) => return Err(refused.into()),
        FromParent::Link(_) => return Err(HandoverError::Malformed),
    };
    let acceptance = Acceptance {
        aud: parent.to_string(),
        cth: offer.cth.clone(),
        nonce: offer.nonce,
    };
    let proof = key.accept(&acceptance)?;
    conversation
        .say(&FromChild::Accept(Accept { proof }))
        .await?;
    match conversation.hear(MOST_BYTES).await? {
        FromParent::Link(link) => check(*link, &offer.cth, key, credential, parent),
        FromParent::Refused(refused) => Err(refused.into()),
        FromParent::Offer(_) => Err(HandoverError::Malformed),
    }
}

fn check(
    link: Link,
    offered: &str,
    key: &AgentKey,
    credential: &Credential,
    parent: &SpiffeId,
) -> Result<Held, HandoverError> {
    let mission = base64url::decode(&link.mission).map_err(|_| HandoverError::Malformed)?;
    let held = Held::new(link.chain, link.consent, mission, link.principal)?;
    let (last, before) = held.chain().split_last().ok_or(HandoverError::OtherChain)?;
    let before: Vec<&str> = before.iter().map(String::as_str).collect();
    let tip = ChainTip::read(&before).map_err(|_| HandoverError::OtherChain)?;
    if tip.digest().to_base64url() != offered || tip.grant().subject != *parent {
        return Err(HandoverError::OtherChain);
    }
    let signed = Compact::parse(last).is_ok_and(|last| last.verify(tip.key(), &AwsLc));
    if !signed {
        return Err(HandoverError::OtherChain);
    }
    if !held.is_for(key.public()) || held.tip().grant().subject != credential.spiffe_id {
        return Err(HandoverError::OtherHolder);
    }
    Ok(held)
}

impl From<super::wire::Refused> for HandoverError {
    fn from(refused: super::wire::Refused) -> Self {
        Self::Refused {
            reason: refused.reason,
        }
    }
}
