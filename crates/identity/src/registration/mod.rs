//! What an agent is registered with beside its manifest, and registrations as files.

mod dns_name;
mod file;
mod hint;
mod lifetime;
mod owner;
mod spawning;
mod terms;

pub use dns_name::{DnsName, DnsNameError};
pub use file::{MAX_FILE_BYTES, RegistrationFile, RegistrationFileError};
pub use hint::{Hint, HintError};
pub use lifetime::{SvidSeconds, SvidSecondsError};
pub use owner::{RegistrationOwner, RegistrationOwnerError};
pub use spawning::MaySpawn;
pub use terms::{MAX_DNS_NAMES, RegistrationTerms, TermsError};
