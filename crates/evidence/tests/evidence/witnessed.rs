//! Cosignatures under the checkpoints of evidence, and what is said without them.

use chancery_crypto::{AwsLc, SigningKey};
use chancery_evidence::log::{checkpoint_digest, witness_policy};
use chancery_evidence::{Files, NoteValue, Report, verify};
use chancery_identity::trust::{UnwitnessedRule, VerifiedTrust, WitnessRule};
use chancery_tlog::{
    Checkpoint, Note, NoteSignature, TimestampedSignature, VerifierKey, cosigned_text,
};
use chancery_types::{Algorithm, Digest};

use crate::scene::{Scene, at};

const LOGS: [&str; 2] = ["log/gateway/checkpoint", "log/server/checkpoint"];

struct Witness {
    key: SigningKey,
    verifier: VerifierKey,
}

impl Witness {
    fn new(name: &str) -> Self {
        let key = SigningKey::generate(Algorithm::Ed25519).unwrap();
        let public = key.public().to_public_bytes();
        Self {
            verifier: VerifierKey::cosignature(name.parse().unwrap(), &public).unwrap(),
            key,
        }
    }

    fn line(&self, checkpoint: &Checkpoint) -> NoteSignature {
        let text = cosigned_text(1_800_000_000, &checkpoint.to_string()).unwrap();
        let signature = self.key.sign(&text).unwrap();
        let body = TimestampedSignature::ed25519(1_800_000_000, signature).unwrap();
        let name = self.verifier.name().clone();
        NoteSignature::new(name, self.verifier.key_id(), body.to_bytes())
    }

    /// Puts this witness's line under a checkpoint.
    fn cosign(&self, files: &mut Files, path: &str) {
        let note = Note::parse(files.get(path).unwrap()).unwrap();
        let line = self.line(&note.text().parse().unwrap());
        add(files, path, line);
    }
}

fn add(files: &mut Files, path: &str, line: NoteSignature) {
    let note = Note::parse(files.get(path).unwrap()).unwrap();
    let note = note.with(&[line]).unwrap();
    files.insert(path.to_owned(), note.to_string().into_bytes());
}

fn trust(scene: &Scene, policy: String) -> VerifiedTrust {
    scene.trust_with(|document| {
        document.witnesses = Some(WitnessRule {
            policy,
            unwitnessed: UnwitnessedRule::Publish,
        });
    })
}

/// A policy that asks for two of three.
fn two_of(witnesses: &[Witness; 3]) -> String {
    let lines = witnesses.iter().zip(["A", "B", "C"]);
    let lines: String = lines
        .map(|(witness, name)| format!("witness {name} {}\n", witness.verifier))
        .collect();
    format!("{lines}group g 2 A B C\nquorum g\n")
}

fn three() -> [Witness; 3] {
    ["a.example", "b.example", "c.example"].map(Witness::new)
}

fn unwitnessed(report: &Report) -> Vec<&str> {
    let notes = report.notes.iter();
    let notes = notes.filter(|note| note.value == NoteValue::Unwitnessed);
    notes.map(|note| note.about.as_str()).collect()
}

fn reasons(report: &Report) -> Vec<&str> {
    report.findings.iter().map(|it| it.reason).collect()
}

#[test]
fn what_the_quorum_cosigned_is_not_unwitnessed() {
    let (scene, witnesses) = (Scene::new(), three());
    let trust = trust(&scene, two_of(&witnesses));
    let mut files = scene.files();
    let before = verify(&files, Some(&trust), &AwsLc, at(100));
    // The log does not have this trust document, and nothing else is wrong.
    assert!(reasons(&before).iter().all(|it| it.starts_with("trust_")));
    assert_eq!(
        unwitnessed(&before),
        ["example.org/log/gateway", "example.org/log/server"]
    );
    for path in LOGS {
        witnesses[2].cosign(&mut files, path);
    }
    let one = verify(&files, Some(&trust), &AwsLc, at(100));
    assert_eq!(unwitnessed(&one).len(), 2);
    witnesses[0].cosign(&mut files, LOGS[0]);
    let gateway = verify(&files, Some(&trust), &AwsLc, at(100));
    assert_eq!(unwitnessed(&gateway), ["example.org/log/server"]);
    witnesses[0].cosign(&mut files, LOGS[1]);
    let both = verify(&files, Some(&trust), &AwsLc, at(100));
    assert_eq!(unwitnessed(&both), Vec::<&str>::new());
    // What was enrolled is what the log signed: cosignatures change no other verdict.
    assert_eq!(reasons(&both), reasons(&before));
}

#[test]
fn a_line_twice_and_a_line_of_a_stranger_are_no_quorum() {
    let (scene, witnesses) = (Scene::new(), three());
    let trust = trust(&scene, two_of(&witnesses));
    let mut files = scene.files();
    for path in LOGS {
        witnesses[0].cosign(&mut files, path);
        witnesses[0].cosign(&mut files, path);
        Witness::new("b.example").cosign(&mut files, path);
    }
    let report = verify(&files, Some(&trust), &AwsLc, at(100));
    assert_eq!(unwitnessed(&report).len(), 2);
    assert!(reasons(&report).iter().all(|it| it.starts_with("trust_")));
}

#[test]
fn a_wrong_cosignature_refuses_the_checkpoint() {
    let (scene, witnesses) = (Scene::new(), three());
    let trust = trust(&scene, two_of(&witnesses));
    let clean = scene.files();
    let other = Note::parse(clean.get(LOGS[1]).unwrap()).unwrap();
    let of_other_log = witnesses[0].line(&other.text().parse().unwrap());
    let name = witnesses[1].verifier.name().clone();
    let junk = NoteSignature::new(name, witnesses[1].verifier.key_id(), vec![7; 72]);
    for line in [of_other_log, junk] {
        let mut files = clean.clone();
        add(&mut files, LOGS[0], line);
        let report = verify(&files, Some(&trust), &AwsLc, at(100));
        assert!(reasons(&report).contains(&"checkpoint_refused"));
    }
}

#[test]
fn a_document_that_names_no_witnesses_any_more_ignores_cosignatures() {
    let scene = Scene::new();
    let mut files = scene.files();
    let before = verify(&files, Some(&scene.trust), &AwsLc, at(100));
    assert!(before.is_verified());
    for path in LOGS {
        Witness::new("a.example").cosign(&mut files, path);
    }
    let report = verify(&files, Some(&scene.trust), &AwsLc, at(100));
    assert!(report.is_verified(), "{:?}", reasons(&report));
    assert_eq!(
        unwitnessed(&report),
        ["example.org/log/gateway", "example.org/log/server"]
    );
    // What the log signed is judged as before: a line of its own name is none of others.
    let origin = scene.trust.log_origins[0].origin.parse().unwrap();
    let namesake = NoteSignature::new(origin, [7; 4], vec![7; 72]);
    let path = LOGS.into_iter().find(|path| {
        let note = Note::parse(files.get(path).unwrap()).unwrap();
        note.text().starts_with(namesake.name().as_str())
    });
    add(&mut files, path.unwrap(), namesake);
    let report = verify(&files, Some(&scene.trust), &AwsLc, at(100));
    assert!(reasons(&report).contains(&"checkpoint_refused"));
}

#[test]
fn a_policy_that_proves_nothing_is_refused() {
    let (scene, witnesses) = (Scene::new(), three());
    let good = two_of(&witnesses);
    let log = scene.trust.log_origins[0].ed25519.clone();
    let origin = scene.trust.log_origins[0].origin.clone();
    let namesake = VerifierKey::cosignature(origin.parse().unwrap(), &[9; 32]).unwrap();
    for bad in [
        String::new(),
        "quorum none\n".to_owned(),
        good.replace("quorum g", "quorum none"),
        good.replace("quorum g", "quorum h"),
        format!("log {log}\n{good}"),
        format!("witness W {namesake}\nquorum W\n"),
    ] {
        let trust = trust(&scene, bad.clone());
        assert!(witness_policy(&trust).is_err(), "{bad}");
        let report = verify(&scene.files(), Some(&trust), &AwsLc, at(100));
        assert!(reasons(&report).contains(&"witness_policy"), "{bad}");
    }
    assert!(witness_policy(&scene.trust).unwrap().is_none());
    assert!(witness_policy(&trust(&scene, good)).unwrap().is_some());
}

#[test]
fn the_digest_of_a_checkpoint_is_that_of_what_the_log_signed() {
    let scene = Scene::new();
    let mut files = scene.files();
    let own = files.get(LOGS[0]).unwrap().to_vec();
    three()[0].cosign(&mut files, LOGS[0]);
    let cosigned = files.get(LOGS[0]).unwrap();
    assert_ne!(cosigned, own);
    assert_eq!(checkpoint_digest(cosigned), Ok(Digest::of(&own)));
    assert!(checkpoint_digest(b"no note").is_err());
}
