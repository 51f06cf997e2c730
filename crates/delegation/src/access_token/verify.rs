use std::fmt;

use chancery_identity::SpiffeId;
use chancery_identity::trust::AccessTokenAuthority;
use chancery_types::id::ExecutionId;
use chancery_types::jws::{Compact, JwsError};
use chancery_types::limits::MAX_CHAIN_LINKS;
use chancery_types::{Algorithm, Digest, SignatureVerifier, Timestamp};

use super::{ACCESS_TOKEN_TYP, AccessTokenError, Audience, MAX_ACCESS_TOKEN_SECONDS};
use crate::Reason;
use crate::token::{Entry, Members};

/// What a verifier of access tokens knows.
#[derive(Clone, Copy)]
pub struct AccessTokenContext<'a> {
    /// The time.
    pub now: Timestamp,
    /// The authorities that are believed.
    pub authorities: &'a [AccessTokenAuthority],
    /// Who the verifier is.
    pub audience: &'a str,
    /// The arithmetic.
    pub verifier: &'a dyn SignatureVerifier,
}

impl fmt::Debug for AccessTokenContext<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessTokenContext")
            .field("now", &self.now)
            .field("authorities", &self.authorities)
            .field("audience", &self.audience)
            .finish_non_exhaustive()
    }
}

/// An access token of a known authority, in force, for its audience. Only [`verify_access_token`]
/// makes one. Whoever presents it proves possession of the key that it is bound to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessToken {
    issuer: String,
    person: String,
    audience: Audience,
    execution: ExecutionId,
    issued_at: Timestamp,
    expires_at: Timestamp,
    actors: Vec<SpiffeId>,
    key: Digest,
    details: Vec<Entry>,
    chain: Digest,
    mission: Digest,
    session: String,
}

/// Verifies an access token as its audience would.
pub fn verify_access_token(
    token: &str,
    context: &AccessTokenContext<'_>,
) -> Result<AccessToken, AccessTokenError> {
    let jws = Compact::parse(token).map_err(|error| match error {
        JwsError::AlgorithmNotAllowed => AccessTokenError::AlgorithmNotAllowed,
        JwsError::TooLong | JwsError::Malformed => AccessTokenError::Malformed,
    })?;
    if jws.header.typ != ACCESS_TOKEN_TYP {
        return Err(AccessTokenError::WrongTyp);
    }
    if jws.header.algorithm != Algorithm::Es256 {
        return Err(AccessTokenError::AlgorithmNotAllowed);
    }
    let issuer = jws.claims.get("iss").and_then(|issuer| issuer.as_str());
    let kid = jws.header.kid.as_deref();
    let mut authorities = context.authorities.iter();
    let authority = authorities
        .find(|known| {
            Some(known.issuer.as_str()) == issuer && Some(known.key.kid().as_str()) == kid
        })
        .ok_or(AccessTokenError::UnknownKey)?;
    if !jws.verify(&authority.key, context.verifier) {
        return Err(AccessTokenError::BadSignature);
    }
    let read = AccessToken::read(Members::of(&jws.claims));
    let token = read.map_err(|_| AccessTokenError::Claims)?;
    if token.audience.as_str() != context.audience {
        return Err(AccessTokenError::WrongAudience);
    }
    if context.now < token.issued_at || context.now >= token.expires_at {
        return Err(AccessTokenError::NotInForce);
    }
    Ok(token)
}

impl AccessToken {
    fn read(mut claims: Members<'_>) -> Result<Self, Reason> {
        let actors = actors(claims.object("act")?)?;
        let client: SpiffeId = id(&claims.text("client_id")?)?;
        let mut cnf = claims.object("cnf")?;
        let key = cnf.digest("jkt")?;
        cnf.finish()?;
        let details = claims.array("authorization_details")?;
        claims.text("acr")?;
        claims.time("auth_time")?;
        let token = Self {
            issuer: claims.text("iss")?,
            person: claims.text("sub")?,
            audience: id(&claims.text("aud")?)?,
            execution: id(&claims.text("jti")?)?,
            issued_at: claims.time("iat")?,
            expires_at: claims.time("exp")?,
            key,
            details: details.iter().map(Entry::read).collect::<Result<_, _>>()?,
            chain: claims.digest("cth")?,
            mission: claims.digest("mission_s256")?,
            session: claims.text("sid")?,
            actors,
        };
        claims.finish()?;
        let longest = token.issued_at.plus_seconds(MAX_ACCESS_TOKEN_SECONDS);
        if token.actors.first() == Some(&client) && token.expires_at <= longest {
            Ok(token)
        } else {
            Err(Reason::Malformed)
        }
    }

    /// `iss`.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// `sub`: the person on whose behalf.
    pub fn person(&self) -> &str {
        &self.person
    }

    /// `aud`.
    pub const fn audience(&self) -> &Audience {
        &self.audience
    }

    /// `jti`: the execution under which the exchange stands in the gateway's log.
    pub const fn execution(&self) -> ExecutionId {
        self.execution
    }

    /// `iat`.
    pub const fn issued_at(&self) -> Timestamp {
        self.issued_at
    }

    /// `exp`; at this moment the token is over.
    pub const fn expires_at(&self) -> Timestamp {
        self.expires_at
    }

    /// `act`: the holders of the chain, the leaf first.
    pub fn actors(&self) -> &[SpiffeId] {
        &self.actors
    }

    /// `cnf.jkt`: the thumbprint of the leaf's key.
    pub const fn key(&self) -> Digest {
        self.key
    }

    /// `authorization_details`.
    pub fn details(&self) -> &[Entry] {
        &self.details
    }

    /// `cth` of the chain that was exchanged.
    pub const fn chain(&self) -> Digest {
        self.chain
    }

    /// The digest of the mission.
    pub const fn mission(&self) -> Digest {
        self.mission
    }

    /// `sid` of the chain.
    pub fn session(&self) -> &str {
        &self.session
    }
}

fn actors(mut actor: Members<'_>) -> Result<Vec<SpiffeId>, Reason> {
    let mut actors = Vec::new();
    loop {
        actors.push(id(&actor.text("sub")?)?);
        let inner = actor.has("act").then(|| actor.object("act")).transpose()?;
        actor.finish()?;
        match inner {
            Some(inner) if actors.len() < MAX_CHAIN_LINKS => actor = inner,
            Some(_) => return Err(Reason::TooLong),
            None => return Ok(actors),
        }
    }
}

fn id<T: std::str::FromStr>(text: &str) -> Result<T, Reason> {
    text.parse().map_err(|_| Reason::Malformed)
}
