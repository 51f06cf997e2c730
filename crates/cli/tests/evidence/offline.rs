//! `verify` and `why` where nothing else is: no network, no other process, nothing to write to.

use std::process::{Command, Output, Stdio};

use chancery_evidence::actions;

use crate::scene::{CHANCERY, Scene};

/// Makes the first argument read-only, shows that it is and that nobody else is there, and runs the
/// rest.
const SCRIPT: &str = r#"
set -eu
evidence=$1; shift
mount --bind "$evidence" "$evidence"
mount -o remount,bind,ro "$evidence"
if touch "$evidence/written" 2>/dev/null; then echo "it can be written" >&2; exit 90; fi
if [ -n "$(sed -n '3,$p' /proc/net/dev | grep -v '^ *lo:' || true)" ]; then echo "a network is there" >&2; exit 91; fi
for process in /proc/[0-9]*; do
  case "$(readlink "$process/exe" || true)" in *chancery*) echo "chancery runs: $process" >&2; exit 92;; esac
done
exec "$@"
"#;

const NAMESPACES: [&str; 2] = ["-rnmpf", "--mount-proc"];

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
    let copy = scene.copy("offline");
    let status = Command::new("chmod")
        .args(["-R", "a-w"])
        .arg(&copy)
        .status();
    assert!(status.unwrap().success());
    let path = copy.to_str().unwrap();
    let trust = scene.trust_file.to_str().unwrap();

    let output = alone(&[path, CHANCERY, "verify", path, "--trust", trust]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said} {output:?}");
    assert!(said.starts_with("verified"), "{said}");

    let listed = actions(&scene.files);
    for action in [listed.first().unwrap(), listed.last().unwrap()] {
        let execution = action.execution.to_string();
        let arguments = [
            path,
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

    let output = alone(&[path, CHANCERY, "verify", path]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let status = Command::new("chmod")
        .args(["-R", "u+w"])
        .arg(&copy)
        .status();
    assert!(status.unwrap().success());
}

/// Runs a command on read-only evidence in namespaces of its own.
fn alone(arguments: &[&str]) -> Output {
    Command::new("unshare")
        .args(NAMESPACES)
        .args(["sh", "-c", SCRIPT, "sh"])
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}
