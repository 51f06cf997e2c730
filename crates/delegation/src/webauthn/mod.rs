//! WebAuthn assertions over statements of ours: verified by us, because the challenge is not random
//! but the digest of what a person agrees to. And the registrations that their credentials come from.

mod assertion;
mod attested_credential;
mod authenticator_data;
mod client_data;
mod registration;
mod software;

pub use assertion::{Assertion, AssertionError, Credential, VerifiedAssertion, verify_assertion};
pub use attested_credential::AttestedCredential;
pub use authenticator_data::{AuthenticatorData, AuthenticatorDataError};
pub use client_data::{ClientData, ClientDataError, make_client_data};
pub use registration::{
    Registration, RegistrationError, VerifiedRegistration, verify_registration,
};
pub use software::SoftwareAuthenticator;
