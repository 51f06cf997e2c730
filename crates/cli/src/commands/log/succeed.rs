//! `chancery log succeed`: another log goes on from a restored copy.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use chancery_audit::{Entry, Event, Label, LogSucceed};
use chancery_crypto::{AwsLc, replace_private_file};
use chancery_evidence::log::log_keys;
use chancery_gateway::witnesses;
use chancery_identity::trust::{
    GatewayName, LogOrigin, VerifiedTrust, server_log_origin, successor_of,
};
use chancery_journal::{
    CheckpointSigner, Config, Journal, JournalError, LocalSigner, Reader, Succession,
    SuccessionError,
};
use chancery_server::Clock;
use chancery_tlog::{Checkpoint, LogKeys, Note, Origin};
use chancery_types::Digest;
use nix::sys::stat::{Mode, umask};
use serde::Serialize;

use super::Place;
use crate::args::{Format, LogName, SucceedArgs};
use crate::deployment::{DataLock, Layout};
use crate::output;

/// Longest file that is read as a checkpoint.
const MAX_NOTE_FILE_BYTES: u64 = chancery_tlog::MAX_NOTE_BYTES as u64;

#[derive(Serialize)]
struct Told {
    logs: Vec<Succeeded>,
    trust_version: u64,
}

#[derive(Serialize)]
struct Succeeded {
    origin: String,
    /// The log that it goes on from.
    from: String,
    /// How many entries of that are left.
    kept: u64,
    /// How many were signed.
    signed: u64,
    missing: u64,
    /// Where the old log stands now.
    old: PathBuf,
}

impl Succeeded {
    fn shown(&self) -> String {
        format!(
            "{} goes on from {} at {} entries; {} more were signed and are missing\n",
            self.origin, self.from, self.kept, self.missing
        )
    }
}

pub(super) async fn run(format: Format, place: &Place, args: SucceedArgs) -> anyhow::Result<()> {
    umask(Mode::from_bits_truncate(0o077));
    ensure!(
        place.dir.is_none(),
        "--dir: the log of a deployment is succeeded; name it by --data and --log"
    );
    let layout = Layout::open(&place.data)?;
    let logs = match place.log {
        Some(log) => vec![log],
        None => vec![LogName::Server, LogName::Gateway],
    };
    let known: Vec<String> = args
        .known
        .iter()
        .map(|file| read_note(file))
        .collect::<Result<_, _>>()?;
    let _lock = DataLock::take(&layout).await?;
    // What is written blocks.
    let told = tokio::task::spawn_blocking(move || -> anyhow::Result<Told> {
        let mut succeeded = Vec::new();
        for log in logs {
            succeeded.extend(Line::of(&layout, log).succeed(&known)?);
        }
        ensure!(
            !succeeded.is_empty(),
            "no log misses anything that is known to have been signed: start `chancery up` as it is"
        );
        Ok(Told {
            logs: succeeded,
            trust_version: layout.trust()?.version,
        })
    });
    let told = told.await??;
    output::result(format, &told, || {
        let mut text: String = told.logs.iter().map(Succeeded::shown).collect();
        text += &format!(
            "trust document version {} names the new log; hand it to verifiers, and `chancery trust \
             logs` to the witnesses, before `chancery up`",
            told.trust_version
        );
        text
    })
}

/// A log of the deployment, and those that succeed it.
struct Line {
    layout: Layout,
    name: LogName,
    /// The folders of the log and of its keys.
    log: PathBuf,
    keys: PathBuf,
}

impl Line {
    fn of(layout: &Layout, name: LogName) -> Self {
        let (log, keys) = match name {
            LogName::Gateway => (layout.gateway_log(), layout.gateway_log_key()),
            LogName::Server => (layout.server_log(), layout.signer_log_key()),
        };
        Self {
            layout: layout.clone(),
            name,
            log,
            keys,
        }
    }

    /// The log that the trust document names as the current one.
    fn current(&self, trust: &VerifiedTrust) -> anyhow::Result<LogOrigin> {
        let first = match self.name {
            LogName::Gateway => GatewayName::default().log_origin(&trust.trust_domain),
            LogName::Server => server_log_origin(&trust.trust_domain),
        };
        let known = trust.current_log(&first);
        Ok(known
            .with_context(|| format!("the trust document names no log {first}"))?
            .clone())
    }

    /// Succeeds the log; none where nothing of it is missing. Cut off anywhere, it is taken up again.
    fn succeed(&self, known: &[String]) -> anyhow::Result<Option<Succeeded>> {
        let trust = self.layout.trust()?;
        let current = self.current(&trust)?;
        let (next_log, next_keys) = (beside(&self.log, "next"), beside(&self.keys, "next"));
        if let Ok(next) = Reader::open(&next_log)
            && next.origin().as_str() == current.origin
        {
            // The document was signed before; the folders were not yet in their places.
            return self.move_in(&next).map(Some);
        }
        let copy = Reader::open(&self.log)?;
        let keys = log_keys(&current)?;
        ensure!(
            copy.origin() == keys.origin(),
            "{}: this is the log {}, and the trust document in force says that it is {}",
            self.log.display(),
            copy.origin(),
            current.origin
        );
        let notes = self.known(&trust, &copy, &keys, known)?;
        let succession = match Succession::of_copy(&copy, &keys, &notes, &AwsLc) {
            Err(SuccessionError::NotBehind(_)) => return Ok(None),
            judged => judged.with_context(|| self.log.display().to_string())?,
        };
        let origin: Origin = successor_of(&current.origin).parse()?;
        let signer = LocalSigner::open_or_create(&next_keys, &origin)?;
        let public = signer.keys().clone();
        let entry = entry(&succession, &copy, &origin, &next_log)?;
        let config = Config::new(&next_log, origin);
        let signer: Arc<dyn CheckpointSigner> = Arc::new(signer);
        drop(Journal::succeed(&succession, &copy, entry, config, signer)?);
        let next = self.layout.next_trust(|next| {
            next.log_origins.push(LogOrigin {
                origin: public.origin().to_string(),
                writer: current.writer.clone(),
                ed25519: public.ed25519().to_string(),
                ml_dsa_44: public.ml_dsa_44().to_string(),
            });
        })?;
        replace_private_file(&self.layout.trust_file(), &next)?;
        self.move_in(&Reader::open(&next_log)?).map(Some)
    }

    /// Puts the new log and its keys in the places of the old ones, which stay beside them.
    fn move_in(&self, next: &Reader) -> anyhow::Result<Succeeded> {
        let (index, succeed) = last_succession(next)?;
        let old = succeed.log.to_string();
        let place = old.rsplit('/').next().unwrap_or_default();
        for folder in [&self.keys, &self.log] {
            let (next, before) = (beside(folder, "next"), beside(folder, place));
            if !next.exists() {
                continue;
            }
            if folder.exists() {
                rename(folder, &before)?;
            }
            rename(&next, folder)?;
        }
        Ok(Succeeded {
            origin: next.origin().to_string(),
            from: old.clone(),
            kept: index,
            signed: succeed.signed,
            missing: succeed.signed.saturating_sub(index),
            old: beside(&self.log, place),
        })
    }

    /// Every note of the log that can be had: what its signer signed last, what stopped it, what
    /// its witnesses show, what the server enrolled, and what was given.
    fn known(
        &self,
        trust: &VerifiedTrust,
        copy: &Reader,
        keys: &LogKeys,
        given: &[String],
    ) -> anyhow::Result<Vec<String>> {
        let mut notes = copy.alarm_notes()?;
        let mut files = vec![self.keys.join("ratchet")];
        if self.name == LogName::Gateway {
            files.push(self.layout.gateway_checkpoint());
        }
        for file in files.iter().filter(|file| file.exists()) {
            notes.push(read_note(file)?);
        }
        if let Some(witnesses) = witnesses(trust, keys.origin().as_str())? {
            notes.extend(witnesses.shown()?);
        }
        notes.extend(given.iter().cloned());
        // Files hold notes of other logs too: of the one before this, and of both logs.
        notes.retain(|note| note.lines().next() == Some(keys.origin().as_str()));
        Ok(notes)
    }
}

/// The entry that discloses the gap; where one was written before, that one.
fn entry(
    succession: &Succession,
    copy: &Reader,
    origin: &Origin,
    next: &Path,
) -> anyhow::Result<Vec<u8>> {
    let digest = |note: &Note| Digest::of(note.to_string());
    let (kept, known) = (succession.kept(), succession.known());
    let event: Event = LogSucceed {
        log: Label::or_digest(kept.origin.as_str()),
        size: kept.size,
        root: kept.root.digest(),
        checkpoint: digest(succession.note()),
        signed: known.size,
        signed_root: known.root.digest(),
        signed_checkpoint: digest(succession.known_note()),
    }
    .into();
    if let Ok(before) = Reader::open(next)
        && before.size()? > kept.size
    {
        let bytes = before.read_entry(kept.size)?;
        ensure!(
            Entry::parse(&bytes)?.event == event,
            "{}: begun with other knowledge of what was signed; remove it, and its keys beside the \
             log's, if no trust document names it",
            next.display()
        );
        return Ok(bytes);
    }
    let mut at = Clock::machine();
    if let Some(last) = kept.size.checked_sub(1) {
        at = at.max(Entry::parse(&copy.read_entry(last)?)?.at);
    }
    let origin = Label::or_digest(origin.as_str());
    Ok(Entry { origin, at, event }.to_bytes()?)
}

/// The last entry of a log that says which one it goes on from.
fn last_succession(log: &Reader) -> anyhow::Result<(u64, LogSucceed)> {
    let size = log.size()?;
    let mut found = None;
    for read in log.entries(0..size)? {
        let (index, bytes) = read?;
        if let Event::LogSucceed(succeed) = Entry::parse(&bytes)?.event {
            found = Some((index, succeed));
        }
    }
    found.with_context(|| format!("{}: goes on from no other log", log.dir().display()))
}

/// Reads a signed checkpoint, of whatever log.
fn read_note(file: &Path) -> anyhow::Result<String> {
    let shown = || format!("{}: not a signed checkpoint", file.display());
    let length = fs::metadata(file).with_context(|| file.display().to_string())?;
    ensure!(length.len() <= MAX_NOTE_FILE_BYTES, "{}", shown());
    let bytes = fs::read(file).with_context(|| file.display().to_string())?;
    let note = Note::parse(&bytes).with_context(shown)?;
    note.text().parse::<Checkpoint>().with_context(shown)?;
    Ok(note.to_string())
}

/// A folder beside another one: its name and one more word.
fn beside(folder: &Path, word: &str) -> PathBuf {
    let mut name = folder.as_os_str().to_owned();
    name.push(".");
    name.push(word);
    name.into()
}

fn rename(from: &Path, to: &Path) -> anyhow::Result<()> {
    let parent = to.parent().unwrap_or(Path::new("."));
    fs::rename(from, to)
        .and_then(|()| File::open(parent)?.sync_all())
        .map_err(|source| JournalError::Io {
            path: to.to_owned(),
            source,
        })?;
    Ok(())
}
