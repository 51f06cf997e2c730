//! `verify` and `why` where nothing else is: no network, no other process, nothing to write to.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use chancery_evidence::actions;

use crate::scene::{CHANCERY, Scene};

/// Mounts the folder that is the first argument read-only, shows that it is and that nobody else is
/// there, and runs the rest. A mount keeps the flags that an owner of the host has set: leaving one
/// out is refused, so each set is tried.
const SCRIPT: &str = r#"
set -eu
folder=$1; shift
mount --bind "$folder" "$folder"
for flags in ro ro,nosuid,nodev ro,nosuid,nodev,noexec; do
  if mount -o "remount,bind,$flags" "$folder" 2>/dev/null; then break; fi
done
said=$(LC_ALL=C touch "$folder/written" 2>&1) && { echo "it can be written" >&2; exit 90; }
case "$said" in *"Read-only file system"*) ;; *) echo "not a read-only mount: $said" >&2; exit 90;; esac
if [ -n "$(sed -n '3,$p' /proc/net/dev | grep -v '^ *lo:' || true)" ]; then echo "a network is there" >&2; exit 91; fi
for process in /proc/[0-9]*; do
  case "$(readlink "$process/exe" || true)" in *chancery*) echo "chancery runs: $process" >&2; exit 92;; esac
done
exec "$@"
"#;

const NAMESPACES: [&str; 2] = ["-rnmpf", "--mount-proc"];

/// The run folder itself, as the demo left it, with every process of the demo stopped.
pub(crate) fn holds_without_network_writes_or_processes(scene: &Scene) {
    let permitted = Command::new("unshare")
        .args(NAMESPACES)
        .arg("true")
        .stderr(Stdio::null())
        .status();
    if !permitted.is_ok_and(|status| status.success()) {
        println!("skipped: offline verification: unshare -rnmpf is not permitted here");
        return;
    }
    nobody_runs_in(scene.folder.path());
    let run_folder = scene.folder.path().to_str().unwrap();
    let path = scene.evidence.to_str().unwrap();
    let trust = scene.trust_file.to_str().unwrap();
    assert!(path.starts_with(run_folder) && trust.starts_with(run_folder));
    let before = modified(scene.folder.path());

    let output = alone(&[run_folder, CHANCERY, "verify", path, "--trust", trust]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said} {output:?}");
    assert!(said.starts_with("verified"), "{said}");

    let listed = actions(&scene.files);
    for action in [listed.first().unwrap(), listed.last().unwrap()] {
        let execution = action.execution.to_string();
        let arguments = [
            run_folder,
            CHANCERY,
            "why",
            &execution,
            "--evidence",
            path,
            "--trust",
            trust,
        ];
        let output = alone(&arguments);
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{said} {output:?}");
        assert!(said.contains(&execution), "{said}");
        assert!(said.contains(action.instance.as_str()), "{said}");
    }

    let output = alone(&[run_folder, CHANCERY, "verify", path]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert_eq!(
        before,
        modified(scene.folder.path()),
        "something was written"
    );
}

/// No process of this machine was started on anything in that folder.
fn nobody_runs_in(folder: &Path) {
    let folder = folder.to_str().unwrap();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line);
        assert!(!line.contains(folder), "still runs: {line}");
    }
}

/// Every file below a folder with the time of its last change.
fn modified(folder: &Path) -> Vec<(std::path::PathBuf, std::time::SystemTime)> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).unwrap().flatten() {
            let metadata = entry.metadata().unwrap();
            found.push((entry.path(), metadata.modified().unwrap()));
            if metadata.is_dir() {
                folders.push(entry.path());
            }
        }
    }
    found.sort();
    found
}

/// Runs a command on a read-only folder in namespaces of its own.
fn alone(arguments: &[&str]) -> Output {
    Command::new("unshare")
        .args(NAMESPACES)
        .args(["sh", "-c", SCRIPT, "sh"])
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}
