//! The graph says what the log says, and no more.

use std::collections::BTreeSet;

use chancery_audit::{LeaveReason, Ruling, Verdict};
use chancery_crypto::AwsLc;
use chancery_evidence::Files;
use chancery_evidence::graph::{
    Expand, Graph, GraphError, Sketch, Subject, dot, graph, mermaid, svg,
};
use chancery_identity::trust::VerifiedTrust;
use chancery_types::Digest;
use serde_json::{Value, json};

use crate::mesh::{Mesh, closing, tool};
use crate::scene::{Scene, Signers, at, id, person, trust};

pub(crate) fn drawn(files: &Files, trust: &VerifiedTrust, subject: &Subject) -> Graph {
    graph(files, Some(trust), &AwsLc, subject, at(3_000)).unwrap()
}

fn of_mesh(mesh: &Mesh) -> Graph {
    drawn(&mesh.files(), &mesh.trust, &Subject::Session(mesh.session))
}

pub(crate) fn json_of(graph: &Graph) -> Value {
    serde_json::to_value(graph).unwrap()
}

pub(crate) fn of_kind<'v>(graph: &'v Value, list: &str, kind: &str) -> Vec<&'v Value> {
    let all = graph[list].as_array().unwrap();
    all.iter().filter(|one| one["kind"] == kind).collect()
}

pub(crate) fn text(graph: &Graph) -> String {
    Sketch::new(graph, &Expand::Nothing).to_string()
}

#[test]
fn the_graph_of_a_session_says_who_could_and_who_did() {
    let scene = Scene::new();
    let made = drawn(&scene.files(), &scene.trust, &Subject::Session(id(1)));
    let made = json_of(&made);
    assert_eq!(made["format"], "chancery/graph/v1");
    assert_eq!(made["basis"]["verified"], "evidence");
    assert_eq!(made["unknown"], json!([]));
    let count = |list: &str, kind: &str| of_kind(&made, list, kind).len();
    for (kind, expected) in [
        ("person", 1),
        ("authority", 1),
        ("agent", 1),
        ("instance", 2),
        ("delegation", 2),
        ("session", 1),
        ("tool", 2),
        ("approval", 1),
        ("policy", 1),
    ] {
        assert_eq!(count("nodes", kind), expected, "{kind}");
    }
    for (kind, expected) in [
        ("consents", 1),
        ("signs", 1),
        ("delegates", 1),
        ("held-by", 2),
        ("instance-of", 2),
        ("joined", 2),
        ("may-call", 4),
        ("asked", 1),
        ("about", 1),
        ("answered", 1),
    ] {
        assert_eq!(count("edges", kind), expected, "{kind}");
    }
    let person = of_kind(&made, "nodes", "person")[0];
    assert_eq!(person["person"], person_text());
    let called = of_kind(&made, "edges", "called");
    let facts: BTreeSet<String> = called
        .iter()
        .map(|edge| {
            let tool = edge["to"].as_str().unwrap().rsplit('/').next().unwrap();
            format!(
                "{tool} {} {} {} {} {}",
                edge["delegation"],
                edge["allowed"],
                edge["denied"],
                edge["escalated"],
                edge["denied_for"]
            )
        })
        .collect();
    let expected = [
        r#"list "root-1" 0 1 0 {"holder_mismatch":1}"#,
        r#"list "root-1" 1 0 0 {}"#,
        r#"pay "link-1" 0 1 0 {"policy_forbid":1}"#,
        r#"pay "root-1" 1 0 1 {}"#,
    ];
    assert_eq!(facts, expected.map(str::to_owned).into());
}

fn person_text() -> String {
    person().to_string()
}

#[test]
fn the_same_logs_give_the_same_bytes() {
    let scene = Scene::new();
    let files = scene.files();
    let subject = Subject::Session(id(1));
    let one = drawn(&files, &scene.trust, &subject);
    // Not even the time of asking shows.
    let other = graph(&files, Some(&scene.trust), &AwsLc, &subject, at(9_000)).unwrap();
    assert_eq!(json_of(&one).to_string(), json_of(&other).to_string());
    let (one, other) = (
        Sketch::new(&one, &Expand::Nothing),
        Sketch::new(&other, &Expand::Nothing),
    );
    assert_eq!(svg(&one), svg(&other));
    assert_eq!(dot(&one), dot(&other));
    assert_eq!(mermaid(&one), mermaid(&other));
}

#[test]
fn nothing_is_drawn_without_trust_or_of_logs_that_do_not_verify() {
    let mesh = closing(5);
    let (files, subject) = (mesh.files(), Subject::Session(mesh.session));
    let refused = |files: &Files, trust: Option<&VerifiedTrust>, part: &str| {
        let error = graph(files, trust, &AwsLc, &subject, at(3_000)).unwrap_err();
        assert!(matches!(error, GraphError::Unverified(_)), "{error}");
        assert!(error.to_string().contains(part), "{error}");
    };
    refused(&files, None, "self-asserted");
    refused(
        &files,
        Some(&trust(&Signers::new())),
        "log/gateway/checkpoint",
    );
    for path in ["log/gateway/tile/entries", "log/server/tile/entries"] {
        let spoiled: Files = files
            .iter()
            .map(|(name, bytes)| {
                let mut bytes = bytes.to_vec();
                if name.starts_with(path) {
                    let last = bytes.len() - 3;
                    bytes[last] ^= 1;
                }
                (name.to_owned(), bytes)
            })
            .collect();
        refused(&spoiled, Some(&mesh.trust), path);
    }
    assert!(graph(&files, Some(&mesh.trust), &AwsLc, &subject, at(3_000)).is_ok());
}

#[test]
fn another_log_than_the_server_enrolled_is_refused() {
    let mut mesh = closing(5);
    let mut enrol = chancery_audit::CheckpointEnrol {
        log: mesh.gateway.origin.clone(),
        size: mesh.gateway.size(),
        root: mesh.gateway.root(),
        checkpoint: Digest::of("note"),
    };
    mesh.server.append(at(2_000), enrol.clone().into());
    let subject = Subject::Session(mesh.session);
    let ask = |mesh: &Mesh| {
        graph(
            &mesh.files(),
            Some(&mesh.trust),
            &AwsLc,
            &subject,
            at(3_000),
        )
    };
    assert!(ask(&mesh).is_ok());
    enrol.root = Digest::of("another");
    mesh.server.append(at(2_001), enrol.into());
    let error = ask(&mesh).unwrap_err().to_string();
    assert!(error.contains("log_forked"), "{error}");
}

#[test]
fn a_newer_trust_document_must_be_given() {
    let mut mesh = closing(5);
    let change = chancery_audit::TrustChange {
        version: mesh.trust.version + 1,
        document: Digest::of("newer"),
        signers: Vec::new(),
        previous: Some(mesh.trust.digest()),
    };
    mesh.server.append(at(2_000), change.into());
    let subject = Subject::Session(mesh.session);
    let error = graph(
        &mesh.files(),
        Some(&mesh.trust),
        &AwsLc,
        &subject,
        at(3_000),
    )
    .unwrap_err();
    assert!(error.to_string().contains("trust_superseded"), "{error}");
}

#[test]
fn evidence_that_does_not_verify_is_marked_in_every_picture() {
    let scene = Scene::new();
    let mut files = scene.files();
    files.insert("objects/extra", b"x".to_vec());
    let made = drawn(&files, &scene.trust, &Subject::Session(id(1)));
    assert_eq!(json_of(&made)["basis"]["verified"], "evidence-failed");
    let sketch = Sketch::new(&made, &Expand::Nothing);
    for picture in [svg(&sketch), dot(&sketch), sketch.to_string()] {
        assert!(picture.contains("EVIDENCE DOES NOT VERIFY"), "{picture}");
    }
    assert!(mermaid(&sketch).contains("EVIDENCE DOES NOT VERIFY"));
}

#[test]
fn what_is_not_at_hand_is_said_and_not_guessed() {
    let mut mesh = Mesh::new();
    let chief = mesh.root("chief", &[tool("books", "read")]);
    let worker = mesh.link(&chief, "worker", &[tool("books", "read")]);
    mesh.call(&worker, ("books", "read"), Ruling::Allow, "permit");
    let whole = json_of(&of_mesh(&mesh));
    assert_eq!(of_kind(&whole, "edges", "may-call").len(), 2);
    mesh.objects.clear();
    let made = of_mesh(&mesh);
    let bare = json_of(&made);
    assert!(of_kind(&bare, "edges", "may-call").is_empty());
    assert_eq!(of_kind(&bare, "edges", "called").len(), 1);
    for delegation in of_kind(&bare, "nodes", "delegation") {
        assert!(delegation.get("grants").is_none(), "{delegation}");
        let unknown = delegation["unknown"].as_str().unwrap();
        assert!(unknown.contains("not at hand"), "{unknown}");
    }
    let person = of_kind(&bare, "nodes", "person")[0];
    assert!(person.get("person").is_none(), "{person}");
    assert_eq!(person["commitments"].as_array().unwrap().len(), 2);
    let said = made.unknown.join("\n");
    assert!(said.contains("2 delegation(s)"), "{said}");
    assert!(said.contains("who consented to 1 root(s)"), "{said}");
    let told = text(&made);
    assert!(told.contains("what it grants is not known"));
    assert!(!told.contains("outside of what was delegated"), "{told}");
    // Whose the root is cannot be said, so that nothing is found of the person.
    let of_person = Subject::Person(person_id());
    let error = graph(
        &mesh.files(),
        Some(&mesh.trust),
        &AwsLc,
        &of_person,
        at(3_000),
    );
    assert!(matches!(error, Err(GraphError::Unknown(_))), "{error:?}");
}

fn person_id() -> chancery_types::id::PersonId {
    person()
}

#[test]
fn a_signed_form_that_does_not_verify_grants_nothing() {
    let mut mesh = Mesh::new();
    let chief = mesh.root("chief", &[tool("books", "read")]);
    mesh.link(&chief, "worker", &[tool("books", "read")]);
    // The log names another link, which nobody signed for this holder.
    let forged = format!("{}x", "eyJhbGciOiJFZDI1NTE5In0.e30.");
    let entries = mesh.gateway.parsed();
    mesh.gateway.entries.clear();
    for mut entry in entries {
        if let chancery_audit::Event::DelegationEnrol(enrol) = &mut entry.event
            && enrol.depth == 1
        {
            enrol.link = Digest::of(&forged);
        }
        mesh.gateway.push(&entry);
    }
    mesh.objects
        .insert(Digest::of(&forged), forged.into_bytes());
    let made = json_of(&of_mesh(&mesh));
    let delegations = of_kind(&made, "nodes", "delegation");
    let unknown = delegations[1]["unknown"].as_str().unwrap();
    assert!(unknown.contains("does not verify"), "{unknown}");
    assert!(delegations[0].get("unknown").is_none());
    assert_eq!(of_kind(&made, "edges", "may-call").len(), 1);
}

#[test]
fn an_object_of_other_bytes_is_not_at_hand() {
    let mut mesh = Mesh::new();
    mesh.root("chief", &[tool("books", "read")]);
    let (name, own) = mesh.objects.pop_first().unwrap();
    // Another root that the authority signed as well, under the name of this one.
    mesh.session = id(7);
    mesh.root("chief", &[tool("vault", "open")]);
    let (_, wider) = mesh.objects.pop_first().unwrap();
    mesh.session = id(1);
    let draw = |bytes: Vec<u8>| {
        let mut files = mesh.files();
        files.insert(chancery_evidence::object_path(name), bytes);
        json_of(&drawn(&files, &mesh.trust, &Subject::Session(id(1)))).to_string()
    };
    let swapped = draw(wider);
    assert!(!swapped.contains("vault"), "{swapped}");
    assert!(swapped.contains("not at hand"), "{swapped}");
    assert!(draw(own).contains("books/read"));
}

#[test]
fn the_subject_decides_what_is_drawn() {
    let mut mesh = closing(20);
    let other = id(7);
    mesh.session = other;
    let second = mesh.root("gardener", &[tool("garden", "water")]);
    mesh.call(&second, ("garden", "water"), Ruling::Allow, "permit");
    let files = mesh.files();
    let of = |subject: Subject| graph(&files, Some(&mesh.trust), &AwsLc, &subject, at(3_000));
    let sessions = |made: &Graph| of_kind(&json_of(made), "nodes", "session").len();

    let one = of(Subject::Session(other)).unwrap();
    assert_eq!(sessions(&one), 1);
    assert!(!json_of(&one).to_string().contains("reconciler"));
    let both = of(Subject::Person(person())).unwrap();
    assert_eq!(sessions(&both), 2);
    let agent = of(Subject::Agent("gardener".to_owned())).unwrap();
    assert_eq!(sessions(&agent), 1);
    let helper = of(Subject::Agent(
        "spiffe://example.org/agent/helper".to_owned(),
    ))
    .unwrap();
    let shown = json_of(&helper);
    // What stands above is drawn, but not what it called.
    assert!(shown.to_string().contains("orchestrator"));
    assert!(!shown.to_string().contains("mail/send"));
    assert!(!text(&helper).contains("never joined"), "{}", text(&helper));
    assert!(of_kind(&shown, "edges", "called").len() == 1, "{shown:#}");
    for unknown in [
        Subject::Session(id(99)),
        Subject::Person(id(99)),
        Subject::Agent("nobody".to_owned()),
    ] {
        let error = of(unknown.clone()).unwrap_err();
        assert!(
            matches!(&error, GraphError::Unknown(it) if *it == unknown),
            "{error}"
        );
    }
}

#[test]
fn a_name_that_several_agents_have_is_refused() {
    let mut mesh = Mesh::new();
    let chief = mesh.root("a/worker", &[tool("books", "read")]);
    mesh.link(&chief, "b/worker", &[tool("books", "read")]);
    let ask = |name: &str| {
        let subject = Subject::Agent(name.to_owned());
        graph(
            &mesh.files(),
            Some(&mesh.trust),
            &AwsLc,
            &subject,
            at(3_000),
        )
    };
    let error = ask("worker").unwrap_err();
    assert!(matches!(error, GraphError::Ambiguous { .. }), "{error}");
    assert!(
        error
            .to_string()
            .contains("spiffe://example.org/agent/b/worker")
    );
    assert!(ask("b/worker").is_ok());
}

#[test]
fn refused_attempts_and_strangers_are_visible() {
    let mut mesh = Mesh::new();
    let chief = mesh.root("chief", &[tool("books", "read")]);
    mesh.call(&chief, ("vault", "open"), Ruling::Deny, "not_in_scope");
    mesh.escalate(&chief, ("books", "read"), Verdict::Deny);
    mesh.refuse("stranger", "untrusted_root");
    mesh.leave(&chief, LeaveReason::Completed);
    let made = of_mesh(&mesh);
    let told = text(&made);
    for part in [
        "vault/open",
        "outside of what was delegated",
        "1 refused: not_in_scope",
        "refused entry: untrusted_root",
        "Without a delegation",
        "refused by per_",
        "1 waited for a person",
    ] {
        assert!(told.contains(part), "{part} in\n{told}");
    }
    let sketch = Sketch::new(&made, &Expand::Nothing);
    for (picture, mark) in [
        (svg(&sketch), "class=\"no\""),
        (dot(&sketch), "style=dotted"),
        (mermaid(&sketch), "-.-x"),
    ] {
        assert!(picture.contains(mark), "{picture}");
    }
}

#[test]
fn forbid_and_ask_of_any_link_count_at_its_leaf() {
    let mut mesh = Mesh::new();
    mesh.forbid = vec![tool("books", "burn")];
    mesh.ask = vec![tool("books", "lend")];
    let entries = [
        tool("books", "burn"),
        tool("books", "lend"),
        tool("books", "read"),
    ];
    let chief = mesh.root("chief", &entries);
    mesh.forbid.clear();
    mesh.ask.clear();
    mesh.link(&chief, "worker", &entries);
    let made = json_of(&of_mesh(&mesh));
    let edges = of_kind(&made, "edges", "may-call");
    let of = |name: &str| {
        let own = edges
            .iter()
            .filter(|edge| edge["to"].as_str().unwrap().ends_with(name));
        own.map(|edge| (edge["forbidden"] == true, edge["ask"] == true))
            .collect::<Vec<_>>()
    };
    assert_eq!(of("burn"), [(true, false); 2]);
    assert_eq!(of("lend"), [(false, true); 2]);
    assert_eq!(of("read"), [(false, false); 2]);
}

#[test]
fn five_hundred_fold_into_a_page_and_nothing_is_lost() {
    let mesh = closing(500);
    let made = of_mesh(&mesh);
    let instances = of_kind(&json_of(&made), "nodes", "instance").len();
    assert!(instances >= 490, "{instances}");
    let sketch = Sketch::new(&made, &Expand::Nothing);
    let told = sketch.to_string();
    let rows = told.lines().count();
    assert!(rows <= 80, "{rows} rows:\n{told}");
    // Every call is counted in the picture, and every refusal is visible.
    let edges = json_of(&made);
    let sum = |name: &str| -> u64 {
        let edges = of_kind(&edges, "edges", "called").into_iter();
        edges.map(|edge| edge[name].as_u64().unwrap()).sum()
    };
    let shown = |word: &str| -> u64 {
        let parts = told.lines().flat_map(|line| line.split(" · "));
        let found = parts.filter_map(|part| part.trim().split_once(word));
        found
            .filter_map(|(number, _)| number.trim().parse::<u64>().ok())
            .sum()
    };
    assert_eq!(shown(" allowed"), sum("allowed"), "{told}");
    assert_eq!(shown(" refused: "), sum("denied"), "{told}");
    assert!(sum("denied") > 5);
    let picture = svg(&sketch);
    let height: u64 = between(&picture, "height=\"", "\"").parse().unwrap();
    assert!(height < 6_000, "{height}");

    let all = Sketch::new(&made, &Expand::Everything);
    assert!(all.to_string().lines().count() > 900);
    let name = between(&told, "(k", ")");
    let wanted = BTreeSet::from([format!("k{name}"), "k999".to_owned()]);
    let open = Sketch::new(&made, &Expand::Stacks(wanted));
    assert_eq!(open.missing(), ["k999"]);
    assert!(open.to_string().lines().count() > rows);
}

fn between<'t>(text: &'t str, before: &str, after: &str) -> &'t str {
    let (_, rest) = text.split_once(before).unwrap();
    rest.split_once(after).unwrap().0
}
