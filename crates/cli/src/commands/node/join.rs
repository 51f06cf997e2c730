use std::process::ExitCode;

use anyhow::Context as _;
use chancery_api::server::JoinToken;
use chancery_api::tls::CertificateHolder;
use chancery_crypto::read_private_file;
use chancery_node::{
    Ended, Issuer, JoinError, Joined, Joining, Means, Node, NodeConfig, PinnedTrust,
};
use nix::sys::stat::{Mode, umask};
use serde::Serialize;
use tokio::sync::oneshot;

use crate::args::{DataArgs, Format, JoinArgs};
use crate::commands::parts::until_stopped;
use crate::deployment::{DataLock, Layout, Part, PartLock, read_trust};
use crate::{output, telemetry};

/// The node was put out, or its SVID is over.
const NO_NODE: u8 = 1;

/// What a node on another host serves.
#[derive(Debug, Serialize)]
struct Opened {
    spiffe_id: String,
    data: String,
    workload_api: String,
    not_after: String,
}

/// Joins and is a node until it is asked to end, or is one no more.
pub(super) async fn run(
    format: Format,
    data: &DataArgs,
    args: JoinArgs,
) -> anyhow::Result<ExitCode> {
    umask(Mode::from_bits_truncate(0o077));
    let layout = Layout::node_side(&data.data)?;
    let trust = read_trust(&args.trust)?;
    let means = means(&args)?;
    // Nothing of a node that runs is written over.
    let _alone = DataLock::take(&layout).await?;
    let _lock = PartLock::take(&layout)?;
    crate::commands::parts::raise_descriptors();
    let pinned = PinnedTrust::start(trust, layout.trust_file())?;
    let sockets = NodeConfig {
        workload_socket: layout.workload_socket(),
        operator_socket: layout.node_socket(),
        launches: layout.launches(),
    };
    telemetry::show(&layout, Part::Node)?;
    let joining = Joining {
        server: args.server,
        trust: pinned,
        means,
    };
    let joined = Joined::join(joining).await.map_err(|error| match error {
        JoinError::Server(error) => anyhow::Error::from(error),
        other => other.into(),
    })?;
    let issuer = std::sync::Arc::clone(joined.issuer());
    let issuer: std::sync::Arc<dyn Issuer> = issuer;
    let node = Node::bind(&sockets, issuer)?;
    let opened = Opened {
        spiffe_id: joined.spiffe_id().to_string(),
        data: layout.data().display().to_string(),
        workload_api: format!("unix://{}", sockets.workload_socket.display()),
        not_after: joined.not_after().to_string(),
    };
    let (stop, stopping) = oneshot::channel::<()>();
    let serving = tokio::spawn(node.serve(async {
        let _ = stopping.await;
    }));
    output::result(format, &opened, || {
        output::table(
            ["what", "where"],
            [
                ["node".to_owned(), opened.spiffe_id.clone()],
                ["data folder".to_owned(), opened.data.clone()],
                ["workload API".to_owned(), opened.workload_api.clone()],
            ],
        )
    })?;
    let ended = tokio::select! {
        ended = joined.keep() => Some(ended),
        stopped = until_stopped() => { stopped?; None }
    };
    // Every launch ends, and with it its streams.
    drop(stop);
    serving.await.context("node")??;
    Ok(match ended {
        None => ExitCode::SUCCESS,
        Some(Ended::TurnedAway(problem)) => {
            output::say(format_args!(
                "error: this host is no node any more: {problem}; everything on it has ended"
            ));
            ExitCode::from(NO_NODE)
        }
        Some(Ended::Expired) => {
            output::say(
                "error: the server was away until this node's SVID was over; everything on it has ended. \
                 Join again, with another token (`chancery node token`)",
            );
            ExitCode::from(NO_NODE)
        }
    })
}

fn means(args: &JoinArgs) -> anyhow::Result<Means> {
    if let (Some(certificate), Some(key)) = (&args.certificate, &args.key) {
        let shown = || certificate.display().to_string();
        let pem = std::fs::read(certificate).with_context(shown)?;
        let secret = read_private_file(key)?;
        let holder = CertificateHolder::from_pem(&pem, &secret)
            .with_context(|| format!("{} and {}", shown(), key.display()))?;
        return Ok(Means::X509(holder));
    }
    if let Some(tpm) = &args.tpm {
        return Ok(Means::Tpm(tpm.clone(), super::tpm::kind(args.tpm_key)));
    }
    let file = args.token_file.as_ref().context("--token-file")?;
    let secret = read_private_file(file)?;
    let text = std::str::from_utf8(secret.expose()).ok().map(str::trim);
    let text = text.filter(|text| text.starts_with("chj_"));
    let text = text.with_context(|| {
        format!(
            "{}: holds no token; make one with `chancery node token --out FILE`",
            file.display()
        )
    })?;
    Ok(Means::Token(JoinToken::new(text.to_owned())))
}
