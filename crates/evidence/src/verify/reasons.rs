//! Reason codes that the gateway gives beside those of chains, proofs and sessions.

use chancery_delegation::RuleReason;
use chancery_session::Reason;

/// The tool's schema has no such argument.
pub(super) const UNKNOWN_ARGUMENT: &str = "unknown_argument";

/// A person denied the action before.
pub(super) const APPROVAL_DENIED: &str = "approval_denied";

/// Nobody answered in time.
pub(super) const APPROVAL_EXPIRED: &str = "approval_expired";

/// The call came without a chain.
pub(super) const DELEGATION_MISSING: &str = "delegation_missing";

/// What only the session machine finds: it would have come out again.
const JUDGED: [Reason; 36] = [
    Reason::NotOpen,
    Reason::Ended,
    Reason::SessionExpired,
    Reason::NotJoined,
    Reason::HolderMismatch,
    Reason::WrongSession,
    Reason::WrongMission,
    Reason::MissionExpiry,
    Reason::MissionStopped,
    Reason::MissionForbid,
    Reason::Opinion,
    Reason::WrongPrincipal,
    Reason::WrongConsent,
    Reason::AmbiguousDelegation,
    Reason::WrongExecution,
    Reason::TooManyCalls,
    Reason::CatalogChanged,
    Reason::NotInCatalog,
    Reason::BadArguments,
    Reason::ChainForbid,
    Reason::PolicyForbid,
    Reason::PolicyNoMatch,
    Reason::PolicyError,
    Reason::CostUnknown,
    Reason::CallLimit,
    Reason::CostLimit,
    Reason::SessionCallLimit,
    Reason::SessionCostLimit,
    Reason::ResourceUnknown,
    Reason::RowsUnknown,
    Reason::BreadthLimit,
    Reason::Paused,
    Reason::Ask,
    Reason::Permit,
    Reason::Approved,
    Reason::Observed,
];

/// Whether the reason is one that follows from evidence alone, so that a denial for it must come
/// out again.
pub(super) fn is_judged(code: &str) -> bool {
    JUDGED.iter().any(|known| known.code() == code)
        || code.parse::<chancery_delegation::Reason>().is_ok()
        || RuleReason::ALL.iter().any(|known| known.code() == code)
}
