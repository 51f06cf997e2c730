//! Clients that the HTTP library alone would refuse.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

use super::{Serving, Sleeper};

fn literal(name: &str, value: &str) -> Vec<u8> {
    let text = |text: &str| [vec![u8::try_from(text.len()).unwrap()], text.into()].concat();
    [vec![0x00], text(name), text(value)].concat()
}

fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags, 0, 0, 0, stream], payload].concat()
}

/// What gRPC's C core sends: the socket's path, percent-encoded, as `:authority`.
fn c_core_call(authority: &str) -> Vec<u8> {
    let headers = [
        literal(":method", "POST"),
        literal(":scheme", "http"),
        literal(":path", "/SpiffeWorkloadAPI/FetchX509SVID"),
        literal(":authority", authority),
        literal("te", "trailers"),
        literal("content-type", "application/grpc"),
        literal("workload.spiffe.io", "true"),
    ];
    [
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
        frame(4, 0, 0, &[]),
        frame(1, 4, 1, &headers.concat()),
        frame(0, 1, 1, &[0; 5]),
    ]
    .concat()
}

/// The type and stream of each frame until the first DATA or RST_STREAM; PINGs are answered.
async fn answer(stream: &mut UnixStream) -> Vec<(u8, u8)> {
    let mut seen = Vec::new();
    loop {
        let mut header = [0; 9];
        stream.read_exact(&mut header).await.unwrap();
        let length = usize::from(header[1]) << 8 | usize::from(header[2]);
        let mut payload = vec![0; length];
        stream.read_exact(&mut payload).await.unwrap();
        if header[3..5] == [6, 0] {
            stream.write_all(&frame(6, 1, 0, &payload)).await.unwrap();
            continue;
        }
        seen.push((header[3], header[8]));
        if matches!(header[3], 0 | 3) {
            return seen;
        }
    }
}

#[tokio::test]
async fn a_path_as_authority_is_served() {
    let serving = Serving::start();
    serving.launch_own().await;
    for authority in [
        "tmp%2Fnode%2Fworkload.sock",
        "/tmp/node/workload.sock",
        "localhost",
    ] {
        for size in [1, 1 << 16] {
            let mut stream = UnixStream::connect(serving.workload_socket())
                .await
                .unwrap();
            for piece in c_core_call(authority).chunks(size) {
                stream.write_all(piece).await.unwrap();
            }
            let answer = tokio::time::timeout(Duration::from_secs(10), answer(&mut stream)).await;
            let answer = answer.unwrap();
            assert!(answer.contains(&(1, 1)), "{authority}: {answer:?}");
            assert_eq!(answer.last(), Some(&(0, 1)), "{authority}: {answer:?}");
        }
    }
}

/// Prints the same SPIFFE ID for each way to learn it.
const SCRIPT: &str = "
import sys
sys.stdin.readline()
from spiffe import JwtSvid, WorkloadApiClient
with WorkloadApiClient(sys.argv[1]) as client:
    print(client.fetch_x509_context().default_svid.spiffe_id)
    svid = client.fetch_jwt_svid(audience={'reports'})
    print(svid.spiffe_id)
    bundles = client.fetch_jwt_bundles()
    bundle = bundles.get_bundle_for_trust_domain(svid.spiffe_id.trust_domain)
    print(JwtSvid.parse_and_validate(svid.token, bundle, {'reports'}).spiffe_id)
    print(client.validate_jwt_svid(svid.token, 'reports').spiffe_id)
";

/// Where `scripts/e2e-tools` has put PyPI's `spiffe`; says so where it has not, and fails where it
/// must have.
pub(super) fn library() -> Option<PathBuf> {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(
        || manifest.join("../../target"),
        |folder| manifest.join("../..").join(folder),
    );
    let folder = target.join("e2e-tools/spiffe");
    if folder.join("spiffe/workloadapi").is_dir() {
        return Some(folder);
    }
    let said = format!("{} is missing; run scripts/e2e-tools", folder.display());
    let must = std::env::var_os("CI").is_some_and(|ci| ci == "true");
    assert!(!must, "{said}");
    eprintln!("skipped: {said}");
    None
}

/// What a script in Python writes, after something was done with its process.
pub(super) async fn python<F: Future<Output = ()>>(
    serving: &Serving,
    library: &Path,
    script: &str,
    before: impl FnOnce(u32) -> F,
) -> String {
    let (program, home) = super::attackers::python();
    let mut command = Command::new(program);
    command.args(["-c", script, &serving.endpoint()]);
    command.env("PYTHONHOME", home);
    command
        .env("PYTHONPATH", library)
        .env("PYTHONDONTWRITEBYTECODE", "1");
    let child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut child = Sleeper(child);
    before(child.0.id()).await;
    child.0.stdin.take().unwrap().write_all(b"go\n").unwrap();
    let mut stdout = child.0.stdout.take().unwrap();
    let printed = tokio::task::spawn_blocking(move || {
        let mut text = String::new();
        std::io::Read::read_to_string(&mut stdout, &mut text).unwrap();
        text
    });
    printed.await.unwrap()
}

#[tokio::test]
async fn the_python_client_is_served() {
    let Some(library) = library() else {
        return;
    };
    let serving = Serving::start();
    let serving = &serving;
    let registered = |pid| async move {
        serving.register(Some(pid), false).await.unwrap();
    };
    let printed = python(serving, &library, SCRIPT, registered).await;
    let printed: Vec<_> = printed.lines().collect();
    let launch = serving.launches.list().pop();
    let ended = serving.issuer.ended.lock().unwrap().first().cloned();
    let instance = launch.map_or_else(|| ended.unwrap().0, |launch| launch.instance().clone());
    assert_eq!(printed, vec![instance.to_string(); 4]);
}
