//! Holding, starting, ending and refusing a launch.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Stdio;

use chancery_node::sandbox::{
    Bind, Exit, Isolation, Launcher, SandboxError, SocketBind, Spec, Stdio as Streams, UidRange,
    Work,
};

use crate::common::{As, Place, Ran, eventually, processes, program, under, users};

fn launcher() -> Launcher {
    Launcher::with_shim(program())
}

fn spec(place: &Place, argv: &[&str]) -> Spec {
    let null = || Some(fs::File::open("/dev/null").unwrap().into());
    Spec {
        uids: UidRange {
            leases: place.path().join("leases"),
            ..UidRange::default()
        },
        stdio: Streams {
            input: null(),
            ..Streams::default()
        },
        ..Spec::new(argv)
    }
}

fn own() -> Place {
    Place::new(*users().first().unwrap())
}

#[test]
fn nothing_runs_before_go() {
    let place = own();
    let work = place.path().join("work");
    fs::create_dir(&work).unwrap();
    let mut spec = spec(&place, &["sh", "-c", "echo ran > mark; exec sleep 60"]);
    spec.work = Work::Folder(work.clone());
    let held = launcher().spawn(spec).unwrap();
    assert!(matches!(held.isolation(), Isolation::Isolated(_)));
    let namespace = held.pid_namespace().unwrap();
    let own = fs::metadata("/proc/self/ns/pid").unwrap().ino();
    assert_ne!(namespace, own);
    std::thread::sleep(std::time::Duration::from_millis(100));
    assert!(!work.join("mark").exists());
    assert!(held.pidfd().try_clone_to_owned().is_ok());
    let running = held.go().unwrap();
    eventually("the mark", || work.join("mark").exists());
    let command = processes("sleep\u{0}60").into_iter().find(|pid| {
        fs::metadata(format!("/proc/{pid}/ns/pid")).is_ok_and(|it| it.ino() == namespace)
    });
    assert!(command.is_some());
    running.kill();
    assert_eq!(running.wait_blocking().unwrap(), Exit::Killed);
}

#[test]
fn dropping_ends_it_held_or_running() {
    let place = own();
    let held = launcher().spawn(spec(&place, &["sleep", "60"])).unwrap();
    let pid = held.pid();
    drop(held);
    eventually("the end of the held one", || {
        !Path::new(&format!("/proc/{pid}")).exists()
    });
    let running = launcher()
        .spawn(spec(&place, &["sleep", "71234567"]))
        .unwrap()
        .go()
        .unwrap();
    eventually("the command", || !processes("71234567").is_empty());
    drop(running);
    eventually("its end", || processes("71234567").is_empty());
}

#[test]
fn nothing_outlives_a_killed_launcher() {
    for user in users() {
        let place = Place::new(user);
        let script = "trap '' TERM INT HUP; setsid sleep 81234567 & sleep 81234567";
        let mut child = place
            .launcher(&[], &["sh", "-c", script])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        eventually("both", || processes("sleep\u{0}81234567").len() == 2);
        child.kill().unwrap();
        child.wait().unwrap();
        eventually("their end", || processes("81234567").is_empty());
    }
}

#[test]
fn a_launch_outlives_the_thread_that_asked_for_it() {
    let place = own();
    let spec = spec(&place, &["sh", "-c", "sleep 0.3; exit 5"]);
    let running = std::thread::spawn(move || launcher().spawn(spec).unwrap().go().unwrap())
        .join()
        .unwrap();
    assert_eq!(running.wait_blocking().unwrap(), Exit::Code(5));
}

#[test]
fn signals_are_passed_on() {
    let place = own();
    let work = place.path().join("work");
    fs::create_dir(&work).unwrap();
    let script = "trap 'exit 42' TERM; echo > ready; while :; do sleep 0.05; done";
    let mut spec = spec(&place, &["sh", "-c", script]);
    spec.work = Work::Folder(work.clone());
    let mut running = launcher().spawn(spec).unwrap().go().unwrap();
    eventually("readiness", || work.join("ready").exists());
    running.signal(9999).unwrap();
    running.signal(15).unwrap();
    assert_eq!(running.wait_blocking().unwrap(), Exit::Code(42));
}

#[tokio::test]
async fn the_end_can_be_awaited() {
    let place = own();
    let spec = spec(&place, &["sh", "-c", "exit 9"]);
    let mut running = launcher().spawn(spec).unwrap().go().unwrap();
    assert_eq!(running.wait().await.unwrap(), Exit::Code(9));
    running.signal(15).unwrap();
}

#[test]
fn each_launch_of_root_is_another_user() {
    if users()[0] != As::Root {
        return;
    }
    let place = own();
    let narrow = |count| {
        let mut spec = spec(&place, &["sleep", "60"]);
        spec.uids.count = count;
        spec
    };
    let uid = |held: &chancery_node::sandbox::Held| match held.isolation() {
        Isolation::Isolated(facts) => facts.uid,
        Isolation::Unisolated(reason) => panic!("{reason}"),
    };
    let one = launcher().spawn(narrow(2)).unwrap();
    let other = launcher().spawn(narrow(2)).unwrap();
    assert_ne!(uid(&one), uid(&other));
    let hidden = fs::metadata(format!("/proc/{}/environ", one.pid())).unwrap();
    assert_eq!(hidden.uid(), 0);
    let status = fs::read_to_string(format!("/proc/{}/status", one.pid())).unwrap();
    assert!(
        status.contains(&format!("Uid:\t{}\t", uid(&one))),
        "{status}"
    );
    let full = launcher().spawn(narrow(2)).unwrap_err();
    assert!(matches!(full, SandboxError::NoUid { .. }), "{full}");
    let freed = uid(&one);
    drop(one);
    let mut next = None;
    eventually("a free user", || {
        next = launcher().spawn(narrow(2)).ok();
        next.is_some()
    });
    assert_eq!(uid(&next.unwrap()), freed);
}

#[test]
fn an_owned_socket_is_the_launchs_alone() {
    if users()[0] != As::Root {
        return;
    }
    let place = own();
    let path = place.path().join("mcp.sock");
    let _listener = UnixListener::bind(&path).unwrap();
    let mut spec = spec(&place, &["true"]);
    spec.sockets = vec![SocketBind {
        host: path.clone(),
        name: "mcp.sock".into(),
        owned: true,
        variable: None,
    }];
    let held = launcher().spawn(spec).unwrap();
    let Isolation::Isolated(facts) = held.isolation() else {
        panic!("isolated");
    };
    let found = fs::metadata(&path).unwrap();
    assert_eq!((found.uid(), found.mode() & 0o777), (facts.uid, 0o600));
}

#[test]
fn what_cannot_be_carried_out_is_refused_with_its_field() {
    let place = own();
    let file = place.path().join("file");
    fs::write(&file, "").unwrap();
    let socket = |host: &Path, name: &str| SocketBind {
        host: host.to_owned(),
        name: name.into(),
        owned: false,
        variable: None,
    };
    let path = place.path().join("s.sock");
    let _listener = UnixListener::bind(&path).unwrap();
    let inside = |at: &str| Bind {
        inside: at.into(),
        ..Bind::same(&file)
    };
    let mut cases = Vec::<(&str, Spec)>::new();
    let mut case = |field, change: &dyn Fn(&mut Spec)| {
        let mut spec = spec(&place, &["true"]);
        change(&mut spec);
        cases.push((field, spec));
    };
    case("argv: ", &|spec| spec.argv.clear());
    case("argv: ", &|spec| spec.argv = vec!["".into()]);
    case("argv: ", &|spec| spec.argv.push("a\0b".into()));
    case("env: ", &|spec| spec.env.push(("A=B".into(), "".into())));
    case("env: ", &|spec| spec.env.push(("".into(), "".into())));
    case("env: ", &|spec| spec.env.push(("A".into(), "\0".into())));
    case("cwd: ", &|spec| spec.cwd = Some("work".into()));
    case("cwd: ", &|spec| spec.cwd = Some("/work/../etc".into()));
    for at in [
        "relative",
        "/opt/../etc",
        "/",
        "/proc/x",
        "/dev/x",
        "/tmp",
        "/work",
        "/run/chancery/x",
    ] {
        case("readable: ", &|spec| spec.readable.push(inside(at)));
    }
    case("readable: /no/such/file", &|spec| {
        spec.readable.push(Bind::same("/no/such/file"))
    });
    for name in ["", "..", ".", "a/b", "/a", "a/"] {
        case("sockets: ", &|spec| spec.sockets.push(socket(&path, name)));
    }
    case("sockets: ", &|spec| spec.sockets.push(socket(&file, "a")));
    case("sockets: ", &|spec| {
        spec.sockets.push(socket(Path::new("/no/such"), "a"))
    });
    case("work: ", &|spec| spec.work = Work::Folder(file.clone()));
    case("work: ", &|spec| {
        spec.work = Work::Folder("/no/such".into())
    });
    if users()[0] == As::Root {
        case("uids: ", &|spec| spec.uids.count = 0);
        case("uids: ", &|spec| spec.uids.first = 999);
        case("uids: ", &|spec| spec.uids.first = u32::MAX - 2);
        case("uids: ", &|spec| spec.uids.leases = file.clone());
    }
    for (field, spec) in cases {
        let said = format!("{spec:?}");
        let error = launcher().spawn(spec).unwrap_err().to_string();
        assert!(error.starts_with(field), "{error}: {said}");
    }
}

#[test]
fn a_folder_that_is_not_there_inside_fails_closed() {
    let place = own();
    let mut over = spec(&place, &["true"]);
    // Nothing can be made in a folder that is read-only already.
    over.readable.push(Bind {
        host: "/etc/ld.so.cache".into(),
        inside: "/usr/no-such-folder/file".into(),
        required: true,
    });
    let error = launcher().spawn(over).unwrap_err();
    assert!(matches!(error, SandboxError::Failed { .. }), "{error}");
    assert!(
        error.to_string().contains("/usr/no-such-folder/file"),
        "{error}"
    );
}

#[test]
fn a_program_that_is_no_shim_is_noticed() {
    let place = own();
    let error = Launcher::with_shim("/bin/true")
        .spawn(spec(&place, &["true"]))
        .unwrap_err();
    assert!(matches!(error, SandboxError::Silent(_)), "{error}");
    let error = Launcher::with_shim("/no/such")
        .spawn(spec(&place, &["true"]))
        .unwrap_err();
    assert!(matches!(error, SandboxError::Shim(_)), "{error}");
}

#[test]
fn a_person_who_calls_the_shim_gets_nothing() {
    for arguments in [
        &["inner"][..],
        &["outer", "own", "none"],
        &["plain"],
        &[],
        &["x"],
    ] {
        let output = under(As::Root, program())
            .arg("sandbox-shim")
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(125));
        assert!(output.stdout.is_empty() && output.stderr.is_empty());
    }
}

/// A launcher where namespaces are used up, as a hardened system has them.
fn without_namespaces(options: &[&str], argv: &[&str]) -> Option<Ran> {
    let place = Place::new(As::Nobody);
    let script = "echo 0 > /proc/sys/user/max_user_namespaces && \
                  exec setpriv --ambient-caps=-all --inh-caps=-all -- \"$@\"";
    let mut command = under(As::Nobody, "unshare");
    command
        .args([
            "--user",
            "--map-user=1234",
            "--keep-caps",
            "sh",
            "-c",
            script,
            "sh",
        ])
        .arg(program())
        .arg("run")
        .args(options)
        .arg("--")
        .args(argv)
        .stdin(Stdio::null());
    let ran = Ran::new(command.output().ok()?);
    drop(place);
    if ran.error.contains("unshare: ") || ran.error.contains("sh: ") {
        println!("skipped: cannot use up the namespaces here: {}", ran.error);
        return None;
    }
    Some(ran)
}

#[test]
fn without_namespaces_there_is_an_error_with_a_remedy() {
    if let Some(ran) = without_namespaces(&[], &["true"]) {
        assert_eq!(ran.code, Some(125), "{ran:?}");
        for word in [
            "making namespaces",
            "user.max_user_namespaces",
            "unprivileged_userns_clone",
        ] {
            assert!(ran.error.contains(word), "{ran:?}");
        }
    }
}

#[test]
fn without_namespaces_a_command_runs_unisolated_only_when_allowed_and_says_so() {
    let script = "grep NoNewPrivs /proc/self/status; ls /etc/shadow; pwd; exit 6";
    if let Some(ran) = without_namespaces(&["--allow-unisolated"], &["sh", "-c", script]) {
        assert_eq!(ran.code, Some(6), "{ran:?}");
        let reason = ran.isolation()["unisolated"].as_str().unwrap().to_owned();
        assert!(reason.starts_with("making namespaces: "), "{reason}");
        assert!(
            ran.output.starts_with("NoNewPrivs:\t1\n/etc/shadow\n/"),
            "{ran:?}"
        );
        let work = ran.output.lines().nth(2).unwrap();
        assert!(work.contains("chancery-work-"), "{work}");
        assert!(!Path::new(work).exists(), "{work}");
    }
    if let Some(ran) = without_namespaces(&["--allow-unisolated"], &["/no/such"]) {
        assert_eq!(ran.code, Some(125), "{ran:?}");
        assert!(
            ran.error.contains("cannot start the command: /no/such"),
            "{ran:?}"
        );
    }
}

#[test]
fn a_permitted_fallback_is_not_taken_for_other_failures() {
    let place = own();
    let mut over = spec(&place, &["true"]);
    over.allow_unisolated = true;
    over.readable.push(Bind {
        host: "/etc/ld.so.cache".into(),
        inside: "/usr/no-such-folder/file".into(),
        required: true,
    });
    assert!(launcher().spawn(over).is_err());
}
