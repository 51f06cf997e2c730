//! `chancery log monitor`.

use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use chancery_journal::{LogSource, Monitor, SourceError, WatchError, Watched};
use chancery_tlog::{Checkpoint, LogReason, Note, Origin, SeenLog, VerifiedCheckpoint};
use serde::Serialize;

use super::check::{Found, Witnessed, table};
use super::completeness::{self, Completeness};
use super::{Stop, keys};
use crate::args::{Format, MonitorArgs};
use crate::output;

/// The log cannot be read.
const UNREACHABLE: u8 = 3;

#[derive(Serialize)]
struct Told {
    origin: String,
    /// The size that was seen before.
    before: u64,
    /// The size and root that the log's keys signed; none where they signed nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    root: Option<String>,
    /// How many tiles and bundles were read.
    files: u64,
    /// Only with a trust document that names witnesses.
    #[serde(flatten)]
    witnessed: Option<Witnessed>,
    findings: Vec<Found>,
    /// Where the signed checkpoint was kept that contradicts what was seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    kept: Option<String>,
}

pub(super) async fn run(format: Format, args: MonitorArgs) -> anyhow::Result<ExitCode> {
    let mut stop = Stop::new()?;
    loop {
        let passed = tokio::select! {
            passed = pass(format, &args) => passed,
            () = stop.asked() => return Ok(ExitCode::SUCCESS),
        };
        match passed {
            Ok(true) if args.follow => {}
            Ok(true) => return Ok(ExitCode::SUCCESS),
            Ok(false) => return Ok(ExitCode::FAILURE),
            Err(error) if is_unreachable(&error) => {
                output::say(format_args!("error: {}", output::causes(&error)));
                if !args.follow {
                    return Ok(ExitCode::from(UNREACHABLE));
                }
            }
            Err(error) => return Err(error),
        }
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs(args.interval)) => {}
            () = stop.asked() => return Ok(ExitCode::SUCCESS),
        }
    }
}

/// One look at the log; whether everything holds.
async fn pass(format: Format, args: &MonitorArgs) -> anyhow::Result<bool> {
    let source = LogSource::open(&args.place)?;
    let Some(origin) = origin(args, &source).await? else {
        let found = Found {
            file: "checkpoint".to_owned(),
            reason: LogReason::CheckpointMissing.code(),
            text: format!("checkpoint: {} has no checkpoint of a log", args.place),
        };
        return tell(format, &args.place, None, None, vec![found]);
    };
    let believed = keys::given(&args.keys, &origin)?;
    let policy = believed.witnesses.as_ref().map(|it| it.policy.clone());
    let bar = super::bar()?;
    let shown = bar.clone();
    let size = seen(&args.state)?.map_or(0, |seen| seen.size);
    let remembered = completeness::remembered(&args.state, size)?;
    let whole = args.whole || remembered.is_none();
    let completeness = Arc::new(Mutex::new(match remembered.filter(|_| !whole) {
        Some(checker) => Completeness::from(checker),
        None => Completeness::whole(),
    }));
    let sees = Arc::clone(&completeness);
    let watched = Monitor::new(source, believed.keys, &args.state)
        .witnessed_by(believed.witnesses)
        .pass(
            whole,
            move |read, size| {
                shown.set_length(size);
                shown.set_position(read);
            },
            move |index, entry| lock(&sees).take(index, entry),
        )
        .await;
    bar.finish_and_clear();
    let watched = watched?;
    let mut findings: Vec<Found> = watched.findings.iter().map(Found::from).collect();
    if findings.is_empty() {
        // Entries that are not ours say nothing that could be checked.
        let (incomplete, _, checker) = std::mem::take(&mut *lock(&completeness)).done();
        findings = incomplete;
        let read = watched.checkpoint.as_ref().map(VerifiedCheckpoint::size);
        if findings.is_empty() && read == Some(checker.size()) {
            completeness::remember(&args.state, &checker)?;
        }
    }
    let witnessed = policy.as_ref().zip(watched.cosigned.as_ref());
    let witnessed = witnessed.map(|(policy, cosigned)| Witnessed::of(policy, cosigned));
    tell(format, origin.as_str(), Some(&watched), witnessed, findings)
}

/// The log that is watched: the one that was named, that was seen, or that is served.
async fn origin(args: &MonitorArgs, source: &LogSource) -> anyhow::Result<Option<Origin>> {
    if let Some(name) = &args.origin {
        return name
            .parse()
            .map(Some)
            .with_context(|| format!("--origin {name}"));
    }
    if let Some(seen) = seen(&args.state)? {
        return Ok(Some(seen.origin));
    }
    let note = source.checkpoint().await?;
    let note = note.and_then(|note| Note::parse(&note).ok());
    let checkpoint = note.and_then(|note| note.text().parse::<Checkpoint>().ok());
    Ok(checkpoint.map(|checkpoint| checkpoint.origin))
}

/// What was seen of the log.
fn seen(state: &Path) -> anyhow::Result<Option<Checkpoint>> {
    let shown = || state.display().to_string();
    match std::fs::read(state) {
        Ok(bytes) => {
            let seen = SeenLog::parse(&bytes).with_context(shown)?;
            Ok(Some(seen.checkpoint().clone()))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(shown),
    }
}

fn lock(completeness: &Mutex<Completeness>) -> MutexGuard<'_, Completeness> {
    completeness.lock().unwrap_or_else(PoisonError::into_inner)
}

fn is_unreachable(error: &anyhow::Error) -> bool {
    let source = match error.downcast_ref() {
        Some(WatchError::Source(source)) => Some(source),
        _ => error.downcast_ref(),
    };
    matches!(
        source,
        Some(
            SourceError::Unreachable { .. }
                | SourceError::Silent { .. }
                | SourceError::Slow { .. }
                | SourceError::Status { .. }
        )
    )
}

fn tell(
    format: Format,
    origin: &str,
    watched: Option<&Watched>,
    witnessed: Option<Witnessed>,
    findings: Vec<Found>,
) -> anyhow::Result<bool> {
    let checkpoint = watched.and_then(|watched| watched.checkpoint.as_ref());
    let told = Told {
        origin: origin.to_owned(),
        before: watched.map_or(0, |watched| watched.before),
        size: checkpoint.map(VerifiedCheckpoint::size),
        root: checkpoint.map(|checkpoint| checkpoint.root().to_string()),
        files: watched.map_or(0, |watched| watched.files),
        witnessed,
        findings,
        kept: watched.and_then(|watched| Some(watched.kept.as_ref()?.display().to_string())),
    };
    output::result(format, &told, || {
        let size = told.size.unwrap_or_default();
        let (before, files) = (told.before, told.files);
        let witnessed = told.witnessed.as_ref().map(Witnessed::shown);
        let witnessed = witnessed.unwrap_or_default();
        match told.findings.as_slice() {
            [] if size == before && files == 0 => {
                format!("{origin}: {size} entries as before{witnessed}")
            }
            [] => format!(
                "{origin}: {size} entries, {before} of them seen before; {files} files read and \
                 recomputed, nothing differs{witnessed}"
            ),
            findings => table(findings),
        }
    })?;
    if let Some(kept) = &told.kept {
        output::say(format_args!(
            "{kept}: the signed checkpoint that contradicts what was seen; keep it with the state"
        ));
    }
    Ok(told.findings.is_empty())
}
