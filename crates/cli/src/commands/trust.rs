//! `chancery trust`.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use chancery_api::server::TrustText;
use chancery_identity::trust::VerifiedTrust;
use serde::Serialize;

use crate::args::{EnrolArgs, Format, TrustArgs, TrustCommand};
use crate::deployment::{Layout, enrol};
use crate::output;

pub(super) async fn run(format: Format, args: TrustArgs) -> anyhow::Result<ExitCode> {
    let layout = super::layout(&args.data)?;
    match args.command {
        TrustCommand::Show => show(format, &layout.trust()?)?,
        TrustCommand::Export { file } => export(format, &layout.trust()?, &file)?,
        TrustCommand::Enrol(args) => enrol_person(format, &layout, args).await?,
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

/// Copies the document in force into a file.
pub(super) fn export(format: Format, trust: &VerifiedTrust, file: &Path) -> anyhow::Result<()> {
    let bytes = trust.signed().to_bytes()?;
    std::fs::write(file, bytes).with_context(|| file.display().to_string())?;
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
    anyhow::ensure!(
        !args.authenticator.exists(),
        "{}: the file exists; an authenticator is never overwritten",
        args.authenticator.display()
    );
    layout.use_enrol_code(&args.code)?;
    let (authenticator, trust) = enrol(layout, &args.authenticator, args.stand_in)?;
    let document = String::from_utf8(trust).context("trust document")?;
    layout
        .server_client()
        .install_trust(&TrustText { document })
        .await?;
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
