use chancery_types::{Digest, RevocationKind, Timestamp};

use super::narrowing::check_time;
use super::verified::{Root, check_link_revoked, check_root_revoked};
use super::verify::{Token, check_limits, decode};
use super::{ChainContext, Standing, verify_chain};
use crate::token::{Grant, LinkClaims, Principal, RootClaims};
use crate::{Reason, Refusal, RevocationSet};

/// What a chain says of itself. Nothing of it is verified: it is for chains that were verified
/// before, and for telling what does not stand any more in one that is refused.
#[derive(Debug, Clone)]
pub struct ChainReading {
    root: Root,
    grants: Vec<Grant>,
    digest: Digest,
}

/// Where one link of a chain stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkStanding {
    /// It stands, and so does everything above it.
    Stands,
    /// It does not stand by itself.
    Refused {
        /// Why.
        reason: Reason,
        /// What of it was revoked, where that is why.
        revoked: Option<RevocationKind>,
    },
    /// It would stand, but a link above it does not.
    ParentGone,
}

/// A chain looked at link by link: what [`verify_chain`] says of it, and where each link stands.
#[derive(Debug, Clone)]
pub struct Examination {
    /// What the chain says, where it can be read.
    pub reading: Option<ChainReading>,
    /// Where each link stands, root first; empty where the chain cannot be read.
    pub links: Vec<LinkStanding>,
    /// Why the chain is refused; a chain without a refusal stands.
    pub refusal: Option<Refusal>,
}

impl ChainReading {
    /// Reads a chain, root first, within the limits of the format.
    pub fn read(links: &[&str]) -> Result<Self, Refusal> {
        let digest = check_limits(links)?;
        let mut texts = links.iter();
        let text = texts.next().ok_or(Reason::Malformed)?;
        let at_root = |reason| Refusal::at(0, reason);
        let read = |text| {
            let decoded = decode(text)?;
            RootClaims::parse(Token::read(Ok(&decoded), text)?.claims)
        };
        let root = read(text).map_err(at_root)?;
        let mut grants = vec![root.grant];
        for (at, text) in (1..).zip(texts) {
            let read = |text| {
                let decoded = decode(text)?;
                LinkClaims::parse(Token::read(Ok(&decoded), text)?.claims)
            };
            grants.push(read(text).map_err(|reason| Refusal::at(at, reason))?.grant);
        }
        Ok(Self {
            root: Root {
                sid: root.sid,
                epoch: root.epoch,
                principal: root.principal,
                mission: root.mission,
            },
            grants,
            digest,
        })
    }

    /// `sid` of the root.
    pub fn sid(&self) -> &str {
        &self.root.sid
    }

    /// `ep` of the root.
    pub const fn epoch(&self) -> u64 {
        self.root.epoch
    }

    /// The person at the root.
    pub const fn principal(&self) -> &Principal {
        &self.root.principal
    }

    /// The digest of the mission document.
    pub const fn mission(&self) -> Digest {
        self.root.mission
    }

    /// What root and links grant, root first.
    pub fn grants(&self) -> &[Grant] {
        &self.grants
    }

    /// `cth`: the digest of the links joined by commas.
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// The identifier by which a revocation of that kind names a link, or the root.
    pub fn identifier(&self, link: usize, kind: RevocationKind) -> Option<String> {
        let grant = self.grants.get(link)?;
        Some(match kind {
            RevocationKind::Token => grant.jti.clone(),
            RevocationKind::Session => self.root.sid.clone(),
            RevocationKind::Mission => self.root.mission.to_string(),
            RevocationKind::Agent => {
                let subject = grant.subject.as_str();
                let agent = subject.split_once("/instance/");
                agent.map_or(subject, |(agent, _)| agent).to_owned()
            }
            RevocationKind::Instance => grant.subject.to_string(),
            RevocationKind::Person => self.root.principal.subject.clone(),
            RevocationKind::Consent => self.root.principal.standing?.consent.to_string(),
            RevocationKind::Key => grant.key.thumbprint().to_string(),
        })
    }

    /// The first link that is revoked or whose epoch is over, whatever the time.
    pub fn withdrawn(&self, epoch: u64, revoked: &RevocationSet) -> Option<Refusal> {
        let mut at = 0..self.grants.len();
        at.find_map(|at| self.check_withdrawn(at, epoch, revoked).err())
    }

    fn check_withdrawn(
        &self,
        at: usize,
        epoch: u64,
        revoked: &RevocationSet,
    ) -> Result<(), Refusal> {
        if let Some(grant) = self.grants.get(at) {
            check_link_revoked(at, grant, revoked)?;
        }
        if at == 0 {
            check_root_revoked(&self.root, revoked)?;
            if self.root.epoch != epoch {
                return Err(Refusal::at(0, Reason::StaleEpoch));
            }
        }
        Ok(())
    }

    fn check(&self, at: usize, standing: &Standing<'_>) -> Result<(), Refusal> {
        if let Some(grant) = self.grants.get(at) {
            check_time(grant, standing.now).map_err(|reason| Refusal::at(at, reason))?;
        }
        self.check_withdrawn(at, standing.epoch, standing.revoked)
    }

    /// When every link has begun.
    fn begun(&self) -> Timestamp {
        let begins = self.grants.iter().map(|grant| grant.not_before);
        begins.max().unwrap_or(Timestamp::from_micros(0))
    }
}

/// Looks at a chain link by link. Signatures, linkage and narrowing are verified as
/// [`verify_chain`] does, so that nothing is said of a chain that nobody made.
pub fn examine_chain(links: &[&str], context: &ChainContext<'_>) -> Examination {
    let reading = match ChainReading::read(links) {
        Ok(reading) => reading,
        Err(refusal) => {
            return Examination {
                reading: None,
                links: Vec::new(),
                refusal: Some(refusal),
            };
        }
    };
    // By itself the chain is judged at the moment from which all of it is in force.
    let made = ChainContext {
        now: reading.begun(),
        epoch: reading.epoch(),
        revoked: RevocationSet::none(),
        ..*context
    };
    let broken = verify_chain(links, &made).err();
    let standing = context.standing();
    let mut refusal = None;
    let mut found = Vec::new();
    for at in 0..reading.grants.len() {
        let of_make = broken.filter(|broken| broken.link.unwrap_or(0) == at);
        let own = of_make.map_or_else(|| reading.check(at, &standing), Err);
        found.push(match (own, refusal) {
            (Err(own), _) => LinkStanding::Refused {
                reason: own.reason,
                revoked: own.revoked,
            },
            (Ok(()), Some(_)) => LinkStanding::ParentGone,
            (Ok(()), None) => LinkStanding::Stands,
        });
        refusal = refusal.or(own.err());
    }
    Examination {
        reading: Some(reading),
        links: found,
        refusal,
    }
}
