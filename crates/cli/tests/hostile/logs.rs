//! What the logs say in the end.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use chancery_audit::{Decision, Entry, Event, Ruling};
use chancery_gateway::{KeptObject, KeptObjects};
use chancery_journal::Reader;
use chancery_types::Digest;
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(10);

/// Who attacked, in which session of its own.
pub(crate) struct Attacker {
    pub(crate) spiffe_id: String,
    pub(crate) session: String,
}

pub(crate) fn entries(data: &Path, log: &str) -> Vec<Entry> {
    let reader = Reader::open(&data.join(log).join("log")).unwrap();
    let size = reader.size().unwrap();
    let entries = reader.entries(0..size).unwrap();
    entries
        .map(|entry| Entry::parse(&entry.unwrap().1).unwrap())
        .collect()
}

/// A call of an instance as it was presented: its proof and its arguments, once they are published.
pub(crate) fn captured(data: &Path, spiffe_id: &str, reason: &str) -> (String, Value) {
    let start = Instant::now();
    loop {
        let entries = entries(data, "gateway").into_iter();
        let mut decisions = entries.filter_map(decision);
        let found = decisions.find(|one| {
            one.instance == *spiffe_id && one.request.name == *"balance" && one.reason == *reason
        });
        if let Some(found) = found {
            let log = Reader::open(&data.join("gateway/log")).unwrap();
            let kept = KeptObjects::open(&data.join("gateway"), &log).unwrap();
            let object = |digest: Digest| match kept.get(digest).unwrap() {
                KeptObject::Bytes(bytes) => String::from_utf8(bytes).unwrap(),
                KeptObject::Erased(_) => panic!("{digest} was erased"),
            };
            let arguments = serde_json::from_str(&object(found.request.args_digest)).unwrap();
            return (object(found.proof), arguments);
        }
        assert!(start.elapsed() < PATIENCE, "{spiffe_id} is not in the log");
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn decision(entry: Entry) -> Option<Decision> {
    match entry.event {
        Event::Decision(decision) => Some(decision),
        _ => None,
    }
}

/// By the attackers there is nothing but sessions of their own and refusals; in the neighbour's
/// session there is nobody but the neighbour.
pub(crate) fn show_nothing_but_refusals(
    data: &Path,
    attackers: &[Attacker],
    neighbour: (&str, &str),
) -> BTreeMap<String, usize> {
    let mut refusals = BTreeMap::new();
    for entry in entries(data, "gateway") {
        let (session, event) = (entry.event.session(), &entry.event);
        let session = session.map(|session| session.to_string());
        let attacker =
            instance(event).and_then(|name| attackers.iter().find(|one| one.spiffe_id == name));
        if session.as_deref() == Some(neighbour.1) {
            assert!(attacker.is_none(), "in the neighbour's session: {event:?}");
            assert!(!matches!(event, Event::SessionEnd(_)), "{event:?}");
        }
        let Some(attacker) = attacker else {
            continue;
        };
        match event {
            Event::Decision(decision) => {
                assert_eq!(decision.outcome, Ruling::Deny, "{event:?}");
                *refusals.entry(decision.reason.to_string()).or_default() += 1;
            }
            Event::SessionRefuse(refuse) => {
                *refusals.entry(refuse.reason.to_string()).or_default() += 1;
            }
            Event::SessionOpen(_)
            | Event::SessionJoin(_)
            | Event::SessionLeave(_)
            | Event::DelegationEnrol(_) => {
                assert_eq!(session.as_ref(), Some(&attacker.session), "{event:?}");
            }
            other => panic!("by an attacker: {other:?}"),
        }
    }
    refusals
}

/// How many entries of each kind that only an operator or a person makes.
pub(crate) fn acts_of_office(data: &Path) -> BTreeMap<&'static str, usize> {
    let mut acts = BTreeMap::new();
    for entry in entries(data, "server") {
        if !matches!(
            entry.event,
            Event::CheckpointEnrol(_)
                | Event::RecordEnrol(_)
                | Event::IdentityEnd(_)
                | Event::IdentityIssue(_)
        ) {
            *acts.entry(entry.event.type_name()).or_default() += 1;
        }
    }
    acts
}

fn instance(event: &Event) -> Option<&str> {
    match event {
        Event::SessionOpen(open) => Some(open.instance.as_str()),
        Event::SessionRefuse(refuse) => refuse.instance.as_ref().map(|name| name.as_str()),
        Event::DelegationEnrol(enrol) => Some(enrol.delegate.as_str()),
        other => other.instance_link().map(|(_, name, _)| name.as_str()),
    }
}
