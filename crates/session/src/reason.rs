//! Why a call was decided as it was: one code each.

use std::fmt;

use chancery_delegation as delegation;

/// Which check decided a call. Exhaustive on purpose: whoever answers one answers all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// The session is not open yet.
    NotOpen,
    /// The session has ended.
    Ended,
    /// The clock stands before the last entry.
    ClockSteppedBack,
    /// The session's time is over.
    SessionExpired,
    /// The leaf of the chain is not an instance that is in the session.
    NotJoined,
    /// The instance, or its agent key, joined another session.
    JoinedElsewhere,
    /// The chain is bound to another agent key than the instance joined with.
    HolderMismatch,
    /// The chain is for another session.
    WrongSession,
    /// The chain is for another mission.
    WrongMission,
    /// The root would outlive the mission.
    MissionExpiry,
    /// The mission has come to one of its stop conditions.
    MissionStopped,
    /// The mission forbids the means.
    MissionForbid,
    /// The opinion that came with the call is against it.
    Opinion,
    /// The chain is on behalf of another person.
    WrongPrincipal,
    /// The consent is for another root.
    WrongConsent,
    /// Another link of the session has the same `jti`.
    AmbiguousDelegation,
    /// The execution was decided before, or the proof means another.
    WrongExecution,
    /// The session has decided as many calls as it may hold.
    TooManyCalls,
    /// The tool catalog is another one than the session was opened with.
    CatalogChanged,
    /// The catalog does not have the tool.
    NotInCatalog,
    /// The arguments have no canonical form.
    BadArguments,
    /// The chain no longer stands, or does not cover the call.
    Chain(delegation::Reason),
    /// The chain or its holder breaks one of the operator's rules for chains.
    Rules(delegation::RuleReason),
    /// A link of the chain forbids the call.
    ChainForbid,
    /// A forbid of the policy matched.
    PolicyForbid,
    /// No policy matched.
    PolicyNoMatch,
    /// A policy could not be evaluated.
    PolicyError,
    /// What the call costs is not known.
    CostUnknown,
    /// A delegation's number of calls is used up.
    CallLimit,
    /// A delegation's cost is used up.
    CostLimit,
    /// The session's number of calls is used up.
    SessionCallLimit,
    /// The session's cost is used up.
    SessionCostLimit,
    /// The call names no resource where the rules for sessions say that it does.
    ResourceUnknown,
    /// The call does not say how many rows it asks for.
    RowsUnknown,
    /// One more resource than the session may reach: it is suspended.
    BreadthLimit,
    /// A brake is on.
    Paused,
    /// A policy, a link of the chain, the mission, the rules for sessions or an opinion asks for a
    /// person's approval.
    Ask,
    /// A policy permits the call.
    Permit,
    /// A person approved the call.
    Approved,
    /// Policy denies the call or asks about it, and the operator has it observed: nothing is enforced.
    Observed,
}

impl Reason {
    /// Every reason but those of the chain, which [`delegation::Reason::ALL`] holds.
    pub const OWN: [Self; 38] = [
        Self::NotOpen,
        Self::Ended,
        Self::ClockSteppedBack,
        Self::SessionExpired,
        Self::NotJoined,
        Self::JoinedElsewhere,
        Self::HolderMismatch,
        Self::WrongSession,
        Self::WrongMission,
        Self::MissionExpiry,
        Self::MissionStopped,
        Self::MissionForbid,
        Self::Opinion,
        Self::WrongPrincipal,
        Self::WrongConsent,
        Self::AmbiguousDelegation,
        Self::WrongExecution,
        Self::TooManyCalls,
        Self::CatalogChanged,
        Self::NotInCatalog,
        Self::BadArguments,
        Self::ChainForbid,
        Self::PolicyForbid,
        Self::PolicyNoMatch,
        Self::PolicyError,
        Self::CostUnknown,
        Self::CallLimit,
        Self::CostLimit,
        Self::SessionCallLimit,
        Self::SessionCostLimit,
        Self::ResourceUnknown,
        Self::RowsUnknown,
        Self::BreadthLimit,
        Self::Paused,
        Self::Ask,
        Self::Permit,
        Self::Approved,
        Self::Observed,
    ];

    /// The code in the log.
    pub const fn code(self) -> &'static str {
        match self {
            Self::NotOpen => "session_not_open",
            Self::Ended => "session_ended",
            Self::ClockSteppedBack => "clock_stepped_back",
            Self::SessionExpired => "session_expired",
            Self::NotJoined => "not_joined",
            Self::JoinedElsewhere => "joined_elsewhere",
            Self::HolderMismatch => "holder_mismatch",
            Self::WrongSession => "wrong_session",
            Self::WrongMission => "wrong_mission",
            Self::MissionExpiry => "mission_expiry",
            Self::MissionStopped => "mission_stopped",
            Self::MissionForbid => "mission_forbid",
            Self::Opinion => "opinion",
            Self::WrongPrincipal => "wrong_principal",
            Self::WrongConsent => "wrong_consent",
            Self::AmbiguousDelegation => "ambiguous_delegation",
            Self::WrongExecution => "wrong_execution",
            Self::TooManyCalls => "too_many_calls",
            Self::CatalogChanged => "catalog_changed",
            Self::NotInCatalog => "not_in_catalog",
            Self::BadArguments => "bad_arguments",
            Self::Chain(reason) => reason.code(),
            Self::Rules(reason) => reason.code(),
            Self::ChainForbid => "chain_forbid",
            Self::PolicyForbid => "policy_forbid",
            Self::PolicyNoMatch => "policy_no_match",
            Self::PolicyError => "policy_error",
            Self::CostUnknown => "cost_unknown",
            Self::CallLimit => "call_limit",
            Self::CostLimit => "cost_limit",
            Self::SessionCallLimit => "session_call_limit",
            Self::SessionCostLimit => "session_cost_limit",
            Self::ResourceUnknown => "resource_unknown",
            Self::RowsUnknown => "rows_unknown",
            Self::BreadthLimit => crate::commons::BREADTH_LIMIT,
            Self::Paused => "paused",
            Self::Ask => "ask",
            Self::Permit => "permit",
            Self::Approved => "approved",
            Self::Observed => "observed",
        }
    }

    /// What to say to people, with what helps where something does.
    pub const fn said(self) -> &'static str {
        match self {
            Self::NotOpen => "the session is not open yet",
            Self::Ended => "the session has ended; delegate again to a new instance",
            Self::ClockSteppedBack => {
                "the clock stands before the session's last entry; set the machine's clock"
            }
            Self::SessionExpired => "the session's time is over; delegate again",
            Self::NotJoined => "the instance is not in the session",
            Self::JoinedElsewhere => {
                "the instance joined another session before; start a fresh one for this session"
            }
            Self::HolderMismatch => {
                "the delegation is held by another key than the instance joined with"
            }
            Self::WrongSession => "the delegation is for another session",
            Self::WrongMission => "the delegation is for another mission",
            Self::MissionExpiry => {
                "the delegation would outlive its mission; delegate for less time"
            }
            Self::MissionStopped => "the mission has come to one of its stop conditions",
            Self::MissionForbid => "the mission forbids this call",
            Self::Opinion => "the opinion that came with the call is against it",
            Self::WrongPrincipal => "the delegation is on behalf of another person",
            Self::WrongConsent => "the consent is for another root",
            Self::AmbiguousDelegation => "another link of the session has the same id",
            Self::WrongExecution => "the call was decided before, or the proof means another",
            Self::TooManyCalls => {
                "the session has decided as many calls as it may hold; delegate again"
            }
            Self::CatalogChanged => {
                "the tools are others than when the session was opened; review them and sign a new manifest"
            }
            Self::NotInCatalog => "no configured server lists this tool",
            Self::BadArguments => {
                "the arguments have no canonical form; send integers beyond 2^53 as strings"
            }
            Self::Chain(reason) => reason.said(),
            Self::Rules(reason) => reason.said(),
            Self::ChainForbid => "the delegation forbids this call",
            Self::PolicyForbid => "a policy forbids this call",
            Self::PolicyNoMatch => "no policy permits this call",
            Self::PolicyError => "a policy cannot be evaluated for this call, which denies it",
            Self::CostUnknown => "the policy counts a cost that the call does not say",
            Self::CallLimit => "the delegation's number of calls is used up",
            Self::CostLimit => "the delegation's cost is used up",
            Self::SessionCallLimit => "the session's number of calls is used up",
            Self::SessionCostLimit => "the session's cost is used up",
            Self::ResourceUnknown => "the call does not name the resource that it is about",
            Self::RowsUnknown => "the call does not say how many rows it asks for",
            Self::BreadthLimit => {
                "the session has reached as many resources as it may and is suspended; an operator can release it"
            }
            Self::Paused => "an operator has stopped this; ask them",
            Self::Ask => "a person must approve this call first",
            Self::Permit => "a policy permits the call",
            Self::Approved => "a person approved the call",
            Self::Observed => {
                "policy does not allow the call; it is observed, not enforced: see what policy said"
            }
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}
