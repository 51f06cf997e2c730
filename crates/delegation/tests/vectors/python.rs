use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The verifier in Python, with what it needs beside it.
#[derive(Debug)]
pub(crate) struct Python {
    path: String,
}

impl Python {
    /// Nothing, said aloud, where `scripts/python-tools` has installed nothing. In CI that is a
    /// failure.
    pub(crate) fn find() -> Option<Self> {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
        let site = target.join("python-tools/site");
        if site.join("cryptography").is_dir() {
            let package = concat!(env!("CARGO_MANIFEST_DIR"), "/../../sdk/python");
            return Some(Self {
                path: format!("{package}:{}", site.display()),
            });
        }
        let said = format!("{} is missing; run scripts/python-tools", site.display());
        assert!(
            std::env::var_os("CI").is_none_or(|ci| ci != "true"),
            "{said}"
        );
        println!("skipped: {said}");
        None
    }

    /// Runs `python3 -m chancery_verify`.
    pub(crate) fn run(&self, arguments: &[&str], file: &Path) -> Output {
        let mut command = Command::new("python3");
        let command = command.args(["-m", "chancery_verify"]).args(arguments);
        let command = command.arg(file).env("PYTHONPATH", &self.path);
        command.output().unwrap()
    }
}

/// A file for both implementations, in the folder that cargo keeps for tests.
pub(crate) fn scratch(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}
