//! The session machine: one mission under one home gateway.
//!
//! A [`Session`] is opened with an identity, a manifest, a verified chain and the digests of policy
//! and catalog, and holds no permission then. Instances join and leave it; every call is judged by
//! [`Session::judge`], the one function that gateways and offline verifiers share, and recorded by
//! [`Session::step`]; one end event closes it for ever.
//!
//! Pure: `step` says what to enrol and the caller enrols it; only after [`Event::Enrolled`] says
//! that a decision is durable does a [`Permit`] to forward come back. The state is a fold over the
//! enrolled entries, so [`Session::replay`] gives what live stepping gave.
//!
//! Effective right = chain, and mission, and policy, and the session's limits. What an instance holds at a
//! time are [`Permission`]s, each made in time for one tool and one resource; at the start there is none.
//! Trust, taint and budgets are folds over the same entries; what all sessions of a gateway share stands in
//! [`Commons`]. This crate alone translates a
//! verified chain into the principal that policy sees.

mod action;
mod admission;
mod approval;
mod commons;
mod effect;
mod event;
mod facts;
mod judge;
mod judgement;
mod limits;
mod member;
mod observe;
mod opinion;
mod reason;
mod refused;
mod replay;
mod rulebook;
mod session;
mod session_rules;
mod state;
mod translate;
mod trust;

pub use action::{Action, PRINCIPAL, chain_ask, principal_text};
pub use commons::{Braked, Commons, EVERYWHERE};
pub use effect::{Effect, Permit};
pub use event::{
    Answered, ApprovalQuestion, Budgets, Ending, Event, ExecutionEnd, Joining, Leaving, Opening,
    Visiting,
};
pub use judge::{CallInput, CatalogFacts};
pub use judgement::Judgement;
pub use limits::Sum;
pub use member::{Member, MemberError};
pub use opinion::{Opinion, OpinionVerdict};
pub use reason::Reason;
pub use refused::{Fault, Refused};
pub use replay::ReplayError;
pub use rulebook::{Rulebook, RulebookError};
pub use session::Session;
pub use session_rules::{
    Ceilings, Observe, SESSION_RULES_FORM, SessionRules, SessionRulesError, ToolRules,
};
pub use state::{Basis, Ended, Grant, Open, Opened, Pending, Permission, Reach, Totals};

#[cfg(test)]
mod tests;
