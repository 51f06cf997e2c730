use chancery_types::jws::Decoded;
use chancery_types::limits::{MAX_CHAIN_BYTES, MAX_CHAIN_LINKS};
use chancery_types::{Digest, Jwk};

use super::narrowing::check_time;
use super::verified::{Root, check_link_revoked, check_root_revoked};
use super::{ChainContext, LINK_TYP, TrustAnchor, VerifiedChain, VerifiedLink};
use super::{check_narrowing, check_unique};
use crate::token::{Grant, LinkClaims, Members, RootClaims};
use crate::{Reason, Refusal};

/// Verifies a chain, root first: limits, strict reading, the authority, then link by link
/// signature, linkage, depth, time, audience, subsumption, uniqueness and revocation, and the epoch
/// last. Fails closed with the first reason found.
pub fn verify_chain(links: &[&str], context: &ChainContext<'_>) -> Result<VerifiedChain, Refusal> {
    let digest = check_limits(links)?;
    let decoded: Vec<_> = links.iter().map(|link| decode(link)).collect();
    let mut tokens = Vec::with_capacity(links.len());
    for (at, (decoded, text)) in decoded.iter().zip(links).enumerate() {
        let token = Token::read(decoded.as_ref(), text);
        tokens.push(token.map_err(|reason| Refusal::at(at, reason))?);
    }
    let mut tokens = tokens.into_iter();
    let token = tokens.next().ok_or(Reason::Malformed)?;
    let mut chain = verify_root(token, digest, context).map_err(|reason| Refusal::at(0, reason))?;
    check_link_revoked(0, &chain.first.grant, context.revoked)?;
    check_root_revoked(&chain.root, context.revoked)?;
    for (at, token) in (1..).zip(tokens) {
        verify_link(&mut chain, token, context).map_err(|reason| Refusal::at(at, reason))?;
        check_link_revoked(at, &chain.leaf().grant, context.revoked)?;
    }
    if chain.epoch() == context.epoch {
        Ok(chain)
    } else {
        Err(Refusal::at(0, Reason::StaleEpoch))
    }
}

/// Checks number and size of the links before any of them is read; returns `cth`.
pub(super) fn check_limits(links: &[&str]) -> Result<Digest, Reason> {
    if links.is_empty() {
        return Err(Reason::Malformed);
    }
    let commas = links.len().saturating_sub(1);
    let bytes = links
        .iter()
        .fold(commas, |sum, link| sum.saturating_add(link.len()));
    if links.len() > MAX_CHAIN_LINKS || bytes > MAX_CHAIN_BYTES {
        return Err(Reason::TooLong);
    }
    let mut parts = Vec::with_capacity(links.len().saturating_mul(2));
    for link in links {
        if !parts.is_empty() {
            parts.push(&b","[..]);
        }
        parts.push(link.as_bytes());
    }
    Ok(Digest::of_parts(parts))
}

/// A root or link that was read and not verified.
pub(super) struct Token<'a> {
    decoded: &'a Decoded<'a>,
    text: &'a str,
    pub(super) claims: Members<'a>,
}

/// Decodes a root or link.
pub(super) fn decode(link: &str) -> Result<Decoded<'_>, Reason> {
    Decoded::parse(link).map_err(Reason::from)
}

impl<'a> Token<'a> {
    /// Reads a root or link without verifying it.
    pub(super) fn read(
        decoded: Result<&'a Decoded<'a>, &Reason>,
        text: &'a str,
    ) -> Result<Self, Reason> {
        let decoded = decoded.map_err(|reason| *reason)?;
        let claims = Members::new(decoded.claims()?);
        if decoded.header.typ != LINK_TYP {
            return Err(Reason::WrongTyp);
        }
        if decoded.header.kid.is_none() {
            return Err(Reason::Malformed);
        }
        Ok(Self {
            decoded,
            text,
            claims,
        })
    }

    fn kid(&self) -> Option<&str> {
        self.decoded.header.kid.as_deref()
    }

    fn check_signature(&self, key: &Jwk, context: &ChainContext<'_>) -> Result<(), Reason> {
        if self.decoded.header.algorithm != key.algorithm() {
            Err(Reason::AlgNotAllowed)
        } else if !self.decoded.verify(key, context.verifier) {
            Err(Reason::BadSignature)
        } else {
            Ok(())
        }
    }
}

fn verify_root(
    token: Token<'_>,
    digest: Digest,
    context: &ChainContext<'_>,
) -> Result<VerifiedChain, Reason> {
    let named = |anchor: &&TrustAnchor| token.kid() == Some(&anchor.key.kid());
    let anchor = context
        .anchors
        .iter()
        .find(named)
        .ok_or(Reason::UntrustedRoot)?;
    token.check_signature(&anchor.key, context)?;
    let hash = Digest::of(token.decoded.signing_input());
    let root = RootClaims::parse(token.claims)?;
    let speaks_for =
        |known: &TrustAnchor| known.key == anchor.key && known.issuer == root.grant.issuer;
    if !context.anchors.iter().any(speaks_for) {
        return Err(Reason::UntrustedRoot);
    }
    if root.grant.depth != 0 {
        return Err(Reason::BadDepth);
    }
    let audience = root.grant.audience.clone().unwrap_or_default();
    check_holder(&root.grant, &audience, context)?;
    Ok(VerifiedChain {
        root: Root {
            sid: root.sid,
            epoch: root.epoch,
            principal: root.principal,
            mission: root.mission,
        },
        first: VerifiedLink {
            grant: root.grant,
            token: token.text.to_owned(),
            hash,
            subsumed_by: Vec::new(),
        },
        rest: Vec::new(),
        audience,
        digest,
    })
}

fn verify_link(
    chain: &mut VerifiedChain,
    token: Token<'_>,
    context: &ChainContext<'_>,
) -> Result<(), Reason> {
    let parent = chain.leaf();
    if token.kid() != Some(&parent.grant.key.kid()) {
        return Err(Reason::BadSignature);
    }
    token.check_signature(&parent.grant.key, context)?;
    let hash = Digest::of(token.decoded.signing_input());
    let child = LinkClaims::parse(token.claims)?;
    let subsumed_by = check_narrowing(&parent.grant, &chain.audience, &parent.hash, &child)?;
    let grant = child.grant;
    let audience = grant.audience.clone();
    let audience = audience.unwrap_or_else(|| chain.audience.clone());
    check_unique(chain.links().map(VerifiedLink::grant), &grant)?;
    check_holder(&grant, &audience, context)?;
    chain.audience = audience;
    chain.rest.push(VerifiedLink {
        grant,
        token: token.text.to_owned(),
        hash,
        subsumed_by,
    });
    Ok(())
}

/// What holds for a grant by itself at this verifier and moment.
fn check_holder(
    grant: &Grant,
    audience: &[String],
    context: &ChainContext<'_>,
) -> Result<(), Reason> {
    check_time(grant, context.now)?;
    if !audience.iter().any(|name| name == context.audience) {
        return Err(Reason::WrongAudience);
    }
    let authority = |anchor: &TrustAnchor| anchor.key == grant.key;
    if context.anchors.iter().any(authority) {
        return Err(Reason::Cycle);
    }
    if !context.verifier.is_valid_key(&grant.key) {
        return Err(Reason::BadKey);
    }
    Ok(())
}
