//! `chancery revoke`.

use std::process::ExitCode;

use anyhow::Context as _;
use chancery_api::lift::{Lift, SignedLift};
use chancery_api::server::{
    KnownRevocation, LiftRevocation, PersonAuthority, RaiseEpoch, RevocationDone, Revoke,
    ServerClient,
};
use chancery_delegation::Revocable;
use chancery_server::Clock;
use chancery_types::RevocationKind;
use serde::Serialize;

use crate::args::{DepartArgs, Format, RevokeArgs, RevokeCommand};
use crate::deployment::Layout;
use crate::output;

pub(super) async fn run(format: Format, args: RevokeArgs) -> anyhow::Result<ExitCode> {
    let layout = super::layout(&args.data)?;
    let server = layout.server_client();
    let (kind, args) = match args.command {
        RevokeCommand::Token(args) => (RevocationKind::Token, args),
        RevokeCommand::Session(args) => (RevocationKind::Session, args),
        RevokeCommand::Mission(args) => (RevocationKind::Mission, args),
        RevokeCommand::Agent(args) => (RevocationKind::Agent, args),
        RevokeCommand::Instance(args) => (RevocationKind::Instance, args),
        RevokeCommand::Key(args) => (RevocationKind::Key, args),
        RevokeCommand::Consent(args) => (RevocationKind::Consent, args),
        RevokeCommand::Person(args) => return depart(format, &server, args).await,
        RevokeCommand::Epoch { reason } => return raise_epoch(format, &server, reason).await,
        RevokeCommand::List => return list(format, &server).await,
        RevokeCommand::Lift { kind, id, reason } => {
            return lift(format, &layout, kind, &id, reason).await;
        }
    };
    let what = Revocable::new(kind, &args.id)?;
    let shown = what.to_string();
    let reason = args.reason;
    let done = server.revoke(&Revoke { what, reason }).await?;
    let code = told(format, "revoked", Some(&shown), &done)?;
    if let Some(note) = unknown(kind, &done) {
        output::say(note);
    }
    Ok(code)
}

/// What is said where the identifier may be mistyped.
const fn unknown(kind: RevocationKind, done: &RevocationDone) -> Option<&'static str> {
    match (done.unknown, kind) {
        (false, _) => None,
        (true, RevocationKind::Token) => Some(
            "note: no root of this id is known here, and links are not kept; it is revoked should it appear",
        ),
        (true, _) => {
            Some("note: nothing of this id is known here yet; it is revoked should it appear")
        }
    }
}

#[derive(Serialize)]
struct Told<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    what: Option<&'a str>,
    #[serde(flatten)]
    done: &'a RevocationDone,
}

fn told(
    format: Format,
    verb: &str,
    what: Option<&str>,
    done: &RevocationDone,
) -> anyhow::Result<ExitCode> {
    output::result(format, &Told { what, done }, || {
        let shown = what.unwrap_or("every chain of an earlier epoch");
        let since = match done.before {
            true => format!("{shown} was {verb} before, at {}", done.at),
            false => format!(
                "{shown} is {verb}, as entry {} of the server's log",
                done.log_index
            ),
        };
        match (done.sequence, done.before) {
            (None, false) => {
                format!("{since}; the signer is away: gateways learn of it as soon as it answers")
            }
            _ => since,
        }
    })?;
    Ok(ExitCode::SUCCESS)
}

async fn raise_epoch(
    format: Format,
    server: &ServerClient,
    reason: String,
) -> anyhow::Result<ExitCode> {
    let done = server.raise_epoch(&RaiseEpoch { reason }).await?;
    output::result(
        format,
        &Told {
            what: None,
            done: &done,
        },
        || {
            format!(
                "epoch {} from now on, as entry {} of the server's log; every chain of an earlier one \
             is dead",
                done.epoch, done.log_index
            )
        },
    )?;
    Ok(ExitCode::SUCCESS)
}

async fn list(format: Format, server: &ServerClient) -> anyhow::Result<ExitCode> {
    let known = server.revocations().await?;
    output::result(format, &known, || {
        let rows = known.revocations.iter().map(row);
        let table = match known.revocations.is_empty() {
            true => "nothing is revoked".to_owned(),
            false => output::table(["kind", "id", "since", "until", "why", "by"], rows),
        };
        format!("{table}\nepoch {}", known.epoch)
    })?;
    Ok(ExitCode::SUCCESS)
}

fn row(known: &KnownRevocation) -> [String; 6] {
    let revocation = &known.revocation;
    let until = match known.stays {
        true => "it is lifted",
        false => "all it touches is over",
    };
    [
        revocation.what.kind().to_string(),
        revocation.what.id().to_owned(),
        revocation.at.to_string(),
        until.to_owned(),
        known.reason.clone(),
        known.by.clone(),
    ]
}

/// Lifts a revocation with the root key of this data folder.
async fn lift(
    format: Format,
    layout: &Layout,
    kind: RevocationKind,
    id: &str,
    reason: String,
) -> anyhow::Result<ExitCode> {
    let server = layout.server_client();
    let what = Revocable::new(kind, id)?;
    let known = server.revocations().await?.revocations;
    let mut known = known.into_iter().map(|known| known.revocation);
    let revocation = known
        .find(|known| known.what == what)
        .with_context(|| format!("{what} is not revoked; `chancery revoke list` says what is"))?;
    let lift = Lift {
        trust_domain: layout.trust()?.trust_domain.clone(),
        revocation,
        lifted_at: Clock::machine(),
    };
    let signatures = vec![layout.sign_as_root(&lift.signing_input()?)?];
    let signed = SignedLift { lift, signatures };
    let request = LiftRevocation { signed, reason };
    let done = server.lift_revocation(&request).await?;
    told(format, "lifted", Some(&what.to_string()), &done)
}

#[derive(Serialize)]
struct Departed<'a> {
    #[serde(flatten)]
    before: &'a PersonAuthority,
    #[serde(skip_serializing_if = "Option::is_none")]
    revoked: Option<&'a RevocationDone>,
}

/// Lists everything by which a person is at work, and ends all of it at once.
pub(super) async fn depart(
    format: Format,
    server: &ServerClient,
    args: DepartArgs,
) -> anyhow::Result<ExitCode> {
    let before = server.person(args.person).await?;
    let known = before.enrolled
        || !before.roots.is_empty()
        || !before.consents.is_empty()
        || before.revoked_at.is_some();
    anyhow::ensure!(
        known,
        "{}: the trust document names no such person, and no root is theirs; `chancery trust show` \
         lists people",
        args.person
    );
    let revoked = match args.reason.filter(|_| !args.dry_run) {
        Some(reason) => {
            let what = Revocable::new(RevocationKind::Person, &args.person.to_string())?;
            Some(server.revoke(&Revoke { what, reason }).await?)
        }
        None => None,
    };
    let departed = Departed {
        before: &before,
        revoked: revoked.as_ref(),
    };
    output::result(format, &departed, || shown(&departed))?;
    Ok(ExitCode::SUCCESS)
}

fn shown(departed: &Departed<'_>) -> String {
    let before = departed.before;
    let roots = before.roots.iter().map(|root| {
        let until = format!("until {} ({})", root.expires_at, root.standing);
        let text = format!(
            "{} of {}, session {}, {until}",
            root.jti, root.instance, root.session
        );
        ["root".to_owned(), text]
    });
    let approvals = before.approvals.iter();
    let approvals = approvals.map(|id| ["approval waiting".to_owned(), id.to_string()]);
    let credentials = before.credentials.iter();
    let credentials = credentials.map(|id| ["credential".to_owned(), id.clone()]);
    let consents = before.consents.iter();
    let consents = consents.map(|id| ["standing consent".to_owned(), id.to_string()]);
    let rows: Vec<_> = roots
        .chain(consents)
        .chain(approvals)
        .chain(credentials)
        .collect();
    let table = match rows.is_empty() {
        true => "nothing is rooted in this person".to_owned(),
        false => output::table(["what", "which"], rows),
    };
    let last = match (departed.revoked, before.revoked_at) {
        (Some(done), _) if done.before => format!("was revoked before, at {}", done.at),
        (Some(done), _) => format!(
            "is revoked, as entry {} of the server's log: all of this ends now",
            done.log_index
        ),
        (None, Some(at)) => format!("is revoked since {at}"),
        (None, None) => {
            "is not revoked: with --reason and without --dry-run all of this ends".to_owned()
        }
    };
    format!("{table}\n{} {last}", before.person)
}
