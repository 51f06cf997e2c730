//! The server's log against what clients saw: nothing acknowledged is missing, nothing is there twice.

use std::collections::BTreeMap;

use chancery_types::{Digest, Timestamp};
use serde_json::Value;

use super::watcher::Svid;
use super::writers::Written;
use crate::deployment::Deployment;

/// All entries of the server's log.
pub(crate) struct Roll(Vec<Value>);

impl Roll {
    /// Reads the log of a deployment that was stopped, after the program itself has checked both logs.
    pub(crate) fn of(deployment: &mut Deployment) -> Self {
        // What was durable and under no checkpoint yet is, after a start.
        deployment.start();
        deployment.stop();
        let place = &deployment.place;
        for log in ["server", "gateway"] {
            let check = [
                "log",
                "--log",
                log,
                "check",
                "--trust",
                "chancery-data/trust.json",
            ];
            place.chancery(&check).ok();
        }
        let lines = place.chancery(&["log", "--log", "server", "export"]).ok();
        let entry = |line: &str| serde_json::from_str::<Value>(line).unwrap()["entry"].clone();
        let roll = Self(lines.lines().map(entry).collect());
        roll.times_rise();
        roll
    }

    fn times_rise(&self) {
        let at =
            |entry: &Value| -> Timestamp { serde_json::from_value(entry["at"].clone()).unwrap() };
        let times: Vec<_> = self.0.iter().map(at).collect();
        assert!(times.is_sorted(), "the log goes back in time");
    }

    pub(crate) fn bodies<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Value> {
        let of_kind = self.0.iter().filter(move |entry| entry["type"] == kind);
        of_kind.map(|entry| &entry["body"])
    }

    /// Each of these SVIDs was enrolled, once.
    pub(crate) fn has_each_once(&self, svids: &[Svid]) {
        let mut enrolled = BTreeMap::<String, usize>::new();
        for issue in self.bodies("identity.issue") {
            for credential in issue["credentials"].as_array().unwrap() {
                let key = credential["key"].as_str().unwrap();
                *enrolled.entry(key.to_owned()).or_default() += 1;
            }
        }
        assert!(!svids.is_empty());
        for svid in svids {
            let times = enrolled.get(&svid.key.to_string());
            assert_eq!(times, Some(&1), "{svid:?}");
        }
    }

    /// What was acknowledged stands where it was said to stand, and nothing stands there twice.
    pub(crate) fn has_what_was_acknowledged(&self, written: &Written) {
        let mut enrolled = BTreeMap::<String, usize>::new();
        for token in self.bodies("node.token") {
            *enrolled
                .entry(token["token"].as_str().unwrap().to_owned())
                .or_default() += 1;
        }
        assert!(enrolled.values().all(|times| *times == 1), "{enrolled:?}");
        for (digest, index) in &written.tokens {
            let index = usize::try_from(*index).unwrap();
            let there = &self.0[index]["body"]["token"];
            assert_eq!(there, &Value::from(digest.to_string()), "entry {index}");
        }
    }

    /// Every row was enrolled, and every acknowledged thing is a row, once.
    pub(crate) fn rows_are(&self, rows: &[String], written: &Written) {
        let mut sorted = rows.to_vec();
        sorted.sort();
        sorted.dedup();
        assert_eq!(sorted.len(), rows.len(), "a row is there twice");
        let enrolled: Vec<_> = self
            .bodies("node.token")
            .map(|body| &body["token"])
            .collect();
        for row in rows {
            assert!(
                enrolled.contains(&&Value::from(row.as_str())),
                "{row} is not enrolled"
            );
        }
        for (digest, _) in &written.tokens {
            let digest: &Digest = digest;
            let found = sorted.binary_search(&digest.to_string());
            assert!(found.is_ok(), "{digest} was acknowledged and is no row");
        }
    }
}
