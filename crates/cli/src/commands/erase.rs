//! `chancery erase`.

use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use chancery_api::server::{ErasePerson, KeptOfPerson, PersonErased};
use chancery_gateway::{KEYS, KeptObjects};
use chancery_journal::{Keyring, Reader, Subject};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use crate::args::{EraseArgs, Format};
use crate::deployment::Layout;
use crate::output;

/// The exit code where the gateway still keeps what is to be erased.
const NOT_YET: u8 = 1;

const POLL: Duration = Duration::from_millis(200);

/// What is kept, and what became of it.
#[derive(Serialize)]
struct Told {
    #[serde(flatten)]
    kept: KeptOfPerson,
    /// Objects that the gateway keeps of the person.
    gateway_objects: usize,
    /// Objects that stand in clear in the gateway's folder: what is about nobody, and what was
    /// refused before anything was sealed.
    clear_objects: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    done: Option<Done>,
}

#[derive(Serialize)]
struct Done {
    #[serde(flatten)]
    server: PersonErased,
    /// The gateway's own entry; absent where it has not come to it yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    gateway: Option<GatewayDone>,
}

#[derive(Serialize)]
struct GatewayDone {
    log_index: u64,
    objects: usize,
}

pub(super) async fn run(format: Format, args: EraseArgs) -> anyhow::Result<ExitCode> {
    let layout = super::layout(&args.data)?;
    let server = layout.server_client();
    let kept = server.kept_of(args.person).await?;
    let reader = Reader::open(&layout.gateway_log())?;
    let objects = KeptObjects::open(&layout.gateway(), &reader)?;
    let subject = Subject::person(args.person);
    let of_person = objects.store().of(&subject)?.len();
    let mut told = Told {
        kept,
        gateway_objects: of_person,
        clear_objects: objects.store().clear()?.len(),
        done: None,
    };
    let reason = args.reason.filter(|_| !args.dry_run);
    if let Some(reason) = reason {
        if told.kept.erased.is_none() && !args.yes {
            output::say(listed(&told));
            confirm(&args.person.to_string())?;
        }
        let request = ErasePerson { reason };
        let erased = server.erase(args.person, &request).await?;
        let gateway = wait(&layout, &subject, told.gateway_objects, args.wait).await?;
        told.done = Some(Done {
            server: erased,
            gateway,
        });
    }
    let kept = [
        told.kept.erased.as_mut(),
        told.done.as_mut().map(|done| &mut done.server),
    ];
    for erased in kept.into_iter().flatten() {
        // Which sessions were theirs is for gateways alone.
        erased.scope.clear();
    }
    output::result(format, &told, || shown(&told))?;
    let waits = told.done.is_some_and(|done| done.gateway.is_none());
    Ok(match waits {
        true => ExitCode::from(NOT_YET),
        false => ExitCode::SUCCESS,
    })
}

/// Asks on the terminal for the person's id again.
fn confirm(person: &str) -> anyhow::Result<()> {
    ensure!(
        std::io::stdin().is_terminal(),
        "nobody can be asked here: look with --dry-run, then erase with --yes"
    );
    output::say("this cannot be taken back; type the person's id to erase them:");
    let mut answer = String::new();
    std::io::stdin()
        .read_line(&mut answer)
        .context("the terminal")?;
    if answer.trim() != person {
        bail!("nobody was erased");
    }
    Ok(())
}

/// Waits until the gateway has destroyed its key of the person.
async fn wait(
    layout: &Layout,
    subject: &Subject,
    objects: usize,
    seconds: u64,
) -> anyhow::Result<Option<GatewayDone>> {
    let bar = ProgressBar::new_spinner();
    bar.set_style(ProgressStyle::with_template("{spinner} {msg}")?);
    bar.set_message("the gateway erases what it keeps");
    bar.enable_steady_tick(POLL);
    let deadline = tokio::time::Instant::now() + Duration::from_secs(seconds);
    let done = loop {
        let keys = Keyring::read(&layout.gateway().join(KEYS))?;
        if let Some(tombstone) = keys.erased(subject) {
            break Some(GatewayDone {
                log_index: tombstone.entry,
                objects,
            });
        }
        if tokio::time::Instant::now() >= deadline {
            break None;
        }
        tokio::time::sleep(POLL).await;
    };
    bar.finish_and_clear();
    Ok(done)
}

/// What is kept, for people.
fn listed(told: &Told) -> String {
    let kept = told.kept.kept.iter();
    let server = kept.map(|kept| {
        [
            "server".to_owned(),
            kept.what.clone(),
            kept.values.to_string(),
        ]
    });
    let gateway = (told.gateway_objects > 0).then(|| {
        [
            "gateway".to_owned(),
            "chains, consents, missions, arguments, proofs, questions and answers".to_owned(),
            told.gateway_objects.to_string(),
        ]
    });
    let rows: Vec<_> = server.chain(gateway).collect();
    let mut text = match rows.is_empty() {
        true => "nothing is kept of this person".to_owned(),
        false => output::table(["where", "what", "values"], rows),
    };
    for what in &told.kept.at_work {
        text.push_str(&format!("\nstill at work: {what}"));
    }
    text
}

fn shown(told: &Told) -> String {
    let person = told.kept.person;
    let last = match (&told.done, &told.kept.erased) {
        (Some(done), _) => {
            let server = &done.server;
            let verb = match server.before {
                true => "was erased before",
                false => "is erased",
            };
            let gateway = match &done.gateway {
                Some(gateway) => format!(
                    "{} objects of the gateway, as entry {} of its log",
                    gateway.objects, gateway.log_index
                ),
                None => {
                    "NOT YET by the gateway: it follows as soon as no session of theirs, and none \
                         in which they answered, goes on"
                        .to_owned()
                }
            };
            format!(
                "{verb}: {} values of the server, as entry {} of its log; {gateway}",
                server.values, server.log_index
            )
        }
        (None, Some(erased)) => format!(
            "was erased at {}, as entry {} of the server's log",
            erased.at, erased.log_index
        ),
        (None, None) if told.kept.at_work.is_empty() => {
            "is not erased: with --reason and without --dry-run all of this is".to_owned()
        }
        (None, None) => "is still at work: `chancery trust depart PERSON --reason TEXT` ends it; \
                         then erase"
            .to_owned(),
    };
    format!("{}\n{person} {last}", listed(told))
}
