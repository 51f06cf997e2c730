use std::fmt;

use chancery_identity::{SpiffeId, VerifiedWit, WitBundle, WitError, verify_wit};
use chancery_types::{Digest, SignatureVerifier, Timestamp};

use super::{
    CREDENTIAL_FIELD, DELEGATION_FIELD, DelegationField, DelegationFieldError, HttpRefusal,
    HttpRequest, ReceivedSignature,
};
use crate::chain::{ChainContext, VerifiedChain, verify_chain};
use crate::proof::ReplayMemory;

/// What a verifier knows about a request that was presented.
#[derive(Clone, Copy)]
pub struct HttpContext<'a> {
    /// The time.
    pub now: Timestamp,
    /// The own SPIFFE ID: whom the signature is meant for.
    pub audience: &'a str,
    /// When the replay memory was empty: signatures made before are refused.
    pub started_at: Timestamp,
    /// Who stands at the other end of the transport.
    pub peer: &'a SpiffeId,
    /// The token authorities that are believed, one bundle for each trust domain.
    pub wits: &'a [WitBundle],
    /// What a chain is verified against. Its audience is the home gateway, not the one who answers.
    pub chains: &'a ChainContext<'a>,
    /// The links of a chain that this peer presented before in this session.
    pub referenced: &'a dyn Fn(&Digest) -> Option<Vec<String>>,
    /// The arithmetic.
    pub verifier: &'a dyn SignatureVerifier,
}

impl fmt::Debug for HttpContext<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpContext")
            .field("now", &self.now)
            .field("audience", &self.audience)
            .field("started_at", &self.started_at)
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }
}

/// A request that the transport's peer signed with the key of its credential, for this audience,
/// now and once; and the chain that it holds by that key, where it presented one. Only
/// [`verify_presentation`] makes one.
#[derive(Debug, Clone)]
pub struct PresentedRequest {
    credential: VerifiedWit,
    delegation: Option<VerifiedChain>,
    nonce: String,
    created: Timestamp,
}

impl PresentedRequest {
    /// The credential.
    pub const fn credential(&self) -> &VerifiedWit {
        &self.credential
    }

    /// The chain whose leaf is this holder's.
    pub const fn delegation(&self) -> Option<&VerifiedChain> {
        self.delegation.as_ref()
    }

    /// The signature's nonce.
    pub fn nonce(&self) -> &str {
        &self.nonce
    }

    /// When the signature was made.
    pub const fn created(&self) -> Timestamp {
        self.created
    }
}

/// Verifies a signed request whole. The replay memory learns of the nonce only after everything
/// else about the signature holds, so that nobody but the holder uses one up.
pub fn verify_presentation(
    request: &HttpRequest<'_>,
    context: &HttpContext<'_>,
    replay: &mut dyn ReplayMemory,
) -> Result<PresentedRequest, HttpRefusal> {
    let received = ReceivedSignature::parse(request)?;
    let token = request
        .field(CREDENTIAL_FIELD)?
        .ok_or(HttpRefusal::CredentialMissing)?;
    let credential = credential(token, context)?;
    received.verify(request, credential.agent_key(), context.verifier)?;
    if received.audience != context.audience {
        return Err(HttpRefusal::WrongAudience);
    }
    let until = received.check_time(context.now, context.started_at)?;
    let holder = Digest::of(credential.spiffe_id().as_str());
    replay
        .remember(&holder, &received.nonce, until, context.now)
        .map_err(|_| HttpRefusal::Replay)?;
    let delegation = match request.field(DELEGATION_FIELD)? {
        Some(field) => Some(delegation(field, &credential, context)?),
        None => None,
    };
    Ok(PresentedRequest {
        credential,
        delegation,
        nonce: received.nonce,
        created: received.created,
    })
}

fn credential(token: &str, context: &HttpContext<'_>) -> Result<VerifiedWit, HttpRefusal> {
    let bundle = context
        .wits
        .iter()
        .find(|bundle| bundle.trust_domain() == context.peer.trust_domain());
    let bundle = bundle.ok_or(HttpRefusal::Credential(WitError::WrongTrustDomain))?;
    let credential =
        verify_wit(token, bundle, context.now, context.verifier).map_err(|error| match error {
            WitError::Expired => HttpRefusal::CredentialExpired,
            other => HttpRefusal::Credential(other),
        })?;
    if credential.spiffe_id() == context.peer {
        Ok(credential)
    } else {
        Err(HttpRefusal::HolderMismatch)
    }
}

fn delegation(
    field: &str,
    credential: &VerifiedWit,
    context: &HttpContext<'_>,
) -> Result<VerifiedChain, HttpRefusal> {
    let links = match field.parse() {
        Ok(DelegationField::Chain(links)) => links,
        Ok(DelegationField::Reference(digest)) => {
            (context.referenced)(&digest).ok_or(HttpRefusal::UnknownReference)?
        }
        Err(DelegationFieldError::Malformed) => return Err(HttpRefusal::Delegation),
        Err(DelegationFieldError::TooLong) => return Err(HttpRefusal::TooLong),
    };
    let links: Vec<_> = links.iter().map(String::as_str).collect();
    let chain = verify_chain(&links, context.chains).map_err(HttpRefusal::Chain)?;
    let is_holder =
        chain.leaf_subject() == context.peer && chain.leaf_key() == credential.agent_key();
    if is_holder {
        Ok(chain)
    } else {
        Err(HttpRefusal::HolderMismatch)
    }
}
