use std::sync::Arc;

use chancery_audit::Label;
use chancery_delegation::{Target, VerifiedChain};
use chancery_session::Event;
use chancery_types::Timestamp;
use chancery_types::id::SessionId;

use super::Enforcement;
use super::calls::denied;
use super::chains::KnownChain;
use super::in_force::{Freshness, InForce};
use super::live::Live;
use super::opening::code_of;
use super::reasons::said_with_code;
use crate::call::Visit;
use crate::enforcer::{Refusal, Seat};
use crate::envelope::{Kind, Message};
use crate::listing::{Listing, ListingKind};
use crate::method::MethodClass;
use crate::peer::Peer;

impl Enforcement {
    /// Admits what carries no authority, for an instance that is in a session: the protocol's own
    /// requests, lists, notifications, and answers that say nothing but that somebody is there or
    /// declines.
    pub(crate) async fn admit_visit(&self, peer: &Peer, visit: &Visit) -> Result<Seat, Refusal> {
        if !is_admitted(visit) {
            return Err(refusal("method_not_governed"));
        }
        if self.holds_access_token(&visit.message().forwarded()) {
            return Err(refusal("token_in_call"));
        }
        self.seat_for(peer, visit).await.map_err(refusal)
    }

    /// Enrols what the session hears from a server without a decision, before it hears it: what an
    /// untrusted server says of itself, lists or sends by the way is content of an untrusted source,
    /// and it may answer from its stores.
    async fn enrol_visit(
        &self,
        live: &mut Live,
        peer: &Peer,
        server: &str,
        in_force: &InForce,
    ) -> Result<(), &'static str> {
        let open = live.open().ok_or("session_ended")?;
        let policy = &in_force.policy.bundle;
        let Some(visiting) = open.visiting(peer.name(), server, policy) else {
            return Ok(());
        };
        self.keep_policy(live, in_force).await?;
        let (turn, now) = self.turn().await?;
        let event = Event::Visit(Box::new(visiting));
        let visited = live.step(&self.log, turn, now, event).await;
        visited.map(|_| ()).map_err(|error| {
            tracing::error!(%error, "a visit was not enrolled");
            code_of(&error)
        })
    }

    async fn seat_for(&self, peer: &Peer, visit: &Visit) -> Result<Seat, &'static str> {
        let now = self.clock.now().map_err(|_| "clock_stepped_back")?;
        let tls = self.tls().ok_or("certificate_invalid")?;
        self.peers
            .verify(peer.certificates(), &tls, now)
            .map_err(|_| "certificate_invalid")?;
        let in_force = self.in_force().ok_or("snapshot_missing")?;
        if in_force.freshness(now, self.grace_seconds) == Freshness::Expired {
            return Err(Freshness::EXPIRED);
        }
        let session = self.session_of(peer, visit.message())?;
        let home = self.sessions.get(session).ok_or("not_joined")?;
        let mut live = home.lock().await;
        live.open().ok_or("session_ended")?;
        if live.is_ending() {
            return Err("session_ending");
        }
        let seated = live.seated(peer.name()).ok_or("not_joined")?;
        if now >= seated.expires {
            return Err("credential_expired");
        }
        let seat = Seat {
            session,
            instance: seated.id,
        };
        let server = visit.server().as_str();
        self.enrol_visit(&mut live, peer, server, &in_force).await?;
        Ok(seat)
    }

    /// The session that a message is sent in: the one that its chain names, else the only one.
    fn session_of(&self, peer: &Peer, message: &Message) -> Result<SessionId, &'static str> {
        let sessions = self.sessions.of(peer.name());
        if let [only] = sessions.as_slice() {
            return Ok(*only);
        }
        if sessions.is_empty() {
            return Err("not_joined");
        }
        let links: Option<Vec<String>> = message
            .delegation()
            .and_then(|raw| serde_json::from_str(raw).ok());
        let root = links.as_ref().and_then(|links| links.first());
        let root = root.and_then(|root| chancery_types::jws::Compact::parse(root).ok());
        let named = root
            .as_ref()
            .and_then(|root| root.claims.get("sid")?.as_str()?.parse().ok());
        named
            .filter(|session| sessions.contains(session))
            .ok_or("session_ambiguous")
    }

    /// Says which entries of a list the instance's chain covers and, for tools, the catalog pins.
    pub(crate) async fn filter_listing(
        &self,
        peer: &Peer,
        visit: &Visit,
        listing: &Listing,
    ) -> Result<Vec<bool>, Refusal> {
        let filtered = self.covered(peer, visit, listing).await;
        filtered.map_err(refusal)
    }

    async fn covered(
        &self,
        peer: &Peer,
        visit: &Visit,
        listing: &Listing,
    ) -> Result<Vec<bool>, &'static str> {
        let catalog = self.catalog().await.ok_or("catalog_unavailable")?;
        let in_force = self.in_force().ok_or("snapshot_missing")?;
        let now = self.clock.now().map_err(|_| "clock_stepped_back")?;
        let session = self.session_of(peer, visit.message())?;
        let home = self.sessions.get(session).ok_or("not_joined")?;
        let (joined, whose) = {
            let live = home.lock().await;
            let joined = live.seated(peer.name()).ok_or("not_joined")?.chain;
            (joined, live.whose())
        };
        let chain = self.objects.get(whose.as_ref(), joined);
        let known = chain.and_then(|chain| self.joined_chain(peer, chain, &in_force, now));
        let server = visit.server();
        let entries = listing.entries().iter();
        Ok(entries
            .map(|entry| {
                let chain = known.as_ref().map(|known| &known.chain);
                chain.is_some_and(|chain| {
                    is_offered(chain, listing.kind(), server.as_str(), entry.name())
                        && (listing.kind() != ListingKind::Tools
                            || catalog.is_pinned(server, listing.raw(entry)))
                })
            })
            .collect())
    }

    /// The chain that an instance joined with, as it stands now.
    fn joined_chain(
        &self,
        peer: &Peer,
        chain: Vec<u8>,
        in_force: &InForce,
        now: Timestamp,
    ) -> Option<Arc<KnownChain>> {
        let text = String::from_utf8(chain).ok()?;
        let links: Vec<_> = text.split(',').collect();
        let holder = peer.name().parse().ok()?;
        let own = self.own.as_str();
        self.chains
            .verify(&links, own, in_force, &holder, &self.objects, now)
            .ok()
    }

    /// The name of a peer whose certificate is one of an instance or service of the trust domain.
    pub(crate) fn identify_peer(
        &self,
        chain: &[rustls::pki_types::CertificateDer<'static>],
    ) -> Result<Arc<str>, Refusal> {
        let now = self
            .clock
            .now()
            .map_err(|_| refusal("clock_stepped_back"))?;
        let tls = self.tls().ok_or_else(|| refusal("certificate_invalid"))?;
        let peer = self.peers.verify(chain, &tls, now);
        let peer = peer.map_err(|_| refusal("certificate_invalid"))?;
        // A log names peers by labels; who has no label has no name here.
        let label: Result<Label, _> = peer.as_str().parse();
        label
            .map(|label| label.as_str().into())
            .map_err(|_| refusal("certificate_invalid"))
    }
}

/// Whether a message of this kind carries no authority.
fn is_admitted(visit: &Visit) -> bool {
    match visit.class() {
        MethodClass::Lifecycle | MethodClass::Listing(_) | MethodClass::Notification => true,
        MethodClass::Response => match visit.message().kind() {
            Kind::Response { is_error: true, .. } => true,
            _ => visit
                .message()
                .body()
                .is_some_and(|body| body.get() == "{}"),
        },
        MethodClass::Decided(_)
        | MethodClass::Completion
        | MethodClass::Subscription
        | MethodClass::Task
        | MethodClass::Unknown => false,
    }
}

fn is_offered(chain: &VerifiedChain, kind: ListingKind, server: &str, name: &str) -> bool {
    let target = match kind {
        ListingKind::Tools => Target::Tool(name),
        ListingKind::Prompts => Target::Prompt(name),
        ListingKind::Resources => Target::Resource(name),
        // A template names nothing that a chain could cover.
        ListingKind::ResourceTemplates => return false,
    };
    let mut entries = chain.leaf().entries().iter();
    entries.any(|entry| entry.server() == server && entry.target() == target)
}

pub(crate) fn refusal(code: &'static str) -> Refusal {
    match denied(code, None) {
        crate::enforcer::Verdict::Deny(refusal) => refusal,
        _ => Refusal::new(code, said_with_code(code)),
    }
}
