//! The keys of a log: which are believed, and `chancery log keys`.

use std::path::Path;

use anyhow::{Context as _, ensure};
use chancery_evidence::log::log_keys;
use chancery_gateway::witnesses;
use chancery_identity::trust::VerifiedTrust;
use chancery_journal::Witnesses;
use chancery_tlog::{LogKeys, Origin, SignatureKind, VerifierKey};
use serde::Serialize;

use super::Place;
use crate::args::{Format, KeyArgs};
use crate::deployment::{Layout, read_trust};
use crate::output;

/// The keys that the trust document in a file names for a log.
pub(super) fn trusted(file: &Path, origin: &Origin) -> anyhow::Result<LogKeys> {
    named(&read_trust(file)?, file, origin)
}

/// Whose word is taken for a log.
pub(super) struct Believed {
    /// Its keys.
    pub(super) keys: LogKeys,
    /// Its witnesses, where a trust document names some.
    pub(super) witnesses: Option<Witnesses>,
}

/// What was given for a log.
pub(super) fn given(args: &KeyArgs, origin: &Origin) -> anyhow::Result<Believed> {
    let Some(file) = &args.trust else {
        let keys = bare(args, origin)?;
        let witnesses = None;
        return Ok(Believed { keys, witnesses });
    };
    let trust = read_trust(file)?;
    Ok(Believed {
        keys: named(&trust, file, origin)?,
        witnesses: witnesses(&trust, origin.as_str())?,
    })
}

/// Keys on the command line.
fn bare(args: &KeyArgs, origin: &Origin) -> anyhow::Result<LogKeys> {
    let (mut ed25519, mut ml_dsa_44) = (None, None);
    for text in &args.vkeys {
        let key: VerifierKey = text.parse().with_context(|| format!("--vkey {text}"))?;
        let place = match key.kind() {
            SignatureKind::Ed25519 => &mut ed25519,
            _ => &mut ml_dsa_44,
        };
        ensure!(place.is_none(), "--vkey {text}: a second key of its kind");
        *place = Some(key);
    }
    let missing = |kind: &str| format!("--vkey: the log's {kind} key is missing; it signs as well");
    let ed25519 = ed25519.with_context(|| missing("Ed25519"))?;
    let ml_dsa_44 = ml_dsa_44.with_context(|| missing("ML-DSA-44"))?;
    LogKeys::new(origin.clone(), ed25519, ml_dsa_44)
        .with_context(|| format!("--vkey: not the keys of the log {origin}"))
}

/// The keys that a trust document, which came from `file`, names for a log.
pub(super) fn named(
    trust: &VerifiedTrust,
    file: &Path,
    origin: &Origin,
) -> anyhow::Result<LogKeys> {
    let known = trust
        .log_origin(origin.as_str())
        .with_context(|| format!("{}: names no log {origin}", file.display()))?;
    Ok(log_keys(known)?)
}

#[derive(Serialize)]
struct Shown {
    origin: String,
    ed25519: String,
    ml_dsa_44: String,
}

pub(super) fn show(format: Format, place: &Place, trust: Option<&Path>) -> anyhow::Result<()> {
    let origin = place.reader()?.origin().clone();
    let keys = match trust {
        Some(file) => trusted(file, &origin)?,
        None => {
            let layout = Layout::open(&place.data)?;
            named(&layout.trust()?, &layout.trust_file(), &origin)?
        }
    };
    let shown = Shown {
        origin: origin.to_string(),
        ed25519: keys.ed25519().to_string(),
        ml_dsa_44: keys.ml_dsa_44().to_string(),
    };
    output::result(format, &shown, || {
        format!("{}\n{}\n", shown.ed25519, shown.ml_dsa_44)
    })
}
