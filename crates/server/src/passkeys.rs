//! Passkeys of people, as the server judges them: by the counter that it keeps of each as well, which a
//! gateway and an offline verifier cannot.

use chancery_api::Problem;
use chancery_delegation::webauthn::{AuthenticatorDataError, ClientDataError};
use chancery_delegation::{AssertionError, RegistrationError};
use tokio::sync::MutexGuard;

use crate::Server;
use crate::endpoints::stored;

/// Why a passkey's signature or its registration is refused.
pub const PASSKEY_REASONS: &[(&str, &str)] = &[
    (
        "passkey_malformed",
        "what the browser sent is not what an authenticator makes",
    ),
    (
        "passkey_ceremony",
        "the signature is of another ceremony, or was made in a frame of another page",
    ),
    (
        "passkey_challenge",
        "the signature is over something else than what is asked here",
    ),
    (
        "passkey_origin",
        "the signature was made on another page than the console's; open the console at its own address",
    ),
    (
        "passkey_relying_party",
        "the signature is for another relying party than the console",
    ),
    ("passkey_absent", "nobody touched the authenticator"),
    (
        "passkey_unverified",
        "the authenticator did not verify who touched it, by a PIN or otherwise",
    ),
    (
        "passkey_unknown",
        "the trust document names nobody with this passkey, or not this person",
    ),
    ("passkey_signature", "the signature is not the passkey's"),
    (
        "passkey_counter",
        "the authenticator's counter did not rise: the passkey may have been copied; have it taken out \
         of the trust document",
    ),
    (
        "passkey_key",
        "the passkey's key is not an ES256 or Ed25519 key",
    ),
    (
        "passkey_enrolled",
        "the passkey is in the trust document already",
    ),
];

/// The counter of one passkey: nobody else judges it as long as this is held.
#[derive(Debug)]
pub(crate) struct Counter<'s> {
    server: &'s Server,
    place: String,
    last: u32,
    _turn: MutexGuard<'s, ()>,
}

impl Server {
    /// The counter of a passkey's last signature here; zero where there was none.
    pub(crate) async fn counter(&self, credential_id: &str) -> Result<Counter<'_>, Problem> {
        let turn = self.counting.lock().await;
        let place = format!("passkey {credential_id}");
        let last = self.store.meta(&place).await.map_err(stored)?;
        let last = last.map(|last| last.parse()).transpose();
        let last =
            last.map_err(|error: std::num::ParseIntError| Problem::internal("passkey", &error))?;
        Ok(Counter {
            server: self,
            place,
            last: last.unwrap_or_default(),
            _turn: turn,
        })
    }
}

impl Counter<'_> {
    pub(crate) const fn last(&self) -> u32 {
        self.last
    }

    /// Keeps what a verified signature says.
    pub(crate) async fn keep(self, counter: u32) -> Result<(), Problem> {
        if counter == self.last {
            return Ok(());
        }
        let counter = counter.to_string();
        let kept = self.server.store.set_meta(&self.place, &counter).await;
        kept.map_err(stored)
    }
}

/// Says why a passkey's signature is refused.
pub(crate) fn refused(error: AssertionError) -> Problem {
    let reason = match error {
        AssertionError::Malformed => "passkey_malformed",
        AssertionError::Credential => "passkey_unknown",
        AssertionError::ClientData(error) => client_data(error),
        AssertionError::AuthenticatorData(error) => authenticator_data(error),
        AssertionError::Challenge => "passkey_challenge",
        AssertionError::Origin => "passkey_origin",
        AssertionError::RelyingParty => "passkey_relying_party",
        AssertionError::Signature => "passkey_signature",
        AssertionError::Counter => "passkey_counter",
    };
    Problem::forbidden(reason, error.to_string())
}

/// Says why a registration is refused.
pub(crate) fn not_registered(error: RegistrationError) -> Problem {
    let reason = match error {
        RegistrationError::Malformed | RegistrationError::Credential => "passkey_malformed",
        RegistrationError::ClientData(error) => client_data(error),
        RegistrationError::AuthenticatorData(error) => authenticator_data(error),
        RegistrationError::Challenge => "passkey_challenge",
        RegistrationError::Origin => "passkey_origin",
        RegistrationError::RelyingParty => "passkey_relying_party",
        RegistrationError::Key => "passkey_key",
    };
    Problem::forbidden(reason, error.to_string())
}

const fn client_data(error: ClientDataError) -> &'static str {
    match error {
        ClientDataError::Malformed => "passkey_malformed",
        ClientDataError::Type | ClientDataError::CrossOrigin => "passkey_ceremony",
    }
}

const fn authenticator_data(error: AuthenticatorDataError) -> &'static str {
    match error {
        AuthenticatorDataError::Malformed => "passkey_malformed",
        AuthenticatorDataError::UserNotPresent => "passkey_absent",
        AuthenticatorDataError::UserNotVerified => "passkey_unverified",
    }
}
