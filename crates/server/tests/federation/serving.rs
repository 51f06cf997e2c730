//! What the endpoints serve, to whom and how.

use std::net::SocketAddr;
use std::sync::Arc;

use chancery_identity::{BundleDocument, Incubating};
use chancery_server::{BUNDLE_ROUTES, ROUTES};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, DigitallySignedStruct, Error, SignatureScheme, SupportedProtocolVersion, version,
};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::domain::Domain;

/// Believes everybody: what is asked here is what is served.
#[derive(Debug)]
struct Anybody;

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        rustls::crypto::aws_lc_rs::default_provider()
            .signature_verification_algorithms
            .supported_schemes()
    }
}

async fn connect(
    at: SocketAddr,
    versions: &[&'static SupportedProtocolVersion],
) -> std::io::Result<TlsStream<TcpStream>> {
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(versions)
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody))
        .with_no_client_auth();
    let stream = TcpStream::connect(at).await?;
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
}

/// The head and the body of what is answered.
async fn ask(at: SocketAddr, method: &str, path: &str, headers: &str) -> (String, String) {
    let mut stream = connect(at, rustls::DEFAULT_VERSIONS).await.unwrap();
    let request =
        format!("{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}

async fn status(at: SocketAddr, method: &str, path: &str) -> u16 {
    let (head, _) = ask(at, method, path, "").await;
    head.split(' ').nth(1).unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn f_06_tls_is_modern_and_there_is_nothing_without_it() {
    let own = Domain::start("own.example").await;
    for at in [own.spiffe_at, own.web_at] {
        for version in [&version::TLS12, &version::TLS13] {
            let stream = connect(at, &[version]).await.unwrap();
            assert_eq!(stream.get_ref().1.protocol_version(), Some(version.version));
        }
        // A greeting of TLS 1.1 with one of its ciphers, and plain HTTP: an alert, and the end.
        let mut old = b"\x16\x03\x01\x00\x2d\x01\x00\x00\x29\x03\x02".to_vec();
        old.extend([7; 32]);
        old.extend(b"\x00\x00\x02\x00\x2f\x01\x00");
        for greeting in [old, b"GET / HTTP/1.1\r\nhost: x\r\n\r\n".to_vec()] {
            let mut stream = TcpStream::connect(at).await.unwrap();
            stream.write_all(&greeting).await.unwrap();
            let mut answer = Vec::new();
            let _ = stream.read_to_end(&mut answer).await;
            assert!(
                answer.len() < 16 && answer.first().is_none_or(|kind| *kind == 21),
                "{answer:?}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f_11_nobody_is_asked_who_they_are() {
    let own = Domain::start("own.example").await;
    for at in [own.spiffe_at, own.web_at] {
        // No certificate is offered by these clients, and none is asked for.
        let (_, plain) = ask(at, "GET", "/", "").await;
        for headers in ["authorization: Bearer x\r\n", "cookie: a=b\r\n"] {
            let (head, body) = ask(at, "GET", "/", headers).await;
            assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
            assert_eq!(body, plain);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f_12_the_newest_bundle_is_answered_and_nothing_is_changed_here() {
    let mut own = Domain::start("own.example").await;
    let mut tags = Vec::new();
    for sequence in 1..=2 {
        for at in [own.spiffe_at, own.web_at] {
            for path in ["/", "/?any=thing"] {
                let (head, body) = ask(at, "GET", path, "").await;
                assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
                assert!(head.contains("content-type: application/json"), "{head}");
                assert_eq!(body, own.bundle().await);
                let name = own.authority.name.clone();
                let read = BundleDocument::parse(name, body.as_bytes(), Incubating::NONE).unwrap();
                assert_eq!(read.sequence(), Some(sequence));
                assert_eq!(read.refresh_hint(), Some(120));
                assert!(read.ignored().is_empty());
                let tag = head.lines().find_map(|line| line.strip_prefix("etag: "));
                tags.push(tag.unwrap().to_owned());
            }
            let tag = tags.last().unwrap();
            let (head, body) =
                ask(at, "GET", "/", &format!("if-none-match: \"x\", {tag}\r\n")).await;
            assert!(
                head.starts_with("HTTP/1.1 304 ") && body.is_empty(),
                "{head}"
            );
            let (head, _) = ask(at, "GET", "/", "if-none-match: \"x\"\r\n").await;
            assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        }
        own.add_authority().await;
    }
    assert_ne!(tags.first(), tags.last());
    for method in ["HEAD", "POST", "PUT", "DELETE", "OPTIONS"] {
        let (head, _) = ask(own.web_at, method, "/", "").await;
        assert!(
            head.starts_with("HTTP/1.1 405 ") && head.contains("allow: GET"),
            "{head}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_is_public_is_served_to_the_public() {
    let own = Domain::start("own.example").await;
    let below = |path: &str| match path {
        "/" => path.to_owned(),
        other => format!("/own.example{other}"),
    };
    for (method, path) in BUNDLE_ROUTES {
        assert_eq!(
            status(own.web_at, method, &below(path)).await,
            200,
            "{path}"
        );
        let expected = if *path == "/" { 200 } else { 404 };
        assert_eq!(
            status(own.spiffe_at, method, &below(path)).await,
            expected,
            "{path}"
        );
    }
    for at in [own.spiffe_at, own.web_at] {
        for (method, path) in ROUTES {
            assert_eq!(status(at, method, path).await, 404, "{method} {path}");
        }
        for path in [
            "//",
            "/keys",
            "/.well-known/openid-configuration",
            "/own.example",
            "/x",
            "/%2e",
        ] {
            assert_eq!(status(at, "GET", path).await, 404, "{path}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_of_openid_connect_find_the_keys_of_jwt_svids() {
    let own = Domain::start("own.example").await;
    let discovery = "/own.example/.well-known/openid-configuration";
    let (_, found) = ask(own.web_at, "GET", discovery, "").await;
    let found: Value = serde_json::from_str(&found).unwrap();
    assert_eq!(
        found,
        json!({
            "authorization_endpoint": "",
            "id_token_signing_alg_values_supported": ["ES256"],
            "issuer": "https://localhost/own.example",
            "jwks_uri": "https://localhost/own.example/keys",
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
        })
    );
    let (_, keys) = ask(own.web_at, "GET", "/own.example/keys", "").await;
    let keys: Value = serde_json::from_str(&keys).unwrap();
    let bundle: Value = serde_json::from_str(&own.bundle().await).unwrap();
    let mut expected: Vec<Value> = bundle["keys"].as_array().unwrap().clone();
    expected.retain(|key| key["use"] == "jwt-svid");
    expected[0]["use"] = "sig".into();
    assert_eq!(keys, json!({ "keys": expected }));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_address_does_not_take_all_connections() {
    let own = Domain::start("own.example").await;
    let mut open = Vec::new();
    for _ in 0..16 {
        open.push(connect(own.web_at, rustls::DEFAULT_VERSIONS).await.unwrap());
    }
    // Both endpoints count together.
    for at in [own.web_at, own.spiffe_at] {
        assert!(connect(at, rustls::DEFAULT_VERSIONS).await.is_err());
    }
    open.clear();
    for _ in 0..500 {
        if connect(own.web_at, rustls::DEFAULT_VERSIONS).await.is_ok() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("places are not given back");
}
