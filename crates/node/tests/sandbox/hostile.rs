//! A hostile command: every attempt of `hostile.py` must fail, as root's launch and as nobody's.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::process::{Child, Stdio};

use crate::common::{As, Place, Ran, eventually, processes, users};

/// The attempts, so that none is lost from the script unseen.
const ATTEMPTS: [&str; 70] = [
    "allow_namespaces_again",
    "become_another_user",
    "become_root",
    "become_roots_group",
    "bind_over_the_socket",
    "change_the_host_name",
    "change_the_root",
    "connect_to_an_abstract_socket",
    "connect_to_the_hosts_loopback",
    "connect_to_the_hosts_loopback_over_ipv6",
    "enter_pid_1s_namespaces",
    "find_another_launchs_socket",
    "gain_by_a_setuid_program",
    "have_a_capability",
    "join_groups",
    "kill_a_neighbour",
    "kill_pid_1",
    "kill_the_launcher",
    "leave_for_the_parents_namespace",
    "list_pid_1s_descriptors",
    "listen_on_the_network",
    "load_a_kernel_module",
    "load_a_kernel_program",
    "make_a_key",
    "make_a_user_namespace",
    "make_a_user_namespace_and_mount",
    "make_other_namespaces",
    "map_another_user",
    "mount_a_memory_folder",
    "mount_read_write",
    "open_a_filesystem",
    "open_a_packet_socket",
    "open_a_raw_socket",
    "open_a_tree_detached",
    "open_another_launchs_socket",
    "open_devices",
    "open_the_secret_by_handle",
    "open_the_terminal",
    "outlive_the_sandbox",
    "overwrite_what_is_there",
    "raise_a_capability",
    "read_a_key_of_the_launchers_session",
    "read_memory_of_a_neighbour",
    "read_memory_of_pid_1",
    "read_memory_of_the_launcher",
    "read_pid_1s_environment",
    "read_pid_1s_memory",
    "read_the_hosts_accounts",
    "read_the_hosts_disk",
    "read_the_kernels_log",
    "read_the_launchers_environment",
    "read_the_secret",
    "read_the_secret_through_a_link",
    "read_the_secret_through_roots",
    "remove_what_is_there",
    "replace_the_socket",
    "request_a_key_of_the_launchers_session",
    "see_other_processes",
    "see_shared_memory_of_others",
    "see_the_launcher",
    "send_a_datagram",
    "set_the_clock",
    "take_a_descriptor_of_pid_1",
    "trace_a_neighbour",
    "trace_pid_1",
    "trace_the_launcher",
    "unmount_proc",
    "use_an_inherited_descriptor",
    "write_outside_the_work_folder",
    "write_system_settings",
];

/// Puts a key into a session key ring of its own and becomes its arguments.
const KEY: &str = r#"
import ctypes, os, sys
call = ctypes.CDLL(None).syscall
assert call(250, 1, None) > 0 and call(248, b"user", b"chancery-test", b"x", 1, -3) > 0
os.set_inheritable(9, True)
os.execvp(sys.argv[1], sys.argv[1:])
"#;

#[test]
fn every_attempt_fails() {
    for user in users() {
        let place = Place::new(user);
        let secret = place.path().join("secret");
        std::fs::write(&secret, "the host's").unwrap();
        // Only isolation stands before it: the file's mode lets everybody in.
        std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o644)).unwrap();
        let sockets = ["own.sock", "other.sock"].map(|name| {
            let path = place.path().join(name);
            let listener = UnixListener::bind(&path).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666)).unwrap();
            place.give(&path);
            (path, listener)
        });
        let abstract_name = format!("chancery-{}-{user:?}", std::process::id());
        let address = SocketAddr::from_abstract_name(&abstract_name).unwrap();
        let _abstract = UnixListener::bind_addr(&address).unwrap();
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();

        let mut neighbour = Neighbour::start(&place, &sockets[1].0);
        let script = place.path().join("hostile.py");
        std::fs::write(&script, include_str!("hostile.py")).unwrap();
        let path = |path: &std::path::Path| path.to_str().unwrap().to_owned();
        // The shell becomes the launcher: its own number goes into the environment, and a
        // descriptor of the secret is left open on purpose, as is a key in its session's key ring.
        let launch = format!(
            "exec 9<'{secret}'; exec /usr/bin/python3 -c '{KEY}' '{program}' run --bind '{script}' /opt/hostile.py \
             --socket '{own}' own.sock --env SECRET '{secret}' --env LAUNCHER $$ \
             --env NEIGHBOUR {neighbour} --env OTHER_SOCKET '{other}' \
             --env ABSTRACT '{abstract_name}' --env PORT {port} -- \
             /usr/bin/python3 /opt/hostile.py",
            secret = path(&secret),
            program = path(&crate::common::program()),
            script = path(&script),
            own = path(&sockets[0].0),
            other = path(&sockets[1].0),
            neighbour = neighbour.pid(),
            port = tcp.local_addr().unwrap().port(),
        );
        let output = crate::common::under(user, "sh")
            .args(["-c", &launch])
            .env("LAUNCHER_SECRET", "x")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let ran = Ran::new(output);
        assert_eq!(ran.code, Some(0), "{user:?}: {ran:?}");
        assert!(ran.isolation()["isolated"].is_object());
        let results =
            serde_json::from_str::<BTreeMap<String, String>>(&ran.output).expect(&ran.error);
        for (attempt, result) in &results {
            println!("{user:?}: {attempt}: {result}");
        }
        let succeeded = results
            .iter()
            .filter(|(_, result)| !result.starts_with("denied: "))
            .collect::<Vec<_>>();
        assert!(succeeded.is_empty(), "{user:?}: {succeeded:?}");
        assert_eq!(
            results.keys().collect::<Vec<_>>(),
            ATTEMPTS.iter().collect::<Vec<_>>()
        );
        eventually("the end of what was left behind", || {
            processes("sleep 7654321").is_empty()
        });
        assert!(
            neighbour.child.try_wait().unwrap().is_none(),
            "the neighbour runs on"
        );
        assert_eq!(std::fs::read_to_string(&secret).unwrap(), "the host's");
    }
}

/// The control: where nothing isolates, the same attempts of the same user succeed. Only those
/// that harm nobody, and never as root.
#[test]
fn the_attempts_are_real() {
    const HARMLESS: [&str; 11] = [
        "connect_to_an_abstract_socket",
        "connect_to_the_hosts_loopback",
        "kill_a_neighbour",
        "open_another_launchs_socket",
        "read_a_key_of_the_launchers_session",
        "read_the_launchers_environment",
        "read_the_secret",
        "request_a_key_of_the_launchers_session",
        "see_other_processes",
        "see_the_launcher",
        "use_an_inherited_descriptor",
    ];
    if !users().contains(&As::Nobody) {
        return;
    }
    let place = Place::new(As::Nobody);
    let secret = place.path().join("secret");
    std::fs::write(&secret, "x").unwrap();
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o644)).unwrap();
    let socket = place.path().join("other.sock");
    let _listener = UnixListener::bind(&socket).unwrap();
    std::fs::set_permissions(&socket, std::fs::Permissions::from_mode(0o666)).unwrap();
    let abstract_name = format!("chancery-{}-control", std::process::id());
    let address = SocketAddr::from_abstract_name(&abstract_name).unwrap();
    let _abstract = UnixListener::bind_addr(&address).unwrap();
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let sleeper = |seconds: &str| {
        let mut command = crate::common::under(As::Nobody, "sleep");
        command.arg(seconds).spawn().unwrap()
    };
    let (mut launcher, mut neighbour) = (sleeper("61"), sleeper("62"));
    for seconds in ["sleep\u{0}61", "sleep\u{0}62"] {
        eventually("the sleeper", || {
            let own = [launcher.id(), neighbour.id()];
            own.iter().any(|pid| {
                std::fs::read(format!("/proc/{pid}/cmdline"))
                    .is_ok_and(|line| line.starts_with(seconds.as_bytes()))
            })
        });
    }
    let output = crate::common::under(As::Nobody, "sh")
        .args([
            "-c",
            &format!("exec 9<$SECRET; exec /usr/bin/python3 -c '{KEY}' /usr/bin/python3 -"),
        ])
        .stdin(script())
        .env("ONLY", HARMLESS.join(","))
        .env("SECRET", &secret)
        .env("LAUNCHER", launcher.id().to_string())
        .env("NEIGHBOUR", neighbour.id().to_string())
        .env("OTHER_SOCKET", &socket)
        .env("ABSTRACT", &abstract_name)
        .env("PORT", tcp.local_addr().unwrap().port().to_string())
        .output()
        .unwrap();
    launcher.kill().unwrap();
    launcher.wait().unwrap();
    neighbour.wait().unwrap();
    let ran = Ran::new(output);
    let results = serde_json::from_str::<BTreeMap<String, String>>(&ran.output).expect(&ran.error);
    assert_eq!(
        results.keys().collect::<Vec<_>>(),
        HARMLESS.iter().collect::<Vec<_>>()
    );
    for (attempt, result) in results {
        assert_eq!(result, "SUCCEEDED", "{attempt}");
    }
}

fn script() -> Stdio {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sandbox/hostile.py");
    std::fs::File::open(path).unwrap().into()
}

/// Another launch that runs meanwhile.
struct Neighbour {
    child: Child,
    marker: String,
}

impl Neighbour {
    fn start(place: &Place, socket: &std::path::Path) -> Self {
        let marker = format!(
            "neighbour-{}-{}",
            std::process::id(),
            place.path().display()
        );
        let options = ["--socket", socket.to_str().unwrap(), "other.sock"];
        let child = place
            .launcher(&options, &["sh", "-c", "sleep 60; :", &marker])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let neighbour = Self { child, marker };
        eventually("the neighbour", || neighbour.find().is_some());
        neighbour
    }

    /// The command itself, as the host numbers it.
    fn pid(&self) -> i32 {
        self.find().unwrap()
    }

    fn find(&self) -> Option<i32> {
        processes(&self.marker).into_iter().find(|pid| {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            line.starts_with(b"sh\0")
        })
    }
}

impl Drop for Neighbour {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}
