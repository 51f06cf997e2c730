//! What was revoked is drawn where it was, and so is what falls with it.

use chancery_audit::Ruling;
use chancery_evidence::graph::{Expand, Sketch, Subject, dot, mermaid, svg};
use chancery_types::RevocationKind::{Agent, Instance, Key, Mission, Person, Session, Token};
use chancery_types::{Digest, RevocationKind};
use serde_json::Value;

use crate::graphs::{drawn, json_of, text};
use crate::mesh::{Holder, Mesh, tool};
use crate::scene::{at, id, person};

/// A chief and a worker in one session, and a gardener in another, on behalf of one person.
struct Household {
    mesh: Mesh,
    chief: Holder,
    worker: Holder,
}

impl Household {
    fn new() -> Self {
        let mut mesh = Mesh::new();
        let grant = [tool("books", "read")];
        let chief = mesh.root("chief", &grant);
        let worker = mesh.link(&chief, "worker", &grant);
        mesh.call(&worker, ("books", "read"), Ruling::Allow, "permit");
        mesh.session = id(7);
        mesh.mission = Digest::of("another mission");
        mesh.root("gardener", &grant);
        mesh.session = id(1);
        Self {
            mesh,
            chief,
            worker,
        }
    }

    fn sketch(&self) -> Sketch {
        let subject = Subject::Person(person());
        let graph = drawn(&self.mesh.files(), &self.mesh.trust, &subject);
        Sketch::new(&graph, &Expand::Nothing)
    }

    fn json(&self) -> Value {
        let subject = Subject::Person(person());
        json_of(&drawn(&self.mesh.files(), &self.mesh.trust, &subject))
    }

    /// What one line of the picture in words says: the session's, or that of an agent's instance.
    #[track_caller]
    fn line(&self, of: &str) -> String {
        let told = self.sketch().to_string();
        let found = told.lines().find(|line| line.contains(of));
        found
            .unwrap_or_else(|| panic!("{of} in\n{told}"))
            .to_owned()
    }
}

/// The nodes that say that they were revoked, and by what.
fn revoked(graph: &Value) -> Vec<String> {
    let nodes = graph["nodes"].as_array().unwrap().iter();
    let said = nodes.flat_map(|node| {
        let revoked = node.get("revoked").and_then(Value::as_array);
        revoked.into_iter().flatten().map(|one| {
            let (id, what) = (node["id"].as_str().unwrap(), one["what"].as_str().unwrap());
            format!("{what} of {id}")
        })
    });
    said.collect()
}

#[test]
fn each_kind_marks_the_node_that_it_names_and_no_other() {
    let mut house = Household::new();
    assert!(revoked(&house.json()).is_empty());
    assert!(!house.sketch().to_string().contains("revoked"));
    let session = house.mesh.session.to_string();
    let agent = "spiffe://example.org/agent/worker".to_owned();
    let (worker, jti) = (house.worker.name.to_string(), house.worker.jti.clone());
    let link = format!("delegation:{session}:{jti}");
    let key = house.worker.key.public().thumbprint().to_string();
    let mission = Digest::of("mission").to_string();
    let person = person().to_string();
    let of_session = format!("session:{session}");
    for (kind, name, node) in [
        (Token, &jti, &link),
        (Key, &key, &link),
        (Session, &session, &of_session),
        (Mission, &mission, &of_session),
        (Agent, &agent, &format!("agent:{agent}")),
        (Instance, &worker, &format!("instance:{worker}")),
        (Person, &person, &format!("person:{person}")),
    ] {
        house.mesh.server.revoke(100, kind, name);
        assert_eq!(revoked(&house.json()), [format!("{kind} of {node}")]);
        let told = house.sketch().to_string();
        assert!(
            told.contains(&format!("{kind} revoked 2027-01-15")),
            "{told}"
        );
        house.mesh.server.entries.pop();
        // A thing of that name that is another kind of thing is not meant.
        for other in RevocationKind::ALL
            .into_iter()
            .filter(|other| *other != kind)
        {
            house.mesh.server.revoke(100, other, name);
            assert!(revoked(&house.json()).is_empty(), "{other} {name}");
            house.mesh.server.entries.pop();
        }
    }
}

#[test]
fn what_stands_below_falls_and_what_stands_beside_does_not() {
    let fallen = "falls with what is revoked above";
    let mut house = Household::new();
    let root = house.chief.jti.clone();
    house.mesh.server.revoke(100, Token, &root);
    let chief = house.line("-> chief");
    assert!(
        chief.contains("token revoked") && !chief.contains(fallen),
        "{chief}"
    );
    assert!(house.line("-> worker").contains(fallen));
    assert!(!house.line("-> gardener").contains(fallen));
    house.mesh.server.entries.pop();

    let link = house.worker.jti.clone();
    house.mesh.server.revoke(100, Token, &link);
    assert!(!house.sketch().to_string().contains(fallen));
    house.mesh.server.entries.pop();

    let session = house.mesh.session.to_string();
    house.mesh.server.revoke(100, Session, &session);
    assert!(house.line("Session ses_").contains("session revoked"));
    assert!(house.line("-> chief").contains(fallen));
    assert!(house.line("-> worker").contains(fallen));
    assert!(!house.line("-> gardener").contains(fallen));
    house.mesh.server.entries.pop();

    house.mesh.server.revoke(100, Person, &person().to_string());
    for holder in ["-> chief", "-> worker", "-> gardener"] {
        assert!(house.line(holder).contains(fallen), "{holder}");
    }
    house.mesh.server.entries.pop();

    // Whoever holds what stands above is revoked with their agent.
    let chiefs = "spiffe://example.org/agent/chief";
    house.mesh.server.revoke(100, Agent, chiefs);
    assert!(house.line("-> chief").contains("agent revoked"));
    assert!(house.line("-> worker").contains(fallen));
    assert!(!house.line("-> gardener").contains(fallen));
}

#[test]
fn what_was_lifted_is_said_and_nothing_falls_with_it() {
    let mut house = Household::new();
    let root = house.chief.jti.clone();
    house.mesh.server.revoke(100, Token, &root);
    // Another revocation was lifted than this one.
    house.mesh.server.lift(110, Token, &root, 99);
    assert!(house.line("-> worker").contains("falls with"));
    house.mesh.server.lift(120, Token, &root, 100);
    assert!(house.line("-> chief").contains("lifted since"));
    assert!(!house.sketch().to_string().contains("falls with"));
    let json = house.json();
    let nodes = json["nodes"].as_array().unwrap().iter();
    let told: Vec<_> = nodes.filter_map(|node| node.get("revoked")).collect();
    assert_eq!(told.len(), 1);
    assert_eq!(told[0][0]["at"], at(100).as_micros());
    assert_eq!(told[0][0]["lifted"], at(120).as_micros());
    // It may be revoked again.
    house.mesh.server.revoke(130, Token, &root);
    assert_eq!(revoked(&house.json()).len(), 2);
    assert!(house.line("-> worker").contains("falls with"));
}

#[test]
fn the_first_higher_epoch_ends_a_root_that_was_signed_before() {
    let mut house = Household::new();
    house.mesh.server.raise(100, 1);
    assert!(revoked(&house.json()).is_empty());
    house.mesh.server.raise(101, 2);
    house.mesh.server.raise(102, 3);
    let found = revoked(&house.json());
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(
        found
            .iter()
            .all(|one| one.starts_with("epoch of delegation:"))
    );
    assert!(house.line("-> chief").contains("epoch raised"));
    assert!(house.line("-> worker").contains("falls with"));
}

#[test]
fn a_key_is_known_only_where_the_signed_form_is_at_hand() {
    let mut house = Household::new();
    let key = house.worker.key.public().thumbprint().to_string();
    house.mesh.server.revoke(100, Key, &key);
    house.mesh.objects.clear();
    let told = drawn(
        &house.mesh.files(),
        &house.mesh.trust,
        &Subject::Session(house.mesh.session),
    );
    assert!(revoked(&json_of(&told)).is_empty());
    assert!(text(&told).contains("what it grants is not known"));
}

#[test]
fn every_picture_says_it_and_folding_keeps_it_apart() {
    let mut mesh = Mesh::new();
    let grant = [tool("books", "read")];
    let chief = mesh.root("chief", &grant);
    let workers: Vec<_> = (0..200)
        .map(|_| mesh.link(&chief, "worker", &grant))
        .collect();
    for worker in &workers[..3] {
        mesh.server.revoke(100, Token, &worker.jti);
    }
    let graph = drawn(&mesh.files(), &mesh.trust, &Subject::Session(mesh.session));
    let sketch = Sketch::new(&graph, &Expand::Nothing);
    let told = sketch.to_string();
    assert!(told.lines().count() < 40, "{told}");
    for (many, revoked) in [("×3", true), ("×197", false)] {
        let line = told
            .lines()
            .find(|line| line.contains(&format!("Delegation {many}")));
        let line = line.unwrap_or_else(|| panic!("{many} in\n{told}"));
        assert_eq!(
            line.contains("token revoked ×3 first 2027"),
            revoked,
            "{line}"
        );
    }
    for picture in [svg(&sketch), dot(&sketch), mermaid(&sketch)] {
        assert!(picture.contains("token revoked"), "{picture}");
    }
}
