//! The control plane: registers agents, issues identities, relays consents and approvals.
//!
//! Everything is enrolled in the server's log before it takes effect, and nothing is signed here:
//! the signer does that, each kind only by its rule. No call of an agent ever passes this process.

mod attempts;
mod authorities;
mod broker_reasons;
mod brokers;
mod bundle_endpoint;
mod clock;
mod connections;
mod console;
mod endpoints;
mod erasure;
mod federation;
mod holding;
mod inviting;
mod nodes;
mod own_svid;
mod passkeys;
mod published_policy;
mod registration_reasons;
mod remote_signer;
mod retirement;
mod revoking;
mod server;
mod snapshots;
mod spawning;
mod svid_ends;
mod svid_lifetime;
mod withdrawn;

pub use broker_reasons::BROKER_REASONS;
pub use bundle_endpoint::{
    BUNDLE_ROUTES, BundleEndpointConfig, BundleEndpointError, BundleEndpoints, CertificateError,
    WebEndpoint,
};
pub use clock::{Clock, ClockError};
pub use console::{
    Audience, CONSOLE_REASONS, CONSOLE_ROUTES, Console, ConsoleCertificate, ConsoleConfig,
    ConsoleError, ConsoleOrigin, ConsoleOriginError,
};
pub use endpoints::{NODE_ROUTES, ROUTES};
pub use federation::FEDERATION_REASONS;
pub use holding::{Holding, HoldingError, Noted, PlaceHolder};
pub use nodes::{NODE_REASONS, NodeHome, NodeListener, NodeListenerError};
pub use passkeys::PASSKEY_REASONS;
pub use registration_reasons::REGISTRATION_REASONS;
pub use remote_signer::RemoteSigner;
pub use server::{Server, ServerConfig, ServerError};
pub use spawning::SPAWN_REASONS;
pub use svid_lifetime::{SvidLifetime, SvidLifetimeError};
