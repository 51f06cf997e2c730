//! The operator's commands.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};

use super::attempts;
use crate::orders::{Attempt, Orders, Outcome};

/// What the program says where it finds no data folder.
pub(crate) const NO_DATA: &str = "not a data folder of Chancery";

/// What it says where it finds no socket.
pub(crate) const NO_SOCKET: &str = "No such file or directory";

pub(crate) fn all(orders: &Orders, program: &Path) -> Vec<Attempt> {
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    let (person, mission) = (text(&orders.authenticator), text(&orders.mission));
    let out = std::env::temp_dir().join(format!("hostile-{}", std::process::id()));
    let (out, approval) = (text(&out), orders.approval.as_str());
    let grant = r#"{"type":"mcp_tool","server":"ledger","tool":"post"}"#;
    let delegate = [
        "--to",
        "latest",
        "--mission",
        &mission,
        "--authenticator",
        &person,
        "--yes",
        "--allow",
        grant,
    ];
    let mut commands: Vec<(&str, Vec<&str>)> = vec![
        ("approvals", vec!["list"]),
        ("approvals", vec!["show", approval]),
        ("trust", vec!["show"]),
        ("trust", vec!["export", &out]),
        ("agent", vec!["list"]),
        ("agent", vec!["instances"]),
        ("log", vec!["--log", "server", "checkpoint"]),
    ];
    if !orders.is_control {
        let answer = vec![approval, "--authenticator", &person, "--yes"];
        commands.extend([
            ("approvals", [vec!["approve"], answer.clone()].concat()),
            ("approvals", [vec!["deny"], answer].concat()),
            ("delegate", delegate.to_vec()),
            (
                "trust",
                vec![
                    "enrol",
                    "--code",
                    "0000",
                    "--authenticator",
                    &out,
                    "--stand-in",
                ],
            ),
            ("run", vec!["--agent", "load", "--", "/bin/true"]),
            ("evidence", vec![&orders.neighbour.session, "--out", &out]),
        ]);
    }
    let mut made = Vec::new();
    for (name, arguments) in commands {
        let target = format!("{name} {}", arguments.first().unwrap_or(&""));
        let outcome = run(program, name, &orders.data, &arguments);
        made.extend(attempts("run an operator's command", [(target, outcome)]));
    }
    let _ = std::fs::remove_dir_all(&out);
    let _ = std::fs::remove_file(&out);
    made
}

/// The same with a data folder of the attacker's own making, whose sockets are links to the real
/// ones.
pub(crate) fn with_an_own_folder(orders: &Orders, program: &Path) -> Vec<Attempt> {
    let own = std::env::temp_dir().join(format!("own-{}", std::process::id()));
    std::fs::create_dir_all(own.join("run")).unwrap();
    std::fs::write(own.join("version"), "chancery data folder 1\n").unwrap();
    for socket in ["server.sock", "signer.sock", "node.sock"] {
        symlink(
            orders.data.join("run").join(socket),
            own.join("run").join(socket),
        )
        .unwrap();
    }
    let mut made = Vec::new();
    for (name, arguments) in [("approvals", ["list"]), ("agent", ["instances"])] {
        let outcome = run(program, name, &own, &arguments);
        made.extend(attempts(
            "run an operator's command on an own folder",
            [(format!("{name} {}", arguments[0]), outcome)],
        ));
    }
    std::fs::remove_dir_all(own).unwrap();
    made
}

fn run(program: &Path, name: &str, data: &Path, arguments: &[&str]) -> Outcome {
    let output = Command::new(program)
        .arg(name)
        .arg("--data")
        .arg(data)
        .args(arguments)
        .stdin(Stdio::null())
        .output();
    match output {
        Ok(output) if output.status.success() => {
            Outcome::Succeeded(String::from_utf8_lossy(&output.stdout).into_owned())
        }
        Ok(output) => Outcome::Refused(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        Err(error) => Outcome::Refused(format!("not started: {error}")),
    }
}
