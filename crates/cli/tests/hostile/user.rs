//! The same test as another user.

use std::path::Path;
use std::process::{Command, Stdio};

use nix::unistd::Uid;

const NOBODY: [&str; 3] = ["--reuid=65534", "--regid=65534", "--clear-groups"];

/// Runs a test of this program again as nobody, where this is root.
pub(crate) fn again_as_nobody(test: &str) {
    if !Uid::effective().is_root() {
        println!("skipped: the tests run as an ordinary user already");
        return;
    }
    let this = std::env::current_exe().unwrap();
    for program in [this.as_path(), Path::new(crate::deployment::CHANCERY)] {
        if !may_execute(program) {
            println!(
                "skipped: an ordinary user may not execute {}",
                program.display()
            );
            return;
        }
    }
    let status = Command::new("setpriv")
        .args(NOBODY)
        .arg("--")
        .arg(this)
        .args(["--exact", test, "--nocapture"])
        .env("HOME", "/nonexistent")
        .stdin(Stdio::null())
        .current_dir("/")
        .status()
        .unwrap();
    assert!(status.success(), "{test} as nobody: {status}");
}

fn may_execute(program: &Path) -> bool {
    let status = Command::new("setpriv")
        .args(NOBODY)
        .args(["--", "test", "-x"])
        .arg(program)
        .stderr(Stdio::null())
        .status();
    status.is_ok_and(|status| status.success())
}
