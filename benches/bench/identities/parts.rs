//! The processes of a deployment: the product's own parts, each started as the command line starts it.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use chancery_api::OwnerListener;
use chancery_api::server::ServerClient;
use chancery_api::signer::SignerClient;
use chancery_audit::Entry;
use chancery_crypto::AwsLc;
use chancery_identity::Incubating;
use chancery_identity::trust::{SignedTrust, VerifiedTrust};
use chancery_node::{Home, Node, NodeConfig, ServerIssuer};
use chancery_server::{Clock, Server, SvidLifetime};
use chancery_signer::{Signer, StandingKeys};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::plane::{DOMAIN, now, origin, server_config, until_answered};

pub(crate) const SIGNER: &str = "identities-signer";
pub(crate) const SERVER: &str = "identities-server";
pub(crate) const NODE: &str = "identities-node";

/// Where the sockets are.
pub(crate) fn signer_socket(sockets: &Path) -> PathBuf {
    sockets.join("signer.sock")
}

pub(crate) fn server_socket(sockets: &Path) -> PathBuf {
    sockets.join("server.sock")
}

pub(crate) fn operator_socket(sockets: &Path) -> PathBuf {
    sockets.join("node.sock")
}

pub(crate) fn workload_socket(sockets: &Path) -> PathBuf {
    sockets.join("workload.sock")
}

/// The signer, in a process of its own.
pub(crate) fn signer(arguments: Vec<String>) -> anyhow::Result<()> {
    let (data, sockets, _) = places(arguments)?;
    run(async move {
        let folder = data.join("signer");
        let (log, _) = origin(&data, "signer/log-key", "server")?;
        let keys = StandingKeys::open(&folder)?;
        let signer = Signer::new(keys, trust(&data)?, log, &folder, now)?;
        let listener = OwnerListener::bind(&signer_socket(&sockets))?;
        Ok(signer.serve(listener).await?)
    })
}

/// The server, in a process of its own; the third argument is how long SVIDs live, in seconds.
pub(crate) fn server(arguments: Vec<String>) -> anyhow::Result<()> {
    let (data, sockets, rest) = places(arguments)?;
    let lifetime: SvidLifetime = rest.first().context("how long do SVIDs live?")?.parse()?;
    run(async move {
        let signer = SignerClient::new(signer_socket(&sockets));
        while signer.ready().await.is_err() {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        let mut config = server_config(&data, signer_socket(&sockets), trust(&data)?).await?;
        config.svid_lifetime = lifetime;
        if let Some(last) = config.journal.size().checked_sub(1) {
            let last = Entry::parse(&config.journal.read_entry(last)?)?;
            config.clock = Clock::new(last.at);
        }
        let server = Server::new(config).await?;
        let listener = OwnerListener::bind(&server_socket(&sockets))?;
        Ok(server.serve(listener).await?)
    })
}

/// The node, in a process of its own.
pub(crate) fn node(arguments: Vec<String>) -> anyhow::Result<()> {
    let (data, sockets, _) = places(arguments)?;
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    run(async move {
        let client = ServerClient::new(server_socket(&sockets));
        until_answered(&client).await;
        let home = Home {
            trust_domain: DOMAIN.parse()?,
            gateway_address: "127.0.0.1:1".parse()?,
            gateway_spiffe_id: format!("spiffe://{DOMAIN}/service/gateway").parse()?,
        };
        let config = NodeConfig {
            workload_socket: workload_socket(&sockets),
            operator_socket: operator_socket(&sockets),
            launches: data.join("launches"),
        };
        let issuer = ServerIssuer::start(client, home, Incubating::NONE);
        let node = Node::bind(&config, issuer)?;
        Ok(node.serve(std::future::pending()).await?)
    })
}

fn places(arguments: Vec<String>) -> anyhow::Result<(PathBuf, PathBuf, Vec<String>)> {
    let mut arguments = arguments.into_iter();
    let data = arguments.next().context("where is the data?")?;
    let sockets = arguments.next().context("where are the sockets?")?;
    Ok((data.into(), sockets.into(), arguments.collect()))
}

fn trust(data: &Path) -> anyhow::Result<VerifiedTrust> {
    let text = std::fs::read(data.join("trust.json"))?;
    Ok(SignedTrust::parse(&text)?.verify(&AwsLc)?)
}

fn run(part: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(part)
}
