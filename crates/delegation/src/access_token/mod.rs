//! Access tokens for relying parties outside: what a chain is exchanged for (RFC 8693).
//!
//! A token is a JWT of RFC 9068 that any OAuth library reads: `sub` is the person at the root,
//! `act` the holders of the chain with the leaf outermost, `aud` the one relying party,
//! `authorization_details` (RFC 9396) entries that the leaf has, and `cnf.jkt` (RFC 9449) the leaf's
//! key. It is no chain and no proof: nothing of ours takes it as authority.
//!
//! An exchange is a call like any other: of the tool that is named as the audience, of the server
//! [`EXCHANGE_SERVER`]. So chain, mission, policy and session say who may have a token for whom.

mod audience;
mod details;
mod draft;
mod error;
mod verify;

pub use audience::{AUTHORIZATION_DETAILS, Audience, AudienceError};
pub use details::{carried, check_carried, requested};
pub use draft::AccessTokenDraft;
pub use error::AccessTokenError;
pub use verify::{AccessToken, AccessTokenContext, verify_access_token};

use chancery_types::jws::{Header, signing_input};
use chancery_types::{Algorithm, Jwk};

/// The `typ` of an access token (RFC 9068 section 2.1).
pub const ACCESS_TOKEN_TYP: &str = "at+jwt";

/// The server that exchanges are calls of. No tool server may have this name.
pub const EXCHANGE_SERVER: &str = "token-exchange";

/// Longest life of an access token: a relying party that asks nobody believes it until it ends.
pub const MAX_ACCESS_TOKEN_SECONDS: u64 = 300;

/// What every token that this key signed begins with, up to and with the first dot.
pub fn access_token_prefix(key: &Jwk) -> String {
    signing_input(&header(key), b"")
}

fn header(key: &Jwk) -> Header {
    Header {
        algorithm: Algorithm::Es256,
        typ: ACCESS_TOKEN_TYP.to_owned(),
        kid: Some(key.kid()),
    }
}
