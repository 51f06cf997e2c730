use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use chancery_journal::{LogServer, Reader, ServeError};
use chancery_tlog::{tiles_for, verify_checkpoint};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::logs::{Logs, Served, serve};

/// What a server answered.
#[derive(Debug)]
struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        let mut named = self.headers.iter().filter(|(known, _)| known == name);
        let value = named.next().map(|(_, value)| value.as_str());
        assert!(named.next().is_none(), "{name} twice");
        value
    }
}

/// Sends these bytes on a connection of their own.
fn raw(address: SocketAddr, request: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(request).unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    let end = bytes
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .unwrap();
    let head = String::from_utf8(bytes.get(..end).unwrap().to_vec()).unwrap();
    let (status, headers) = head.split_once("\r\n").unwrap();
    let header = |line: &str| {
        let (name, value) = line.split_once(": ").unwrap();
        (name.to_lowercase(), value.to_owned())
    };
    Answer {
        status: status.split(' ').nth(1).unwrap().parse().unwrap(),
        headers: headers.split("\r\n").map(header).collect(),
        body: bytes.get(end + 4..).unwrap().to_vec(),
    }
}

async fn ask(served: &Served, method: &str, path: &str, more: &str) -> Answer {
    let request =
        format!("{method} {path} HTTP/1.1\r\nHost: localhost:1\r\nConnection: close\r\n{more}\r\n");
    let address = served.address;
    tokio::task::spawn_blocking(move || raw(address, request.as_bytes()))
        .await
        .unwrap()
}

async fn get(served: &Served, path: &str) -> Answer {
    ask(served, "GET", path, "").await
}

#[tokio::test]
async fn s1_the_paths_of_the_specification_and_no_other() {
    let logs = Logs::new();
    let dir = logs.grow("log", 700).await;
    let served = serve(&[("", &dir)]).await;
    let note = fs::read(dir.join("checkpoint")).unwrap();
    assert_eq!(get(&served, "/checkpoint").await.body, note);
    assert!(verify_checkpoint(&note, &logs.keys(), &chancery_crypto::AwsLc).is_ok());
    for path in tiles_for(700) {
        let answer = get(&served, &format!("/{path}")).await;
        assert_eq!(answer.status, 200, "{path}");
        assert_eq!(answer.body, fs::read(dir.join(path.to_string())).unwrap());
    }
    for path in [
        "/",
        "/checkpoint/",
        "//checkpoint",
        "/checkpoint?now",
        "/checkpoint?",
        "/Checkpoint",
        "/%63heckpoint",
        "/./checkpoint",
        "/x/../checkpoint",
        "/tile",
        "/tile/",
        "/tile/0",
        "/tile/0/",
        "/tile/0/0",
        "/tile/00/000",
        "/tile/0/00",
        "/tile/0/0000",
        "/tile/0/000/",
        "/tile/0/x000/000",
        "/tile/0/000.p/0",
        "/tile/0/002.p/0",
        "/tile/0/000.p/256",
        "/tile/0/002.p/01",
        "/tile/0/002.p/188/",
        "/tile/0/002.p/",
        "/tile/0/002.p",
        "/tile/0/%30%30%30",
        "/tile/0/000?x=1",
        "/tile/+0/000",
        "/tile/64/000",
        "/tile/data/000",
        "/tile/entries/0",
        "/tile/entries/000.p/01",
        "/tile/entries/../../checkpoint",
        "/tile/entries/..%2f..%2fcheckpoint",
        "/format",
        "/state",
        "/wal/",
        "/lock",
        "/log/checkpoint",
        // Spelled right, and beyond the log.
        "/tile/0/003",
        "/tile/0/002",
        "/tile/0/002.p/189",
        "/tile/1/000",
        "/tile/2/000.p/1",
        "/tile/63/000",
        "/tile/entries/002",
        "/tile/entries/x018/x446/x744/x073/x709/x551/615",
    ] {
        let answer = get(&served, path).await;
        assert_eq!(answer.status, 404, "{path}");
        assert!(answer.body.is_empty(), "{path}");
        assert_eq!(answer.header("cache-control"), Some("no-store"));
    }
}

#[tokio::test]
async fn s1_what_no_checkpoint_covers_is_not_served() {
    let logs = Logs::new();
    let dir = logs.grow("log", 300).await;
    let old = fs::read(dir.join("checkpoint")).unwrap();
    logs.grow("log", 600).await;
    let served = serve(&[("", &dir)]).await;
    assert_eq!(get(&served, "/tile/entries/001").await.status, 200);
    // A partial tile that made room for the full one is still the beginning of that.
    let part = get(&served, "/tile/0/001.p/44").await;
    let whole = get(&served, "/tile/0/001").await;
    assert_eq!((part.status, part.body.len()), (200, 44 * 32));
    assert!(whole.body.starts_with(&part.body));
    fs::write(dir.join("checkpoint"), old).unwrap();
    for path in [
        "/tile/entries/001",
        "/tile/entries/002.p/88",
        "/tile/1/000.p/2",
    ] {
        assert_eq!(get(&served, path).await.status, 404, "{path}");
    }
    assert_eq!(get(&served, "/tile/entries/001.p/44").await.status, 200);
}

#[tokio::test]
async fn s2_content_types_and_how_long_each_is_good() {
    let logs = Logs::new();
    let dir = logs.grow("log", 300).await;
    let served = serve(&[("", &dir)]).await;
    let checkpoint = get(&served, "/checkpoint").await;
    assert_eq!(
        checkpoint.header("content-type"),
        Some("text/plain; charset=utf-8")
    );
    let fresh = checkpoint.header("cache-control").unwrap();
    let seconds: u64 = fresh.strip_prefix("max-age=").unwrap().parse().unwrap();
    assert!(seconds <= 5, "{fresh}");
    for path in [
        "/tile/0/000",
        "/tile/0/001.p/44",
        "/tile/1/000.p/1",
        "/tile/entries/000",
        "/tile/entries/001.p/44",
    ] {
        let tile = get(&served, path).await;
        assert_eq!(
            tile.header("content-type"),
            Some("application/octet-stream"),
            "{path}"
        );
        let kept = tile.header("cache-control").unwrap();
        assert!(kept.split(", ").any(|word| word == "immutable"), "{kept}");
        assert_eq!(tile.header("x-content-type-options"), Some("nosniff"));
    }
    logs.grow("log", 301).await;
    assert_ne!(get(&served, "/checkpoint").await.body, checkpoint.body);
}

#[tokio::test]
async fn s3_bytes_are_as_they_are_whatever_a_client_accepts() {
    let logs = Logs::new();
    let dir = logs.grow("log", 300).await;
    let served = serve(&[("", &dir)]).await;
    for path in ["/checkpoint", "/tile/0/000", "/tile/entries/000"] {
        let plain = get(&served, path).await;
        for accepted in ["gzip", "gzip, br;q=0.1", "*", "identity;q=0, gzip"] {
            let more = format!("Accept-Encoding: {accepted}\r\n");
            let answer = ask(&served, "GET", path, &more).await;
            assert_eq!(answer.status, 200);
            assert_eq!(answer.header("content-encoding"), None, "{path} {accepted}");
            assert_eq!(answer.body, plain.body);
            let length = answer.header("content-length").unwrap();
            assert_eq!(length.parse(), Ok(plain.body.len()));
        }
    }
}

#[tokio::test]
async fn s4_get_and_head_alone() {
    let logs = Logs::new();
    let dir = logs.grow("log", 300).await;
    let served = serve(&[("", &dir)]).await;
    for path in [
        "/checkpoint",
        "/tile/0/000",
        "/tile/entries/001.p/44",
        "/nothing",
    ] {
        let got = get(&served, path).await;
        let head = ask(&served, "HEAD", path, "").await;
        assert_eq!(head.status, got.status, "{path}");
        assert!(head.body.is_empty());
        for name in ["content-length", "content-type", "cache-control"] {
            // Of nothing the length may be left out.
            if got.status == 200 || name != "content-length" {
                assert_eq!(head.header(name), got.header(name), "{name} of {path}");
            }
        }
        for method in [
            "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND", "get",
        ] {
            let refused = ask(&served, method, path, "Content-Length: 0\r\n").await;
            assert_eq!(refused.status, 405, "{method} {path}");
            assert_eq!(refused.header("allow"), Some("GET, HEAD"));
            assert!(refused.body.is_empty());
        }
    }
}

#[tokio::test]
async fn two_logs_stand_below_their_prefixes() {
    let (logs, others) = (Logs::new(), Logs::new());
    let (one, two) = (logs.grow("log", 3).await, others.grow("log", 5).await);
    let served = serve(&[("gateway", &one), ("server", &two)]).await;
    for (path, folder, name) in [
        ("/gateway/checkpoint", &one, "checkpoint"),
        ("/server/checkpoint", &two, "checkpoint"),
        ("/server/tile/entries/000.p/5", &two, "tile/entries/000.p/5"),
    ] {
        assert_eq!(
            get(&served, path).await.body,
            fs::read(folder.join(name)).unwrap()
        );
    }
    for path in [
        "/checkpoint",
        "/gateway",
        "/gateway/",
        "/gateway//checkpoint",
        "/gatewaycheckpoint",
        "/gateway/tile/entries/000.p/5",
        "/other/checkpoint",
        "/gateway/server/checkpoint",
    ] {
        assert_eq!(get(&served, path).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn prefixes_are_plain_and_one_for_each_log() {
    let logs = Logs::new();
    let dir = logs.grow("log", 1).await;
    for prefixes in [
        ["a", "a"],
        ["", "a"],
        ["a", "B"],
        ["a", "a/b"],
        ["a", ".."],
        ["%41", "a"],
    ] {
        let readers = prefixes.map(|prefix| (prefix.to_owned(), Reader::open(&dir).unwrap()));
        let bound = LogServer::bind(([127, 0, 0, 1], 0).into(), readers.to_vec()).await;
        assert!(matches!(bound, Err(ServeError::Prefix(_))), "{prefixes:?}");
    }
}

/// A page in a browser that was led here by its own name must not read a private log.
#[tokio::test]
async fn on_this_machine_other_names_are_not_answered_to() {
    let logs = Logs::new();
    let dir = logs.grow("log", 1).await;
    let served = serve(&[("", &dir)]).await;
    let address = served.address;
    let answer = |head: String| async move {
        let work = move || raw(address, head.as_bytes()).status;
        tokio::task::spawn_blocking(work).await.unwrap()
    };
    for (host, status) in [
        ("localhost", 200),
        ("localhost:8460", 200),
        ("127.0.0.1:8460", 200),
        ("[::1]:8460", 200),
        ("[::1]", 200),
        ("attacker.example", 421),
        ("attacker.example:8460", 421),
        ("localhost.attacker.example", 421),
        ("127.0.0.1.attacker.example", 421),
        ("", 421),
    ] {
        let head = format!("GET /checkpoint HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        assert_eq!(answer(head).await, status, "{host:?}");
    }
    let absolute = "GET http://attacker.example/checkpoint HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    assert_eq!(answer(absolute.to_owned()).await, 421);
    let without = "GET /checkpoint HTTP/1.0\r\n\r\n";
    assert_eq!(answer(without.to_owned()).await, 421);
}

#[tokio::test]
async fn a_damaged_checkpoint_is_not_served() {
    let logs = Logs::new();
    let dir = logs.grow("log", 3).await;
    let served = serve(&[("", &dir)]).await;
    let note = fs::read(dir.join("checkpoint")).unwrap();
    fs::write(dir.join("checkpoint"), note.get(1..).unwrap()).unwrap();
    for path in ["/checkpoint", "/tile/0/000.p/3"] {
        let answer = get(&served, path).await;
        assert_eq!(answer.status, 500, "{path}");
        assert!(answer.body.is_empty());
    }
    fs::remove_file(dir.join("checkpoint")).unwrap();
    for path in ["/checkpoint", "/tile/0/000.p/3"] {
        assert_eq!(get(&served, path).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn an_address_in_use_is_named() {
    let logs = Logs::new();
    let dir = logs.grow("log", 1).await;
    let served = serve(&[("", &dir)]).await;
    let log = vec![(String::new(), Reader::open(&dir).unwrap())];
    let refused = LogServer::bind(served.address, log).await.unwrap_err();
    assert!(
        refused.to_string().contains(&served.address.to_string()),
        "{refused}"
    );
}

/// Who keeps all connections that it gets leaves room for others.
#[tokio::test]
async fn one_peer_does_not_take_all_places() {
    let logs = Logs::new();
    let dir = logs.grow("log", 3).await;
    let served = serve(&[("", &dir)]).await;
    let mut held = Vec::new();
    for _ in 0..300 {
        held.push(
            tokio::net::TcpStream::connect(served.address)
                .await
                .unwrap(),
        );
    }
    let other = tokio::net::TcpSocket::new_v4().unwrap();
    other.bind(([127, 0, 0, 2], 0).into()).unwrap();
    let mut other = other.connect(served.address).await.unwrap();
    let request = b"GET /checkpoint HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    other.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    let reading = other.read_to_end(&mut answer);
    let read = tokio::time::timeout(std::time::Duration::from_secs(30), reading).await;
    assert!(read.is_ok(), "no answer");
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{answer:?}");
}
