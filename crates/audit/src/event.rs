//! The registry of events.

use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::events::*;
use crate::{Body, InstanceLink, Label, TypeDoc, Writer};
use chancery_types::id::SessionId;

/// What an entry says beside its type, written into the entry at once.
pub(crate) struct EventBody<'a>(&'a Event);

impl Event {
    /// The body, as it stands in an entry.
    pub(crate) const fn as_body(&self) -> EventBody<'_> {
        EventBody(self)
    }

    /// The body, to be looked at.
    pub(crate) fn to_value(&self) -> Result<Value, serde_json::Error> {
        serde_json::to_value(self.as_body())
    }
}

macro_rules! registry {
    ($($body:ident,)*) => {
        /// Everything that is ever logged. Append-only: a type keeps its meaning for ever.
        #[derive(Debug, Clone, PartialEq, Eq)]
        #[expect(
            clippy::large_enum_variant,
            reason = "decisions are the largest and the most frequent"
        )]
        pub enum Event {
            $(
                #[doc = concat!("See [`", stringify!($body), "`](crate::", stringify!($body), ").")]
                $body($body),
            )*
        }

        impl Event {
            /// The `type` of the entry.
            pub const fn type_name(&self) -> &'static str {
                match self { $(Self::$body(_) => $body::TYPE,)* }
            }

            /// Whose log holds it.
            pub const fn writer(&self) -> Writer {
                match self { $(Self::$body(_) => $body::WRITER,)* }
            }

            /// The event of that type; none when the type is not registered.
            pub(crate) fn from_value(
                name: &str,
                body: Value,
            ) -> Option<Result<Self, serde_json::Error>> {
                match name {
                    $($body::TYPE => Some(serde_json::from_value(body).map(Self::$body)),)*
                    _ => None,
                }
            }

            pub(crate) fn types() -> Vec<TypeDoc> {
                vec![$($body::documentation(),)*]
            }
        }

        impl Serialize for EventBody<'_> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                match self.0 { $(Event::$body(body) => body.serialize(serializer),)* }
            }
        }

        $(impl From<$body> for Event {
            fn from(body: $body) -> Self {
                Self::$body(body)
            }
        })*
    };
}

registry! {
    TrustChange,
    PolicyPublish,
    ManifestRegister,
    IdentityIssue,
    IdentityEnd,
    DelegationRoot,
    ApprovalAnswer,
    CheckpointEnrol,
    RecordEnrol,
    SessionOpen,
    SessionJoin,
    SessionLeave,
    SessionEnd,
    DelegationEnrol,
    Decision,
    ApprovalRequest,
    ApprovalGrant,
    Outcome,
    SessionRefuse,
    RevocationAdd,
    RevocationLift,
    EpochRaise,
    SnapshotAdopt,
    ConsentStanding,
    Erasure,
    ErasureDone,
    LogSucceed,
    GapDisclose,
    IndexRoot,
    FederationAdd,
    FederationBundle,
    FederationRemove,
    AuthorityChange, NodeToken, NodeAuthority, NodeTpm, NodeJoin, NodeEvict, BrokerAllow, BrokerRemove,
    AgentRetire, InstanceOpen, BrakeSet, BrakeRelease,
    SessionVisit,
    ProducerEntry,
    ObserveSet, ObserveEnd,
}

impl Event {
    /// Session, instance and place, for the entries that belong to an instance's chain.
    pub const fn instance_link(&self) -> Option<(SessionId, &Label, &InstanceLink)> {
        match self {
            Self::SessionJoin(body) => Some((body.session, &body.instance, &body.link)),
            Self::SessionLeave(body) => Some((body.session, &body.instance, &body.link)),
            Self::Decision(body) => Some((body.session, &body.instance, &body.link)),
            Self::Outcome(body) => Some((body.session, &body.instance, &body.link)),
            Self::ApprovalRequest(body) => Some((body.session, &body.instance, &body.link)),
            Self::ApprovalGrant(body) => Some((body.session, &body.instance, &body.link)),
            Self::TrustChange(_)
            | Self::PolicyPublish(_)
            | Self::ManifestRegister(_)
            | Self::IdentityIssue(_)
            | Self::IdentityEnd(_)
            | Self::DelegationRoot(_)
            | Self::DelegationEnrol(_)
            | Self::ApprovalAnswer(_)
            | Self::CheckpointEnrol(_)
            | Self::RecordEnrol(_)
            | Self::SessionOpen(_)
            | Self::SessionEnd(_)
            | Self::SessionRefuse(_)
            | Self::RevocationAdd(_)
            | Self::RevocationLift(_)
            | Self::EpochRaise(_)
            | Self::SnapshotAdopt(_)
            | Self::ConsentStanding(_)
            | Self::Erasure(_)
            | Self::ErasureDone(_)
            | Self::LogSucceed(_)
            | Self::GapDisclose(_)
            | Self::IndexRoot(_)
            | Self::FederationAdd(_)
            | Self::FederationBundle(_)
            | Self::FederationRemove(_)
            | Self::AuthorityChange(_)
            | Self::NodeToken(_)
            | Self::NodeTpm(_)
            | Self::NodeAuthority(_)
            | Self::NodeJoin(_)
            | Self::NodeEvict(_)
            | Self::BrokerAllow(_)
            | Self::BrokerRemove(_)
            | Self::AgentRetire(_)
            | Self::InstanceOpen(_)
            | Self::BrakeSet(_)
            | Self::BrakeRelease(_)
            | Self::ProducerEntry(_)
            | Self::ObserveSet(_)
            | Self::ObserveEnd(_)
            | Self::SessionVisit(_) => None,
        }
    }

    /// The session that the entry is about, where it is about one.
    pub const fn session(&self) -> Option<SessionId> {
        match self {
            Self::SessionOpen(body) => Some(body.session),
            Self::SessionJoin(body) => Some(body.session),
            Self::SessionLeave(body) => Some(body.session),
            Self::SessionEnd(body) => Some(body.session),
            Self::SessionRefuse(body) => body.session,
            Self::DelegationRoot(body) => Some(body.session),
            Self::DelegationEnrol(body) => Some(body.session),
            Self::Decision(body) => Some(body.session),
            Self::Outcome(body) => Some(body.session),
            Self::ApprovalRequest(body) => Some(body.session),
            Self::ApprovalAnswer(body) => Some(body.session),
            Self::ApprovalGrant(body) => Some(body.session),
            Self::RecordEnrol(body) => Some(body.session),
            Self::GapDisclose(body) => Some(body.session),
            Self::SessionVisit(body) => Some(body.session),
            Self::TrustChange(_)
            | Self::PolicyPublish(_)
            | Self::ManifestRegister(_)
            | Self::IdentityIssue(_)
            | Self::IdentityEnd(_)
            | Self::CheckpointEnrol(_)
            | Self::RevocationAdd(_)
            | Self::RevocationLift(_)
            | Self::EpochRaise(_)
            | Self::SnapshotAdopt(_)
            | Self::ConsentStanding(_)
            | Self::Erasure(_)
            | Self::ErasureDone(_)
            | Self::LogSucceed(_)
            | Self::IndexRoot(_)
            | Self::FederationAdd(_)
            | Self::FederationBundle(_)
            | Self::FederationRemove(_)
            | Self::AuthorityChange(_)
            | Self::NodeToken(_)
            | Self::NodeTpm(_)
            | Self::NodeAuthority(_)
            | Self::NodeJoin(_)
            | Self::NodeEvict(_)
            | Self::BrokerAllow(_)
            | Self::BrokerRemove(_)
            | Self::AgentRetire(_)
            | Self::InstanceOpen(_)
            | Self::BrakeSet(_)
            | Self::BrakeRelease(_)
            | Self::ProducerEntry(_)
            // They are the gateway's: no part of the session's own entries.
            | Self::ObserveSet(_)
            | Self::ObserveEnd(_) => None,
        }
    }
}
