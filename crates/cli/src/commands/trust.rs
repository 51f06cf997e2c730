//! `chancery trust`.

mod change;
mod invite;
mod policy_signers;
mod witnesses;

pub(crate) use change::{put, take_out};
pub(crate) use invite::follow_first;

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use chancery_api::server::TrustText;
use chancery_identity::trust::VerifiedTrust;
use serde::Serialize;

use crate::args::{EnrolArgs, Format, TrustArgs, TrustCommand};
use crate::deployment::{Authenticator, Layout, enrol, read_trust};
use crate::output;

/// How long the gateway may take to ask for the trust document.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) async fn run(format: Format, args: TrustArgs) -> anyhow::Result<ExitCode> {
    // Who holds a root key needs no deployment.
    match &args.command {
        TrustCommand::Key { file } => {
            change::key(format, file)?;
            return Ok(ExitCode::SUCCESS);
        }
        TrustCommand::Sign { file, key, since } => {
            change::sign(format, file, key, since.as_deref())?;
            return Ok(ExitCode::SUCCESS);
        }
        _ => {}
    }
    let layout = super::layout(&args.data)?;
    match args.command {
        TrustCommand::Show => show(format, &layout.trust()?)?,
        TrustCommand::Export { file } => export(format, &layout.trust()?, &file)?,
        TrustCommand::Enrol(args) => enrol_person(format, &layout, args).await?,
        TrustCommand::Invite(args) => invite::invite(format, &layout, args).await?,
        TrustCommand::Logs => witnesses::logs(format, &layout.trust()?)?,
        TrustCommand::Witness(args) => witnesses::name(format, &layout, args).await?,
        TrustCommand::Change(args) => change::change(format, &layout, args).await?,
        TrustCommand::Key { .. } | TrustCommand::Sign { .. } => {}
        TrustCommand::Install { file } => change::install(format, &layout, &file).await?,
        TrustCommand::Depart(args) => {
            return super::revoke::depart(format, &layout.server_client(), args).await;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn show(format: Format, trust: &VerifiedTrust) -> anyhow::Result<()> {
    output::result(format, trust.signed(), || {
        let mut rows = vec![
            ["trust domain".to_owned(), trust.trust_domain.clone()],
            ["version".to_owned(), trust.version.to_string()],
            ["digest".to_owned(), trust.digest().to_string()],
            ["issued".to_owned(), trust.issued_at.to_string()],
            [
                "root keys".to_owned(),
                format!("{} of {} must sign", trust.threshold, trust.roots.len()),
            ],
        ];
        for log in &trust.log_origins {
            rows.push([
                "log".to_owned(),
                format!("{}, written by {}", log.origin, log.writer),
            ]);
        }
        if let Some(rule) = &trust.witnesses {
            rows.extend(witnesses::rows(rule));
        }
        if let Some(quorum) = &trust.policy_quorum {
            let text = format!(
                "{} people must sign a bundle, since {}",
                quorum.people, quorum.since
            );
            rows.push(["policy".to_owned(), text]);
        }
        for key in &trust.policy_signers {
            let kid = key.kid();
            let quorum = trust.policy_quorum.as_ref();
            let text = match quorum.and_then(|quorum| quorum.signers.get(&kid)) {
                Some(person) => format!("{kid}, of {person}"),
                None => kid,
            };
            rows.push(["policy signer".to_owned(), text]);
        }
        for person in &trust.people {
            let hardware = person
                .credentials
                .iter()
                .all(|credential| credential.hardware);
            let stand_in = person
                .credentials
                .iter()
                .any(|credential| credential.stand_in);
            let mark = match (hardware, stand_in) {
                (_, true) => "stand-in, software-only",
                (true, false) => "hardware",
                (false, false) => "software-only",
            };
            rows.push(["person".to_owned(), format!("{} ({mark})", person.id)]);
        }
        output::table(["what", "value"], rows)
    })
}

#[derive(Serialize)]
struct Exported<'a> {
    file: &'a Path,
    version: u64,
    digest: chancery_types::Digest,
}

/// Copies a trust document into a file.
pub(super) fn copy(trust: &VerifiedTrust, file: &Path) -> anyhow::Result<()> {
    let bytes = trust.signed().to_bytes()?;
    std::fs::write(file, bytes).with_context(|| file.display().to_string())
}

/// Copies the document in force into a file.
fn export(format: Format, trust: &VerifiedTrust, file: &Path) -> anyhow::Result<()> {
    copy(trust, file)?;
    let exported = Exported {
        file,
        version: trust.version,
        digest: trust.digest(),
    };
    output::result(format, &exported, || {
        format!(
            "{}: trust document, version {}, {}",
            file.display(),
            trust.version,
            trust.digest()
        )
    })
}

#[derive(Serialize)]
struct Enrolled<'a> {
    person: chancery_types::id::PersonId,
    authenticator: &'a Path,
    trust_version: u64,
    mark: &'static str,
}

async fn enrol_person(format: Format, layout: &Layout, args: EnrolArgs) -> anyhow::Result<()> {
    let authenticator = enrol_first(layout, &args.code, &args.authenticator, args.stand_in).await?;
    let enrolled = Enrolled {
        person: authenticator.person_id(),
        authenticator: &args.authenticator,
        trust_version: layout.trust()?.version,
        mark: authenticator.marks(),
    };
    output::result(format, &enrolled, || {
        format!(
            "{} is principal and approver ({}); trust document version {}",
            enrolled.person, enrolled.mark, enrolled.trust_version
        )
    })
}

/// Enrols the first person. Until the server has taken the new trust document the one-time code
/// stays open and no file is left behind.
pub(crate) async fn enrol_first(
    layout: &Layout,
    code: &str,
    path: &Path,
    stand_in: bool,
) -> anyhow::Result<Authenticator> {
    anyhow::ensure!(
        !path.exists(),
        "{}: the file exists; an authenticator is never overwritten",
        path.display()
    );
    layout.check_enrol_code(code)?;
    let (authenticator, trust) = enrol(layout, path, stand_in)?;
    let document = String::from_utf8(trust).context("trust document")?;
    let installed = layout
        .server_client()
        .install_trust(&TrustText { document })
        .await;
    if let Err(error) = installed {
        let person = authenticator.person_id();
        let named = |trust: VerifiedTrust| trust.people.iter().any(|known| known.id == person);
        if !layout.trust().is_ok_and(named) {
            std::fs::remove_file(path).with_context(|| path.display().to_string())?;
        }
        return Err(error.into());
    }
    layout.close_enrol_code()?;
    wait_for_gateway(layout, layout.trust()?.version).await;
    Ok(authenticator)
}

/// Waits until the gateway goes by a trust document, so that what follows is not refused for what
/// it does not know yet.
pub(super) async fn wait_for_gateway(layout: &Layout, version: u64) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !read_trust(&layout.gateway_trust_file()).is_ok_and(|trust| trust.version >= version) {
        if tokio::time::Instant::now() > deadline {
            output::say("the gateway does not know of it yet; is it running?");
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
