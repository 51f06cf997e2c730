use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use chancery_api::OwnerListener;
use chancery_api::signer::SignerClient;
use chancery_audit::Entry;
use chancery_identity::trust::{GatewayName, TrustDocument, server_log_origin};
use chancery_journal::{Config, Journal, Keyring};
use chancery_server::{
    BundleEndpoints, Clock, Console, Holding, NodeHome, NodeListener, PlaceHolder, RemoteSigner,
    Server, ServerConfig,
};
use chancery_store::{PostgresAddress, Store};
use chancery_types::Timestamp;
use nix::sys::signal::Signal;
use tokio::runtime::Handle;

use super::{begin, prepare, until_stopped};
use crate::bundle_config::BundleFile;
use crate::deployment::{Layout, Part, ServerLock};
use crate::gateway_config::GatewayFile;
use crate::server_config::ServerFile;

/// How long the database is given to hear that the place of the server is free.
const FAREWELL: Duration = Duration::from_secs(2);

/// Runs the server. A second one of the same data folder waits until the first has ended.
///
/// INVARIANT: whoever has the server's lock is the only one who works in this data folder; everything
/// that a server before it may have changed is read after that.
pub(in crate::commands) async fn server(layout: &Layout) -> anyhow::Result<ExitCode> {
    begin(Signal::SIGTERM)?;
    let alone = ServerLock::wait(layout).await?;
    let _lock = prepare(layout, Part::Server, Signal::SIGTERM)?;
    let signer = SignerClient::new(layout.signer_socket());
    while signer.ready().await.is_err() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let keys = Keyring::open(&layout.server_keys()).context("the server's keys")?;
    let config = ServerFile::read(&layout.server_config())?;
    let (store, mut place) = tables(layout, &config, Arc::new(keys), &alone).await?;
    // Nothing is opened that another server may be writing, and the place is held all the while.
    let worked = tokio::select! {
        worked = work(layout, &config, store, signer) => worked,
        // Somebody else may have it already: nothing is waited for.
        () = lost(place.as_mut()) => anyhow::bail!("the place of the one server is lost"),
    };
    let released = match place {
        Some(place) => tokio::time::timeout(FAREWELL, place.release()).await,
        None => Ok(Ok(())),
    };
    worked?;
    released.context("the database did not hear that the place is free")??;
    Ok(ExitCode::SUCCESS)
}

/// Opens the log, and serves until it is told to stop.
async fn work(
    layout: &Layout,
    config: &ServerFile,
    store: Store,
    signer: SignerClient,
) -> anyhow::Result<()> {
    let trust = layout.trust()?;
    let domain = trust.trust_domain.clone();
    let bundle = BundleFile::read(&layout.bundle_config())?;
    let journal = open_journal(layout, &trust, signer.clone()).await?;
    if let Some(database) = config.database() {
        adopt(&store, &journal, &database.deployment).await?;
    }
    let clock = Clock::new(last_time(&journal)?);
    let server = Server::new(ServerConfig {
        store,
        journal,
        signer,
        trust,
        trust_file: layout.trust_file(),
        clock,
        svid_lifetime: config.svid_lifetime()?,
        incubating: config.incubating()?,
        refresh_hint: bundle.refresh_hint(),
        issuer: bundle.issuer(),
    })
    .await?;
    let endpoints = BundleEndpoints::bind(Arc::clone(&server), bundle.endpoints()).await?;
    let nodes = match config.nodes {
        Some(address) => {
            let gateway = GatewayFile::read(&layout.gateway_config())?;
            let home = NodeHome {
                gateway_address: gateway.advertised(),
                gateway_spiffe_id: GatewayName::default().spiffe_id(&domain).parse()?,
            };
            Some(NodeListener::bind(Arc::clone(&server), address, home).await?)
        }
        None => None,
    };
    let console = match &config.console {
        Some(told) => Some(Console::bind(Arc::clone(&server), told.config()?).await?),
        None => None,
    };
    let console = async {
        match console {
            Some(console) => console.serve().await,
            None => std::future::pending().await,
        }
    };
    let nodes = async {
        match nodes {
            Some(listener) => listener.serve().await,
            None => std::future::pending().await,
        }
    };
    let socket = layout.server_socket();
    let listener = OwnerListener::bind(&socket).context(socket.display().to_string())?;
    tracing::info!(socket = %socket.display(), "server serves");
    tokio::select! {
        ended = server.serve(listener) => ended?,
        ended = endpoints.serve() => ended?,
        ended = nodes => ended?,
        ended = console => ended?,
        stopped = until_stopped() => stopped?,
    }
    Ok(())
}

/// Opens the tables where this data folder has them. In a database of several, the place of the one
/// server that writes is taken first.
async fn tables(
    layout: &Layout,
    config: &ServerFile,
    keys: Arc<Keyring>,
    alone: &ServerLock,
) -> anyhow::Result<(Store, Option<Holding>)> {
    let Some(database) = config.database() else {
        return Ok((Store::open(&layout.database(), keys).await?, None));
    };
    let address = PostgresAddress::read(&database.address_file)?;
    let store = Store::connect(&address, &database.deployment, keys)
        .await
        .with_context(|| address.place().to_owned())?;
    let holder = PlaceHolder {
        process: std::process::id(),
        folder: format!("{} ({})", layout.data().display(), alone.mark()),
    };
    let noted = layout.noted_place();
    let place = Holding::take(store.clone(), "server", &holder, &noted).await?;
    Ok((store, Some(place)))
}

/// Takes the tables of a new database for this data folder. Tables that know nothing do not belong to
/// a log that holds something.
async fn adopt(store: &Store, journal: &Journal, deployment: &str) -> anyhow::Result<()> {
    let known = store.is_owned().await?;
    anyhow::ensure!(
        known || journal.size() == 0,
        "{}: the database is empty and the log of this data folder is not; restore the database that \
         it had",
        store.place()
    );
    Ok(store.own(deployment).await?)
}

/// Returns when the place of the one server is lost; never where none is needed.
async fn lost(place: Option<&mut Holding>) {
    match place {
        Some(place) => place.lost().await,
        None => std::future::pending().await,
    }
}

/// Opens the server's log; the signer is asked on the runtime, from threads of the journal.
async fn open_journal(
    layout: &Layout,
    trust: &TrustDocument,
    signer: SignerClient,
) -> anyhow::Result<Journal> {
    let first = server_log_origin(&trust.trust_domain);
    let current = trust.current_log(&first);
    let origin = current.map_or(first.as_str(), |known| known.origin.as_str());
    let origin: chancery_tlog::Origin = origin.parse()?;
    let mut config = Config::at(&layout.server_log(), origin.clone())?;
    config.witnesses = chancery_gateway::witnesses(trust, origin.as_str())?;
    let runtime = Handle::current();
    tokio::task::spawn_blocking(move || {
        let signer = RemoteSigner::new(origin, signer, runtime);
        Journal::open(config, Arc::new(signer)).context("the server's log")
    })
    .await?
}

/// When the last entry was written: time does not go back behind it.
fn last_time(journal: &Journal) -> anyhow::Result<Timestamp> {
    let Some(last) = journal.size().checked_sub(1) else {
        return Ok(Timestamp::from_micros(0));
    };
    let entry = journal.read_entry(last).context("the server's log")?;
    Ok(Entry::parse(&entry)
        .context("the last entry of the server's log")?
        .at)
}
