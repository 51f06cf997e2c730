//! Chains: verified link by link from an authority that the verifier knows, down to the holder.

mod context;
mod narrowing;
mod reading;
mod scope;
mod tip;
mod verified;
mod verify;

pub use context::{ChainContext, Standing, TrustAnchor};
pub use reading::{ChainReading, Examination, LinkStanding, examine_chain};
pub use scope::{Coverage, Restriction, Scope, authorise};
pub use tip::ChainTip;
pub use verified::{VerifiedChain, VerifiedLink};
pub use verify::verify_chain;

pub(crate) use narrowing::{check_narrowing, check_unique};

/// `typ` of a root and of a link.
pub(crate) const LINK_TYP: &str = "adt+jwt";
