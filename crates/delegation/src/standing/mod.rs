//! Standing consents, for work that recurs unattended: a person signs once that one mission may be
//! rooted so often, until a date, for one agent at one gateway, with these entries and each time for
//! so long.

mod artefact;
mod cover;
mod statement;

pub use artefact::{ConsentArtefact, SignedStanding};
pub use cover::{RootTerms, StandingReason};
pub use statement::{MAX_STANDING_USES, StandingError, StandingForm, StandingStatement};
