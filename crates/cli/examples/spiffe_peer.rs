//! A program that knows SPIFFE by the crates `spiffe` and `spiffe-rustls` alone: no word of Chancery.
//!
//! `watch` fetches, validates and waits until both kinds of SVIDs have rotated; `serve PORT PEER COUNT`
//! answers over mutual TLS whose SPIFFE ID it saw, to peers below the path `PEER`; `dial PORT PEER` asks.
//! `hold PORT PEER STOP` answers until somebody connects to the port `STOP`, `press PORT PEER STOP` asks
//! without a pause until then and judges a token each second: neither knows a refusal. `follow` says each
//! SVID that its stream brings and each end of the stream, which it opens again, until it is killed.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use futures_util::StreamExt as _;
use serde_json::json;
use spiffe::{JwtSource, JwtSvid, SpiffeId, WorkloadApiClient, WorkloadApiError, X509Source};
use spiffe_rustls::{mtls_client, mtls_server};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};
use x509_parser::prelude::{FromDer as _, X509Certificate};

const AUDIENCE: &str = "reports";

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    if arguments == ["follow"] {
        return follow().await;
    }
    let work = async {
        match arguments.as_slice() {
            ["watch"] => watch().await,
            ["held"] => held().await,
            ["serve", port, peer, count] => serve(port.parse()?, peer, count.parse()?).await,
            ["hold", port, peer, stop] => hold(port.parse()?, peer, stop.parse()?).await,
            ["press", port, peer, stop] => press(port.parse()?, peer, stop.parse()?).await,
            ["dial", port, peer] => dial(port.parse()?, peer).await,
            other => bail!("unknown: {other:?}"),
        }
    };
    tokio::time::timeout(PATIENCE, work).await?
}

#[expect(
    clippy::print_stdout,
    reason = "standard output is what the test reads"
)]
fn say(text: impl std::fmt::Display) {
    println!("{text}");
}

async fn watch() -> anyhow::Result<()> {
    let source = X509Source::new().await?;
    let mut updates = source.updated();
    let first = source.svid()?;
    say(format_args!("id {}", first.spiffe_id()));
    let bundle = source.bundle_set()?;
    ensure!(bundle.len() == 1, "bundles: {}", bundle.len());
    let client = WorkloadApiClient::connect_env().await?;
    let tokens = JwtSource::new().await?;
    let token = tokens.fetch_jwt_svid([AUDIENCE]).await?;
    ensure!(token.spiffe_id() == first.spiffe_id(), "another subject");
    let domain = first.spiffe_id().trust_domain();
    let authorities = tokens
        .try_bundle_for_trust_domain(domain)
        .context("jwt bundle")?;
    ensure!(
        authorities.find_jwt_authority(token.key_id()).is_some(),
        "the token's key is not in the bundle"
    );
    judged(&client, &token).await?;
    let other = client.validate_jwt_token("accounts", token.token()).await;
    ensure!(other.is_err(), "a token for somebody else was taken");
    say("validated");
    // What the watcher was told of last is another certificate with another key.
    loop {
        updates.changed().await?;
        let now = source.svid()?;
        if now.leaf().as_bytes() != first.leaf().as_bytes() {
            ensure!(now.spiffe_id() == first.spiffe_id(), "another identity");
            ensure!(
                now.private_key().as_bytes() != first.private_key().as_bytes(),
                "the key stayed"
            );
            break;
        }
    }
    say("x509 rotated");
    let next = tokens.fetch_jwt_svid([AUDIENCE]).await?;
    ensure!(next.token() != token.token(), "the token stayed");
    while judged(&client, &token).await.is_ok() {
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    judged(&client, &tokens.fetch_jwt_svid([AUDIENCE]).await?).await?;
    say("jwt rotated");
    Ok(())
}

/// How long a stream that ended is left alone.
const AGAIN: Duration = Duration::from_millis(200);

/// Says what the stream brings, one JSON document a line.
async fn follow() -> anyhow::Result<()> {
    loop {
        let end = match stream().await {
            Ok(()) => "the stream was closed".to_owned(),
            Err(error) => format!("{error:#}"),
        };
        say(json!({"at": micros()?, "end": end}));
        tokio::time::sleep(AGAIN).await;
    }
}

async fn stream() -> anyhow::Result<()> {
    let client = WorkloadApiClient::connect_env().await?;
    let mut updates = std::pin::pin!(client.stream_x509_contexts().await?);
    while let Some(context) = updates.next().await {
        let context = context?;
        let svid = context.default_svid().context("no svid")?;
        let (_, leaf) = X509Certificate::from_der(svid.leaf().as_bytes())?;
        let validity = leaf.validity();
        say(json!({
            "at": micros()?,
            "id": svid.spiffe_id().to_string(),
            "key": hex(leaf.public_key().raw),
            "not_before": validity.not_before.timestamp(),
            "not_after": validity.not_after.timestamp(),
        }));
    }
    Ok(())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn micros() -> anyhow::Result<u64> {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    Ok(u64::try_from(since.as_micros())?)
}

/// Listens until the identity is taken away, and asks for it once more.
async fn held() -> anyhow::Result<()> {
    let client = WorkloadApiClient::connect_env().await?;
    let mut updates = std::pin::pin!(client.stream_x509_contexts().await?);
    loop {
        match updates.next().await {
            Some(Ok(context)) => {
                let svid = context.default_svid().context("no svid")?;
                say(format_args!("id {}", svid.spiffe_id()));
            }
            Some(Err(WorkloadApiError::NoIdentityIssued)) => break,
            other => bail!("the stream ended otherwise: {other:?}"),
        }
    }
    let again = client.fetch_x509_svid().await;
    ensure!(
        matches!(again, Err(WorkloadApiError::NoIdentityIssued)),
        "handed out again: {again:?}"
    );
    say("taken");
    Ok(())
}

async fn judged(client: &WorkloadApiClient, token: &JwtSvid) -> anyhow::Result<()> {
    let judged = client.validate_jwt_token(AUDIENCE, token.token()).await?;
    ensure!(judged.spiffe_id() == token.spiffe_id(), "another subject");
    Ok(())
}

/// Peers of this path, in whatever instance.
fn of(path: &str) -> impl Fn(&SpiffeId) -> bool + Send + Sync + use<> {
    let path = path.to_owned();
    move |peer: &SpiffeId| peer.path().starts_with(&path)
}

async fn serve(port: u16, peer: &str, count: usize) -> anyhow::Result<()> {
    let source = X509Source::new().await?;
    let config = mtls_server(source).authorize(of(peer)).build()?;
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    for _ in 0..count {
        let (connection, _) = listener.accept().await?;
        match answer(&acceptor, connection).await {
            Ok(peer) => say(format_args!("served {peer}")),
            Err(error) => say(format_args!("refused: {error}")),
        }
    }
    Ok(())
}

async fn answer(acceptor: &TlsAcceptor, connection: TcpStream) -> anyhow::Result<SpiffeId> {
    let mut stream = acceptor.accept(connection).await?;
    let chain = stream.get_ref().1.peer_certificates();
    let leaf = chain.and_then(<[_]>::first).context("no certificate")?;
    let peer = spiffe::cert::spiffe_id_from_der(leaf)?;
    let mut asked = [0; 5];
    stream.read_exact(&mut asked).await?;
    stream.write_all(peer.to_string().as_bytes()).await?;
    stream.shutdown().await?;
    Ok(peer)
}

async fn dial(port: u16, peer: &str) -> anyhow::Result<()> {
    let source = X509Source::new().await?;
    let own = source.svid()?.spiffe_id().clone();
    let config = mtls_client(source).authorize(of(peer)).build()?;
    let connector = TlsConnector::from(Arc::new(config));
    match ask(&connector, connect(port).await).await {
        Ok(seen) if seen == own.to_string() => say("seen as itself"),
        Ok(seen) => bail!("seen as {seen:?}"),
        Err(error) => say(format_args!("refused: {error}")),
    }
    Ok(())
}

/// A connection to whoever listens there, once somebody does.
async fn connect(port: u16) -> TcpStream {
    loop {
        match TcpStream::connect(("127.0.0.1", port)).await {
            Ok(connection) => return connection,
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

async fn ask(connector: &TlsConnector, connection: TcpStream) -> anyhow::Result<String> {
    let name = rustls_pki_types::ServerName::try_from("peer.example")?;
    let mut stream = connector.connect(name, connection).await?;
    stream.write_all(b"hello").await?;
    let mut seen = String::new();
    stream.read_to_string(&mut seen).await?;
    ensure!(!seen.is_empty(), "the peer said nothing");
    Ok(seen)
}

async fn hold(port: u16, peer: &str, stop: u16) -> anyhow::Result<()> {
    let stop = TcpListener::bind(("127.0.0.1", stop)).await?;
    let source = X509Source::new().await?;
    let config = mtls_server(source).authorize(of(peer)).build()?;
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    loop {
        let connection = tokio::select! {
            accepted = listener.accept() => accepted?.0,
            _ = stop.accept() => break,
        };
        answer(&acceptor, connection).await?;
    }
    say("held");
    Ok(())
}

async fn press(port: u16, peer: &str, stop: u16) -> anyhow::Result<()> {
    let stop = TcpListener::bind(("127.0.0.1", stop)).await?;
    let stopped = async move { stop.accept().await.map(drop) };
    let mut stopped = std::pin::pin!(stopped);
    let source = X509Source::new().await?;
    let tokens = JwtSource::new().await?;
    let client = WorkloadApiClient::connect_env().await?;
    let own = source.svid()?.spiffe_id().clone();
    let config = mtls_client(source.clone()).authorize(of(peer)).build()?;
    let connector = TlsConnector::from(Arc::new(config));
    let (mut asked, mut certificates, mut keys) = (0_u64, BTreeSet::new(), BTreeSet::new());
    let mut judge_at = tokio::time::Instant::now();
    loop {
        let connection = tokio::select! {
            biased;
            ended = &mut stopped => break ended?,
            connection = connect(port) => connection,
        };
        let seen = ask(&connector, connection).await;
        let seen = seen.with_context(|| format!("after {asked} handshakes"))?;
        ensure!(seen == own.to_string(), "seen as {seen:?}");
        asked += 1;
        let chain = source.svid()?;
        let above = chain.cert_chain().get(1).context("no intermediate")?;
        certificates.insert(above.as_bytes().to_vec());
        if tokio::time::Instant::now() >= judge_at {
            judge_at += Duration::from_secs(1);
            let token = tokens.fetch_jwt_svid([AUDIENCE]).await?;
            judged(&client, &token).await.context("a token")?;
            keys.insert(token.key_id().to_owned());
        }
    }
    say(format_args!(
        "pressed {asked}, {} intermediates, {} keys of tokens",
        certificates.len(),
        keys.len()
    ));
    Ok(())
}
