//! Every endpoint of the server: it exists, and nobody but the owner is answered.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[cfg(test)]
mod console;

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use chancery_api::OwnerListener;
use chancery_api::signer::SignerClient;
use chancery_crypto::{AwsLc, SigningKey};
use chancery_identity::trust::{
    Person, SignedTrust, TrustDocument, TrustFormat, TrustSignature, VerifiedTrust,
};
use chancery_journal::{Config, Journal, Keyring, LocalSigner};
use chancery_server::{Clock, ROUTES, Server, ServerConfig};
use chancery_store::Store;
use chancery_tlog::Origin;
use chancery_types::{Algorithm, Timestamp, base64url};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

fn trust(people: Vec<Person>) -> VerifiedTrust {
    let root = SigningKey::generate(Algorithm::Ed25519).unwrap();
    let trust = TrustDocument {
        format: TrustFormat::V1,
        version: 1,
        trust_domain: "example.org".into(),
        issued_at: Timestamp::from_seconds(1),
        previous: None,
        threshold: 1,
        roots: vec![*root.public()],
        x509_authorities: vec![],
        token_authorities: vec![],
        jwt_authorities: vec![],
        delegation_authorities: vec![],
        access_token_authorities: vec![],
        manifest_issuers: vec![],
        people,
        policy_signers: vec![],
        policy_quorum: None,
        snapshot_signers: vec![],
        record_signers: vec![],
        witnesses: None,
        log_origins: vec![],
    };
    let input = SignedTrust::signing_input(&trust).unwrap();
    let signature = base64url::encode(root.sign(&input).unwrap());
    let signatures = vec![TrustSignature {
        kid: root.public().kid(),
        signature,
    }];
    SignedTrust { signatures, trust }.verify(&AwsLc).unwrap()
}

async fn start(folder: &Path, people: Vec<Person>) -> Arc<Server> {
    let origin: Origin = "example.org/log/server".parse().unwrap();
    let (log, keys) = (folder.join("log"), folder.join("log-key"));
    let journal = tokio::task::spawn_blocking(move || {
        let signer = LocalSigner::open_or_create(&keys, &origin).unwrap();
        Journal::open(Config::new(log, origin), Arc::new(signer)).unwrap()
    });
    let server = Server::new(ServerConfig {
        store: Store::open(
            &folder.join("chancery.db"),
            Arc::new(Keyring::open(&folder.join("keys")).unwrap()),
        )
        .await
        .unwrap(),
        journal: journal.await.unwrap(),
        signer: SignerClient::new(folder.join("nobody.sock")),
        trust: trust(people),
        trust_file: folder.join("trust.json"),
        clock: Clock::new(Timestamp::from_micros(0)),
        svid_lifetime: chancery_server::SvidLifetime::default(),
        incubating: chancery_identity::Incubating::NONE,
        refresh_hint: 300,
        issuer: None,
    });
    server.await.unwrap()
}

async fn serve(folder: &Path) -> std::path::PathBuf {
    let socket = folder.join("server.sock");
    let listener = OwnerListener::bind(&socket).unwrap();
    tokio::spawn(start(folder, Vec::new()).await.serve(listener));
    socket
}

/// A request for a route: placeholders become values that name nothing.
fn request(method: &str, path: &str) -> String {
    let path = path
        .replace(
            "{digest}",
            "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        )
        .replace(
            "{fingerprint}",
            "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        )
        .replace("nodes/{id}", "nodes/nod_7zzzzzzzzzzzzzzzzzzzzzzzzz")
        .replace("people/{id}", "people/per_7zzzzzzzzzzzzzzzzzzzzzzzzz")
        .replace("instances/{id}", "instances/ins_7zzzzzzzzzzzzzzzzzzzzzzzzz")
        .replace("consents/{id}", "consents/cns_7zzzzzzzzzzzzzzzzzzzzzzzzz")
        .replace("approvals/{id}", "approvals/apv_7zzzzzzzzzzzzzzzzzzzzzzzzz");
    format!(
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: 2\r\n\r\n{{}}"
    )
}

async fn status(socket: &Path, request: &str) -> (u16, bool) {
    let mut stream = UnixStream::connect(socket).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    (status, !body.is_empty())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_exists_for_the_owner() {
    let folder = tempfile::tempdir().unwrap();
    let socket = serve(folder.path()).await;
    for (method, path) in ROUTES {
        let (status, said) = status(&socket, &request(method, path)).await;
        let routed = status != 405 && (status != 404 || said);
        assert!(routed, "{method} {path}: {status}");
    }
    let (status, _) = status(&socket, &request("GET", "/v1/other")).await;
    assert_eq!(status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_route_answers_another_user() {
    if !is_root() {
        eprintln!("skipped: needs root to become another user");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let socket = serve(folder.path()).await;
    std::fs::set_permissions(&socket, std::fs::Permissions::from_mode(0o666)).unwrap();
    let script = r#"use Socket; $SIG{ALRM} = sub { exit 9 }; alarm 60; $SIG{PIPE} = 'IGNORE';
        my $path = shift; my $heard = 0;
        for my $request (@ARGV) { socket(my $s, AF_UNIX, SOCK_STREAM, 0) or exit 7;
            connect($s, sockaddr_un($path)) or exit 8; syswrite($s, $request);
            $heard++ if sysread($s, my $data, 100); close $s; }
        exit($heard ? 6 : 0)"#;
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
        .arg(&socket)
        .args(ROUTES.iter().map(|(method, path)| request(method, path)));
    let ended = tokio::task::spawn_blocking(move || client.status())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        ended.code(),
        Some(0),
        "another user was answered on some route"
    );
}

/// Only root can become another user.
fn is_root() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status.lines().any(|line| line.starts_with("Uid:\t0\t"))
}
