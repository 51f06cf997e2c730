use std::fmt;
use std::str::FromStr;

use chancery_identity::{AgentId, SpiffeIdError};
use chancery_types::Timestamp;
use chancery_types::id::{InstanceId, NodeId, PersonId};
use serde::{Deserialize, Serialize};

use super::InstanceState;

/// Most bytes of an agent's name: of a SPIFFE ID.
const MAX_NAME_BYTES: usize = 2_048;

/// An agent as one names it who may not know the trust domain: by its SPIFFE ID, or by what stands behind
/// `/agent/` there. Of characters that mean nothing in a query.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AgentName(String);

/// Why a text names no agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an agent is named by its SPIFFE ID or by the last part of it")]
pub struct AgentNameError;

impl AgentName {
    /// The agent of that name in a trust domain.
    pub fn of(&self, trust_domain: &str) -> Result<AgentId, SpiffeIdError> {
        match self.0.starts_with("spiffe://") {
            true => self.0.parse(),
            false => format!("spiffe://{trust_domain}/agent/{}", self.0).parse(),
        }
    }
}

impl FromStr for AgentName {
    type Err = AgentNameError;

    fn from_str(text: &str) -> Result<Self, AgentNameError> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._/:".contains(&byte);
        match (1..=MAX_NAME_BYTES).contains(&text.len()) && text.bytes().all(is_plain) {
            true => Ok(Self(text.to_owned())),
            false => Err(AgentNameError),
        }
    }
}

impl TryFrom<String> for AgentName {
    type Error = AgentNameError;

    fn try_from(text: String) -> Result<Self, AgentNameError> {
        text.parse()
    }
}

impl From<AgentName> for String {
    fn from(name: AgentName) -> Self {
        name.0
    }
}

impl fmt::Display for AgentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A place in the order of rosters: that of one instance, by when it was opened and which it is, so that it
/// says nothing that a roster with that instance does not: `<microseconds>,<instance>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RosterPlace {
    /// When the instance was opened.
    pub since: Timestamp,
    /// The instance.
    pub instance: InstanceId,
}

/// Why a text is no place in a roster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a place in a roster is what the page before gave as `next`: a time, a comma, an instance")]
pub struct RosterPlaceError;

impl FromStr for RosterPlace {
    type Err = RosterPlaceError;

    fn from_str(text: &str) -> Result<Self, RosterPlaceError> {
        let (since, instance) = text.split_once(',').ok_or(RosterPlaceError)?;
        let place = Self {
            since: Timestamp::from_micros(since.parse().map_err(|_| RosterPlaceError)?),
            instance: instance.parse().map_err(|_| RosterPlaceError)?,
        };
        match place.to_string() == text {
            true => Ok(place),
            false => Err(RosterPlaceError),
        }
    }
}

impl TryFrom<String> for RosterPlace {
    type Error = RosterPlaceError;

    fn try_from(text: String) -> Result<Self, RosterPlaceError> {
        text.parse()
    }
}

impl From<RosterPlace> for String {
    fn from(place: RosterPlace) -> Self {
        place.to_string()
    }
}

impl fmt::Display for RosterPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{},{}", self.since.as_micros(), self.instance)
    }
}

/// Which instances are asked for; all members together.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RosterFilter {
    /// Those of that agent.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub agent: Option<AgentName>,
    /// Those that this instance started.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub parent: Option<InstanceId>,
    /// Those in that state.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub state: Option<InstanceState>,
    /// Those that act on behalf of that person, as far as the asker is told so.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub on_behalf_of: Option<PersonId>,
    /// Those that were opened then or later.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub since: Option<Timestamp>,
    /// Those behind that place: the next page.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub after: Option<RosterPlace>,
    /// Most that are answered: 1 to 10,000, and 1,000 without.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub limit: Option<u64>,
}

impl RosterFilter {
    /// Most that are answered where nothing is said.
    pub const DEFAULT_LIMIT: u64 = 1_000;

    /// As the query of a path; nothing where everything is asked for.
    pub fn query(&self) -> String {
        let text = |value: &dyn ToString| value.to_string();
        let members = [
            ("agent", self.agent.as_ref().map(|it| text(it))),
            ("parent", self.parent.as_ref().map(|it| text(it))),
            ("state", self.state.map(|it| text(&it.as_str()))),
            (
                "on_behalf_of",
                self.on_behalf_of.as_ref().map(|it| text(it)),
            ),
            ("since", self.since.map(|it| text(&it.as_micros()))),
            ("after", self.after.as_ref().map(|it| text(it))),
            ("limit", self.limit.as_ref().map(|it| text(it))),
        ];
        // None of them has a character that means anything in a query (for SPIFFE IDs, SPIFFE-ID section 2).
        let members = members
            .into_iter()
            .filter_map(|(name, value)| Some(format!("{name}={}", value?)));
        let members: Vec<_> = members.collect();
        match members.is_empty() {
            true => String::new(),
            false => format!("?{}", members.join("&")),
        }
    }
}

/// Who is there and who was, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Roster {
    /// The instances.
    pub instances: Vec<RosterEntry>,
    /// Behind which place those go on that are left out; absent where none is.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub next: Option<RosterPlace>,
}

impl Roster {
    /// Pages of several rosters as one, with at most so many: nothing is in it that stands behind what one of
    /// them leaves out.
    pub fn merged(rosters: Vec<Self>, limit: u64) -> Self {
        let left_out = rosters.iter().filter_map(|roster| roster.next);
        let first_out = left_out.min_by(|one, other| one.newest_first(*other));
        let instances = rosters.into_iter().flat_map(|roster| roster.instances);
        let is_before = |entry: &RosterEntry| {
            first_out.is_none_or(|first| entry.place().newest_first(first).is_le())
        };
        let mut instances: Vec<_> = instances.filter(is_before).collect();
        instances.sort_by(|one, other| one.place().newest_first(other.place()));
        instances.dedup_by_key(|entry| entry.instance_id);
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = first_out.is_some() || instances.len() > limit;
        instances.truncate(limit);
        Self {
            next: instances.last().filter(|_| more).map(RosterEntry::place),
            instances,
        }
    }
}

impl RosterPlace {
    fn newest_first(self, other: Self) -> std::cmp::Ordering {
        let by_time = other.since.cmp(&self.since);
        by_time.then(self.instance.cmp(&other.instance))
    }
}

impl RosterEntry {
    /// Its place in the order of rosters.
    pub const fn place(&self) -> RosterPlace {
        RosterPlace {
            since: self.since,
            instance: self.instance_id,
        }
    }
}

/// One instance, living or dead.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RosterEntry {
    /// The instance.
    pub instance_id: InstanceId,
    /// Its SPIFFE ID.
    pub spiffe_id: String,
    /// Its agent.
    pub agent_id: String,
    /// What it is to do, as the one who started it said.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub task: Option<String>,
    /// The entry of the server's log by which the task was erased, with the person it was about.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub task_erased: Option<u64>,
    /// The instance that started it; absent where none did.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub parent: Option<InstanceId>,
    /// Whether it goes on when its parent has ended.
    pub outlive: bool,
    /// The node that it is on; absent for one on the server's own machine.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub node: Option<NodeId>,
    /// Since when.
    pub since: Timestamp,
    /// On whose behalf: the person, by their pseudonymous id, of the nearest root at or above it that was
    /// made here. Absent where there is none, where it was erased, and where the asker was never told.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub on_behalf_of: Option<String>,
    /// When that root ends, and with it whatever was narrowed from it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub authority_until: Option<Timestamp>,
    /// When it is to end in any case.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub until: Option<Timestamp>,
    /// When the last of its X.509-SVIDs expires.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub svid_until: Option<Timestamp>,
    /// Where it stands.
    pub state: InstanceState,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub ended_at: Option<Timestamp>,
    /// Why it ended.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub end_reason: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_names_no_agent_and_no_place_is_refused() {
        for bad in [
            "", "a b", "a&b", "a?b=c", "a#b", "ä", "a%20b", "a\nb", "a,b",
        ] {
            assert!(bad.parse::<AgentName>().is_err(), "{bad}");
        }
        assert!("a".repeat(2_049).parse::<AgentName>().is_err());
        let place = "1800000000000000,ins_7zzzzzzzzzzzzzzzzzzzzzzzzz";
        assert_eq!(place.parse::<RosterPlace>().unwrap().to_string(), place);
        for bad in [
            "",
            "1",
            "ins_7zzzzzzzzzzzzzzzzzzzzzzzzz",
            "1,ses_7zzzzzzzzzzzzzzzzzzzzzzzzz",
            "1,ins_7zzzzzzzzzzzzzzzzzzzzzzzzz,",
            "-1,ins_7zzzzzzzzzzzzzzzzzzzzzzzzz",
            "01,ins_7zzzzzzzzzzzzzzzzzzzzzzzzz",
            "18446744073709551616,ins_7zzzzzzzzzzzzzzzzzzzzzzzzz",
        ] {
            assert!(bad.parse::<RosterPlace>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_name_is_of_the_own_trust_domain() {
        let name = |text: &str| text.parse::<AgentName>().unwrap().of("own.example");
        let own = "spiffe://own.example/agent/a";
        assert_eq!(name("a").unwrap().as_str(), own);
        assert_eq!(name(own).unwrap().as_str(), own);
        for bad in ["..", "/", "a/instance/b", "spiffe://", "spiffe:/x"] {
            assert!(name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn pages_of_several_are_one_and_leave_nothing_out_between() {
        let entry = |number: u8| RosterEntry {
            instance_id: InstanceId::from_random([number; 16]),
            since: Timestamp::from_seconds(u64::from(number)),
            spiffe_id: String::new(),
            agent_id: String::new(),
            task: None,
            task_erased: None,
            parent: None,
            outlive: false,
            node: None,
            on_behalf_of: None,
            authority_until: None,
            until: None,
            svid_until: None,
            state: InstanceState::Running,
            ended_at: None,
            end_reason: None,
        };
        let page = |numbers: &[u8], more: bool| {
            let instances: Vec<_> = numbers.iter().copied().map(entry).collect();
            Roster {
                next: instances.last().filter(|_| more).map(RosterEntry::place),
                instances,
            }
        };
        let shown = |rosters, limit| {
            let merged = Roster::merged(rosters, limit);
            let numbers = merged
                .instances
                .iter()
                .map(|entry| entry.since.as_seconds());
            (numbers.collect::<Vec<_>>(), merged.next)
        };
        assert_eq!(shown(vec![], 3), (vec![], None));
        let both = || vec![page(&[7, 5, 3], false), page(&[6, 5, 1], false)];
        assert_eq!(shown(both(), 9), (vec![7, 6, 5, 3, 1], None));
        assert_eq!(shown(both(), 2), (vec![7, 6], Some(entry(6).place())));
        // Between 5 and 1 the first one has others.
        let cut = vec![page(&[7, 5], true), page(&[6, 1], false)];
        assert_eq!(shown(cut, 9), (vec![7, 6, 5], Some(entry(5).place())));
    }

    #[test]
    fn a_filter_is_a_query() {
        assert_eq!(RosterFilter::default().query(), "");
        let filter = RosterFilter {
            agent: Some("a".parse().unwrap()),
            state: Some(InstanceState::Ended),
            limit: Some(7),
            ..RosterFilter::default()
        };
        assert_eq!(filter.query(), "?agent=a&state=ended&limit=7");
    }
}
