use chancery_types::limits::{MAX_CHAIN_BYTES, MAX_CHAIN_LINKS};
use chancery_types::{Digest, Jwk};

use super::verify::{Token, check_limits, decode};
use super::{VerifiedChain, VerifiedLink, check_narrowing, check_unique};
use crate::token::{Grant, LinkClaims, RootClaims};
use crate::{Reason, Refusal};

/// The end of a chain that a holder may narrow further. It proves nothing about the chain: it is
/// for the one who makes a link, and saves it from making one that no verifier takes.
#[derive(Debug, Clone)]
pub struct ChainTip {
    before: Vec<Grant>,
    last: Grant,
    last_hash: Digest,
    audience: Vec<String>,
    bytes: usize,
    digest: Digest,
}

impl ChainTip {
    /// Reads a chain that this holder was given, without verifying signatures. Linkage and
    /// narrowing are checked.
    pub fn read(links: &[&str]) -> Result<Self, Refusal> {
        let digest = check_limits(links)?;
        let mut tip: Option<Self> = None;
        for (at, link) in links.iter().enumerate() {
            tip = Some(Self::extend(tip, link, digest).map_err(|reason| Refusal::at(at, reason))?);
        }
        tip.ok_or_else(|| Reason::Malformed.into())
    }

    /// `cth` of the chain.
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// The claims of the last link.
    pub const fn grant(&self) -> &Grant {
        &self.last
    }

    /// The key that signs children and proofs.
    pub const fn key(&self) -> &Jwk {
        &self.last.key
    }

    /// Who may accept the last link.
    pub fn audience(&self) -> &[String] {
        &self.audience
    }

    pub(crate) const fn hash(&self) -> &Digest {
        &self.last_hash
    }

    /// Checks a link to be made against the chain.
    pub(crate) fn check(&self, child: &LinkClaims) -> Result<(), Reason> {
        check_narrowing(&self.last, &self.audience, &self.last_hash, child)?;
        check_unique(self.grants(), &child.grant)
    }

    /// Checks that a link of that many bytes still fits.
    pub(crate) fn check_size(&self, bytes: usize) -> Result<(), Reason> {
        let links = self.before.len().saturating_add(2);
        let bytes = self.bytes.saturating_add(bytes).saturating_add(1);
        if links > MAX_CHAIN_LINKS || bytes > MAX_CHAIN_BYTES {
            Err(Reason::TooLong)
        } else {
            Ok(())
        }
    }

    fn grants(&self) -> impl Iterator<Item = &Grant> {
        self.before.iter().chain([&self.last])
    }

    fn extend(tip: Option<Self>, link: &str, digest: Digest) -> Result<Self, Reason> {
        let decoded = decode(link)?;
        let token = Token::read(Ok(&decoded), link)?;
        let last_hash = Digest::of(decoded.signing_input());
        let Some(tip) = tip else {
            let last = RootClaims::parse(token.claims)?.grant;
            return Ok(Self {
                before: Vec::new(),
                last_hash,
                audience: last.audience.clone().unwrap_or_default(),
                bytes: link.len(),
                last,
                digest,
            });
        };
        let child = LinkClaims::parse(token.claims)?;
        tip.check(&child)?;
        tip.check_size(link.len())?;
        let audience = child.grant.audience.clone();
        let mut before = tip.before;
        before.push(tip.last);
        Ok(Self {
            before,
            last: child.grant,
            last_hash,
            audience: audience.unwrap_or(tip.audience),
            bytes: tip.bytes.saturating_add(link.len()).saturating_add(1),
            digest,
        })
    }
}

impl From<&VerifiedChain> for ChainTip {
    fn from(chain: &VerifiedChain) -> Self {
        let mut before: Vec<_> = chain.links().map(|link| link.grant().clone()).collect();
        before.pop();
        let bytes = chain
            .links()
            .map(|link| link.token().len().saturating_add(1));
        Self {
            before,
            last: chain.leaf().grant().clone(),
            last_hash: VerifiedLink::hash(chain.leaf()),
            audience: chain.audience().to_vec(),
            bytes: bytes.sum::<usize>().saturating_sub(1),
            digest: chain.digest(),
        }
    }
}
