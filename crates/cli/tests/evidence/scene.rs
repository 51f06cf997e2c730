//! One demo, run by the real program, and its evidence as files.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use chancery_crypto::AwsLc;
use chancery_evidence::{Files, Finding, Report, verify};
use chancery_identity::trust::{SignedTrust, VerifiedTrust};
use chancery_types::Timestamp;
use serde_json::Value;
use tempfile::TempDir;

use crate::forger::read;
use crate::rng::Rng;

/// The program under test.
pub(crate) const CHANCERY: &str = env!("CARGO_BIN_EXE_chancery");

/// A demo that has ended.
pub(crate) struct Scene {
    pub(crate) folder: TempDir,
    pub(crate) evidence: PathBuf,
    pub(crate) trust_file: PathBuf,
    pub(crate) files: Files,
    pub(crate) trust: VerifiedTrust,
}

impl Scene {
    pub(crate) fn of_demo() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let output = Command::new(CHANCERY)
            .args(["demo", "--unattended", "--format", "json", "--out"])
            .arg(folder.path())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            output.status.success(),
            "{said}\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let story: Value = serde_json::from_str(&said).unwrap();
        let path = |name: &str| PathBuf::from(story[name].as_str().unwrap());
        let evidence = path("run_folder").join("evidence");
        let trust_file = path("trust");
        let signed = SignedTrust::parse(&std::fs::read(&trust_file).unwrap()).unwrap();
        Self {
            files: read(&evidence),
            trust: signed.verify(&AwsLc).unwrap(),
            evidence,
            trust_file,
            folder,
        }
    }

    /// Verifies files as they would be in the scene's place.
    pub(crate) fn verify(&self, files: &Files) -> Report {
        verify(files, Some(&self.trust), &AwsLc, now())
    }

    /// A copy of the evidence that a test may spoil.
    pub(crate) fn copy(&self, name: &str) -> PathBuf {
        let copy = self.folder.path().join(name);
        for (path, content) in self.files.iter() {
            let target = copy.join(path);
            std::fs::create_dir_all(target.parent().unwrap()).unwrap();
            std::fs::write(target, content).unwrap();
        }
        copy
    }

    /// The paths of everything but objects, and those of objects.
    pub(crate) fn paths(&self) -> (Vec<String>, Vec<String>) {
        let paths = self.files.paths().map(str::to_owned);
        paths.partition(|path| !path.starts_with("objects/"))
    }
}

/// The files with one of them changed, or taken away.
pub(crate) fn with(files: &Files, path: &str, content: Option<Vec<u8>>) -> Files {
    let others = files.iter().filter(|(known, _)| *known != path);
    let others = others.map(|(known, bytes)| (known.to_owned(), bytes.to_vec()));
    others
        .chain(content.map(|content| (path.to_owned(), content)))
        .collect()
}

/// Whether a finding is about that file: it names it, or an object or entry that stands in it.
pub(crate) fn names(finding: &Finding, path: &str) -> bool {
    let place = finding.place.to_string();
    let digest = path.strip_prefix("objects/");
    place == path || digest.is_some_and(|digest| finding.text.contains(digest))
}

pub(crate) fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    Timestamp::from_micros(since.unwrap().as_micros().try_into().unwrap())
}

/// One of them.
pub(crate) fn pick<'a, T>(rng: &mut Rng, of: &'a [T]) -> &'a T {
    &of[rng.below(of.len())]
}
