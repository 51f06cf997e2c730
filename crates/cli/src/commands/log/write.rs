//! `chancery log write`.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use chancery_api::OwnerListener;
use chancery_identity::SpiffeId;
use chancery_journal::{Config, Journal, LocalSigner, Reader, Unwitnessed, Witnesses};
use chancery_recorder::{Admission, Listeners, Recorder, TlsSetup};
use chancery_tlog::{LogKeys, LogPolicy, Origin};
use chancery_types::Timestamp;
use nix::sys::stat::{Mode, umask};
use serde::Serialize;
use tokio::net::TcpListener;

use super::Stop;
use crate::args::{Format, WriteArgs};
use crate::output;
use crate::svid_files::SvidFiles;

/// Most bytes of a policy file that is read.
const MOST_POLICY_BYTES: u64 = 65_536;

/// What a running log has opened.
#[derive(Debug, Serialize)]
struct Opened {
    origin: String,
    log: String,
    /// How many entries it has.
    entries: u64,
    socket: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<SocketAddr>,
    /// Who the log is over TLS.
    #[serde(skip_serializing_if = "Option::is_none")]
    spiffe_id: Option<SpiffeId>,
    /// Ed25519 first, ML-DSA-44 second.
    keys: Vec<String>,
}

/// Writes a log for other programs until it is stopped.
pub(super) async fn run(format: Format, args: WriteArgs) -> anyhow::Result<()> {
    umask(Mode::from_bits_truncate(0o077));
    let log = args.folder.join("log");
    let origin = origin(&args, &log)?;
    std::fs::create_dir_all(&args.folder).with_context(|| args.folder.display().to_string())?;
    let signer = LocalSigner::open_or_create(&args.folder.join("keys"), &origin)?;
    let keys = signer.keys().clone();
    let mut config = Config::at(&log, origin)?;
    config.witnesses = witnesses(&args, &keys)?;
    let is_witnessed = config.witnesses.is_some();
    let opening = tokio::task::spawn_blocking(move || Journal::open(config, Arc::new(signer)));
    let journal = opening.await??;
    let recorder = Recorder::open(journal, &args.folder, is_witnessed, now)?;

    let socket = args.folder.join("append.sock");
    let owner = OwnerListener::bind(&socket).with_context(|| socket.display().to_string())?;
    let tls = tls(&args).await?;
    // Whoever sees what was opened may stop it.
    let mut stop = Stop::new()?;
    let opened = Opened {
        origin: recorder.journal().origin().to_string(),
        log: log.display().to_string(),
        entries: recorder.journal().size(),
        socket: socket.display().to_string(),
        address: match &tls {
            Some((_, setup)) => Some(setup.listener.local_addr()?),
            None => None,
        },
        spiffe_id: tls.as_ref().map(|(spiffe_id, _)| spiffe_id.clone()),
        keys: vec![keys.ed25519().to_string(), keys.ml_dsa_44().to_string()],
    };
    output::result(format, &opened, || text(&opened))?;
    let listeners = Listeners {
        owner,
        tls: tls.map(|(_, setup)| setup),
    };
    tokio::select! {
        served = chancery_recorder::serve(&recorder, listeners) => served?,
        () = stop.asked() => output::say("stopping"),
    }
    recorder.close().await?;
    Ok(())
}

/// The log's name: as it is known in the folder, or as it is given.
fn origin(args: &WriteArgs, log: &Path) -> anyhow::Result<Origin> {
    if let Some(origin) = &args.origin {
        return Ok(origin.clone());
    }
    let reader = Reader::open(log).with_context(|| {
        format!(
            "{}: no log yet; give it a name with --origin",
            args.folder.display()
        )
    })?;
    Ok(reader.origin().clone())
}

fn witnesses(args: &WriteArgs, keys: &LogKeys) -> anyhow::Result<Option<Witnesses>> {
    let Some(file) = &args.witnesses else {
        return Ok(None);
    };
    let shown = || file.display().to_string();
    let size = std::fs::metadata(file).with_context(shown)?.len();
    anyhow::ensure!(size <= MOST_POLICY_BYTES, "{}: too large", shown());
    let policy = LogPolicy::parse(&std::fs::read(file).with_context(shown)?).with_context(shown)?;
    let mut witnesses = Witnesses::new(policy, keys.clone());
    if args.withhold {
        witnesses.unwitnessed = Unwitnessed::Withhold;
    }
    witnesses.check().with_context(shown)?;
    Ok(Some(witnesses))
}

async fn tls(args: &WriteArgs) -> anyhow::Result<Option<(SpiffeId, TlsSetup)>> {
    let (Some(address), Some(first)) = (args.listen, args.producers.first()) else {
        return Ok(None);
    };
    let trust_domain = first.trust_domain();
    for producer in &args.producers {
        anyhow::ensure!(
            producer.trust_domain() == trust_domain,
            "--producer {producer}: of another trust domain than {first}"
        );
    }
    let files = SvidFiles::of(&args.svid, trust_domain);
    let files = files.context("--listen needs --svid, --key and --bundle")?;
    let (spiffe_id, identity) = files.follow(now)?;
    let listener = TcpListener::bind(address).await;
    let listener = listener
        .with_context(|| format!("{address} cannot be opened; choose another with --listen"))?;
    let setup = TlsSetup {
        listener,
        identity,
        admission: Admission::of(args.producers.iter().cloned()),
    };
    Ok(Some((spiffe_id, setup)))
}

fn text(opened: &Opened) -> String {
    let mut text = format!(
        "{}: {} entries in {}\nsocket {}\n",
        opened.origin, opened.entries, opened.log, opened.socket
    );
    if let (Some(address), Some(spiffe_id)) = (opened.address, &opened.spiffe_id) {
        text += &format!("address {address}, as {spiffe_id}\n");
    }
    for key in &opened.keys {
        text += &format!("key {key}\n");
    }
    text
}

/// The system's time.
pub(super) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let micros = since.map_or(0, |since| since.as_micros());
    Timestamp::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
}
