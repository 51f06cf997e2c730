//! N1 to N8 over HTTP, and what a restart finds.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use chancery_crypto::AwsLc;
use chancery_journal::{
    CheckpointSigner as _, JournalError, Refusal, Witness, WitnessError, WitnessKeyError,
};
use chancery_tlog::{
    AddCheckpoint, CosignatureLines, LogPolicy, MAX_ADD_CHECKPOINT_BYTES, Note, NoteSignature,
    TreeHash, monitor_folder,
};

use crate::world::{Answer, Http, ORIGIN, Place, Served, fill, forged, now, origin, witness};

/// A log of 20 entries that was published at 7 and at 20, and a witness of it.
struct Field {
    place: Place,
    _folder: tempfile::TempDir,
    seven: Note,
    twenty: Note,
    proof: Vec<TreeHash>,
    served: Served,
}

impl Field {
    fn new() -> Self {
        let place = Place::new();
        let journal = place.try_open(None).unwrap();
        let note = |count| {
            fill(&journal, count);
            let published = journal.publish_blocking().unwrap();
            Note::parse(published.note.as_bytes()).unwrap()
        };
        let (seven, twenty) = (note(7), note(13));
        let proof = journal.reader().prove_consistency(7, 20).unwrap();
        let folder = tempfile::tempdir().unwrap();
        Self {
            served: Served::start(&folder.path().join("w"), place.known()),
            place,
            _folder: folder,
            seven,
            twenty,
            proof,
        }
    }

    fn http(&self) -> Http {
        Http::to(self.served.address)
    }

    fn add(&self, old: u64, proof: &[TreeHash], note: &Note) -> Answer {
        self.http()
            .ask("POST", "/add-checkpoint", body(old, proof, note).as_bytes())
    }

    /// Verifies an answer by both keys of the witness.
    fn assert_cosigned(&self, answer: &Answer, note: &Note) {
        assert_eq!(answer.status, 200, "{answer:?}");
        let lines = CosignatureLines::parse(answer.body.as_bytes()).unwrap();
        let cosigned = note.with(lines.lines()).unwrap().to_string();
        let keys = self.served.witness.keys().verifiers();
        let log = self.place.known();
        let text = format!(
            "log {}\nwitness A {}\nwitness B {}\ngroup g all A B\nquorum g\n",
            log[0], keys[0], keys[1]
        );
        let policy: LogPolicy = text.parse().unwrap();
        let verified = policy.verify(cosigned.as_bytes(), None, &AwsLc).unwrap();
        for (_, time) in verified.cosigned().by() {
            assert!(now() - time < 60);
        }
    }

    fn monitored(&self) -> Answer {
        let path = format!("/{}/checkpoint", monitor_folder(&origin()));
        self.http().ask("GET", &path, b"")
    }
}

fn body(old: u64, proof: &[TreeHash], note: &Note) -> String {
    AddCheckpoint::new(old, proof.to_vec(), note.clone())
        .unwrap()
        .to_string()
}

fn fork(field: &Field, size: u64) -> Note {
    forged(&field.place, size)
}

#[test]
fn n1_a_checkpoint_that_continues_is_cosigned_by_both_keys() {
    let field = Field::new();
    let answer = field.add(0, &[], &field.seven);
    field.assert_cosigned(&answer, &field.seven);
    let answer = field.add(7, &field.proof, &field.twenty);
    field.assert_cosigned(&answer, &field.twenty);
    let again = field.add(20, &[], &field.twenty);
    field.assert_cosigned(&again, &field.twenty);
}

#[test]
fn n2_an_unknown_origin_is_404() {
    let field = Field::new();
    let text = field.seven.text().replace(ORIGIN, "td.example/log/other");
    let lines = field.seven.signatures().to_vec();
    let answer = field.add(0, &[], &Note::new(&text, lines).unwrap());
    assert_eq!(answer.status, 404);
    assert!(answer.body.contains("no log of this origin"), "{answer:?}");
}

#[test]
fn n3_a_wrong_or_missing_signature_is_403() {
    let field = Field::new();
    let own = field.seven.signatures();
    let other = field.twenty.signatures();
    let stranger = NoteSignature::new("w".parse().unwrap(), [0; 4], vec![0; 64]);
    for lines in [
        vec![stranger],
        vec![other[0].clone()],
        vec![own[0].clone(), other[1].clone()],
        vec![own[0].clone(), own[1].clone(), other[0].clone()],
    ] {
        let note = Note::new(field.seven.text(), lines).unwrap();
        assert_eq!(field.add(0, &[], &note).status, 403);
    }
    assert_eq!(field.monitored().status, 404);
}

#[test]
fn n4_what_is_malformed_is_400() {
    let field = Field::new();
    let good = body(0, &[], &field.seven);
    let mut http = field.http();
    for bad in [
        String::new(),
        "old 0\n".to_owned(),
        good.replacen("old 0", "old 00", 1),
        good.replacen("old 0", "old -1", 1),
        good.replacen("old 0\n", "old 0\nAAAA\n", 1),
        good.replacen("old 0\n", "old 0\r\n", 1),
        good.trim_end().to_owned(),
        format!("{good}trailing\n"),
        good.replacen("\n7\n", "\n07\n", 1),
        good.replacen("old 0", "old 8", 1),
        body(21, &field.proof, &field.twenty),
    ] {
        let answer = http.ask("POST", "/add-checkpoint", bad.as_bytes());
        assert_eq!(answer.status, 400, "{bad:.80} {answer:?}");
    }
    let not_text = [good.as_bytes(), b"\xff"].concat();
    assert_eq!(http.ask("POST", "/add-checkpoint", &not_text).status, 400);
    assert_eq!(field.monitored().status, 404);
}

#[test]
fn n5_another_old_size_is_409_with_the_size_and_its_content_type() {
    let field = Field::new();
    assert_eq!(field.add(0, &[], &field.seven).status, 200);
    for (old, note) in [(0, &field.seven), (0, &field.twenty), (8, &field.twenty)] {
        let answer = field.add(old, &[], note);
        assert_eq!(answer.status, 409);
        assert_eq!(answer.body, "7\n");
        assert_eq!(answer.header("content-type"), Some("text/x.tlog.size"));
    }
    // A conflict changes nothing.
    assert_eq!(field.add(7, &field.proof, &field.twenty).status, 200);
    let answer = field.add(7, &[], &field.seven);
    assert_eq!((answer.status, answer.body.as_str()), (409, "20\n"));
}

#[test]
fn n6_a_bad_proof_and_a_fork_are_422_and_change_nothing() {
    let field = Field::new();
    let hash = TreeHash::empty();
    assert_eq!(field.add(0, &[hash], &field.seven).status, 422);
    assert_eq!(field.add(0, &[], &field.seven).status, 200);
    let before = field.monitored().body;
    let mut bent = field.proof.clone();
    bent[0] = hash;
    for (old, proof, note) in [
        (7, vec![], field.twenty.clone()),
        (7, field.proof[1..].to_vec(), field.twenty.clone()),
        (7, bent, field.twenty.clone()),
        (7, vec![hash], field.seven.clone()),
        (7, vec![], fork(&field, 7)),
        (7, field.proof.clone(), fork(&field, 20)),
    ] {
        let answer = field.add(old, &proof, &note);
        assert_eq!(answer.status, 422, "{answer:?}");
    }
    assert_eq!(field.monitored().body, before);
    assert_eq!(field.add(7, &field.proof, &field.twenty).status, 200);
}

#[test]
fn n7_many_signatures_are_read_a_body_beyond_the_cap_is_not() {
    let field = Field::new();
    let strangers: Vec<_> = (0..20_u8)
        .map(|n| {
            let name = format!("w{n}.example").parse().unwrap();
            NoteSignature::new(name, [n; 4], vec![0; 2_428])
        })
        .collect();
    let note = field.seven.with(&strangers).unwrap();
    let answer = field.add(0, &[], &note);
    field.assert_cosigned(&answer, &field.seven);
    // Nobody else's line is kept for monitors.
    assert!(!field.monitored().body.contains("w3.example"));
    let long = vec![b'x'; MAX_ADD_CHECKPOINT_BYTES + 1];
    assert_eq!(
        field.http().ask("POST", "/add-checkpoint", &long).status,
        413
    );
    assert_eq!(field.add(7, &field.proof, &field.twenty).status, 200);
}

#[test]
fn n8_one_connection_serves_many_requests() {
    let field = Field::new();
    let mut http = field.http();
    let first = body(0, &[], &field.seven);
    assert_eq!(
        http.ask("POST", "/add-checkpoint", first.as_bytes()).status,
        200
    );
    assert_eq!(
        http.ask("POST", "/add-checkpoint", first.as_bytes()).status,
        409
    );
    let next = body(7, &field.proof, &field.twenty);
    assert_eq!(
        http.ask("POST", "/add-checkpoint", next.as_bytes()).status,
        200
    );
    let path = format!("/{}/checkpoint", monitor_folder(&origin()));
    assert_eq!(http.ask("GET", &path, b"").status, 200);
    assert_eq!(http.ask("HEAD", &path, b"").status, 200);
    assert_eq!(http.ask("GET", &path, b"").status, 200);
}

#[test]
fn n8_monitors_get_the_last_checkpoint_with_both_signatures() {
    let field = Field::new();
    assert_eq!(field.monitored().status, 404);
    field.add(0, &[], &field.seven);
    field.add(7, &field.proof, &field.twenty);
    let shown = Note::parse(field.monitored().body.as_bytes()).unwrap();
    assert_eq!(shown.text(), field.twenty.text());
    assert_eq!(shown.of_log_alone().unwrap(), field.twenty);
    assert_eq!(shown.signatures().len(), 4);
    let mut http = field.http();
    for (method, path, status) in [
        ("GET", "/", 404),
        ("GET", "/checkpoint", 404),
        ("GET", "/add-checkpoint", 405),
        ("PUT", "/add-checkpoint", 405),
        ("POST", "/sign-subtree", 404),
        ("POST", "/ADD-CHECKPOINT", 404),
        ("POST", "/add-checkpoint/", 404),
    ] {
        assert_eq!(
            http.ask(method, path, b"").status,
            status,
            "{method} {path}"
        );
    }
    let folder = monitor_folder(&origin());
    for (method, path, status) in [
        ("POST", format!("/{folder}/checkpoint"), 405),
        ("GET", format!("/{}/checkpoint", folder.to_uppercase()), 404),
        ("GET", format!("/{folder}/checkpoint/"), 404),
        ("GET", format!("/{folder}0/checkpoint"), 404),
        ("GET", format!("/{}/checkpoint", "0".repeat(64)), 404),
        ("GET", format!("/../{folder}/checkpoint"), 404),
    ] {
        assert_eq!(
            http.ask(method, &path, b"").status,
            status,
            "{method} {path}"
        );
    }
}

#[test]
fn n8_of_requests_at_once_for_one_size_one_wins() {
    let field = Field::new();
    assert_eq!(field.add(0, &[], &field.seven).status, 200);
    let forked = fork(&field, 7);
    let next = body(7, &field.proof, &field.twenty);
    let same = body(7, &[], &field.seven);
    let other = body(7, &[], &forked);
    let bodies = [&next, &same, &other];
    let answers: Vec<(usize, u16)> = std::thread::scope(|scope| {
        let asked: Vec<_> = (0..24)
            .map(|n| {
                let (mut http, body) = (field.http(), bodies[n % 3]);
                scope.spawn(move || {
                    (
                        n % 3,
                        http.ask("POST", "/add-checkpoint", body.as_bytes()).status,
                    )
                })
            })
            .collect();
        asked.into_iter().map(|it| it.join().unwrap()).collect()
    });
    let grown = answers.iter().filter(|it| **it == (0, 200)).count();
    assert_eq!(grown, 1, "{answers:?}");
    assert!(
        answers.iter().all(|it| it.0 != 2 || it.1 != 200),
        "{answers:?}"
    );
    let shown = Note::parse(field.monitored().body.as_bytes()).unwrap();
    assert_eq!(shown.text(), field.twenty.text());
}

#[test]
fn n8_what_was_cosigned_survives_a_restart() {
    let Field {
        place,
        _folder: folder,
        seven,
        twenty,
        proof,
        served,
    } = Field::new();
    let dir = folder.path().join("w");
    let keys = served.witness.keys().verifiers().clone();
    served
        .witness
        .add_checkpoint(body(0, &[], &seven).as_bytes(), now())
        .unwrap();
    drop(served);
    let again = witness(&dir, place.known());
    assert_eq!(again.keys().verifiers(), &keys);
    let shown = again.latest(&monitor_folder(&origin())).unwrap();
    assert_eq!(Note::parse(shown.as_bytes()).unwrap().text(), seven.text());
    let refusal = again.add_checkpoint(body(0, &[], &seven).as_bytes(), now());
    assert_eq!(refusal.unwrap_err().status(), 409);
    again
        .add_checkpoint(body(7, &proof, &twenty).as_bytes(), now())
        .unwrap();
}

#[test]
fn n8_a_clock_that_steps_back_stops_cosigning() {
    let field = Field::new();
    let witness = &field.served.witness;
    let add = |old, proof: &[TreeHash], note, now| {
        witness.add_checkpoint(body(old, proof, note).as_bytes(), now)
    };
    add(0, &[], &field.seven, 1_000).unwrap();
    for now in [0, 1, 999] {
        let refusal = add(7, &field.proof, &field.twenty, now).unwrap_err();
        assert!(matches!(refusal, Refusal::Clock { last: 1_000, .. }));
        assert_eq!(refusal.status(), 503);
    }
    add(7, &field.proof, &field.twenty, 1_000).unwrap();
}

#[test]
fn n8_the_folder_is_the_owner_s_and_one_process_has_it() {
    let place = Place::new();
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("w");
    let first = witness(&dir, place.known());
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&dir), 0o700);
    assert_eq!(mode(&dir.join("ed25519.pk8")), 0o600);
    assert_eq!(mode(&dir.join("ml-dsa-44.seed")), 0o600);
    let second = Witness::open(&dir, None, place.known()).unwrap_err();
    assert!(matches!(
        second,
        WitnessError::Directory(JournalError::Locked { .. })
    ));
    drop(first);
    assert!(Witness::open(&dir, None, place.known()).is_ok());
}

#[test]
fn n8_a_witness_that_lost_something_does_not_start() {
    let field = Field::new();
    field.add(0, &[], &field.seven);
    let dir = field._folder.path().join("w");
    let Field {
        place,
        served,
        _folder,
        ..
    } = field;
    drop(served);
    let open = || Witness::open(&dir, None, place.known()).map(drop);
    let record = dir.join("logs").join(monitor_folder(&origin()));
    let good = std::fs::read_to_string(&record).unwrap();
    let own = good.split("\u{2014} witness.example").next().unwrap();
    for bad in [
        String::new(),
        good.replace("\n7\n", "\n6\n"),
        good.trim_end().to_owned(),
        own.to_owned(),
        good.replace(ORIGIN, "td.example/log/other"),
    ] {
        std::fs::write(&record, bad).unwrap();
        let error = open().unwrap_err();
        assert!(matches!(error, WitnessError::Directory(_)), "{error:?}");
        assert!(error.to_string().contains(record.to_str().unwrap()));
    }
    std::fs::write(&record, &good).unwrap();
    let elsewhere = dir.join("logs").join("0".repeat(64));
    std::fs::rename(&record, &elsewhere).unwrap();
    assert!(open().is_err());
    std::fs::rename(&elsewhere, &record).unwrap();
    open().unwrap();
    let key = dir.join("ed25519.pk8");
    let bytes = std::fs::read(&key).unwrap();
    std::fs::remove_file(&key).unwrap();
    assert!(matches!(
        open().unwrap_err(),
        WitnessError::Keys(WitnessKeyError::KeyFile(_))
    ));
    std::fs::write(&key, &bytes).unwrap();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert!(open().is_err());
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    open().unwrap();
    std::fs::remove_file(dir.join("name")).unwrap();
    assert!(matches!(
        open().unwrap_err(),
        WitnessError::KeysMissing { .. }
    ));
}

#[test]
fn n8_a_witness_has_one_name_and_it_is_no_log_s() {
    let place = Place::new();
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("w");
    let open = |name: Option<&str>| {
        let name = name.map(|name| name.parse().unwrap());
        Witness::open(&dir, name.as_ref(), place.known()).map(drop)
    };
    assert!(matches!(
        open(None).unwrap_err(),
        WitnessError::Keys(WitnessKeyError::Unnamed { .. })
    ));
    open(Some("w1.example")).unwrap();
    open(None).unwrap();
    open(Some("w1.example")).unwrap();
    assert!(matches!(
        open(Some("w2.example")).unwrap_err(),
        WitnessError::Keys(WitnessKeyError::OtherName { .. })
    ));
    let other = folder.path().join("v");
    let error = Witness::open(&other, Some(&ORIGIN.parse().unwrap()), place.known()).unwrap_err();
    assert!(matches!(error, WitnessError::LogIsWitness(_)));
    assert_eq!(place.signer.last_signed().unwrap().unwrap().size, 0);
}
