use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Output;

use nix::unistd::Uid;
use serde_json::json;

use crate::certificates::Authority;
use crate::writer::{ORIGIN, Writer, chancery, checked, fed, places, printed};

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn lines_are_appended_and_again_are_there_once() {
    let folder = tempfile::tempdir().unwrap();
    let writer = Writer::start(folder.path(), &["--origin", ORIGIN]);
    assert_eq!(writer.opened["origin"], ORIGIN);
    assert_eq!(writer.opened["entries"], 0);
    let told = printed(&writer.append("ci", &[], b"built\ntested\n"));
    assert_eq!(told["producer"], "owner/ci");
    assert_eq!(places(&told), [(0, 0), (1, 1)]);
    // Without --first, lines are new ones.
    let told = printed(&writer.append("ci", &["--until", "published"], b"built\n"));
    assert_eq!(places(&told), [(2, 2)]);
    assert!(told["entries"][0]["covered"].as_u64().unwrap() >= 3);
    // With it, those that are there are not.
    let told = printed(&writer.append("ci", &["--first", "0"], b"built\ntested\nbuilt\nsigned"));
    assert_eq!(places(&told), [(0, 0), (1, 1), (2, 2), (3, 3)]);
    let whole = printed(&writer.append("ci", &["--whole"], b"two\nlines\n"));
    assert_eq!(places(&whole), [(4, 4)]);
    assert!(writer.stop());
    let bodies = checked(folder.path());
    assert_eq!(bodies.len(), 5);
    assert_eq!(
        bodies[4],
        json!({"producer": "owner/ci", "sequence": 4, "content": "dHdvCmxpbmVzCg"})
    );
    // The name of the log is known from then on.
    let writer = Writer::start(folder.path(), &[]);
    assert_eq!(writer.opened["origin"], ORIGIN);
    assert_eq!(writer.opened["entries"], 5);
    writer.kill();
}

#[test]
fn what_is_refused_says_why_and_appends_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let writer = Writer::start(folder.path(), &["--origin", ORIGIN]);
    printed(&writer.append("ci", &[], b"built\n"));
    for (arguments, input, expected) in [
        (&["--first", "0"][..], &b"another\n"[..], "append_changed"),
        (
            &["--origin", "td.example/log/other"],
            b"x\n",
            "append_origin",
        ),
        (&["--until", "witnessed"], b"x\n", "append_no_witnesses"),
        (&["--first", "7"], b"x\n", "expects sequence 1"),
        (&[], b"\n", "line 1"),
        (&["--whole"], b"", "line 1"),
    ] {
        let output = writer.append("ci", arguments, input);
        assert_eq!(
            output.status.code(),
            Some(1),
            "{arguments:?}: {}",
            said(&output)
        );
        assert!(said(&output).contains(expected), "{}", said(&output));
        assert!(output.stdout.is_empty());
    }
    let output = writer.append("a/b", &[], b"x\n");
    assert!(
        said(&output).contains("append_producer"),
        "{}",
        said(&output)
    );
    // A second writer of the same folder.
    let second = chancery()
        .args(["log", "write"])
        .arg(folder.path())
        .output()
        .unwrap();
    assert_eq!(second.status.code(), Some(1));
    assert!(
        said(&second).contains("another process"),
        "{}",
        said(&second)
    );
    assert!(writer.stop());
    assert_eq!(checked(folder.path()).len(), 1);
    // Nobody is there any more.
    let mut command = chancery();
    command.args([
        "log",
        "append",
        "--name",
        "ci",
        "--patience",
        "1",
        "--socket",
    ]);
    let output = fed(command.arg(folder.path().join("append.sock")), b"x\n");
    assert_eq!(output.status.code(), Some(3), "{}", said(&output));
    // A log without a name.
    let nameless = chancery()
        .args(["log", "write"])
        .arg(folder.path().join("new"))
        .output();
    assert!(said(&nameless.unwrap()).contains("--origin"));
}

#[test]
fn another_user_appends_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let writer = Writer::start(folder.path(), &["--origin", ORIGIN]);
    let mode = std::fs::metadata(writer.socket())
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    if !Uid::effective().is_root() {
        eprintln!("skipped: only root can be another user");
        writer.kill();
        return;
    }
    // Also where the modes let it in, its credentials do not.
    let open = |path: &Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    open(folder.path(), 0o755);
    open(&writer.socket(), 0o666);
    let mut command = chancery();
    command.args([
        "log",
        "append",
        "--name",
        "ci",
        "--patience",
        "1",
        "--socket",
    ]);
    let output = fed(command.arg(writer.socket()).uid(65_534).gid(65_534), b"x\n");
    assert_eq!(output.status.code(), Some(3), "{}", said(&output));
    assert!(writer.stop());
    assert!(checked(folder.path()).is_empty());
}

#[test]
fn who_has_an_svid_appends_over_tls_where_it_is_admitted() {
    let place = tempfile::tempdir().unwrap();
    let (authority, strange) = (Authority::new(), Authority::new());
    let files =
        |name: &str, id: &str, by: &Authority| by.svid(&place.path().join(name), id, &authority);
    let log = "spiffe://td.example/service/log";
    let builds = "spiffe://td.example/service/builds";
    let own = files("log", log, &authority);
    let mut arguments = vec![
        "--origin",
        ORIGIN,
        "--listen",
        "127.0.0.1:0",
        "--producer",
        builds,
    ];
    arguments.extend(own.iter().map(String::as_str));
    let folder = place.path().join("recorded");
    let writer = Writer::start(&folder, &arguments);
    assert_eq!(writer.opened["spiffe_id"], log);
    let address = writer.opened["address"].as_str().unwrap();
    let append = |files: Vec<String>, expect: &str| {
        let mut command = chancery();
        command.args(["--format", "json", "log", "append", "--patience", "2"]);
        command
            .args(["--to", address, "--expect", expect])
            .args(files);
        fed(&mut command, b"built\n")
    };
    let told = printed(&append(files("builds", builds, &authority), log));
    assert_eq!(told["producer"], builds);
    assert_eq!(places(&told), [(0, 0)]);
    // Somebody else, the same name from nowhere, and a log that is not the one that is meant.
    let other = files("other", "spiffe://td.example/service/other", &authority);
    let refused = append(other, log);
    assert!(
        said(&refused).contains("append_not_admitted"),
        "{}",
        said(&refused)
    );
    assert_eq!(refused.status.code(), Some(1));
    let forged = strange.svid(&place.path().join("forged"), builds, &strange);
    assert_ne!(append(forged, log).status.code(), Some(0));
    let again = files("again", builds, &authority);
    assert_ne!(
        append(again, "spiffe://td.example/service/another")
            .status
            .code(),
        Some(0)
    );
    assert!(writer.stop());
    assert_eq!(checked(&folder).len(), 1);
}
