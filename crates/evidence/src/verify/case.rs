//! What all steps of one verification share.

use chancery_audit::{Event, SessionOpen};
use chancery_delegation::{ChainContext, IssuerKey, RevocationSet, Standing, TrustAnchor};
use chancery_identity::trust::VerifiedTrust;
use chancery_identity::{TrustDomain, WitBundle};
use chancery_types::SignatureVerifier;
use chancery_types::id::SessionId;
use chancery_types::jws::Compact;
use serde_json::Value;

use super::objects::Objects;
use super::revocations::Adopted;
use super::roll::{Logged, Roll};
use crate::ObjectKind;
use crate::report::{Found, Place};

/// How far the clocks of two writers may differ.
pub(super) const SKEW_SECONDS: u64 = 5;

/// How long after it was enrolled a gateway may still not know of what was withdrawn.
pub(super) const GRACE_SECONDS: u64 = 900;

/// The same while the gateway hears from the server.
pub(super) const FRESH_SECONDS: u64 = 10;

/// What is given and never changes.
pub(crate) struct Case<'a> {
    pub(crate) trust: &'a VerifiedTrust,
    pub(crate) verifier: &'a dyn SignatureVerifier,
    pub(crate) session: SessionId,
    pub(crate) gateway: Roll,
    pub(crate) server: Roll,
    pub(crate) anchors: Vec<TrustAnchor>,
    pub(crate) issuers: Vec<IssuerKey>,
    pub(crate) tokens: Option<WitBundle>,
    pub(crate) epoch: u64,
    /// What the gateway knew of revocations, and when.
    pub(crate) adopted: Adopted,
    /// The places of the session's own entries in the gateway's log.
    own: Vec<usize>,
    opened: Option<usize>,
    /// Each checkpoint of the gateway's log that is larger than those before: its size, and the
    /// index of its entry in the server's log.
    enrolments: Vec<(u64, u64)>,
}

/// What changes while verification goes on.
pub(crate) struct Desk<'a> {
    pub(crate) found: Found,
    pub(crate) objects: Objects<'a>,
}

impl<'a> Case<'a> {
    pub(crate) fn new(
        trust: &'a VerifiedTrust,
        verifier: &'a dyn SignatureVerifier,
        session: SessionId,
        gateway: Roll,
        server: Roll,
        objects: &mut Objects<'_>,
    ) -> Self {
        let anchors = trust.delegation_authorities.iter();
        let issuers = trust.manifest_issuers.iter();
        let keys = trust.token_authorities.iter().copied();
        let domain: Option<TrustDomain> = trust.trust_domain.parse().ok();
        let mut case = Self {
            anchors: anchors.map(TrustAnchor::from).collect(),
            issuers: issuers.map(IssuerKey::from).collect(),
            tokens: domain.map(|domain| WitBundle::new(domain, keys)),
            trust,
            verifier,
            session,
            gateway,
            server,
            epoch: 0,
            adopted: Adopted::default(),
            own: Vec::new(),
            opened: None,
            enrolments: Vec::new(),
        };
        case.arrange();
        case.adopted = Adopted::read(&case.gateway, &case.server);
        let claimed = case.opened().map(|(_, open)| open.chain);
        let claimed =
            claimed.and_then(|chain| claimed_epoch(objects.take(chain, ObjectKind::Chain)?));
        // A root that is not enrolled is a finding of its own; nothing more is made of it.
        case.epoch = case.enrolled_epoch().or(claimed).unwrap_or_default();
        case
    }

    /// The epoch in which the authority signed the root that the session was opened with.
    fn enrolled_epoch(&self) -> Option<u64> {
        let opened = self.opened().map(|(_, open)| &open.root);
        let mut roots = self
            .server
            .entries
            .iter()
            .filter_map(|logged| match &logged.entry.event {
                Event::DelegationRoot(root) if root.session == self.session => Some(root),
                _ => None,
            });
        let root = roots.find(|root| opened.is_none_or(|jti| *jti == root.delegation));
        root.map(|root| root.epoch)
    }

    fn arrange(&mut self) {
        for (at, logged) in self.gateway.entries.iter().enumerate() {
            if logged.entry.event.session() != Some(self.session) {
                continue;
            }
            self.own.push(at);
            if matches!(logged.entry.event, Event::SessionOpen(_)) {
                self.opened.get_or_insert(at);
            }
        }
        for logged in &self.server.entries {
            if let Event::CheckpointEnrol(enrol) = &logged.entry.event
                && self.gateway.is_held(&enrol.log, enrol.size)
                && self
                    .enrolments
                    .last()
                    .is_none_or(|(size, _)| *size < enrol.size)
            {
                self.enrolments.push((enrol.size, logged.leaf.index));
            }
        }
    }

    /// The session's own entries in the gateway's log.
    pub(crate) fn entries(&self) -> impl Iterator<Item = &Logged> {
        self.own
            .iter()
            .filter_map(|at| self.gateway.entries.get(*at))
    }

    /// The entry that opened the session.
    pub(crate) fn opened(&self) -> Option<(&Logged, &SessionOpen)> {
        let logged = self.gateway.entries.get(self.opened?)?;
        match &logged.entry.event {
            Event::SessionOpen(open) => Some((logged, open)),
            _ => None,
        }
    }

    /// The gateway, as proofs and chains name it.
    pub(crate) fn audience(&self) -> &str {
        self.opened().map_or("", |(_, open)| open.gateway.as_str())
    }

    /// The place of an entry of the gateway.
    pub(crate) fn place(&self, logged: &Logged) -> Place {
        self.gateway.place(logged)
    }

    /// Whether an entry of the server's log stands before one of the gateway's: by the clocks, and
    /// by the first checkpoint of the gateway's log with that entry, which the server enrolled.
    pub(crate) fn is_before(&self, server: &Logged, gateway: &Logged) -> bool {
        let index = gateway.leaf.index;
        let first = self.enrolments.partition_point(|(size, _)| *size <= index);
        let enrolled = self.enrolments.get(first);
        server.entry.at <= gateway.entry.at.plus_seconds(SKEW_SECONDS)
            && enrolled.is_none_or(|(_, enrolled)| server.leaf.index < *enrolled)
    }

    /// Calls `with` with what a chain is verified against at an entry of the gateway.
    pub(crate) fn chains<T>(&self, at: &Logged, with: impl FnOnce(&ChainContext<'_>) -> T) -> T {
        let standing = self.standing(at);
        with(&ChainContext {
            now: standing.now,
            audience: self.audience(),
            anchors: &self.anchors,
            epoch: standing.epoch,
            revoked: standing.revoked,
            verifier: self.verifier,
        })
    }

    /// What governed an entry of the gateway: what it had adopted before, where its log says that.
    /// Where it does not, nothing is known to be revoked and the epoch is the session's own.
    pub(crate) fn standing(&self, at: &Logged) -> Standing<'_> {
        let known = self.adopted.at(at.leaf.index);
        Standing {
            now: at.entry.at,
            epoch: known.map_or(self.epoch, |known| known.epoch),
            revoked: known.map_or(RevocationSet::none(), |known| &known.revoked),
        }
    }
}

/// The epoch that the root of a chain claims.
fn claimed_epoch(chain: &[u8]) -> Option<u64> {
    let root = std::str::from_utf8(chain).ok()?.split(',').next()?;
    Compact::parse(root)
        .ok()?
        .claims
        .get("ep")
        .and_then(Value::as_u64)
}
