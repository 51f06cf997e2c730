use chancery_api::server::{Introspect, Introspection};
use chancery_crypto::AwsLc;
use chancery_delegation::access_token::{
    ACCESS_TOKEN_TYP, AccessToken, AccessTokenContext, AccessTokenError, verify_access_token,
};
use chancery_delegation::{ChainReading, examine_chain};
use chancery_session::Session;
use chancery_types::id::SessionId;
use chancery_types::jws::Compact;
use chancery_types::{Timestamp, parse_strict};

use super::Enforcement;
use super::in_force::{Freshness, InForce};
use crate::peer::Peer;

impl Enforcement {
    /// Says where a chain stands, or an access token that was issued for one, to somebody who is in it
    /// or is the token's audience; whoever is not learns nothing, not even whether there is such a chain.
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
        let in_force = self.in_force().ok_or("snapshot_missing")?;
        let text = request.token.trim();
        let issued = match Compact::parse(text) {
            Ok(jws) if jws.header.typ == ACCESS_TOKEN_TYP => {
                Some(issued(text, &jws, peer, &in_force, now)?)
            }
            _ => None,
        };
        let text = match &issued {
            Some(Issued::Over) => return Ok(Introspection::inactive("expired")),
            Some(Issued::Stands(token)) => {
                let chain = self.objects.get(None, token.chain());
                let chain = chain.and_then(|chain| String::from_utf8(chain).ok());
                chain.ok_or("chain_not_yours")?
            }
            None => text.to_owned(),
        };
        let links: Vec<_> = text.split(',').collect();
        let reading = ChainReading::read(&links).map_err(|refusal| refusal.reason.code())?;
        let mut holders = reading.grants().iter();
        let is_in = holders.any(|grant| grant.subject.as_str() == peer.name().as_ref());
        if !is_in && issued.is_none() {
            return Err("chain_not_yours");
        }
        let examined = in_force.chains(self.own.as_str(), now, |context| {
            examine_chain(&links, context)
        });
        let expired = in_force.freshness(now, self.grace_seconds) == Freshness::Expired;
        let outside = match reading.sid().parse() {
            _ if expired => Some(Freshness::EXPIRED),
            Ok(session) if self.has_ended(session).await => Some("session_ended"),
            _ => None,
        };
        let told = Introspection::of(&examined).unless(outside);
        Ok(match issued {
            Some(Issued::Stands(token)) => Introspection {
                aud: Some(vec![token.audience().to_string()]),
                exp: Some(token.expires_at().as_seconds()),
                ..told
            },
            _ => told,
        })
    }

    async fn has_ended(&self, session: SessionId) -> bool {
        match self.sessions.get(session) {
            Some(home) => {
                let live = home.lock().await;
                live.is_ending() || matches!(live.session(), Session::Ended(_))
            }
            None => self.records.knows(session),
        }
    }
}

/// An access token of our own authorities.
enum Issued {
    Stands(Box<AccessToken>),
    Over,
}

/// Reads an access token, for its audience and for those who act by it.
fn issued(
    text: &str,
    jws: &Compact<'_>,
    peer: &Peer,
    in_force: &InForce,
    now: Timestamp,
) -> Result<Issued, &'static str> {
    let claim = |name: &str| jws.claims.get(name).and_then(|value| value.as_str());
    let context = AccessTokenContext {
        now,
        authorities: &in_force.trust.access_token_authorities,
        audience: claim("aud").unwrap_or_default(),
        verifier: &AwsLc,
    };
    let name = peer.name().as_ref();
    match verify_access_token(text, &context) {
        Ok(token) => {
            let mut actors = token.actors().iter();
            let is_audience = token.audience().as_str() == name;
            match is_audience || actors.any(|actor| actor.as_str() == name) {
                true => Ok(Issued::Stands(Box::new(token))),
                false => Err("chain_not_yours"),
            }
        }
        // Its signature holds, and whose it was is of no use to anybody any more.
        Err(AccessTokenError::NotInForce) => Ok(Issued::Over),
        Err(_) => Err("chain_not_yours"),
    }
}
