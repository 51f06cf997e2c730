//! The exchange of a delegation chain for an access token (RFC 8693): a call of the built-in server
//! `token-exchange`, decided and enrolled as any other. What is forwarded is a request to the signer;
//! the outcome names the token by its digest.

mod fault;
mod form;

use std::collections::BTreeSet;
use std::time::Instant;

use bytes::Bytes;
use chancery_api::ClientError;
use chancery_api::oauth::{ACCESS_TOKEN_TYPE, IssuedToken, jwks, metadata};
use chancery_api::signer::SignAccess;
use chancery_crypto::AwsLc;
use chancery_delegation::access_token::{
    AccessTokenContext, Audience, EXCHANGE_SERVER, carried, check_carried, requested,
    verify_access_token,
};
use chancery_delegation::{Entry, VerifiedChain};
use chancery_types::{Digest, Timestamp};
use http::StatusCode;
use serde_json::Value;

use super::Enforcement;
use super::material::Material;
use crate::call::Call;
use crate::enforcer::{
    ControlReply, ControlRequest, Enforcer as _, Outcome, Seat, Status, Verdict,
};
use crate::peer::Peer;

use fault::Fault;
pub use form::ExchangeForm;

/// Why a token's details are refused.
const DETAILS: &str = "exchange_details";

impl Enforcement {
    /// Exchanges a chain for an access token.
    pub(crate) async fn exchange_token(
        &self,
        peer: &Peer,
        request: &ControlRequest,
    ) -> ControlReply {
        match self.try_exchange(peer, request).await {
            Ok(issued) => ControlReply {
                status: StatusCode::OK,
                body: Bytes::from(serde_json::to_vec(&issued).unwrap_or_default()),
            },
            Err(fault) => fault.to_reply(),
        }
    }

    async fn try_exchange(
        &self,
        peer: &Peer,
        request: &ControlRequest,
    ) -> Result<IssuedToken, Fault> {
        if !request.is_form {
            return Err("exchange_form".into());
        }
        let form = ExchangeForm::parse(&request.body)?;
        if form
            .client()
            .is_some_and(|client| client != peer.name().as_ref())
        {
            return Err("holder_mismatch".into());
        }
        let call = form.to_call()?;
        let permit = match self.decide_call(peer, &call).await {
            Verdict::Forward(permit) => permit,
            Verdict::Deny(refusal) => return Err(refusal.into()),
            Verdict::Pending(pending) => return Err(pending.into()),
        };
        let (execution, seat) = (permit.execution(), permit.seat());
        let started = Instant::now();
        let issued = self.issue(peer, &call, form.audience(), seat).await;
        let micros = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
        let outcome = match &issued {
            Ok(issued) => Outcome {
                status: Status::Completed,
                result_digest: Some(Digest::of(&issued.access_token)),
                result_bytes: issued.access_token.len() as u64,
                micros,
            },
            Err(_) => Outcome::unanswered(Status::NotForwarded, micros),
        };
        // INVARIANT: no token leaves before the outcome that names it is durable.
        self.outcome(permit, outcome).await?;
        issued.map_err(|fault| fault.under(execution))
    }

    /// Has the token signed, and looks at what was signed.
    async fn issue(
        &self,
        peer: &Peer,
        call: &Call,
        audience: &Audience,
        seat: Seat,
    ) -> Result<IssuedToken, Fault> {
        let now = self.clock.now().map_err(|_| "clock_stepped_back")?;
        let in_force = self.in_force().ok_or("snapshot_missing")?;
        let material = Material::read(call, |chain| {
            self.references.find(peer.name(), chain, &self.sessions)
        });
        let holder = peer.name().parse().map_err(|_| "certificate_invalid")?;
        let known = self
            .verify_call_chain(&in_force, &holder, &material, now)
            .map_err(|fault| Fault::from(fault.code))?;
        let details = self.details(&known.chain, &material)?;
        let request = SignAccess {
            chain: material.links.clone(),
            proof: material.proof.clone().ok_or("pop_missing")?,
            arguments: String::from_utf8(material.canonical.clone()).map_err(|_| "malformed")?,
            gateway: self.own.to_string(),
            audience: audience.to_string(),
            authorization_details: details.iter().map(Entry::to_json).collect(),
            expires_at: self.ends(peer, seat).await?,
        };
        let signed = self.server.issue_access(&request).await;
        let token = signed.map_err(|error| self.unsigned(&error))?.token;
        let context = AccessTokenContext {
            now: self.clock.now().map_err(|_| "clock_stepped_back")?,
            authorities: &in_force.trust.access_token_authorities,
            audience: audience.as_str(),
            verifier: &AwsLc,
        };
        let read = verify_access_token(&token, &context).map_err(|error| {
            tracing::error!(%error, "the signer's access token does not verify");
            "exchange_unavailable"
        })?;
        if read.chain() != known.chain.digest() || read.details() != details.as_slice() {
            tracing::error!("the signer's access token is another than was asked for");
            return Err("exchange_unavailable".into());
        }
        Ok(IssuedToken {
            access_token: token,
            issued_token_type: ACCESS_TOKEN_TYPE.to_owned(),
            token_type: "DPoP".to_owned(),
            expires_in: read
                .expires_at()
                .as_seconds()
                .saturating_sub(context.now.as_seconds()),
            authorization_details: request.authorization_details,
        })
    }

    /// When the holder's seat and its session are over.
    async fn ends(&self, peer: &Peer, seat: Seat) -> Result<Timestamp, &'static str> {
        let home = self.sessions.get(seat.session).ok_or("session_unknown")?;
        let live = home.lock().await;
        let open = live.open().ok_or("session_ended")?;
        let seated = live.seated(peer.name()).ok_or("not_joined")?;
        Ok(seated.expires.min(open.opened().entry.expires))
    }

    fn unsigned(&self, error: &ClientError) -> Fault {
        match error {
            ClientError::Refused(problem) if problem.status < 500 => {
                tracing::info!(%problem, gateway = %self.own, "an access token was refused");
                Fault::from("exchange_refused").because(&problem.reason)
            }
            error => {
                tracing::warn!(%error, "no access token was signed");
                "exchange_unavailable".into()
            }
        }
    }

    /// That the entries which an exchange asks for are the leaf's, and such as a token may carry; of
    /// other calls nothing.
    pub(crate) fn check_exchange(
        &self,
        chain: &VerifiedChain,
        material: &Material,
    ) -> Result<(), &'static str> {
        if material.server == EXCHANGE_SERVER {
            self.details(chain, material)?;
        }
        Ok(())
    }

    /// What the token carries: what was asked for, else all that it may.
    fn details(
        &self,
        chain: &VerifiedChain,
        material: &Material,
    ) -> Result<Vec<Entry>, &'static str> {
        let none = BTreeSet::new();
        let audience: Option<Audience> = material.name.parse().ok();
        let servers = audience.and_then(|audience| self.audiences.get(&audience));
        let servers = servers.unwrap_or(&none);
        let is_server = |server: &str| servers.contains(server);
        match requested(&material.arguments).map_err(|_| DETAILS)? {
            None => Ok(carried(chain, is_server)),
            Some(asked) => check_carried(chain, is_server, &asked)
                .map(|()| asked)
                .map_err(|_| DETAILS),
        }
    }

    /// The metadata of the authorization server, for whoever reached it under `host`.
    pub(crate) fn oauth_metadata(&self, host: &str) -> Result<Value, &'static str> {
        let trust = self.trust.current();
        let authority = trust.access_token_authorities.first();
        let authority = authority.ok_or("exchange_unavailable")?;
        Ok(metadata(authority, &format!("https://{host}")))
    }

    /// The keys that access tokens are signed with.
    pub(crate) fn oauth_keys(&self) -> Value {
        jwks(&self.trust.current().access_token_authorities)
    }

    /// Whether a message holds an access token of our own authorities, as it is written or as its
    /// escapes are read: a token is for its audience, and passes through here to nobody.
    pub(crate) fn holds_access_token(&self, text: &str) -> bool {
        let Some(in_force) = self.in_force() else {
            return false;
        };
        // Of what a token consists of, JSON has no other escapes.
        in_force.holds_access_token(text)
            || text.contains("\\u")
                && serde_json::from_str::<Value>(text)
                    .is_ok_and(|read| in_force.holds_access_token(&read.to_string()))
    }
}
