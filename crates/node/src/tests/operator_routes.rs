//! Every endpoint of the operator's socket: it exists, and nobody but the node's own user is answered.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

use super::Serving;
use crate::OPERATOR_ROUTES;

/// Asks on a connection of its own for each request, and counts the answers.
const ASK: &str = r#"use Socket; $SIG{ALRM} = sub { exit 9 }; alarm 60; $SIG{PIPE} = 'IGNORE';
    my $path = shift; my $heard = 0;
    for my $request (@ARGV) { socket(my $s, AF_UNIX, SOCK_STREAM, 0) or exit 7;
        connect($s, sockaddr_un($path)) or exit 8; syswrite($s, $request);
        $heard++ if sysread($s, my $data, 100); close $s; }
    exit($heard == 0 ? 0 : $heard == @ARGV ? 5 : 6)"#;

fn request(method: &str, path: &str) -> String {
    let path = path.replace("{id}", "lau_7zzzzzzzzzzzzzzzzzzzzzzzzz");
    format!(
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: 2\r\n\r\n{{}}"
    )
}

fn socket(serving: &Serving) -> PathBuf {
    serving.folder.path().join("node.sock")
}

async fn answer(serving: &Serving, request: &str) -> String {
    let mut stream = UnixStream::connect(socket(serving)).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn every_endpoint_of_the_operator_is_there_and_no_other() {
    let serving = Serving::start();
    for (method, path) in OPERATOR_ROUTES {
        let answer = answer(&serving, &request(method, path)).await;
        let is_routed = !answer.starts_with("HTTP/1.1 405") && !answer.contains("no_such_route");
        assert!(is_routed, "{method} {path}: {answer}");
    }
    for path in [
        "/",
        "/v1",
        "/v1/launches/",
        "/v1/roster",
        "/v1/launches/a/b",
    ] {
        let answer = answer(&serving, &request("GET", path)).await;
        assert!(answer.contains("no_such_route"), "{path}: {answer}");
    }
    // What another method of a path would be.
    for (_, path) in OPERATOR_ROUTES {
        for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"] {
            // Whoever may GET may ask for the head alone.
            let as_listed = if method == "HEAD" { "GET" } else { method };
            let listed = OPERATOR_ROUTES.contains(&(as_listed, path));
            let answer = answer(&serving, &request(method, path)).await;
            let refused = answer.starts_with("HTTP/1.1 405");
            assert_ne!(refused, listed, "{method} {path}: {answer}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_endpoint_of_the_operator_answers_another_user() {
    if !nix::unistd::Uid::effective().is_root() {
        eprintln!("skipped: needs root to become another user");
        return;
    }
    let serving = Serving::start();
    let socket = socket(&serving);
    // The mode alone would keep others out.
    let open = |path: &std::path::Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    open(serving.folder.path(), 0o755);
    open(&socket, 0o666);
    for (user, expected) in [("65534", 0), ("0", 5)] {
        let mut client = Command::new("setpriv");
        client
            .args([
                &format!("--reuid={user}"),
                "--clear-groups",
                "perl",
                "-e",
                ASK,
            ])
            .arg(&socket)
            .args(
                OPERATOR_ROUTES
                    .iter()
                    .map(|(method, path)| request(method, path)),
            );
        let ended = tokio::task::spawn_blocking(move || client.status());
        let ended = ended.await.unwrap().unwrap();
        assert_eq!(ended.code(), Some(expected), "user {user}");
    }
}
