//! Authorities change under load, watched by SPIFFE programs that we did not write: a peer that
//! answers and one that asks without a pause, over mutual TLS, neither of which is ever refused.

use serde_json::Value;

use super::deployment::{Deployment, text};
use super::place::{Started, chancery, free_port, until};

struct Rotating {
    deployment: Deployment,
}

impl Rotating {
    fn run(&self, arguments: &[&str]) -> Value {
        let all: Vec<&str> = ["--format", "json"]
            .iter()
            .chain(arguments)
            .copied()
            .collect();
        self.deployment.place.chancery(&all).json()
    }

    /// Why a command is refused.
    fn refused(&self, arguments: &[&str]) -> String {
        let ran = self.deployment.place.chancery(arguments);
        assert_eq!(ran.code, Some(1), "{ran:?}");
        ran.err
    }

    fn authorities(&self) -> Vec<Value> {
        let known = self.run(&["authority", "show"]);
        known["authorities"].as_array().unwrap().clone()
    }

    fn one(&self, kind: &str, state: &str) -> Option<Value> {
        let mut all = self.authorities().into_iter();
        all.find(|one| one["authority"]["kind"] == kind && one["authority"]["state"] == state)
    }

    fn active(&self, kind: &str) -> String {
        id(&self.one(kind, "active").unwrap())
    }

    fn peer(&self, agent: &str, arguments: &[&str]) -> Started {
        let folder = std::path::PathBuf::from(chancery());
        let program = folder.parent().unwrap().join("examples/spiffe_peer");
        assert!(
            program.exists(),
            "{}: build the examples",
            program.display()
        );
        self.deployment.agent(agent, text(&program));
        let start = ["--agent", agent, "--network", "host", "--", text(&program)];
        let all: Vec<&str> = start.iter().chain(arguments).copied().collect();
        self.deployment.run(&all)
    }

    /// Nobody rests on what an authority signed any more.
    fn let_go(&self, authority: &str) {
        until("nobody rests on it", || {
            let mut all = self.authorities().into_iter();
            let of = all.find(|one| id(one) == authority)?;
            (of["holders"] == 0).then_some(())
        });
    }
}

fn id(view: &Value) -> String {
    view["authority"]["id"].as_str().unwrap().to_owned()
}

#[test]
fn no_client_sees_an_invalid_chain_while_authorities_change() {
    let deployment = Deployment::with(&[
        "--svid-lifetime",
        "10",
        "--x509-root",
        "online",
        "--x509-authority-lifetime",
        "20",
    ]);
    let rotating = Rotating { deployment };
    let (port, hold, press) = (free_port(), free_port(), free_port());
    let holding = rotating.peer("holder", &["hold", &port, "/agent/presser/", &hold]);
    let pressing = rotating.peer("presser", &["press", &port, "/agent/holder/", &press]);
    until("the first handshakes", || {
        let all = rotating.authorities();
        let x509 = all.iter().find(|one| one["authority"]["kind"] == "x509")?;
        (x509["holders"].as_u64()? >= 3).then_some(())
    });
    forced(&rotating);
    tokens(&rotating);
    scheduled(&rotating);
    rolled_over(&rotating);
    stop(&press);
    let pressed = pressing.ended().ok();
    println!("{pressed}");
    let words: Vec<&str> = pressed.split_whitespace().collect();
    let number = |place: usize| words[place].trim_end_matches(',').parse::<u64>().unwrap();
    assert!(number(1) > 100, "{pressed}");
    // Three come after the first, which may be gone before the first handshake.
    assert!(number(2) >= 3, "{pressed}");
    assert!(number(4) >= 2, "{pressed}");
    stop(&hold);
    assert_eq!(holding.ended().ok(), "held\n");
}

/// Has a peer end.
fn stop(port: &str) {
    let at = ("127.0.0.1", port.parse().unwrap());
    drop(std::net::TcpStream::connect(at).unwrap());
}

/// Another intermediate at once; what the first one signed is issued again, and its key is destroyed.
fn forced(rotating: &Rotating) {
    let first = rotating.active("x509");
    let refused = rotating.refused(&["authority", "taint", &first]);
    assert!(refused.contains("authority_active"), "{refused}");
    rotating.run(&["authority", "prepare", "x509"]);
    let refused = rotating.refused(&["authority", "prepare", "x509"]);
    assert!(refused.contains("authority_prepared"), "{refused}");
    rotating.run(&["authority", "activate", "x509", "--now"]);
    assert_ne!(rotating.active("x509"), first);
    let refused = rotating.refused(&["authority", "revoke", &first]);
    assert!(refused.contains("authority_held"), "{refused}");
    let tainted = rotating.run(&["authority", "taint", "x509"]);
    assert_eq!(tainted["authorities"][0]["authority"]["tainted"], true);
    rotating.let_go(&first);
    let revoked = rotating.run(&["authority", "revoke", &first]);
    // Its root signs what is below the active one.
    assert_eq!(revoked["trust_version"], Value::Null);
    let file = rotating
        .deployment
        .place
        .at("chancery-data/signer/intermediate.key");
    assert_eq!(std::fs::read(file).unwrap(), b"destroyed\n");
}

/// The key of JWT-SVIDs: prepared, named by the trust document, active, and the former one revoked.
fn tokens(rotating: &Rotating) {
    let first = rotating.active("jwt");
    let prepared = rotating.run(&["authority", "prepare", "jwt"]);
    let next = prepared["authority"]["id"].as_str().unwrap();
    let refused = rotating.refused(&["authority", "activate", "jwt", "--now"]);
    assert!(refused.contains("authority_unnamed"), "{refused}");
    rotating.run(&["trust", "change", "--add-authority", "jwt"]);
    let refused = rotating.refused(&["authority", "activate", "jwt"]);
    assert!(refused.contains("authority_early"), "{refused}");
    rotating.run(&["authority", "activate", "jwt", "--now"]);
    assert_eq!(rotating.active("jwt"), next);
    let refused = rotating.refused(&["trust", "change", "--remove-authority", next]);
    assert!(
        refused.contains("have another jwt authority sign first"),
        "{refused}"
    );
    rotating.run(&["authority", "taint", &first]);
    rotating.let_go(&first);
    let revoked = rotating.run(&["authority", "revoke", &first]);
    assert!(revoked["trust_version"].as_u64().unwrap() > 2, "{revoked}");
}

/// The intermediate of a short life is followed by another without anybody's help.
fn scheduled(rotating: &Rotating) {
    let before = rotating.active("x509");
    until("the scheduled rotation", || {
        (rotating.active("x509") != before).then_some(())
    });
}

/// Another root, by trust documents that the root keys signed; the first one leaves the bundle.
fn rolled_over(rotating: &Rotating) {
    let old = rotating.one("x509", "active").unwrap();
    let root = old["authority"]["root"].as_str().unwrap().to_owned();
    let made = rotating.run(&["authority", "root"]);
    let certificate = made["certificate"].as_str().unwrap();
    rotating.run(&["trust", "change", "--add-x509", certificate]);
    let data = rotating.deployment.place.at("chancery-data/root");
    let prepare = ["authority", "prepare", "x509", "--root", text(&data)];
    // The schedule may have prepared one below the root that is to leave.
    until("one below the new root", || {
        if let Some(prepared) = rotating.one("x509", "prepared") {
            rotating.run(&["authority", "revoke", &id(&prepared)]);
        }
        (rotating.deployment.place.chancery(&prepare).code == Some(0)).then_some(())
    });
    rotating.run(&["authority", "activate", "x509", "--now"]);
    let active = rotating.one("x509", "active").unwrap();
    assert_eq!(active["authority"]["root"], made["digest"]);
    let refused = rotating.refused(&["trust", "change", "--remove-authority", &root]);
    assert!(refused.contains("rest on what"), "{refused}");
    rotating.run(&["authority", "taint", "x509"]);
    for below in rotating.authorities() {
        if below["authority"]["root"] == root.as_str() {
            rotating.let_go(&id(&below));
        }
    }
    // The last ones below it take the root along.
    let revoked = rotating.run(&["authority", "revoke", "x509"]);
    assert!(revoked["trust_version"].is_u64(), "{revoked}");
    let trust = rotating.run(&["trust", "show"]);
    let named = trust["trust"]["x509_authorities"].as_array().unwrap();
    assert_eq!(named.len(), 1);
    let log = rotating.run(&["log", "entries", "--log", "server", "--count", "5000"]);
    let steps = log.as_array().unwrap().iter().map(|line| &line["entry"]);
    let steps = steps.filter(|entry| entry["type"] == "authority.change");
    let steps: Vec<_> = steps
        .map(|entry| entry["body"]["step"].as_str().unwrap())
        .collect();
    for step in ["prepare", "activate", "taint", "revoke"] {
        assert!(steps.contains(&step), "{steps:?}");
    }
}
