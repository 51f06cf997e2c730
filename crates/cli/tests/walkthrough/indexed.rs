//! The completeness index from the command line: proven, verified, checked and monitored, on logs
//! that are written here.

use std::fs;

use chancery_audit::{
    Entry, Event, IndexRoot, InstanceLink, Isolation, Label, LeafRef, Outcome, OutcomeStatus,
    SessionJoin, leaf_hash,
};
use chancery_evidence::completeness::InstanceIndex;
use chancery_types::id::{Id, Kind};
use chancery_types::{Digest, Timestamp};
use serde_json::Value;

use super::deployment::text;
use super::logs::Written;
use super::place::{Place, Ran};

const ORIGIN: &str = "td.example/log/commands";

fn id<K: Kind>(number: u8) -> Id<K> {
    Id::from_random([number; 16])
}

fn name(number: u8) -> Label {
    Label::or_digest(&format!("spiffe://td.example/agent/a/instance/{number}"))
}

/// The entries of a gateway's log.
#[derive(Default)]
struct Roll {
    entries: Vec<Vec<u8>>,
    index: InstanceIndex,
    places: std::collections::BTreeMap<u8, (u64, LeafRef)>,
}

impl Roll {
    fn push(&mut self, event: Event) -> LeafRef {
        let index = self.entries.len() as u64;
        let entry = Entry {
            origin: Label::or_digest(ORIGIN),
            at: Timestamp::from_seconds(1_800_000_000 + index),
            event,
        };
        let bytes = entry.to_bytes().unwrap();
        let hash = leaf_hash(&bytes);
        let leaf = LeafRef { index, hash };
        self.index.take(&leaf, &entry.event);
        self.entries.push(bytes);
        leaf
    }

    fn act(&mut self, instance: u8) {
        let place = self.places.get(&instance).cloned();
        let (seq, prev) = place.map_or((0, None), |(seq, leaf)| (seq + 1, Some(leaf)));
        let link = InstanceLink { seq, prev };
        let event: Event = match seq {
            0 => join(instance, link).into(),
            _ => outcome(instance, link).into(),
        };
        let leaf = self.push(event);
        self.places.insert(instance, (seq, leaf));
    }

    fn root(&mut self, change: impl FnOnce(&mut IndexRoot)) {
        let mut root = self.index.to_entry();
        change(&mut root);
        self.push(root.into());
    }

    /// Two instances, a root, then more of the first one, and another root.
    fn played() -> Self {
        let mut roll = Self::default();
        [0, 1, 0, 1].into_iter().for_each(|one| roll.act(one));
        roll.root(|_| {});
        [0, 0, 1].into_iter().for_each(|one| roll.act(one));
        roll.root(|_| {});
        roll.act(1);
        roll
    }
}

fn join(instance: u8, link: InstanceLink) -> SessionJoin {
    let digest = Digest::of("x");
    SessionJoin {
        session: id(1),
        instance: name(instance),
        link,
        agent: Label::or_digest("spiffe://td.example/agent/a"),
        manifest: digest,
        chain: digest,
        leaf: Label::or_digest("leaf"),
        agent_key: digest,
        attestation_level: Label::or_digest("launch"),
        isolation: Isolation::Isolated,
        expires: Timestamp::from_seconds(1_900_000_000),
        id: None,
    }
}

fn outcome(instance: u8, link: InstanceLink) -> Outcome {
    Outcome {
        execution: id(4),
        session: id(1),
        instance: name(instance),
        link,
        decision: 0,
        status: OutcomeStatus::Completed,
        bytes: 1,
        micros: 1,
        result: None,
    }
}

fn reasons(ran: &Ran) -> Vec<(String, String)> {
    let told: Value = serde_json::from_str(&ran.out).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let findings = told["findings"].as_array().unwrap().iter();
    findings
        .map(|finding| (text(&finding["file"]), text(&finding["reason"])))
        .collect()
}

#[test]
fn an_instance_is_proven_whole_and_verified_with_the_keys_alone() {
    let place = Place::new();
    let (log, other) = (Written::new(&place, "log"), Written::new(&place, "other"));
    log.grow(Roll::played().entries);
    other.grow(Roll::played().entries);
    let instance = name(0).to_string();
    let prove = |more: &[&str]| log.log(&place, &[&["prove", "--instance"], more].concat());
    let proof = place.write("proof", prove(&[&instance]).ok());
    let verify = |log: &Written, more: &[&str]| {
        let arguments = ["--format", "json", "log", "verify-proof", text(&proof)];
        log.with_keys(&place, &[&arguments[..], more].concat())
    };
    let told = verify(&log, &[]).json();
    assert_eq!(
        (&told["entries"], &told["covers"], &told["index"]),
        (&4.into(), &8.into(), &8.into())
    );
    let entries = place.write("entries", log.log(&place, &["export"]).ok());
    let told = verify(&log, &["--entries", text(&entries), "--upto", "8"]).json();
    assert_eq!(told["compared"], true);
    verify(&log, &["--upto", "9"]).refused(1, &["covers 8 entries, 9 were asked for"]);
    verify(&other, &[]).refused(1, &[text(&proof), "refused"]);
    verify(&log, &["--entry", text(&entries)]).refused(1, &["--entries"]);
    // Entries that are not all.
    let all = fs::read_to_string(&entries).unwrap();
    let without = |gone: usize| {
        let lines = all.lines().enumerate().filter(|(at, _)| *at != gone);
        lines
            .map(|(_, line)| format!("{line}\n"))
            .collect::<String>()
    };
    for (gone, said) in [
        (0, "does not start"),
        (2, "is next"),
        (5, "is next"),
        (6, "3 entries where the index has 4"),
    ] {
        let short = place.write("short", without(gone));
        verify(&log, &["--entries", text(&short)]).refused(1, &[text(&short), said]);
    }
    // Those of others and later ones may be missing.
    for gone in [1, 4, 7, 8, 9] {
        let short = place.write("short", without(gone));
        verify(&log, &["--entries", text(&short)]).ok();
    }
    // A changed proof.
    let half = fs::read_to_string(&proof).unwrap();
    for (from, to, said) in [
        ("present 4 6", "present 3 6", "not proven to say this"),
        ("present 4 6", "present 4 5", "not proven to say this"),
        ("instance/0", "instance/1", "not proven to say this"),
        ("index-proof/1", "index-proof/2", "index-proof/1"),
        ("\nindex 8\n", "\nindex 7\n", "not proved to be in the log"),
    ] {
        assert!(half.contains(from), "{from} in {half}");
        fs::write(&proof, half.replacen(from, to, 1)).unwrap();
        verify(&log, &[]).refused(1, &[said]);
    }
    // There is none.
    fs::write(&proof, prove(&["spiffe://td.example/nobody"]).ok()).unwrap();
    let told = verify(&log, &[]).json();
    assert_eq!((&told["entries"], told.get("last")), (&0.into(), None));
    // By the first index that covers enough.
    fs::write(&proof, prove(&[&instance, "--upto", "3"]).ok()).unwrap();
    let told = verify(&log, &[]).json();
    assert_eq!((&told["entries"], &told["covers"]), (&2.into(), &4.into()));
    prove(&[&instance, "--upto", "9"]).refused(1, &["no published index covers 9 entries"]);
    log.log(&place, &["prove", "3", "--instance", &instance])
        .refused(2, &["--instance"]);
    log.log(&place, &["prove"]).refused(2, &["INDEX"]);
    log.log(&place, &["prove", "3", "--upto", "3"])
        .refused(2, &["--upto"]);
}

#[test]
fn a_log_without_an_index_proves_nothing_of_an_instance() {
    let place = Place::new();
    let log = Written::new(&place, "log");
    let mut roll = Roll::default();
    roll.act(0);
    log.grow(roll.entries);
    log.log(&place, &["prove", "--instance", name(0).as_str()])
        .refused(1, &["no index is published"]);
}

#[test]
fn check_and_monitor_name_what_a_root_leaves_out() {
    type Lie = fn(&mut Roll);
    let lies: [(&str, &str, &str, Lie); 5] = [
        (
            "entry 10",
            "index_wrong",
            "instance/1 is left out",
            |roll| {
                let mut map = chancery_tlog::IndexMap::new();
                let key = chancery_tlog::IndexKey::of(name(0).as_str());
                map.set(key, *roll.index.get(name(0).as_str()).unwrap());
                roll.root(|root| {
                    root.root = map.root().digest();
                    root.instances = 1;
                });
            },
        ),
        ("entry 10", "index_wrong", "that of fewer entries", |roll| {
            let mut older = InstanceIndex::default();
            for (index, bytes) in (0..).zip(&roll.entries).take(9) {
                let hash = leaf_hash(bytes);
                older.take(
                    &LeafRef { index, hash },
                    &Entry::parse(bytes).unwrap().event,
                );
            }
            let older = older.to_entry();
            roll.root(|root| root.root = older.root);
        }),
        (
            "entry 10",
            "index_wrong",
            "holds 2 instances, not 3",
            |roll| {
                roll.root(|root| root.instances = 3);
            },
        ),
        ("entry 10", "index_ahead", "covers 11 entries", |roll| {
            roll.root(|root| root.size += 1);
        }),
        ("entry 10", "index_back", "one before covered 8", |roll| {
            roll.root(|root| root.size = 7);
        }),
    ];
    for (file, reason, said, lie) in lies {
        let place = Place::new();
        let log = Written::new(&place, "log");
        let mut roll = Roll::played();
        log.grow(roll.entries.clone());
        let state = place.at("state");
        let watch = |more: &[&str]| {
            let dir = text(&log.dir);
            let arguments = [
                "--format",
                "json",
                "log",
                "monitor",
                dir,
                "--state",
                text(&state),
            ];
            log.with_keys(&place, &[&arguments[..], more].concat())
        };
        watch(&[]).ok();
        lie(&mut roll);
        log.grow(roll.entries.split_off(10));
        let wanted = [(file.to_owned(), reason.to_owned())];
        // Found by who remembers, by every later pass, and by who reads everything.
        for more in [&[][..], &[][..], &["--whole"][..]] {
            let told = watch(more);
            assert_eq!(reasons(&told), wanted);
            assert!(told.out.contains(said), "{told:?}");
            told.refused(1, &[]);
        }
        let check = place.chancery(&["--format", "json", "log", "--dir", text(&log.dir), "check"]);
        assert_eq!(reasons(&check), wanted);
        check.refused(1, &[file, said, "its keys signed that"]);
    }
}

#[test]
fn an_entry_that_a_gateway_left_out_of_a_chain_is_named() {
    let place = Place::new();
    let log = Written::new(&place, "log");
    let mut roll = Roll::played();
    roll.entries.remove(5);
    log.grow(roll.entries);
    let check = place.chancery(&["--format", "json", "log", "--dir", text(&log.dir), "check"]);
    let found = reasons(&check);
    assert!(
        found.contains(&("entry 5".to_owned(), "chain_broken".to_owned())),
        "{found:?}"
    );
    check.refused(1, &["entry 5", "instance/0", "has 3 where 2 is next"]);
}

#[test]
fn a_monitor_goes_on_from_what_it_remembered_of_the_index() {
    let place = Place::new();
    let log = Written::new(&place, "log");
    let mut roll = Roll::default();
    (0..90).for_each(|number| roll.act(number % 30));
    roll.root(|_| {});
    log.grow(roll.entries.clone());
    let watch = || {
        let arguments = ["log", "monitor", text(&log.dir), "--state", "state"];
        log.with_keys(&place, &arguments)
    };
    watch().ok();
    let remembered = fs::read_to_string(place.at("state.index")).unwrap();
    assert!(remembered.starts_with("chancery-seen-index/1\nsize 91\ncovered 90\ninstance 3 "));
    let grown = roll.entries.len();
    (0..20).for_each(|number| roll.act(number % 7));
    roll.root(|_| {});
    log.grow(roll.entries.split_off(grown));
    watch().ok();
    let remembered = fs::read_to_string(place.at("state.index")).unwrap();
    assert!(remembered.starts_with("chancery-seen-index/1\nsize 112\ncovered 111\n"));
    // What somebody changed is not believed; without it everything is read again.
    fs::write(
        place.at("state.index"),
        remembered.replace("covered 111", "covered 0111"),
    )
    .unwrap();
    watch().refused(1, &["state.index", "remove it"]);
    fs::remove_file(place.at("state.index")).unwrap();
    watch().ok();
    assert_eq!(
        fs::read_to_string(place.at("state.index")).unwrap(),
        remembered
    );
}
