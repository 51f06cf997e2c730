//! `chancery evidence`: copies a session's evidence into a folder.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use chancery_audit::{Entry, Event};
use chancery_evidence::log::checkpoint_digest;
use chancery_evidence::{
    ERASED_PATH, ErasedObject, EvidenceIndex, INDEX_PATH, ObjectKind, TRUST_RECORD_PATH,
    object_path,
};
use chancery_gateway::{KeptObject, KeptObjects};
use chancery_journal::Reader;
use chancery_types::Digest;
use chancery_types::id::SessionId;
use serde::Serialize;

use super::verify::read_evidence;
use crate::args::{EvidenceArgs, Format};
use crate::deployment::Layout;
use crate::output;

/// How long the server may take to publish what it enrolled.
const PATIENCE: Duration = Duration::from_secs(30);

/// What was copied.
#[derive(Debug, Serialize)]
pub(crate) struct Exported {
    session: SessionId,
    /// Or the file.
    folder: String,
    objects: usize,
    /// Those that were erased, with the person they were about.
    erased_objects: usize,
    gateway_entries: u64,
    server_entries: u64,
}

pub(super) async fn run(format: Format, args: EvidenceArgs) -> anyhow::Result<ExitCode> {
    if let Some(folder) = &args.from {
        return pack_folder(format, folder, &args.out);
    }
    let layout = super::layout(&args.data)?;
    let session = args.session.context("which session?")?;
    let exported = match args.pack {
        false => export(&layout, session, &args.out).await?,
        true => export_packed(&layout, session, &args.out).await?,
    };
    output::result(format, &exported, || {
        let erased = match exported.erased_objects {
            0 => String::new(),
            count => format!(" ({count} more were erased)"),
        };
        format!(
            "{}: evidence of {}: {} objects{erased}, {} entries of the gateway's log, {} of the \
             server's",
            exported.folder,
            exported.session,
            exported.objects,
            exported.gateway_entries,
            exported.server_entries
        )
    })?;
    Ok(ExitCode::SUCCESS)
}

/// A folder that was packed.
#[derive(Debug, Serialize)]
struct Packed {
    file: String,
    files: usize,
    bytes: usize,
    digest: Digest,
}

fn pack_folder(format: Format, folder: &Path, out: &Path) -> anyhow::Result<ExitCode> {
    ensure!(
        folder.is_dir(),
        "{}: not a folder of evidence",
        folder.display()
    );
    let packed = pack(folder, out)?;
    output::result(format, &packed, || {
        format!(
            "{}: {} files, {} bytes, {}",
            packed.file, packed.files, packed.bytes, packed.digest
        )
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Writes the evidence in a folder into one file that does not exist yet.
fn pack(folder: &Path, out: &Path) -> anyhow::Result<Packed> {
    let files = read_evidence(folder)?;
    let archive = files.to_archive()?;
    let shown = || out.display().to_string();
    let mut file = std::fs::File::create_new(out).with_context(shown)?;
    file.write_all(&archive).with_context(shown)?;
    file.sync_all().with_context(shown)?;
    Ok(Packed {
        file: shown(),
        files: files.paths().count(),
        bytes: archive.len(),
        digest: Digest::of(&archive),
    })
}

/// Copies a session's evidence into one file that does not exist yet.
async fn export_packed(
    layout: &Layout,
    session: SessionId,
    out: &Path,
) -> anyhow::Result<Exported> {
    ensure!(
        !out.exists(),
        "{}: exists already; evidence is never mixed",
        out.display()
    );
    let parent = out.parent().filter(|parent| !parent.as_os_str().is_empty());
    let staging = tempfile::Builder::new()
        .prefix(".evidence-")
        .tempdir_in(parent.unwrap_or(Path::new(".")))
        .with_context(|| out.display().to_string())?;
    let folder = staging.path().join("evidence");
    let exported = export(layout, session, &folder).await?;
    let packed = pack(&folder, out)?;
    Ok(Exported {
        folder: packed.file,
        ..exported
    })
}

/// Copies a session's evidence into a folder that does not exist yet.
pub(crate) async fn export(
    layout: &Layout,
    session: SessionId,
    out: &Path,
) -> anyhow::Result<Exported> {
    ensure!(
        !out.exists(),
        "{}: exists already; evidence is never mixed",
        out.display()
    );
    let gateway = Reader::open(&layout.gateway_log())?;
    let server = Reader::open(&layout.server_log())?;
    let (end, index_digest) = end_of(&gateway, session)?;
    let record_path = layout
        .gateway()
        .join("records")
        .join(format!("{session}.json"));
    let record = std::fs::read(&record_path).with_context(|| {
        format!(
            "{}: the session has no Trust Record yet",
            record_path.display()
        )
    })?;
    let kept = KeptObjects::open(&layout.gateway(), &gateway)?;
    let index_bytes = match kept.get(index_digest)? {
        KeptObject::Bytes(bytes) => bytes,
        KeptObject::Erased(_) => bail!("object {index_digest}: erased, and never about a person"),
    };
    let index = EvidenceIndex::parse(&index_bytes)
        .with_context(|| format!("object {index_digest}: not an evidence index"))?;
    let (objects, erased) = collect(&kept, &index)?;
    let list = kept.erased(session, erased);
    // Evidence ends behind the entries that prove what was erased.
    let end = list.erased.iter().map(|one| one.entry).fold(end, u64::max);
    let enrolled = Enrolled {
        session,
        record: Digest::of(&record),
        end,
        kept: layout.gateway_checkpoint(),
    };
    let (gateway_note, server_note) = enrolled.settled(&gateway, &server).await?;
    let parent = out.parent().filter(|parent| !parent.as_os_str().is_empty());
    let staging = tempfile::Builder::new()
        .prefix(".evidence-")
        .tempdir_in(parent.unwrap_or(Path::new(".")))
        .with_context(|| out.display().to_string())?;
    let folder = staging.path();
    write(&folder.join(INDEX_PATH), &index_bytes)?;
    write(&folder.join(TRUST_RECORD_PATH), &record)?;
    for (digest, bytes) in &objects {
        write(&folder.join(object_path(*digest)), bytes)?;
    }
    let erased_objects = list.erased.len();
    if erased_objects > 0 {
        write(&folder.join(ERASED_PATH), &list.to_bytes()?)?;
    }
    std::fs::create_dir(folder.join("log")).context("log")?;
    let gateway = gateway.export(&gateway_note, &folder.join("log/gateway"))?;
    let server = server.export(&server_note, &folder.join("log/server"))?;
    let folder = staging.keep();
    std::fs::rename(&folder, out).with_context(|| out.display().to_string())?;
    Ok(Exported {
        session,
        folder: out.display().to_string(),
        objects: objects.len(),
        erased_objects,
        gateway_entries: gateway.checkpoint.size,
        server_entries: server.checkpoint.size,
    })
}

/// The index of the session's end entry, and the digest of its evidence index, which that names.
fn end_of(gateway: &Reader, session: SessionId) -> anyhow::Result<(u64, Digest)> {
    for entry in gateway.entries(0..gateway.size()?)? {
        let (index, bytes) = entry?;
        if let Event::SessionEnd(end) = Entry::parse(&bytes)?.event
            && end.session == session
        {
            let evidence = end.evidence;
            let evidence = evidence.context("the session ended without an evidence index")?;
            return Ok((index, evidence));
        }
    }
    bail!("session {session} has not ended, or it is not of this gateway")
}

/// What the server's log must hold before a session's evidence is complete.
struct Enrolled {
    session: SessionId,
    record: Digest,
    /// The index of the session's end in the gateway's log.
    end: u64,
    /// Where the gateway keeps the last checkpoint that the server enrolled.
    kept: PathBuf,
}

impl Enrolled {
    /// Checkpoints that cover everything, once there are any: one of the gateway's log that the
    /// server has enrolled, however that log has grown since, and one of the server's.
    async fn settled(&self, gateway: &Reader, server: &Reader) -> anyhow::Result<(String, String)> {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            if let Some((server_note, published)) = server.checkpoint()?
                && let Some(enrolled) = self.enrolled(gateway, server, published.size)?
            {
                let visible = gateway.checkpoint()?.map(|(note, _)| note);
                let kept = std::fs::read_to_string(&self.kept).ok();
                let mut notes = visible.into_iter().chain(kept);
                if let Some(note) = notes.find(|note| is_enrolled(note, &enrolled)) {
                    return Ok((note, server_note));
                }
            }
            ensure!(
                tokio::time::Instant::now() < deadline,
                "the server has not published the session's Trust Record and a checkpoint of the \
                 gateway's log behind its end; is it running?"
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// The checkpoints of the gateway's log behind the session's end that the server's log of `size`
    /// entries has; none before it has the session's record.
    fn enrolled(
        &self,
        gateway: &Reader,
        server: &Reader,
        size: u64,
    ) -> anyhow::Result<Option<Vec<Digest>>> {
        let (mut recorded, mut checkpoints) = (false, Vec::new());
        for entry in server.entries(0..size)? {
            match Entry::parse(&entry?.1)?.event {
                Event::RecordEnrol(enrol) => {
                    recorded |= enrol.session == self.session && enrol.record == self.record;
                }
                Event::CheckpointEnrol(enrol)
                    if enrol.log == gateway.origin().as_str() && enrol.size > self.end =>
                {
                    checkpoints.push(enrol.checkpoint);
                }
                _ => {}
            }
        }
        Ok(recorded.then_some(checkpoints))
    }
}

/// Whether a note is one of those checkpoints, whoever cosigned it.
fn is_enrolled(note: &str, enrolled: &[Digest]) -> bool {
    checkpoint_digest(note.as_bytes()).is_ok_and(|digest| enrolled.contains(&digest))
}

/// The bytes of objects by their digests.
type Bytes = Vec<(Digest, Vec<u8>)>;

/// The proofs of those that were erased.
type Erased = Vec<(ObjectKind, ErasedObject)>;

/// Every object of an index: its bytes, or the proof that it was erased.
fn collect(kept: &KeptObjects, index: &EvidenceIndex) -> anyhow::Result<(Bytes, Erased)> {
    let (mut objects, mut erased) = (Vec::new(), Vec::new());
    for object in &index.objects {
        match kept.get(object.digest)? {
            KeptObject::Bytes(bytes) => objects.push((object.digest, bytes)),
            KeptObject::Erased(proof) => erased.push((object.kind, proof)),
        }
    }
    Ok((objects, erased))
}

fn write(path: &Path, content: &[u8]) -> anyhow::Result<()> {
    let shown = || path.display().to_string();
    std::fs::create_dir_all(path.parent().unwrap_or(Path::new("."))).with_context(shown)?;
    std::fs::write(path, content).with_context(shown)
}
