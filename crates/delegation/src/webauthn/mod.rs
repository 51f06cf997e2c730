//! WebAuthn assertions over statements of ours: verified by us, because the challenge is not random
//! but the digest of what a person agrees to.

mod assertion;
mod authenticator_data;
mod client_data;
mod software;

pub use assertion::{Assertion, AssertionError, Credential, VerifiedAssertion, verify_assertion};
pub use authenticator_data::{AuthenticatorData, AuthenticatorDataError};
pub use client_data::{ClientData, ClientDataError, make_client_data};
pub use software::SoftwareAuthenticator;
