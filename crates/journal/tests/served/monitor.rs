use std::fs;
use std::path::{Path, PathBuf};

use chancery_crypto::SigningKey;
use chancery_journal::{
    LogSource, Monitor, SourceError, Unwitnessed, WatchError, Watched, Witnesses,
};
use chancery_tlog::{
    Checkpoint, LogReason, Note, NoteSignature, TileKind, TilePath, TimestampedSignature,
    VerifierKey, cosigned_text,
};
use chancery_types::Algorithm;

use super::logs::{Logs, Served, copy, serve};

fn url(served: &Served) -> String {
    format!("http://{}/", served.address)
}

fn monitor(place: &str, logs: &Logs, state: &Path) -> Monitor {
    Monitor::new(LogSource::open(place).unwrap(), logs.keys(), state)
}

async fn pass(monitor: &Monitor, whole: bool) -> Watched {
    monitor.pass(whole, |_, _| {}, |_, _| {}).await.unwrap()
}

/// The codes with their files.
fn said(watched: &Watched) -> Vec<(String, &'static str)> {
    let findings = watched.findings.iter();
    findings
        .map(|finding| (finding.file.to_string(), finding.reason.code()))
        .collect()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[tokio::test]
async fn a_growing_log_is_followed_over_http_and_in_a_folder() {
    let logs = Logs::new();
    let dir = logs.grow("log", 0).await;
    let served = serve(&[("", &dir)]).await;
    for (name, place) in [("http", url(&served)), ("folder", text(&dir).to_owned())] {
        let state = logs.path(name);
        let watch = monitor(&place, &logs, &state);
        let mut before = 0;
        for size in [0, 1, 255, 256, 300, 700] {
            logs.grow("log", size).await;
            let watched = pass(&watch, false).await;
            assert_eq!(said(&watched), []);
            let now = watched.checkpoint.unwrap().size();
            assert!(now >= size && watched.before == before);
            assert_eq!(watched.files == 0, now == before, "{place} {size}");
            before = now;
        }
        assert!(fs::read_to_string(&state).unwrap().contains("\n700\n"));
        assert_eq!(said(&pass(&watch, true).await), []);
    }
}

/// What one damaged file is found as, over HTTP.
#[tokio::test]
async fn damage_to_each_kind_of_file_is_found_over_http() {
    let logs = Logs::new();
    let good = logs.grow("good", 700).await;
    let path = |kind, index, width| TilePath::new(kind, index, width).unwrap().to_string();
    let files = [
        path(TileKind::Entries, 0, 256),
        path(TileKind::Entries, 2, 188),
        path(TileKind::Hashes(0), 1, 256),
        path(TileKind::Hashes(0), 2, 188),
        path(TileKind::Hashes(1), 0, 2),
    ];
    for file in files {
        let of_entries = file.contains("entries");
        let other = if of_entries {
            "entry_mismatch"
        } else {
            "tile_mismatch"
        };
        for (name, code) in [
            ("gone", "missing"),
            ("cut", "truncated"),
            ("longer", "surplus"),
            ("flipped", other),
        ] {
            let dir = logs.path("damaged");
            fs::remove_dir_all(&dir).unwrap_or_default();
            copy(&good, &dir);
            let target = dir.join(&file);
            let mut bytes = fs::read(&target).unwrap();
            match name {
                "gone" => bytes.clear(),
                "cut" => bytes.truncate(bytes.len() - 1),
                "longer" => bytes.push(0),
                _ => *bytes.last_mut().unwrap() ^= 1,
            }
            match name {
                "gone" => fs::remove_file(&target).unwrap(),
                _ => fs::write(&target, bytes).unwrap(),
            }
            let served = serve(&[("", &dir)]).await;
            let state = logs.path("no-state");
            let watch = monitor(&url(&served), &logs, &state);
            let watched = pass(&watch, false).await;
            assert_eq!(said(&watched), [(file.clone(), code)], "{name}");
            assert!(!state.exists(), "what does not hold is not remembered");
            assert_eq!(watched.kept, None);
        }
    }
}

#[tokio::test]
async fn a_log_that_shrinks_or_forks_is_refused_again_and_again_and_its_checkpoint_kept() {
    let logs = Logs::new();
    let dir = logs.grow("log", 300).await;
    let earlier = logs.path("earlier");
    copy(&dir, &earlier);
    logs.grow("log", 600).await;
    let state = logs.path("state");
    let watch = |dir: &Path| monitor(text(dir), &logs, &state);
    assert_eq!(said(&pass(&watch(&dir), false).await), []);
    let remembered = fs::read(&state).unwrap();
    // Each proof has a file of its own, whose content nobody changes again.
    for (dir, code, file) in [
        (earlier.clone(), "shrunk", "state.refused"),
        (
            logs.forge("same-size", 600, 590),
            "forked",
            "state.refused.2",
        ),
        (logs.forge("longer", 900, 300), "forked", "state.refused.3"),
        (logs.forge("shorter", 10, 0), "shrunk", "state.refused.4"),
        (earlier, "shrunk", "state.refused"),
    ] {
        for whole in [false, true, false] {
            let watched = pass(&watch(&dir), whole).await;
            assert_eq!(
                said(&watched),
                [("checkpoint".to_owned(), code)],
                "{}",
                dir.display()
            );
            assert_eq!(fs::read(&state).unwrap(), remembered);
            let kept = watched.kept.unwrap();
            assert_eq!(kept, logs.path(file));
            assert_eq!(
                fs::read(kept).unwrap(),
                fs::read(dir.join("checkpoint")).unwrap()
            );
        }
    }
    assert!(!logs.path("state.refused.5").exists());
    // The log itself goes on.
    logs.grow("log", 601).await;
    assert_eq!(said(&pass(&watch(&dir), true).await), []);
}

#[tokio::test]
async fn a_checkpoint_that_is_not_the_logs_is_refused() {
    let (logs, others) = (Logs::new(), Logs::new());
    let dir = logs.grow("log", 5).await;
    let path = dir.join("checkpoint");
    let note = fs::read_to_string(&path).unwrap();
    let (first, second) = note.trim_end().rsplit_once('\n').unwrap();
    let foreign = fs::read_to_string(others.grow("log", 5).await.join("checkpoint")).unwrap();
    let renamed = note.replace("td.example/log/served\n", "td.example/log/other\n");
    let state = logs.path("state");
    for (bad, reason) in [
        (Some(String::new()), LogReason::CheckpointMalformed),
        (
            Some(note.trim_end().to_owned()),
            LogReason::CheckpointMalformed,
        ),
        (
            Some(note.replace("\n5\n", "\n05\n")),
            LogReason::CheckpointMalformed,
        ),
        (
            Some(note.replace('\n', "\r\n")),
            LogReason::CheckpointMalformed,
        ),
        (Some("x".repeat(200_000)), LogReason::CheckpointMalformed),
        (Some(note.replace("\n5\n", "\n6\n")), LogReason::NotSigned),
        (Some(format!("{first}\n")), LogReason::NotSigned),
        (
            Some(note.replacen(&format!("{first}\n"), "", 1)),
            LogReason::CheckpointMalformed,
        ),
        (
            Some(format!(
                "{}\n{second}\n",
                first.rsplit_once('\n').unwrap().0
            )),
            LogReason::NotSigned,
        ),
        (Some(foreign), LogReason::NotSigned),
        (Some(renamed), LogReason::OtherLog),
        (None, LogReason::CheckpointMissing),
    ] {
        match &bad {
            Some(bad) => fs::write(&path, bad).unwrap(),
            None => fs::remove_file(&path).unwrap(),
        }
        let watched = pass(&monitor(text(&dir), &logs, &state), false).await;
        assert_eq!(
            said(&watched),
            [("checkpoint".to_owned(), reason.code())],
            "{bad:?}"
        );
        assert!(watched.checkpoint.is_none() && !state.exists());
    }
    fs::write(&path, &note).unwrap();
    let cosigned = format!("{note}\u{2014} witness.example AAAABBBBCCCC\n");
    fs::write(&path, cosigned).unwrap();
    let watched = pass(&monitor(text(&dir), &logs, &state), false).await;
    assert_eq!(said(&watched), [], "lines of others are theirs");
}

/// A log, and a witness whose lines are put under its checkpoint by hand.
struct Cosigned {
    logs: Logs,
    dir: PathBuf,
    key: SigningKey,
    verifier: VerifierKey,
}

impl Cosigned {
    async fn new() -> Self {
        let logs = Logs::new();
        let key = SigningKey::generate(Algorithm::Ed25519).unwrap();
        let name = "witness.example/w1".parse().unwrap();
        let verifier = VerifierKey::cosignature(name, &key.public().to_public_bytes()).unwrap();
        let dir = logs.grow("log", 5).await;
        Self {
            logs,
            dir,
            key,
            verifier,
        }
    }

    fn watch(&self, unwitnessed: Unwitnessed, state: &Path) -> Monitor {
        let policy = format!("witness W {}\nquorum W\n", self.verifier);
        let mut witnesses = Witnesses::new(policy.parse().unwrap(), self.logs.keys());
        witnesses.unwitnessed = unwitnessed;
        monitor(text(&self.dir), &self.logs, state).witnessed_by(Some(witnesses))
    }

    /// Puts the witness's line over a checkpoint of this log under the one that is visible.
    fn put_line_over(&self, checkpoint: &Checkpoint) {
        let path = self.dir.join("checkpoint");
        let text = cosigned_text(1_800_000_000, &checkpoint.to_string()).unwrap();
        let signature = self.key.sign(&text).unwrap();
        let body = TimestampedSignature::ed25519(1_800_000_000, signature).unwrap();
        let name = self.verifier.name().clone();
        let line = NoteSignature::new(name, self.verifier.key_id(), body.to_bytes());
        let own = Note::parse(&fs::read(&path).unwrap()).unwrap();
        let note = own.of_log_alone().unwrap().with(&[line]).unwrap();
        fs::write(path, note.to_string()).unwrap();
    }

    fn visible(&self) -> Checkpoint {
        let note = Note::parse(&fs::read(self.dir.join("checkpoint")).unwrap());
        note.unwrap().text().parse().unwrap()
    }
}

#[tokio::test]
async fn the_quorum_is_judged_as_the_witnesses_rule_says() {
    let log = Cosigned::new().await;
    let (published, withheld) = (log.logs.path("published"), log.logs.path("withheld"));
    let watched = pass(&log.watch(Unwitnessed::Publish, &published), false).await;
    assert_eq!(said(&watched), []);
    assert!(!watched.cosigned.unwrap().is_met());
    let watched = pass(&log.watch(Unwitnessed::Withhold, &withheld), false).await;
    assert_eq!(said(&watched), [("checkpoint".to_owned(), "unwitnessed")]);
    assert!(!withheld.exists(), "it is not remembered");
    log.put_line_over(&log.visible());
    for (rule, state) in [
        (Unwitnessed::Publish, &published),
        (Unwitnessed::Withhold, &withheld),
    ] {
        let watched = pass(&log.watch(rule, state), true).await;
        assert_eq!(said(&watched), []);
        assert!(watched.cosigned.unwrap().is_met());
    }
    assert!(withheld.exists());
    // A line of this witness over something else refuses the checkpoint, whatever the rule.
    let mut other = log.visible();
    other.size = 4;
    log.put_line_over(&other);
    for (rule, state) in [
        (Unwitnessed::Publish, &published),
        (Unwitnessed::Withhold, &withheld),
    ] {
        let watched = pass(&log.watch(rule, state), false).await;
        assert_eq!(
            said(&watched),
            [("checkpoint".to_owned(), "cosignature_wrong")]
        );
        assert!(watched.cosigned.is_none());
    }
    // Whom nobody asked for is a stranger.
    let watched = pass(&monitor(text(&log.dir), &log.logs, &published), false).await;
    assert_eq!((said(&watched), watched.cosigned), (vec![], None));
}

#[tokio::test]
async fn a_state_that_is_not_this_logs_is_refused() {
    let (logs, others) = (Logs::new(), Logs::new());
    let (dir, other) = (logs.grow("log", 5).await, others.grow("log", 5).await);
    let state = logs.path("state");
    pass(&monitor(text(&other), &others, &state), false).await;
    let watch = monitor(text(&dir), &logs, &state);
    let refused = watch.pass(false, |_, _| {}, |_, _| {}).await.unwrap_err();
    assert!(matches!(refused, WatchError::StateKeys { .. }), "{refused}");
    let theirs = fs::read(&state).unwrap();
    for bad in [
        &b""[..],
        b"chancery-seen-log/1\n",
        theirs.get(..theirs.len() - 1).unwrap(),
    ] {
        fs::write(&state, bad).unwrap();
        let refused = watch.pass(false, |_, _| {}, |_, _| {}).await.unwrap_err();
        assert!(matches!(refused, WatchError::State { .. }), "{refused}");
        assert!(refused.to_string().contains(text(&state)), "{refused}");
    }
    fs::remove_file(&state).unwrap();
    fs::create_dir(&state).unwrap();
    let refused = watch.pass(false, |_, _| {}, |_, _| {}).await.unwrap_err();
    assert!(refused.to_string().contains(text(&state)), "{refused}");
}

#[tokio::test]
async fn places_that_are_no_logs_are_named_with_a_remedy() {
    for (place, words) in [
        ("https://log.example/", "http://"),
        ("ftp://log.example/", "http://"),
        ("http://", "not a URL"),
        ("http://log.example/?log=1", "query"),
        ("http://user@log.example/", "user"),
        ("/no/such/folder", "neither a folder nor a URL"),
        ("log.example", "neither a folder nor a URL"),
    ] {
        let refused = LogSource::open(place).unwrap_err().to_string();
        assert!(
            refused.contains(words) && refused.contains(place),
            "{refused}"
        );
    }
    let logs = Logs::new();
    let nobody: PathBuf = logs.path("state");
    let watch = monitor("http://127.0.0.1:9/log", &logs, &nobody);
    let refused = watch.pass(false, |_, _| {}, |_, _| {}).await.unwrap_err();
    assert!(
        matches!(refused, WatchError::Source(SourceError::Unreachable { .. })),
        "{refused}"
    );
    assert!(
        refused
            .to_string()
            .contains("http://127.0.0.1:9/log/checkpoint"),
        "{refused}"
    );
}

/// A server that lies about lengths and statuses says nothing about the log.
#[tokio::test]
async fn a_server_that_breaks_off_is_no_finding() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let logs = Logs::new();
    for answer in [
        "HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 302 There\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
        "nonsense\r\n\r\n",
        "",
    ] {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
            .await
            .unwrap();
        let place = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut head = [0; 1_024];
                let _ = stream.read(&mut head).await;
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        let watch = monitor(&place, &logs, &logs.path("state"));
        let refused = watch.pass(false, |_, _| {}, |_, _| {}).await.unwrap_err();
        assert!(matches!(refused, WatchError::Source(_)), "{refused}");
    }
}
