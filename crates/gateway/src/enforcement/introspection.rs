use chancery_api::server::{Introspect, Introspection};
use chancery_delegation::{ChainReading, examine_chain};
use chancery_session::Session;
use chancery_types::id::SessionId;
use chancery_types::parse_strict;

use super::Enforcement;
use super::in_force::Freshness;
use crate::peer::Peer;

impl Enforcement {
    /// Says where a chain stands, to somebody who is in it; whoever is not learns nothing, not even
    /// whether there is such a chain.
    pub(crate) async fn introspect(
        &self,
        peer: &Peer,
        body: &[u8],
    ) -> Result<Introspection, &'static str> {
        let request: Introspect = parse_strict(body)
            .ok()
            .and_then(|value| serde_json::from_value(value).ok())
            .ok_or("malformed")?;
        let now = self.clock.now().map_err(|_| "clock_stepped_back")?;
        let tls = self.tls().ok_or("certificate_invalid")?;
        self.peers
            .verify(peer.certificates(), &tls, now)
            .map_err(|_| "certificate_invalid")?;
        let links: Vec<_> = request.token.trim().split(',').collect();
        let reading = ChainReading::read(&links).map_err(|refusal| refusal.reason.code())?;
        let mut holders = reading.grants().iter();
        if !holders.any(|grant| grant.subject.as_str() == peer.name().as_ref()) {
            return Err("chain_not_yours");
        }
        let in_force = self.in_force().ok_or("snapshot_missing")?;
        let examined = in_force.chains(self.own.as_str(), now, |context| {
            examine_chain(&links, context)
        });
        let expired = in_force.freshness(now, self.grace_seconds) == Freshness::Expired;
        let outside = match reading.sid().parse() {
            _ if expired => Some(Freshness::EXPIRED),
            Ok(session) if self.has_ended(session).await => Some("session_ended"),
            _ => None,
        };
        Ok(Introspection::of(&examined).unless(outside))
    }

    async fn has_ended(&self, session: SessionId) -> bool {
        match self.sessions.get(session) {
            Some(home) => {
                let live = home.lock().await;
                live.ending.is_some() || matches!(live.session(), Session::Ended(_))
            }
            None => self.records.knows(session),
        }
    }
}
