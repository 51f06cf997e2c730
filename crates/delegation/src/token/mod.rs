//! What stands in a token: claims, entries, constraints and limits, read strictly.

mod arguments;
mod call;
mod claims;
mod constraint;
mod entry;
mod grant;
mod members;
mod network;
mod path;
mod spending;

pub use arguments::read_arguments;
pub use call::{Call, Target};
pub use claims::{LinkClaims, Principal, RootClaims, StandingUse};
pub use constraint::{Constraint, Judgement, Scalar};
pub use entry::Entry;
pub use grant::Grant;
pub use network::Network;
pub use path::CleanPath;
pub use spending::Limits;

pub(crate) use members::{Members, id, is_id};
