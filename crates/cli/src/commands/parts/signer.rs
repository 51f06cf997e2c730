use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use chancery_api::OwnerListener;
use chancery_api::authority::AuthorityKind;
use chancery_crypto::{AwsLc, replace_private_file};
use chancery_identity::trust::server_log_origin;
use chancery_journal::LocalSigner;
use chancery_server::Clock;
use chancery_signer::{Signer, StandingKeys};
use nix::sys::signal::Signal;

use super::{prepare, until_stopped};
use crate::deployment::{Layout, Part, read_trust};

/// Runs the signer.
pub(in crate::commands) async fn signer(layout: &Layout) -> anyhow::Result<ExitCode> {
    let _lock = prepare(layout, Part::Signer, Signal::SIGTERM)?;
    let folder = layout.signer();
    let keys = StandingKeys::open(&folder)?;
    let seen = folder.join("trust.json");
    let trust = match read_trust(&seen) {
        Ok(seen) => {
            let offered = layout.trust()?;
            anyhow::ensure!(
                offered.version >= seen.version,
                "{}: version {} is older than version {}, which the signer has seen",
                layout.trust_file().display(),
                offered.version,
                seen.version
            );
            // A document that was signed while nothing ran is taken over here.
            match offered.version > seen.version {
                true => {
                    let accepted = seen.accept(offered.signed().clone(), &AwsLc)?;
                    replace_private_file(
                        &folder.join("trust.json"),
                        &accepted.signed().to_bytes()?,
                    )?;
                    accepted
                }
                false => seen,
            }
        }
        Err(_) if !seen.exists() => layout.trust()?,
        Err(error) => return Err(error),
    };
    let first = server_log_origin(&trust.trust_domain);
    let current = trust.current_log(&first);
    let origin = current.map_or(first.as_str(), |known| known.origin.as_str());
    let origin = origin.parse()?;
    let log = LocalSigner::open_or_create(&layout.signer_log_key(), &origin)?;
    let signer = Signer::new(keys, trust, log, &folder, Clock::machine).context("signer")?;
    tokio::spawn(tell_end(Arc::clone(&signer)));
    let socket = layout.signer_socket();
    let listener = OwnerListener::bind(&socket).context(socket.display().to_string())?;
    tracing::info!(socket = %socket.display(), "signer serves");
    tokio::select! {
        ended = signer.serve(listener) => ended.context("signer")?,
        stopped = until_stopped() => stopped?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Says when the authority that signs X.509-SVIDs ends, whichever it is.
async fn tell_end(signer: Arc<Signer>) {
    loop {
        if let Some(active) = signer.authorities().active(AuthorityKind::X509) {
            metrics::gauge!("chancery_authority_expiry_timestamp_seconds")
                .set(Duration::from_secs(active.ends.as_seconds()));
        }
        tokio::time::sleep(Duration::from_secs(5)).await;
    }
}
