//! Only the owner is heard on an owner's socket.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use axum::Router;
use axum::routing::get;
use chancery_api::{ClientError, OwnerListener, UnixClient};

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

fn serve(path: &std::path::Path) -> tokio::task::JoinHandle<std::io::Result<()>> {
    let listener = OwnerListener::bind(path).unwrap();
    let router = Router::new().route("/", get(async || axum::Json(true)));
    tokio::spawn(axum::serve(listener, router).into_future())
}

#[tokio::test]
async fn the_owner_is_heard_and_the_socket_is_private() {
    let folder = folder();
    let path = folder.path().join("s.sock");
    let _server = serve(&path);
    let mode = std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    assert!(UnixClient::new(&path).get::<bool>("/").await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn another_user_is_not_heard_even_where_the_mode_lets_them_in() {
    if !nix::unistd::Uid::effective().is_root() {
        eprintln!("skipped: needs root to become another user");
        return;
    }
    let folder = folder();
    let path = folder.path().join("s.sock");
    let _server = serve(&path);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666)).unwrap();
    let script = r#"use Socket; socket(S, AF_UNIX, SOCK_STREAM, 0) or exit 7;
        connect(S, sockaddr_un($ARGV[0])) or exit 8; $SIG{ALRM} = sub { exit 9 }; alarm 5;
        $SIG{PIPE} = 'IGNORE'; syswrite(S, "GET / HTTP/1.1\r\nhost: x\r\n\r\n");
        exit(sysread(S, my $data, 100) ? 6 : 0)"#;
    let mut client = Command::new("setpriv");
    client
        .args([
            "--reuid=65534",
            "--regid=65534",
            "--clear-groups",
            "perl",
            "-e",
            script,
        ])
        .arg(&path);
    let status = tokio::task::spawn_blocking(move || client.status())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(status.code(), Some(0), "another user was answered");
}

#[tokio::test]
async fn a_served_socket_is_not_taken_over_and_a_dead_one_is() {
    let folder = folder();
    let path = folder.path().join("s.sock");
    let server = serve(&path);
    let refusal = OwnerListener::bind(&path).unwrap_err();
    assert_eq!(refusal.kind(), std::io::ErrorKind::AddrInUse);
    assert!(refusal.to_string().contains("s.sock"));
    server.abort();
    let _ = server.await;
    assert!(OwnerListener::bind(&path).is_ok());
}

#[tokio::test]
async fn nobody_there_is_said_with_the_remedy() {
    let folder = folder();
    let path = folder.path().join("s.sock");
    let error = UnixClient::new(&path).get::<bool>("/").await.unwrap_err();
    assert!(matches!(error, ClientError::Connect { .. }));
    let text = error.to_string();
    assert!(
        text.contains("s.sock") && text.contains("chancery up"),
        "{text}"
    );
}
