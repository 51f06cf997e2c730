//! The program itself, as whoever verifies runs it.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::flips::Flip;
use crate::rng::Rng;
use crate::scene::{CHANCERY, Scene, pick};

/// What `chancery verify` answered.
struct Answer {
    code: Option<i32>,
    report: Value,
}

impl Answer {
    fn names(&self, path: &str) -> bool {
        let findings = self.report["findings"].as_array().unwrap();
        findings
            .iter()
            .any(|finding| finding["place"].as_str() == Some(path))
    }
}

pub(crate) fn passes_as_it_is(scene: &Scene) {
    let answer = verify(&scene.evidence, Some(&scene.trust_file));
    assert_eq!(answer.code, Some(0), "{}", answer.report);
    assert_eq!(answer.report["outcome"], "verified");
    assert!(scene.verify(&scene.files).is_verified());
}

pub(crate) fn nothing_is_proven_without_trust(scene: &Scene) {
    let answer = verify(&scene.evidence, None);
    assert_eq!(answer.code, Some(1), "{}", answer.report);
    assert_eq!(answer.report["outcome"], "self-asserted");
}

/// One file is read as the folder is, is always the same, and is what any `tar` takes apart; one that any
/// `tar` makes is not read.
pub(crate) fn is_the_same_as_one_file(scene: &Scene, rng: &mut Rng) {
    let copy = scene.copy("packed");
    let parent = copy.parent().unwrap();
    let pack = |out: &str| {
        let out = parent.join(out);
        let mut command = Command::new(CHANCERY);
        command.args(["evidence", "--pack", "--from"]).arg(&copy);
        let status = command
            .arg("--out")
            .arg(&out)
            .stdout(Stdio::null())
            .status();
        (out, status.unwrap().success())
    };
    let (file, packed) = pack("one.tar");
    assert!(packed);
    let archive = std::fs::read(&file).unwrap();
    assert!(!pack("one.tar").1, "a file was written over");
    assert_eq!(std::fs::read(pack("two.tar").0).unwrap(), archive);
    // The same report, but for the time.
    let report = |evidence: &Path| {
        let mut answer = verify(evidence, Some(&scene.trust_file));
        assert_eq!(answer.code, Some(0), "{}", answer.report);
        answer.report["verified_at"].take();
        answer.report
    };
    let whole = report(&copy);
    assert_eq!(report(&file), whole);
    // Any byte of a content that is changed is found; any other one makes it no archive.
    for _ in 0..10 {
        let mut spoiled = archive.clone();
        let at = rng.below(archive.len());
        spoiled[at] ^= 1;
        let out = parent.join("spoiled.tar");
        std::fs::write(&out, &spoiled).unwrap();
        let mut command = Command::new(CHANCERY);
        command
            .arg("verify")
            .arg(&out)
            .arg("--trust")
            .arg(&scene.trust_file);
        let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
        assert_eq!(status.unwrap().code(), Some(1), "byte {at}");
    }
    let foreign = parent.join("foreign.tar");
    let taken = parent.join("taken");
    std::fs::create_dir(&taken).unwrap();
    let tar = |arguments: &[&str], file: &Path, folder: &Path| {
        let mut command = Command::new("tar");
        command.args(arguments).arg(file).arg("-C").arg(folder);
        command
    };
    assert!(tar(&["-xf"], &file, &taken).status().unwrap().success());
    assert_eq!(report(&taken), whole);
    assert!(
        tar(&["-cf"], &foreign, &copy)
            .arg(".")
            .status()
            .unwrap()
            .success()
    );
    let refused = Command::new(CHANCERY)
        .arg("verify")
        .arg(&foreign)
        .output()
        .unwrap();
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("not evidence in one file"));
}

pub(crate) fn fails_after_a_flip_a_deletion_and_an_addition(scene: &Scene, rng: &mut Rng) {
    let (others, objects) = scene.paths();
    let copy = scene.copy("spoiled");
    let mut paths = vec![pick(rng, &objects).clone()];
    paths.extend(others.into_iter().filter(|path| !path.contains("tile")));
    for path in &paths {
        let flip = Flip::of(path, &scene.files, rng);
        std::fs::write(copy.join(path), flip.bytes(&scene.files)).unwrap();
        let answer = verify(&copy, Some(&scene.trust_file));
        assert_eq!(answer.code, Some(1), "{flip:?}: {}", answer.report);
        assert!(answer.names(path), "{flip:?}: {}", answer.report);
        std::fs::write(copy.join(path), scene.files.get(path).unwrap()).unwrap();
    }
    let path = pick(rng, &objects);
    std::fs::remove_file(copy.join(path)).unwrap();
    let answer = verify(&copy, Some(&scene.trust_file));
    assert_eq!(answer.code, Some(1), "without {path}");
    assert!(answer.names(path), "without {path}: {}", answer.report);
    std::fs::write(copy.join(path), scene.files.get(path).unwrap()).unwrap();

    std::fs::write(copy.join("objects/extra"), b"x").unwrap();
    let answer = verify(&copy, Some(&scene.trust_file));
    assert_eq!(answer.code, Some(1));
    assert!(answer.names("objects/extra"), "{}", answer.report);
    std::fs::remove_file(copy.join("objects/extra")).unwrap();

    let answer = verify(&copy, Some(&scene.trust_file));
    assert_eq!(answer.code, Some(0), "undone: {}", answer.report);
}

fn verify(evidence: &Path, trust: Option<&Path>) -> Answer {
    let mut command = Command::new(CHANCERY);
    command.arg("verify").arg(evidence);
    if let Some(trust) = trust {
        command.arg("--trust").arg(trust);
    }
    let output = command
        .args(["--format", "json"])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let report = serde_json::from_slice(&output.stdout);
    Answer {
        code: output.status.code(),
        report: report
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr))),
    }
}
