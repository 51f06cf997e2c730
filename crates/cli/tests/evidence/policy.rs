//! Other policies, asked about what was recorded.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::scene::{CHANCERY, Scene};

fn demo_policy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../demo/policy")
}

/// The demo's bundle with other policies and without its tests.
fn bundle(scene: &Scene, name: &str, policies: &str) -> PathBuf {
    let folder = scene.folder.path().join(name);
    std::fs::create_dir(&folder).unwrap();
    for file in ["bundle.json", "schema.cedarschema"] {
        std::fs::copy(demo_policy().join(file), folder.join(file)).unwrap();
    }
    std::fs::write(folder.join("policies.cedar"), policies).unwrap();
    folder
}

fn policy(scene: &Scene, evidence: &Path, arguments: &[&Path], format: &str) -> Output {
    Command::new(CHANCERY)
        .args(["--format", format, "policy"])
        .args(arguments)
        .arg("--evidence")
        .arg(evidence)
        .arg("--trust")
        .arg(&scene.trust_file)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn diff(scene: &Scene, new: &Path) -> (Option<i32>, Value) {
    let old = demo_policy();
    let output = policy(
        scene,
        &scene.evidence,
        &[Path::new("diff"), &old, new],
        "json",
    );
    let said = String::from_utf8_lossy(&output.stderr);
    let document = serde_json::from_slice(&output.stdout);
    (
        output.status.code(),
        document.unwrap_or_else(|_| panic!("{said}")),
    )
}

pub(crate) fn can_be_asked_again(scene: &Scene) {
    let (code, same) = diff(scene, &demo_policy());
    assert_eq!(
        (code, same["changes"].as_array().unwrap().len()),
        (Some(0), 0)
    );
    let (decisions, compared) = (&same["decisions"], &same["compared"]);
    assert!(compared.as_u64().unwrap() > 20 && decisions.as_u64() > compared.as_u64());

    // Nobody may look at balances any more.
    let text = std::fs::read_to_string(demo_policy().join("ledger.cedar")).unwrap();
    let narrower = text.replace(", Chancery::Action::\"ledger/balance\"", "");
    assert_ne!(narrower, text);
    let (code, narrower) = diff(scene, &bundle(scene, "narrower", &narrower));
    assert_eq!(code, Some(4));
    let changes = narrower["changes"].as_array().unwrap();
    assert_eq!(changes.len(), 1, "{changes:#?}");
    assert_eq!(changes[0]["target"], "ledger/balance");
    assert_eq!(changes[0]["was"]["determining"][0], "read-the-books");
    assert_eq!(changes[0]["becomes"]["cause"], "no_match");

    // What is enforced no more is a difference, though each call is decided as before.
    let text = std::fs::read_to_string(demo_policy().join("ledger.cedar")).unwrap();
    let observing = bundle(scene, "observing", &text);
    let rules = r#"{"rules": "chancery/session-rules/v1", "observe": {"everything": true}}"#;
    std::fs::write(observing.join("session.json"), rules).unwrap();
    let (code, observing) = diff(scene, &observing);
    assert_eq!(
        (code, &observing["changes"]),
        (Some(4), &Value::Array(Vec::new()))
    );
    assert_eq!(observing["observe"]["was"], Value::Null);
    assert_eq!(observing["observe"]["becomes"], "every call");

    let execution = changes[0]["executions"][0].as_str().unwrap();
    let asked = ["why", "--execution", execution].map(Path::new);
    let why = policy(scene, &scene.evidence, &asked, "json");
    let why: Value = serde_json::from_slice(&why.stdout).unwrap();
    assert_eq!(why["recorded"], "allow (permit)");
    assert_eq!(why["decision"]["determining"][0], "read-the-books");
    assert_eq!(why["request"]["tool"], "ledger/balance");
}

pub(crate) fn is_drafted_from_what_was_allowed(scene: &Scene) {
    let asked = [Path::new("suggest"), &demo_policy()];
    let draft = policy(scene, &scene.evidence, &asked, "text");
    assert!(draft.status.success(), "{draft:?}");
    let draft = bundle(scene, "draft", &String::from_utf8(draft.stdout).unwrap());
    let checked = Command::new(CHANCERY)
        .args(["--format", "json", "policy", "check"])
        .arg(&draft)
        .output()
        .unwrap();
    let checked: Value = serde_json::from_slice(&checked.stdout).unwrap();
    assert!(checked["policies"].as_u64().unwrap() > 0);
    assert_eq!(checked.get("findings"), None, "{checked}");
    // What was allowed is allowed, what was denied is denied; what a person was asked about and then
    // allowed is asked about again, and nothing that was asked about passes without.
    let (_, compared) = diff(scene, &draft);
    let mut granted = 0;
    for change in compared["changes"].as_array().unwrap() {
        assert_eq!(change["becomes"]["outcome"], "escalate", "{change:#}");
        assert_eq!(change["was"]["cause"], "granted", "{change:#}");
        granted += 1;
    }
    assert!(granted > 0, "{compared:#}");
}

/// What is granted and was not used is named, and nothing that was used or grants nothing.
pub(crate) fn z9_is_held_to_what_was_used(scene: &Scene) {
    let text = std::fs::read_to_string(demo_policy().join("ledger.cedar")).unwrap();
    let more = format!(
        "{text}
@id(\"nobody-does\") permit (principal, action == Chancery::Action::\"ledger/post\", resource)
  when {{ context.args.book == \"no-such-book\" }};
@id(\"nobody-is-asked\") @effect(\"ask\") @reason(\"never\")
  permit (principal, action == Chancery::Action::\"ledger/list\", resource)
  when {{ context.args.book == \"no-such-book\" }};
@id(\"nobody-is-refused\") forbid (principal, action, resource)
  when {{ principal.depth == 4096 }};
"
    );
    let bundle = bundle(scene, "more", &more);
    let asked = [Path::new("unused"), &bundle];
    let told = policy(scene, &scene.evidence, &asked, "json");
    let told: Value = serde_json::from_slice(&told.stdout).unwrap();
    let unused = told["unused"].as_array().unwrap();
    let named: Vec<_> = unused
        .iter()
        .map(|one| one["id"].as_str().unwrap())
        .collect();
    assert!(
        named.contains(&"nobody-does") && named.contains(&"nobody-is-asked"),
        "{named:?}"
    );
    assert!(
        !named.contains(&"nobody-is-refused"),
        "a forbid grants nothing"
    );
    assert!(!named.contains(&"read-the-books"), "{named:?}");
    assert!(told["determines"]["read-the-books"].as_u64().unwrap() > 0);
    assert!(told["determines"].get("nobody-does").is_none());
}

pub(crate) fn is_not_asked_about_what_is_not_verified(scene: &Scene) {
    let copy = scene.copy("unverified");
    std::fs::write(copy.join("objects/extra"), b"x").unwrap();
    let demo = demo_policy();
    let why = ["why", "--execution", "exe_7zzzzzzzzzzzzzzzzzzzzzzzzz"].map(Path::new);
    for arguments in [
        vec![Path::new("diff"), &demo, &demo],
        vec![Path::new("suggest"), &demo],
        vec![Path::new("unused"), &demo],
        why.to_vec(),
    ] {
        let refused = policy(scene, &copy, &arguments, "json");
        assert_eq!(refused.status.code(), Some(1), "{arguments:?}");
        assert!(refused.stdout.is_empty());
        let said = String::from_utf8(refused.stderr).unwrap();
        assert!(said.contains("does not hold"), "{said}");
    }
    // What nobody decided is not explained either.
    let refused = policy(scene, &scene.evidence, &why, "json");
    assert_eq!(refused.status.code(), Some(1));
}
