use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex, RwLock, mpsc as std_mpsc};
use std::thread;

use chancery_tlog::{EdgeError, Frontier, LogEdge, Origin, TilePath};
use tokio::sync::mpsc;

use super::Config;
use super::committer::Committer;
use super::journal::{Journal, Threads};
use super::pending::Pending;
use super::publisher::{Command, Publisher};
use super::store::{Store, StoreError};
use crate::disk::{
    DirectoryLock, FORMAT_FILE, TEMPORARY, private_folder, read_format, read_state, write_format,
    write_state,
};
use crate::reader::check_right_edge;
use crate::wal::{Segment, WAL_FOLDER, prepare_spare, recover};
use crate::{CheckpointSigner, Damage, JournalError, Reader, SignError};

/// So many appends may wait for the committer.
const QUEUE: usize = 16_384;

impl Journal {
    /// Takes up the log in a directory, or makes an empty one: recovers what was durable, carries
    /// it into tiles and publishes it, then takes appends. Refuses a directory that another
    /// process writes, a log of another origin or format, a damaged one, and one that ends before
    /// what the signer signed. A signer that cannot be reached delays checkpoints only.
    pub fn open(config: Config, signer: Arc<dyn CheckpointSigner>) -> Result<Self, JournalError> {
        config.check()?;
        if signer.origin() != &config.origin {
            return Err(JournalError::Config(
                "the checkpoint signer signs for another log",
            ));
        }
        private_folder(&config.dir)?;
        let lock = DirectoryLock::take(&config.dir)?;
        prepare_folders(&config.dir)?;
        match read_format(&config.dir)? {
            Some(found) if found != config.origin => {
                return Err(JournalError::Origin {
                    path: config.dir.join(FORMAT_FILE),
                    found,
                    expected: config.origin,
                });
            }
            Some(_) => {}
            None => create(&config)?,
        }
        let reader = Reader::new(&config.dir, config.origin.clone());
        let edge = take_up_edge(&reader)?;
        let recovered = recover(&config.dir, edge.size())?;
        check_signed(
            &*signer,
            &reader,
            edge.size() + recovered.entries.len() as u64,
        )?;

        let mut segments = recovered.segments;
        let next = edge.size() + recovered.entries.len() as u64;
        let segment = Segment::create(&config.dir, next, config.segment_bytes)?;
        segments.push(next);
        let segments = Arc::new(Mutex::new(segments));
        let mut store = Store::new(reader, signer, edge, Arc::clone(&segments));
        store.integrate(&recovered.entries)?;
        let published = match store.publish() {
            Ok(published) => Some(published),
            Err(StoreError::Disk(error)) => return Err(error),
            Err(StoreError::Sign(error @ SignError::Refused(_))) => {
                return Err(JournalError::Signer(error));
            }
            Err(StoreError::Sign(error)) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "no checkpoint was published yet, trying again");
                None
            }
        };
        prepare_spare(&config.dir, config.segment_bytes)?;

        let reader = store.reader().clone();
        let pending = Arc::new(Pending::new(next, config.max_pending_bytes));
        let published = Arc::new(RwLock::new(published));
        let spare = Arc::new(Mutex::new(()));
        let (commands, receiver) = std_mpsc::channel();
        let publisher = Publisher {
            dir: config.dir.clone(),
            store,
            pending: Arc::clone(&pending),
            published: Arc::clone(&published),
            spare: Arc::clone(&spare),
            segment_bytes: config.segment_bytes,
            interval: config.publish_interval,
        };
        let committer = Committer {
            dir: config.dir.clone(),
            segment,
            segment_bytes: config.segment_bytes,
            frame_payload: config.frame_payload(),
            next,
            segments,
            spare,
            pending: Arc::clone(&pending),
            publisher: commands.clone(),
        };
        let (appends, queue) = mpsc::channel(QUEUE);
        let threads = start(publisher, receiver, committer, queue, commands.clone())
            .map_err(JournalError::io(&config.dir))?;
        Ok(Self::assemble(
            reader, pending, published, appends, commands, threads, lock,
        ))
    }
}

fn start(
    publisher: Publisher,
    commands: std_mpsc::Receiver<Command>,
    committer: Committer,
    queue: mpsc::Receiver<super::committer::Append>,
    stop: std_mpsc::Sender<Command>,
) -> std::io::Result<Threads> {
    let publisher = thread::Builder::new()
        .name("log-publisher".to_owned())
        .spawn(move || publisher.run(commands))?;
    let committer = thread::Builder::new()
        .name("log-committer".to_owned())
        .spawn(move || {
            committer.run(queue);
            let _ = stop.send(Command::Stop);
        })?;
    Ok(Threads {
        committer,
        publisher,
    })
}

/// Makes the folders, and empties that of files that were being written.
fn prepare_folders(dir: &Path) -> Result<(), JournalError> {
    let temporary = dir.join(TEMPORARY);
    if temporary.exists() {
        fs::remove_dir_all(&temporary).map_err(JournalError::io(&temporary))?;
    }
    private_folder(&temporary)?;
    private_folder(&dir.join(WAL_FOLDER))
}

/// Makes an empty log. The format file is the last one: without it, nothing was ever confirmed
/// here, unless someone took it away.
fn create(config: &Config) -> Result<(), JournalError> {
    let traces = ["checkpoint", "tile"].map(|name| config.dir.join(name));
    if traces.iter().any(|path| path.exists()) {
        return Err(JournalError::Missing {
            path: config.dir.join(FORMAT_FILE),
        });
    }
    write_state(&config.dir, &Frontier::new())?;
    Segment::create(&config.dir, 0, config.segment_bytes)?;
    write_format(&config.dir, &config.origin)
}

/// Reads the state, and checks it against the tiles and the visible checkpoint.
fn take_up_edge(reader: &Reader) -> Result<LogEdge, JournalError> {
    let state = read_state(reader.dir())?;
    check_right_edge(reader, state.size())?;
    let edge = LogEdge::load(state.size(), |path: &TilePath| reader.resource(path))
        .map_err(|error| edge_error(reader, error))?;
    if edge.frontier() != state {
        let path = reader.dir().join("state");
        return Err(JournalError::damaged(&path, Damage::Mismatch));
    }
    if let Some((_, visible)) = reader.checkpoint()? {
        let path = reader.checkpoint_path();
        if visible.size > state.size() {
            return Err(JournalError::RolledBack {
                path,
                found: state.size(),
                expected: visible.size,
            });
        }
        if visible.root != reader.root_within(visible.size, state.size())? {
            return Err(JournalError::damaged(&path, Damage::Mismatch));
        }
    }
    Ok(edge)
}

fn edge_error(reader: &Reader, error: EdgeError<JournalError>) -> JournalError {
    let file = |path: TilePath| reader.dir().join(path.to_string());
    match error {
        EdgeError::Read(_, error) => error,
        EdgeError::Tile(path, error) => JournalError::damaged(&file(path), error),
        EdgeError::Bundle(path, error) => JournalError::damaged(&file(path), error),
        EdgeError::Mismatch(path) => JournalError::mismatch(reader.dir(), &path),
        _ => JournalError::damaged(reader.dir(), Damage::Mismatch),
    }
}

/// Refuses a log that ends before what was signed: it was rolled back, and would hand out indices
/// a second time.
fn check_signed(
    signer: &dyn CheckpointSigner,
    reader: &Reader,
    size: u64,
) -> Result<(), JournalError> {
    match signer.last_signed() {
        Ok(Some(signed)) if signed.size > size => Err(JournalError::RolledBack {
            path: reader.dir().to_owned(),
            found: size,
            expected: signed.size,
        }),
        Ok(_) => Ok(()),
        Err(error) => {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, "the log starts without its checkpoint signer");
            Ok(())
        }
    }
}

/// The origin in a directory that is to be opened, for callers that do not know it.
impl Config {
    /// The settings for the log that is in `dir`; fails where there is none.
    pub fn of_existing(dir: &Path) -> Result<Self, JournalError> {
        let origin: Origin = Reader::open(dir)?.origin().clone();
        Ok(Self::new(dir, origin))
    }
}
