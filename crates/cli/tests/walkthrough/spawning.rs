//! An orchestrator in bash that starts many at once: who may be started, who is there, how they end.

use std::collections::BTreeSet;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use super::deployment::{Deployment, text};
use super::place::{Started, until};

const NORTH: &str =
    r#"{"type":"mcp_tool","server":"ledger","tool":"balance","args":{"book":{"exact":"north"}}}"#;

/// Starts what `children.json` says, tells what became of them, and lives until it is killed.
const ORCHESTRATOR: &str = r#"#!/bin/bash
chancery --format json spawn --children "$1"; echo "code $?"
sleep 600 & wait
"#;

/// A worker that is there.
const WORKER: &str = "#!/bin/bash\nsleep 600\n";

impl Deployment {
    fn script(&self, name: &str, script: &str, further: &[&str]) -> String {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.place.write(&format!("{name}.sh"), script);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        self.agent(name, text(&path));
        let manifest = format!("{name}.manifest");
        let register = [&["agent", "register", &manifest], further].concat();
        self.place.chancery(&register).ok();
        text(&path).to_owned()
    }

    fn roster(&self, further: &[&str]) -> Vec<Value> {
        let arguments = [&["--format", "json", "roster"], further].concat();
        let roster = self.place.chancery(&arguments).json();
        roster["instances"].as_array().unwrap().clone()
    }

    /// The first document of what a launch wrote, and the code after it.
    fn told(&self, launch: &Started) -> (Value, String) {
        until("the orchestrator has started its workers", || {
            let out = launch.out();
            let (document, code) = out.split_once("code ")?;
            let document = serde_json::from_str(document).ok()?;
            Some((document, code.lines().next()?.to_owned()))
        })
    }
}

fn instances(told: &Value) -> Vec<String> {
    let children = told["children"].as_array().unwrap().iter();
    let begun = children.filter_map(|child| child["instance"].as_str());
    begun.map(str::to_owned).collect()
}

fn ids(roster: &[Value]) -> BTreeSet<String> {
    let ids = roster.iter().map(|entry| entry["spiffe_id"].as_str());
    ids.map(|id| id.unwrap().to_owned()).collect()
}

#[test]
fn an_orchestrator_starts_many_in_one_call_and_they_end_with_it() {
    let deployment = Deployment::with_person();
    let place = &deployment.place;
    let worker = deployment.script("worker", WORKER, &[]);
    deployment.script("stranger", WORKER, &[]);
    let may = ["--may-spawn", "worker", "--spawn-at-once", "21"];
    let orchestrator = deployment.script("orchestrator", ORCHESTRATOR, &may);
    let child = |number: usize| json!({"agent": "worker", "allow": [NORTH], "argv": [worker], "task": {"book": "north", "part": number}});
    let mut children: Vec<Value> = (0..20).map(child).collect();
    // One that the registration does not name, one whose part of the authority there is not, one whose
    // program nobody reviewed, one that may not outlive.
    let mut refused = child(20);
    refused["agent"] = json!("stranger");
    children.push(refused);
    let mut refused = child(21);
    refused["allow"] = json!(["ledger/post"]);
    children.push(refused);
    let mut refused = child(22);
    refused["argv"] = json!([orchestrator]);
    children.push(refused);
    let mut refused = child(23);
    refused["outlive"] = json!(true);
    children.push(refused);
    let file = place.write("children.json", Value::from(children).to_string());
    let first = deployment.run(&[
        "--agent",
        "orchestrator",
        "--task",
        "reconcile",
        "--read",
        text(&file),
        "--read",
        &worker,
        "--",
        &orchestrator,
        text(&file),
    ]);
    let granted = deployment.delegate(&[NORTH]);
    let (told, code) = deployment.told(&first);
    assert_eq!(code, "1", "partial failure is failure: {told}");
    let begun = instances(&told);
    assert_eq!(begun.len(), 20, "{told}");
    let reasons: Vec<_> = (20..24)
        .map(|place| {
            told["children"][place]["refused"]["reason"]
                .as_str()
                .unwrap_or_default()
        })
        .collect();
    let expected = [
        "spawn_not_allowed",
        "scope_escalation",
        "instance_refused",
        "spawn_outlive_not_allowed",
    ];
    assert_eq!(reasons, expected, "{told}");

    let living = deployment.roster(&["--agent", "worker", "--running"]);
    assert_eq!(ids(&living), begun.iter().cloned().collect());
    let top = deployment.roster(&["--agent", "orchestrator"]);
    assert_eq!(top[0]["task"], "reconcile");
    for entry in &living {
        assert_eq!(entry["parent"], top[0]["instance_id"]);
        assert_eq!(entry["on_behalf_of"], top[0]["on_behalf_of"]);
        assert!(entry["on_behalf_of"].as_str().unwrap().starts_with("per_"));
        assert!(
            entry["task"]
                .as_str()
                .unwrap()
                .contains(r#""book":"north""#),
            "{entry}"
        );
        assert!(entry["authority_until"].is_number() || entry["authority_until"].is_string());
    }
    // Nothing half-started is left of those that were refused.
    assert_eq!(deployment.roster(&["--running"]).len(), 21);
    // Neither the log nor the tables say in clear what anybody is for.
    let log = place.chancery(&["--format", "json", "log", "entries", "--log", "server"]);
    assert!(!log.ok().contains("reconcile"));

    // By SIGKILL, so that nobody could have told; and the bridge alone, of all in its process group.
    let bridge = Pid::from_raw(first.pid().try_into().unwrap());
    kill(bridge, Signal::SIGKILL).unwrap();
    let dead = until("the workers end with the orchestrator", || {
        let dead = deployment.roster(&["--agent", "worker", "--ended"]);
        (dead.len() == 20).then_some(dead)
    });
    assert!(
        dead.iter()
            .all(|entry| entry["end_reason"] == "parent-ended"),
        "{dead:?}"
    );
    assert!(deployment.roster(&["--running"]).is_empty());
    until("no process of a worker is left", || {
        let listed = std::process::Command::new("pgrep")
            .args(["-f", &worker])
            .output()
            .unwrap();
        listed.stdout.is_empty().then_some(())
    });
    assert!(granted["session"].is_string());
}

#[test]
fn an_orchestrator_sees_its_own_and_no_others_and_waits_for_ends() {
    let deployment = Deployment::with_person();
    let place = &deployment.place;
    let worker = deployment.script("worker", "#!/bin/bash\necho \"done $1\"\n", &[]);
    let look = "#!/bin/bash\n\
        chancery --format json spawn --wait --children \"$1\" -- \"$2\" part; echo \"code $?\"\n\
        chancery --format json roster >roster.json; cat roster.json; echo \"code $?\"\n\
        next=$(chancery roster --agent worker --ended --limit 2 | sed -n 's/^older ones follow: --after //p')\n\
        chancery --format json roster --agent worker --after \"$next\" | grep -c spiffe_id\n\
        for chan in '{\"chancery\":1,\"roster\":\"all\"}' '{\"chancery\":1,\"ends\":[\"'\"$3\"'\"]}'; do\n\
        printf '%s\\n' \"$chan\" | timeout 20 perl -MIO::Socket::UNIX -e \
        '$s = IO::Socket::UNIX->new($ENV{CHANCERY_BRIDGE}) or die; print $s $_ while <STDIN>; $s->flush; print scalar <$s>'; done\n";
    let orchestrator = deployment.script("orchestrator", look, &["--may-spawn", "worker"]);
    let child = json!({"agent": "worker", "allow": [NORTH]});
    let file = place.write("children.json", json!([child, child, child]).to_string());
    let arguments = [
        "--agent",
        "orchestrator",
        "--read",
        text(&file),
        "--read",
        &worker,
        "--",
        &orchestrator,
        text(&file),
        &worker,
    ];
    let run = |other: &str| {
        let launch = deployment.run(&[&arguments[..], &[other]].concat());
        deployment.delegate(&[NORTH]);
        launch.ended()
    };
    let first = run("ins_7zzzzzzzzzzzzzzzzzzzzzzzzz");
    let (told, rest) = first.out.split_once("code 0\n").unwrap();
    let told: Value = serde_json::from_str(told).unwrap();
    assert_eq!(told["ends"].as_array().unwrap().len(), 3);
    assert!(
        told["ends"]
            .as_array()
            .unwrap()
            .iter()
            .all(|end| end["stdout"] == "done part\n")
    );
    let (roster, answers) = rest.split_once("code 0\n").unwrap();
    let roster: Value = serde_json::from_str(roster).unwrap();
    let begun = instances(&told);
    assert_eq!(
        ids(roster["instances"].as_array().unwrap()),
        begun.iter().cloned().collect()
    );
    let mut answers = answers.lines();
    // Two of the three stand on the page before.
    assert_eq!(answers.next().unwrap(), "1");
    assert!(answers.next().unwrap().contains("malformed"));
    assert!(answers.next().unwrap().contains("child_unknown"));
    // The next one is told nothing of the first one's, not even by name.
    let second = run(&begun[0]);
    let (told, rest) = second.out.split_once("code 0\n").unwrap();
    let told: Value = serde_json::from_str(told).unwrap();
    let (roster, answers) = rest.split_once("code 0\n").unwrap();
    let roster: Value = serde_json::from_str(roster).unwrap();
    let seen = ids(roster["instances"].as_array().unwrap());
    assert_eq!(seen, instances(&told).into_iter().collect());
    assert!(!seen.contains(&begun[0]));
    assert!(answers.contains("child_unknown"));
    // The operator sees all of them, page by page as well.
    assert_eq!(deployment.roster(&["--agent", "worker"]).len(), 6);
    let (mut after, mut seen) = (None, Vec::new());
    loop {
        let mut arguments = vec!["--format", "json", "roster", "--limit", "3"];
        arguments.extend(after.iter().flat_map(|after: &String| ["--after", after]));
        let page = place.chancery(&arguments).json();
        seen.extend(page["instances"].as_array().unwrap().clone());
        match page["next"].as_str() {
            Some(next) => after = Some(next.to_owned()),
            None => break,
        }
    }
    assert_eq!(seen, deployment.roster(&[]));
    assert_eq!(seen.len(), 8);
    place
        .chancery(&["roster", "--after", "1"])
        .refused(2, &["--after"]);
}

/// Whoever says that it is somebody's child, and is not, is refused.
#[test]
fn a_process_is_nobodys_child_by_its_own_word() {
    let deployment = Deployment::with_person();
    let place = &deployment.place;
    let worker = deployment.script("worker", WORKER, &[]);
    let running = deployment.run(&["--agent", "worker", "--", &worker]);
    let parent = until("the instance", || {
        let said = running.err();
        let id = said
            .split_whitespace()
            .find(|word| word.starts_with("spiffe://"))?;
        Some(id.to_owned())
    });
    let mut claims = place.command(super::place::chancery());
    claims.args([
        "run",
        "--agent",
        "worker",
        "--parent",
        "parent.sock",
        "--",
        &worker,
    ]);
    claims.env("CHANCERY_PARENT", &parent);
    let claims = super::place::Ran::to_the_end(&mut claims, place);
    claims.refused(1, &["parent_mismatch"]);
    // Nor may an instance start any whose registration says nothing of it.
    let spawn = ["spawn", "--children", "nobody.json"];
    place.chancery(&spawn).refused(1, &["chancery run"]);
}
