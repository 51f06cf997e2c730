//! What an ordinary command needs, works.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixListener;
use std::process::Stdio;

use serde_json::json;

use crate::common::{As, NOBODY, Place, Ran, users};

#[test]
fn streams_pass_and_the_code_returns() {
    for user in users() {
        let place = Place::new(user);
        let script = "read line; echo out:$line; echo err:$line >&2; exit 7";
        let mut child = place
            .launcher(&[], &["sh", "-c", script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(b"hello\n").unwrap();
        let ran = Ran::new(child.wait_with_output().unwrap());
        assert_eq!(ran.code, Some(7), "{user:?}: {ran:?}");
        assert_eq!(ran.output, "out:hello\n");
        assert!(ran.error.contains("err:hello"), "{ran:?}");
    }
}

#[test]
fn the_isolation_is_stated() {
    for user in users() {
        let ran = Place::new(user).run(&[], &["true"]);
        assert_eq!(ran.code, Some(0), "{user:?}: {ran:?}");
        let isolation = &ran.isolation()["isolated"];
        assert_eq!(isolation["network"], "none");
        assert_eq!(isolation["own_uid"], user == As::Root);
        match user {
            As::Root => assert!(isolation["uid"].as_u64().unwrap() > 65_535),
            As::Nobody if nix::unistd::Uid::effective().is_root() => {
                assert_eq!(isolation["uid"], NOBODY);
            }
            As::Nobody => {}
        }
        assert_ne!(isolation["landlock"], json!(null));
    }
}

#[test]
fn a_signal_ends_with_128_and_its_number_and_a_missing_command_is_named() {
    for user in users() {
        let place = Place::new(user);
        let ran = place.run(&[], &["sh", "-c", "kill -TERM $$"]);
        assert_eq!(ran.code, Some(128 + 15), "{user:?}: {ran:?}");
        let ran = place.run(&[], &["/usr/bin/no-such-program"]);
        assert_eq!(ran.code, Some(125), "{user:?}: {ran:?}");
        assert!(ran.error.contains("cannot start the command"), "{ran:?}");
        assert!(ran.error.contains("no-such-program"), "{ran:?}");
    }
}

#[test]
fn the_environment_is_only_what_was_given() {
    for user in users() {
        let place = Place::new(user);
        let mut launcher = place.launcher(&["--env", "ONE", "1"], &["env"]);
        let ran = Ran::new(launcher.env("HOST_SECRET", "x").output().unwrap());
        let mut lines = ran.output.lines().collect::<Vec<_>>();
        lines.sort_unstable();
        assert_eq!(
            lines,
            [
                "HOME=/work",
                "ONE=1",
                "PATH=/usr/local/bin:/usr/bin:/bin",
                "TMPDIR=/tmp"
            ],
            "{user:?}: {ran:?}"
        );
    }
}

#[test]
fn memory_folders_can_be_written_and_are_gone_afterwards() {
    for user in users() {
        let place = Place::new(user);
        let script = "pwd; for at in . /tmp /dev/shm; do ls -A $at; echo x > $at/file; done; \
                      printf '#!/bin/sh\necho ran' > run; chmod +x run; ./run; \
                      echo >/dev/null; head -c 4 /dev/urandom | wc -c; id -un; echo ~";
        for _ in 0..2 {
            let ran = place.run(&[], &["sh", "-ec", script]);
            assert_eq!(ran.code, Some(0), "{user:?}: {ran:?}");
            assert_eq!(
                ran.output, "/work\nran\n4\nagent\n/work\n",
                "{user:?}: {ran:?}"
            );
        }
    }
}

#[test]
fn a_work_folder_keeps_what_is_written() {
    for user in users() {
        let place = Place::new(user);
        let work = place.path().join("work");
        std::fs::create_dir(&work).unwrap();
        place.give(&work);
        let options = ["--work", work.to_str().unwrap()];
        let ran = place.run(&options, &["sh", "-c", "echo kept > result"]);
        assert_eq!(ran.code, Some(0), "{user:?}: {ran:?}");
        assert_eq!(
            std::fs::read_to_string(work.join("result")).unwrap(),
            "kept\n"
        );
    }
}

#[test]
fn a_bound_socket_is_reached_and_a_bound_file_is_read() {
    let script = "import os, socket\n\
                  s = socket.socket(socket.AF_UNIX); s.connect(os.environ['SOCKET'])\n\
                  s.sendall(open('/opt/message').read().encode()); print(s.recv(9).decode())";
    for user in users() {
        let place = Place::new(user);
        let path = place.path().join("mcp.sock");
        let listener = UnixListener::bind(&path).unwrap();
        place.give(&path);
        let message = place.path().join("message");
        std::fs::write(&message, "ping").unwrap();
        let echo = std::thread::spawn(move || {
            let (mut peer, _) = listener.accept().unwrap();
            let mut received = [0; 4];
            peer.read_exact(&mut received).unwrap();
            peer.write_all(b"pong").unwrap();
            received
        });
        let options = [
            "--socket",
            path.to_str().unwrap(),
            "mcp.sock",
            "--bind",
            message.to_str().unwrap(),
            "/opt/message",
        ];
        let ran = place.run(&options, &["/usr/bin/python3", "-c", script]);
        assert_eq!(ran.output, "pong\n", "{user:?}: {ran:?}");
        assert_eq!(&echo.join().unwrap(), b"ping");
    }
}

#[test]
fn what_is_bound_in_a_memory_folder_can_only_be_read() {
    let script = "cat $0/message; for change in \"rm $0/message\" \"touch $0/more\" \"rmdir $0\" \
                  \"mv $0 $0-2\" \"umount $0\"; do $change 2>/dev/null && echo did $change; done; \
                  echo >$(dirname $0)/beside && echo beside";
    for user in users() {
        let place = Place::new(user);
        let folder = place.path().join("shown");
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("message"), "read\n").unwrap();
        for inside in ["/tmp/shown", "/work/shown"] {
            let options = ["--bind", folder.to_str().unwrap(), inside];
            let ran = place.run(&options, &["sh", "-c", script, inside]);
            assert_eq!(ran.output, "read\nbeside\n", "{user:?}: {inside}: {ran:?}");
        }
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1);
    }
}

#[test]
fn the_host_network_is_there_when_asked_for() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let script =
        format!("import socket; socket.create_connection(('127.0.0.1', {port}), 5); print('in')");
    for user in users() {
        let place = Place::new(user);
        let argv = ["/usr/bin/python3", "-c", &script];
        let ran = place.run(&["--host-network"], &argv);
        assert_eq!(ran.output, "in\n", "{user:?}: {ran:?}");
        assert_eq!(ran.isolation()["isolated"]["network"], "host");
    }
}
