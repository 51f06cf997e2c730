//! `chancery witness`.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use chancery_journal::{Witness, WitnessAddress, WitnessServer};
use chancery_tlog::{KeyName, LogPolicy, PolicyLog, SignatureKind, VerifierKey};
use nix::sys::stat::{Mode, umask};
use serde::Serialize;
use tokio::signal::unix::{SignalKind, signal};

use crate::args::{Format, WitnessArgs};
use crate::output;

/// What a running witness has opened.
#[derive(Debug, Serialize)]
struct Opened {
    name: String,
    data: String,
    url: String,
    /// Ed25519 first, ML-DSA-44 second.
    keys: Vec<String>,
    /// The logs that it cosigns.
    logs: Vec<String>,
    /// What a log's operator needs: a policy that asks for this witness with both of its keys.
    policy: String,
}

pub(super) async fn run(format: Format, args: WitnessArgs) -> anyhow::Result<ExitCode> {
    umask(Mode::from_bits_truncate(0o077));
    let name = args.name.as_deref().map(|name| {
        let parsed: Result<KeyName, _> = name.parse();
        parsed.with_context(|| format!("--name {name}"))
    });
    let name = name.transpose()?;
    let url = args.url.as_deref().map(|url| {
        let parsed: Result<WitnessAddress, _> = url.parse();
        parsed.context("--url")
    });
    let url = url.transpose()?;
    let known = known(&args)?;
    let witness = Arc::new(Witness::open(&args.data, name.as_ref(), known)?);
    // Whoever sees what was opened may stop it.
    let mut terminate = signal(SignalKind::terminate()).context("signals")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("signals")?;
    let server = WitnessServer::bind(args.listen, Arc::clone(&witness), seconds)
        .await
        .with_context(|| {
            format!(
                "{} cannot be opened; choose another with --listen",
                args.listen
            )
        })?;
    let url = match url {
        Some(url) => url.to_string(),
        None => format!("http://{}", server.address()?),
    };
    let opened = opened(&witness, &args, url);
    output::result(format, &opened, || opened.policy.clone())?;
    server
        .serve(async {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        })
        .await;
    output::say("stopping");
    Ok(ExitCode::SUCCESS)
}

/// The keys of the logs, from the arguments and from the file.
fn known(args: &WitnessArgs) -> anyhow::Result<Vec<VerifierKey>> {
    let mut known = Vec::new();
    for text in &args.keys {
        let key: VerifierKey = text.parse().with_context(|| format!("--log {text}"))?;
        anyhow::ensure!(
            key.kind() != SignatureKind::Cosignature,
            "--log {text}: the key of a witness, not of a log"
        );
        known.push(key);
    }
    if let Some(file) = &args.logs {
        let shown = || file.display().to_string();
        let policy =
            LogPolicy::parse(&std::fs::read(file).with_context(shown)?).with_context(shown)?;
        anyhow::ensure!(
            policy.witnesses().is_empty(),
            "{}: names witnesses; a witness needs the `log` lines and `quorum none` alone",
            file.display()
        );
        known.extend(policy.logs().iter().map(PolicyLog::key).cloned());
    }
    anyhow::ensure!(
        !known.is_empty(),
        "no log is named; give --log VKEY or --logs FILE (`chancery trust logs` writes one)"
    );
    Ok(known)
}

fn opened(witness: &Witness, args: &WitnessArgs, url: String) -> Opened {
    let [classical, post_quantum] = witness.keys().verifiers();
    let name = classical.name();
    let mut logs: Vec<String> = Vec::new();
    for key in witness.known() {
        let origin = key.name().to_string();
        if !logs.contains(&origin) {
            logs.push(origin);
        }
    }
    let policy = format!(
        "witness {name}/ed25519 {classical} {url}\nwitness {name}/ml-dsa-44 {post_quantum} {url}\n\
         group {name} all {name}/ed25519 {name}/ml-dsa-44\nquorum {name}\n"
    );
    Opened {
        name: name.to_string(),
        data: args.data.display().to_string(),
        keys: vec![classical.to_string(), post_quantum.to_string()],
        url,
        logs,
        policy,
    }
}

/// Seconds since the epoch; zero before it, at which nothing is cosigned.
fn seconds() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}
