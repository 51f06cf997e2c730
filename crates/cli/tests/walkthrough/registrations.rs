//! Registrations as files of a git repository, and what programs of others see of them.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::deployment::{Deployment, text};
use super::place::{Place, Ran, Started, checkout, until};
use super::tools::{python, python_package};

const HELLO: &str = "spiffe://chancery.example/agent/hello";
const BOOKS: &str = "spiffe://chancery.example/agent/books";
const DESK: &str = "spiffe://chancery.example/agent/desk";

/// A deployment and a repository with the registrations of `books` and `hello`.
struct Kept {
    deployment: Deployment,
}

impl Kept {
    fn new() -> Self {
        let kept = Self {
            deployment: Deployment::new(),
        };
        // Registered by hand, and nobody's.
        kept.deployment.agent("desk", "/bin/true");
        fs::create_dir_all(kept.place().at("regs/manifests")).unwrap();
        for (name, program) in [("books", "/bin/true"), ("hello", "/bin/echo")] {
            kept.sign(name, program, &format!("regs/manifests/{name}.manifest"));
            let own = json!({ "manifest": format!("manifests/{name}.manifest") });
            kept.write(name, &own);
        }
        kept.git(&["init", "--quiet"]);
        kept.commit();
        kept
    }

    fn place(&self) -> &Place {
        &self.deployment.place
    }

    fn sign(&self, name: &str, program: &str, out: &str) {
        let make = ["agent", "manifest", "--name", name, "--program", program];
        let rest = ["--intent", "is tested", "--out", out];
        self.place().chancery(&[&make[..], &rest].concat()).ok();
    }

    fn write(&self, name: &str, file: &Value) {
        let text = serde_json::to_string_pretty(file).unwrap();
        self.place().write(&format!("regs/{name}.json"), text);
    }

    fn git(&self, arguments: &[&str]) -> String {
        let mut command = self.place().command("git");
        command.args(["-C", "regs", "-c", "user.name=Team"]);
        command.args(["-c", "user.email=team@chancery.example"]);
        Ran::to_the_end(command.args(arguments), self.place()).ok()
    }

    fn commit(&self) {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--message", "registrations"]);
    }

    fn apply(&self, arguments: &[&str]) -> Ran {
        let all = ["--format", "json", "apply", "regs"];
        self.place().chancery(&[&all[..], arguments].concat())
    }

    /// The plan, of which something is to be done or nothing.
    fn plan(&self, differs: bool, arguments: &[&str]) -> Value {
        let ran = self.apply(&[&["--plan"][..], arguments].concat());
        assert_eq!(ran.code, Some(if differs { 4 } else { 0 }), "{ran:?}");
        serde_json::from_str(&ran.out).unwrap()
    }

    fn agents(&self) -> Vec<Value> {
        let listed = self
            .place()
            .chancery(&["--format", "json", "agent", "list"])
            .json();
        listed["agents"].as_array().unwrap().clone()
    }

    fn ids(&self) -> Vec<String> {
        let agents = self.agents().into_iter();
        agents
            .map(|agent| agent["agent_id"].as_str().unwrap().to_owned())
            .collect()
    }
}

/// What is to be done with whom.
fn told(plan: &Value) -> Vec<(&str, &str)> {
    let changes = plan["changes"].as_array().unwrap().iter();
    changes
        .map(|it| {
            (
                it["action"].as_str().unwrap(),
                it["agent_id"].as_str().unwrap(),
            )
        })
        .collect()
}

fn field<'a>(plan: &'a Value, name: &str) -> &'a Value {
    let fields = plan["changes"][0]["fields"].as_array().unwrap();
    fields.iter().find(|field| field["name"] == name).unwrap()
}

#[test]
fn a_repository_of_registrations_is_planned_applied_changed_and_pruned() {
    let kept = Kept::new();
    // A plan changes nothing, and says by its exit code that there is something.
    let plan = kept.plan(true, &[]);
    assert_eq!(told(&plan), [("add", BOOKS), ("add", HELLO)]);
    assert_eq!(kept.ids(), [DESK]);
    let shown = kept.place().chancery(&["apply", "regs", "--plan"]);
    assert_eq!(shown.code, Some(4));
    for words in [
        "+ spiffe://chancery.example/agent/books (regs/books.json)",
        "2 to add, 0 to change",
    ] {
        assert!(shown.out.contains(words), "{shown:?}");
    }
    let done = kept.apply(&[]).json();
    assert!(
        done["changes"][0]["outcome"]["done"]["log_index"].is_u64(),
        "{done}"
    );
    assert_eq!(kept.ids(), [BOOKS, DESK, HELLO]);
    // Once more nothing is done.
    let before = kept.agents();
    let again = kept.apply(&[]).json();
    assert!(told(&again).is_empty());
    assert_eq!(again["unchanged"], json!([BOOKS, HELLO]));
    kept.plan(false, &[]);
    assert_eq!(kept.agents(), before);

    // A change is told field by field, and is made only where the plan is the one that was seen.
    kept.write(
        "hello",
        &json!({
            "manifest": "manifests/hello.manifest", "hint": "internal",
            "dns_names": ["hello.agents.example.com"], "x509_svid_seconds": 300,
            "may_spawn": {"agents": [BOOKS, HELLO], "at_once": 3, "outlive": true},
        }),
    );
    kept.commit();
    let plan = kept.plan(true, &[]);
    assert_eq!(told(&plan), [("change", HELLO)]);
    assert_eq!(
        field(&plan, "hint"),
        &json!({"name": "hint", "from": null, "to": "internal"})
    );
    assert_eq!(plan["changes"][0]["fields"].as_array().unwrap().len(), 4);
    let other = format!("sha256:{}", "0".repeat(64));
    kept.apply(&["--expect", &other])
        .refused(1, &["the plan is", "--plan"]);
    assert_eq!(kept.agents(), before);
    kept.apply(&["--expect", plan["digest"].as_str().unwrap()])
        .ok();
    let shown = kept.place().chancery(&["agent", "show", "hello"]).ok();
    let words = ["internal", "hello.agents.example.com", "300", "files"];
    for words in words.into_iter().chain(["may_spawn", BOOKS]) {
        assert!(shown.contains(words), "{shown}");
    }
    // The plan of before is not the one of now.
    kept.apply(&["--expect", plan["digest"].as_str().unwrap()])
        .refused(1, &["changed since"]);

    // What a person changed by hand is seen, and is as the files say once they are applied.
    let by_hand = [
        "agent",
        "register",
        "regs/manifests/hello.manifest",
        "--hint",
        "other",
        "--may-spawn",
        "books",
        "--spawn-at-once",
        "7",
    ];
    kept.place().chancery(&by_hand).ok();
    // Only where that is said is it the files' again.
    kept.apply(&[])
        .refused(1, &["registration_owner", "--adopt", "regs/hello.json:2"]);
    let plan = kept.plan(true, &["--adopt"]);
    let may = |agents, at_once, outlive| json!({"agents": agents, "at_once": at_once, "outlive": outlive});
    assert_eq!(
        field(&plan, "may_spawn")["from"],
        may(json!([BOOKS]), 7, false)
    );
    assert_eq!(
        field(&plan, "may_spawn")["to"],
        may(json!([BOOKS, HELLO]), 3, true)
    );
    assert_eq!(field(&plan, "hint")["from"], "other");
    assert_eq!(field(&plan, "owner")["to"], "files");
    kept.apply(&["--adopt"]).ok();
    kept.plan(false, &[]);
    // Others' files take nothing over.
    kept.apply(&["--owner", "team-b"]).refused(
        1,
        &[
            "registration_owner",
            "is of owner `files`, and not of owner `team-b`",
            "regs/books.json:2",
        ],
    );

    // Without its file it stays until somebody prunes; what was registered by hand stays then too.
    kept.git(&["rm", "--quiet", "hello.json"]);
    kept.commit();
    let plan = kept.plan(false, &[]);
    assert_eq!(plan["kept"], json!([HELLO]));
    assert_eq!(
        told(&kept.plan(true, &["--prune", "--owner", "files"])),
        [("retire", HELLO)]
    );
    assert_eq!(kept.ids(), [BOOKS, DESK, HELLO]);
    kept.apply(&["--prune", "--owner", "files"]).ok();
    assert_eq!(kept.ids(), [BOOKS, DESK]);
    kept.plan(false, &["--prune", "--owner", "files"]);
    // Back in the repository it is registered again.
    kept.git(&["revert", "--no-edit", "HEAD"]);
    assert_eq!(
        told(&kept.apply(&["--prune", "--owner", "files"]).json()),
        [("add", HELLO)]
    );
    assert_eq!(kept.ids(), [BOOKS, DESK, HELLO]);

    // From what is there a team begins: only whose it is differs.
    let place = kept.place();
    place.chancery(&["agent", "export", "out"]).ok();
    place
        .chancery(&["agent", "export", "out"])
        .refused(1, &["not empty"]);
    let begin = ["--format", "json", "apply", "out", "--plan", "--adopt"];
    let plan = place.chancery(&begin);
    assert_eq!(plan.code, Some(4), "{plan:?}");
    let plan: Value = serde_json::from_str(&plan.out).unwrap();
    assert_eq!(told(&plan), [("change", DESK)]);
    let hello = fs::read_to_string(place.at("out/hello.json")).unwrap();
    assert!(hello.contains("\"at_once\": 3"), "{hello}");
    assert_eq!(plan["changes"][0]["fields"].as_array().unwrap().len(), 1);
    assert_eq!(field(&plan, "owner")["to"], "files");
}

#[test]
fn whatever_is_wrong_is_said_at_once_and_nothing_is_changed() {
    let kept = Kept::new();
    let place = kept.place();
    place.write(
        "outside.manifest",
        fs::read(place.at("regs/manifests/books.manifest")).unwrap(),
    );
    let before = kept.agents();
    let hello = fs::read(place.at("regs/manifests/hello.manifest")).unwrap();
    let mut flipped = hello.clone();
    *flipped.last_mut().unwrap() ^= 1;
    place.write("regs/manifests/flipped.manifest", flipped);
    std::os::unix::fs::symlink(place.at("outside.manifest"), place.at("regs/link.manifest"))
        .unwrap();
    let files = [
        (
            "a-unknown",
            json!({"manifest": "manifests/books.manifest", "hnt": "x"}),
        ),
        ("b-escape", json!({"manifest": "../outside.manifest"})),
        ("c-link", json!({"manifest": "link.manifest"})),
        ("d-missing", json!({"manifest": "nowhere.manifest"})),
        ("e-folder", json!({"manifest": "manifests"})),
    ];
    for (name, file) in &files {
        kept.write(name, file);
    }
    place.write("regs/f-text.json", "{\"manifest\":\n");
    place.write("regs/notes.txt", "nobody reads this");
    let said = kept.apply(&["--prune", "--owner", "files"]).refused(
        1,
        &[
            "regs/a-unknown.json:",
            "hnt: unknown field",
            "regs/b-escape.json:1: manifest:",
            "regs/c-link.json:2: manifest: link.manifest: it is a link that leads out",
            "regs/d-missing.json:2: manifest: nowhere.manifest:",
            "regs/e-folder.json:2:",
            "regs/f-text.json:",
            "help: ",
            "6 things in the files are wrong; nothing was changed",
        ],
    );
    assert!(!said.contains("notes.txt"), "{said}");
    for name in [
        "a-unknown",
        "b-escape",
        "c-link",
        "d-missing",
        "e-folder",
        "f-text",
    ] {
        fs::remove_file(place.at(format!("regs/{name}.json"))).unwrap();
    }
    // What only the server can judge: a signature, a life that it does not issue, one agent twice.
    kept.write(
        "g-flipped",
        &json!({"manifest": "manifests/flipped.manifest"}),
    );
    kept.write(
        "h-long",
        &json!({"manifest": "manifests/hello.manifest", "x509_svid_seconds": 3_600}),
    );
    kept.write("i-twice", &json!({"manifest": "manifests/books.manifest"}));
    kept.apply(&[]).refused(1, &[
        "regs/g-flipped.json:2: manifest: manifest refused:",
        "regs/h-long.json:3: x509_svid_seconds:", "svid_lifetime",
        "regs/i-twice.json:1: manifest: it registers spiffe://chancery.example/agent/books, as regs/books.json does",
    ]);
    assert_eq!(kept.agents(), before);
    // A folder without any registration prunes nobody.
    fs::create_dir(place.at("empty")).unwrap();
    let unowned = place.chancery(&["apply", "regs", "--prune"]);
    unowned.refused(2, &["--owner"]);
    let prune = ["apply", "empty", "--prune", "--owner", "files"];
    place
        .chancery(&prune)
        .refused(1, &["no registration", "chancery agent retire"]);
    place
        .chancery(&["apply", "nowhere"])
        .refused(1, &["nowhere", "help: "]);
    place
        .chancery(&["apply", "regs", "--owner", "Team B"])
        .refused(2, &["owner"]);
    assert_eq!(kept.agents(), before);
}

/// A program whose interpreter knows SPIFFE by PyPI's `spiffe`.
fn names(deployment: &Deployment, library: &Path) -> Started {
    let program = checkout().join("crates/cli/tests/walkthrough/foreign/names.py");
    let (python, prefix) = python(&deployment.place);
    let library = text(library);
    deployment.run(&[
        "--agent",
        "names",
        "--read",
        &prefix,
        "--read",
        library,
        "--",
        &python,
        text(&program),
        library,
    ])
}

#[test]
fn others_see_the_names_the_hint_and_the_life_that_were_registered() {
    let Some(library) = python_package("spiffe") else {
        return;
    };
    let deployment = Deployment::new();
    let program = checkout().join("crates/cli/tests/walkthrough/foreign/names.py");
    deployment.agent("names", text(&program));
    let said = names(&deployment, &library).ended().json();
    // Not every version of the library tells hints.
    let hints = |hint: &str| [json!([hint]), json!([null])];
    assert_eq!(said["dns"], json!([]), "{said}");
    assert!(hints("").contains(&said["hints"]), "{said}");
    let register = [
        "agent",
        "register",
        "names.manifest",
        "--dns-name",
        "b.example.com",
        "--dns-name",
        "a.example.com",
        "--hint",
        "internal",
        "--x509-svid-lifetime",
        "120",
        "--require-isolation",
        "--require-attestation",
        "software-only/launch",
    ];
    deployment.place.chancery(&register).ok();
    let said = names(&deployment, &library).ended().json();
    assert_eq!(
        said["dns"],
        json!(["a.example.com", "b.example.com"]),
        "{said}"
    );
    assert_eq!(said["uris"], json!([said["id"]]));
    assert_eq!(
        (&said["others"], &said["critical"]),
        (&json!(0), &json!(true))
    );
    assert!(hints("internal").contains(&said["hints"]), "{said}");
    // Ten seconds before it was issued it begins.
    assert_eq!(said["seconds"], 130);
    // The log says what was certified.
    let entries = ["--format", "json", "log", "--log", "server", "entries"];
    until("the issuance is under a checkpoint", || {
        let listed = deployment.place.chancery(&entries).json();
        let mut listed = listed.as_array().unwrap().iter();
        let named = |line: &&Value| line["entry"]["body"]["dns_names"] == said["dns"];
        listed.find(|line| line["entry"]["type"] == "identity.issue" && named(line))?;
        Some(())
    });
    // What nothing of this host can show is required: nothing is started.
    let tpm = [
        "agent",
        "register",
        "names.manifest",
        "--require-attestation",
        "tpm",
    ];
    deployment.place.chancery(&tpm).ok();
    let ended = names(&deployment, &library).ended();
    ended.refused(1, &["attestation_required", "chancery agent show"]);
    deployment
        .place
        .chancery(&["agent", "retire", "names", "--reason", "is over"])
        .ok();
    let ended = names(&deployment, &library).ended();
    ended.refused(1, &["agent_unknown"]);
}
