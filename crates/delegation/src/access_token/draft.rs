use chancery_types::id::ExecutionId;
use chancery_types::jws::{assemble, signing_input};
use chancery_types::{Algorithm, Jwk, Timestamp, to_canonical};
use serde_json::{Value, json};

use super::{Audience, EXCHANGE_SERVER, MAX_ACCESS_TOKEN_SECONDS, check_carried, header};
use crate::Reason;
use crate::chain::VerifiedChain;
use crate::draft::{DraftError, Signer};
use crate::token::Entry;

/// An access token to be made for the holder of a chain.
#[derive(Debug, Clone, Copy)]
pub struct AccessTokenDraft<'a> {
    /// `iss`: the authority's URL.
    pub issuer: &'a str,
    /// `aud`.
    pub audience: &'a Audience,
    /// The chain that is exchanged.
    pub chain: &'a VerifiedChain,
    /// `jti`: the execution under which the exchange was decided.
    pub execution: ExecutionId,
    /// `authorization_details`.
    pub details: &'a [Entry],
    /// `iat`.
    pub issued_at: Timestamp,
    /// `exp` at the latest.
    pub expires_at: Timestamp,
}

impl AccessTokenDraft<'_> {
    /// Makes the token; `key` is the public half of what `sign` signs with, the authority's. It never
    /// outlives the chain nor [`MAX_ACCESS_TOKEN_SECONDS`], and carries nothing that the leaf has not.
    pub fn sign<E: std::error::Error + 'static>(
        &self,
        key: &Jwk,
        sign: Signer<'_, E>,
    ) -> Result<String, DraftError<E>> {
        if key.algorithm() != Algorithm::Es256 {
            return Err(Reason::AlgNotAllowed.into());
        }
        check_carried(self.chain, |server| server != EXCHANGE_SERVER, self.details)?;
        let longest = self.issued_at.plus_seconds(MAX_ACCESS_TOKEN_SECONDS);
        let ends = self.expires_at.min(self.chain.expires_at()).min(longest);
        if ends.as_seconds() <= self.issued_at.as_seconds() {
            return Err(Reason::Expired.into());
        }
        let claims = to_canonical(&self.claims(ends)).map_err(DraftError::Canonical)?;
        let input = signing_input(&header(key), &claims);
        let signature = sign(input.as_bytes()).map_err(DraftError::Sign)?;
        Ok(assemble(&input, &signature))
    }

    fn claims(&self, ends: Timestamp) -> Value {
        let (chain, person) = (self.chain, self.chain.principal());
        let details = self.details.iter();
        json!({
            "iss": self.issuer,
            "sub": person.subject,
            "aud": self.audience.as_str(),
            "client_id": chain.leaf_subject().as_str(),
            "iat": self.issued_at.as_seconds(),
            "exp": ends.as_seconds(),
            "jti": self.execution.to_string(),
            "acr": person.acr,
            "auth_time": person.authenticated_at.as_seconds(),
            "act": actors(chain),
            "cnf": {"jkt": chain.leaf_key().kid()},
            "authorization_details": details.map(Entry::to_json).collect::<Value>(),
            "cth": chain.digest().to_base64url(),
            "mission_s256": chain.mission().to_base64url(),
            "sid": chain.sid(),
        })
    }
}

/// `act` (RFC 8693 section 4.1): the leaf outermost, within it who delegated to it, up to the root's
/// holder.
fn actors(chain: &VerifiedChain) -> Value {
    let mut inner = None;
    for link in chain.links() {
        let mut actor = json!({"sub": link.subject().as_str()});
        if let (Some(members), Some(inner)) = (actor.as_object_mut(), inner) {
            members.insert("act".to_owned(), inner);
        }
        inner = Some(actor);
    }
    inner.unwrap_or_default()
}
