//! TPMs: this host's, and those that the operator admits.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context as _;
use chancery_api::server::{AdmitNodeTpm, ServerClient};
use chancery_attestation::tpm::{EndorsementKey, PcrValues};
use chancery_node::{OwnTpm, TpmKeyKind};
use chancery_types::Digest;
use serde::Serialize;

use crate::args::{Format, PcrValue, TpmArgs, TpmKey};
use crate::output;

/// The TPM of this host.
#[derive(Debug, Serialize)]
struct Shown {
    tpm: Digest,
    /// Whether it holds its maker's certificate over that key.
    certificate: bool,
    pcrs: PcrValues,
}

/// Shows the TPM of this host.
pub(super) async fn show(format: Format, args: TpmArgs) -> anyhow::Result<()> {
    let asked = tokio::task::spawn_blocking(move || -> anyhow::Result<Shown> {
        let mut tpm = OwnTpm::open(&args.tpm, kind(args.tpm_key))?;
        let pcrs = tpm.pcrs(&PcrValues::default().quoted())?;
        Ok(Shown {
            tpm: tpm.digest(),
            certificate: tpm.certificate().is_some(),
            pcrs,
        })
    });
    let shown = asked.await.context("tpm")??;
    output::result(format, &shown, || {
        let certificate = match shown.certificate {
            true => "held by the TPM",
            false => "none",
        };
        let rows = [
            ["tpm".to_owned(), shown.tpm.to_string()],
            ["maker's certificate".to_owned(), certificate.to_owned()],
        ];
        output::table(
            ["what", "value"],
            rows.into_iter().chain(registers(&shown.pcrs)),
        )
    })
}

/// Takes in one TPM.
pub(super) async fn admit(
    format: Format,
    server: &ServerClient,
    tpm: &str,
    pcr: &[PcrValue],
) -> anyhow::Result<()> {
    let tpm = match tpm.parse::<Digest>() {
        Ok(digest) => digest,
        Err(_) if Path::new(tpm).is_file() => of_file(Path::new(tpm))?,
        Err(_) => anyhow::bail!("{tpm}: neither a digest (sha256: and 64 hex digits) nor a file"),
    };
    let pcrs = values(pcr)?;
    let view = server.admit_node_tpm(&AdmitNodeTpm { tpm, pcrs }).await?;
    output::result(format, &view, || {
        format!(
            "the host of TPM {} may join, entry {}",
            view.tpm, view.log_index
        )
    })
}

fn of_file(file: &Path) -> anyhow::Result<Digest> {
    let shown = || file.display().to_string();
    let bytes = std::fs::read(file).with_context(shown)?;
    let key = EndorsementKey::parse(&bytes).with_context(shown)?;
    Ok(key.digest())
}

/// What the registers must hold; each is named once.
pub(super) fn values(pcr: &[PcrValue]) -> anyhow::Result<PcrValues> {
    let mut values = BTreeMap::new();
    for one in pcr {
        let before = values.insert(one.register, one.value);
        anyhow::ensure!(
            before.is_none(),
            "--pcr names register {} twice",
            one.register
        );
    }
    Ok(PcrValues::try_from(values)?)
}

/// The rows of a table of registers.
pub(super) fn registers(pcrs: &PcrValues) -> impl Iterator<Item = [String; 2]> {
    pcrs.iter()
        .map(|(register, value)| [format!("register {register}"), value.to_hex()])
}

pub(super) const fn kind(key: TpmKey) -> TpmKeyKind {
    match key {
        TpmKey::Rsa => TpmKeyKind::Rsa,
        TpmKey::Ecc => TpmKeyKind::Ecc,
    }
}
