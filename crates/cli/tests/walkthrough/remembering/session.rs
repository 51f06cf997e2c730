use chancery_audit::{Decision, Entry, Event};
use serde_json::{Value, json};

use crate::deployment::Deployment;
use crate::forger::{Forger, entries, read};
use crate::place::{Ran, Started, until};

/// A session of one instance, while it runs.
pub(super) struct Session<'a> {
    deployment: &'a Deployment,
    id: String,
    running: Started,
}

/// The evidence of a session, in a folder of that name.
pub(super) struct Evidence<'a> {
    deployment: &'a Deployment,
    session: String,
    folder: String,
}

impl<'a> Session<'a> {
    pub(super) const fn new(deployment: &'a Deployment, id: String, running: Started) -> Self {
        Self {
            deployment,
            id,
            running,
        }
    }

    /// How so many calls ended, once they have.
    #[track_caller]
    pub(super) fn said(&self, count: usize) -> Vec<Value> {
        let what = format!("{count} calls: {}", self.running.err());
        until(&what, || {
            let out = self.running.out();
            let whole = out.rsplit_once('\n').map_or("", |(whole, _)| whole);
            let lines = whole.lines().filter(|line| line.starts_with('{'));
            let said = lines.map(|line| serde_json::from_str(line).unwrap());
            let said: Vec<Value> = said.collect();
            (said.len() >= count).then_some(said)
        })
    }

    /// All of so many calls went through.
    #[track_caller]
    pub(super) fn passed(&self, count: usize) -> Vec<Value> {
        let said = self.said(count);
        assert!(said.iter().all(|call| call["ok"] == true), "{said:?}");
        said
    }

    /// The question that waits, which must be asked for that reason alone, and a person's answer to it.
    #[track_caller]
    pub(super) fn answer(&self, verdict: &str, asked_by: &str) -> Value {
        let place = &self.deployment.place;
        let question = until("a question", || {
            let listed = place.chancery(&["--format", "json", "approvals", "list"]);
            let listed = listed.json();
            let mut all = listed["approvals"].as_array().unwrap().iter();
            all.find(|one| one["state"] == "pending").cloned()
        });
        let request = &question["request"];
        assert_eq!(
            request["subject"]["policies"],
            json!([asked_by]),
            "{question}"
        );
        let id = request["approval_id"].as_str().unwrap();
        let signed = ["--authenticator", "me.authenticator", "--yes"];
        let answer = [&["approvals", verdict, id][..], &signed].concat();
        place.chancery(&answer).ok();
        request["subject"].clone()
    }

    /// The evidence, once the instance has ended and its session with it.
    #[track_caller]
    pub(super) fn evidence(self) -> Evidence<'a> {
        let (deployment, session) = (self.deployment, self.id);
        self.running.ended().ok();
        until("the session's end", || {
            let mut ends = deployment.logged("session.end").into_iter();
            ends.find(|end| end["session"] == session.as_str())
        });
        let folder = format!("evidence-{session}");
        let place = &deployment.place;
        place
            .chancery(&["evidence", &session, "--out", &folder])
            .ok();
        place.chancery(&["trust", "export", "trust.json"]).ok();
        Evidence {
            deployment,
            session,
            folder,
        }
    }
}

impl Evidence<'_> {
    fn verify(&self, folder: &str) -> Ran {
        let verify = ["verify", folder, "--trust", "trust.json"];
        let all = [&["--format", "json"][..], &verify].concat();
        self.deployment.place.chancery(&all)
    }

    /// The decisions of the session, each of which a stranger has come to again.
    #[track_caller]
    pub(super) fn verified(&self) -> Vec<Value> {
        assert_eq!(self.verify(&self.folder).json()["outcome"], "verified");
        let decisions = self.deployment.logged("decision").into_iter();
        decisions
            .filter(|decision| decision["session"] == self.session.as_str())
            .collect()
    }

    /// Has the gateway's operator write other decisions into the log and sign it with the gateway's own
    /// keys. The first decision that a stranger then does not come to, by tool and taint.
    #[track_caller]
    pub(super) fn told_otherwise(&self, lie: impl Fn(&mut Decision) -> bool) -> (String, Value) {
        let place = &self.deployment.place;
        let files = read(&place.at(&self.folder));
        let mut told = 0;
        let mut parsed: Vec<Entry> = Vec::new();
        for bytes in entries(&files, "gateway") {
            let mut entry = Entry::parse(&bytes).unwrap();
            if let Event::Decision(decision) = &mut entry.event {
                told += usize::from(lie(decision));
            }
            parsed.push(entry);
        }
        assert_eq!(told, 1, "one lie");
        let written = parsed.iter().map(|entry| entry.to_bytes().unwrap());
        let written: Vec<_> = written.collect();
        let origin = "chancery.example/log/gateway".parse().unwrap();
        let forger = Forger::insider(origin, &place.at("chancery-data"));
        let at = parsed.last().unwrap().at;
        let forged = forger.write(&files, "gateway", &written, &forger.keys(), at);
        let folder = format!("{}-otherwise", self.folder);
        for (path, bytes) in forged.iter() {
            let path = place.at(&folder).join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        }
        let ran = self.verify(&folder);
        std::fs::remove_dir_all(place.at(&folder)).unwrap();
        assert_eq!(ran.code, Some(1), "{ran:?}");
        let report: Value = serde_json::from_str(&ran.out).unwrap();
        let mut findings = report["findings"].as_array().unwrap().iter();
        let first = findings.find(|finding| finding["reason"] == "decision_differs");
        let Some(first) = first else {
            panic!("{report:#}");
        };
        let at: usize = first["place"]
            .as_str()
            .unwrap()
            .rsplit(' ')
            .next()
            .unwrap()
            .parse()
            .unwrap();
        let Event::Decision(decision) = &parsed[at].event else {
            panic!("{first}");
        };
        let body = serde_json::to_value(decision).unwrap();
        (shown(&body).0, body["facts"]["taint"].clone())
    }
}

/// Tool, outcome and taint of a decision; what was refused by a person is not judged, and has no taint.
pub(super) fn shown(decision: &Value) -> (String, String, Vec<String>) {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let request = &decision["request"];
    let tool = format!("{}/{}", text(&request["server"]), text(&request["name"]));
    let taint = decision["facts"]["taint"].as_array();
    let taint = taint.into_iter().flatten();
    (tool, text(&decision["outcome"]), taint.map(text).collect())
}
