use std::path::Path;
use std::sync::{Arc, mpsc as std_mpsc};
use std::thread;

use chancery_tlog::{EdgeError, Frontier, LogEdge, Origin, TilePath};
use tokio::sync::{mpsc, watch};

use super::Config;
use super::committer::{Append, Committer};
use super::ending::Ending;
use super::journal::{Journal, Threads};
use super::pending::Pending;
use super::preparer::Preparer;
use super::publisher::{Command, Publisher};
use super::store::{Store, StoreError};
use crate::disk::{
    FORMAT_FILE, TEMPORARY, private_folder, read_format, read_state, take_lock, write_format,
    write_state,
};
use crate::reader::check_right_edge;
use crate::wal::{WAL_FOLDER, WalFiles, scan};
use crate::witness::{ALARM_FILE, AlarmNotes, Cosigners};
use crate::{
    CheckpointSigner, Damage, JournalError, Reader, SignError, Storage, WitnessSetupError,
};

/// So many appends may wait for the committer.
const QUEUE: usize = 16_384;

impl Journal {
    /// Takes up the log in a directory, or makes an empty one: recovers what was durable, carries
    /// it into tiles and publishes it, then takes appends. Refuses a directory that another
    /// process writes, a log of another origin or format, a damaged one, and one that does not hold
    /// what its signer signed, also where a witness alone or an earlier alarm says so. A signer that cannot be reached delays
    /// checkpoints only.
    pub fn open(config: Config, signer: Arc<dyn CheckpointSigner>) -> Result<Self, JournalError> {
        config.check()?;
        let mut cosigners = match &config.witnesses {
            Some(setup) if setup.keys.origin() != &config.origin => {
                return Err(JournalError::Witnesses(WitnessSetupError::Keys));
            }
            Some(setup) => Some(Cosigners::new(setup).map_err(JournalError::Witnesses)?),
            None => None,
        };
        if signer.origin() != &config.origin {
            return Err(JournalError::Config(
                "the checkpoint signer signs for another log",
            ));
        }
        let storage = &config.storage;
        private_folder(&**storage, &config.dir)?;
        let lock = take_lock(&**storage, &config.dir)?;
        prepare_folders(&**storage, &config.dir)?;
        match read_format(&**storage, &config.dir)? {
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
        let reader = Reader::new(Arc::clone(storage), &config.dir, config.origin.clone());
        let edge = take_up_edge(&reader)?;
        let recovered = scan(&**storage, &config.dir, edge.size())?;
        check_signed(&*signer, &reader, recovered.next)?;

        let next = recovered.next;
        let wal = WalFiles::open(
            Arc::clone(storage),
            &config.dir,
            config.segment_bytes,
            config.most_spares(),
            recovered.in_use.clone(),
        )?;
        let wal = Arc::new(wal);
        let segment = wal.start(next)?;
        wal.clean()?;
        let mut store = Store::new(reader, signer, edge, Arc::clone(&wal));
        recovered.replay(&**storage, |entries| store.stage(entries))?;
        store.settle()?;
        AlarmNotes::check_kept(store.reader(), next)?;
        if let Some(cosigners) = &mut cosigners {
            cosigners.check_start(store.reader(), next)?;
        }
        store.cosigned_by(cosigners);
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
            Err(StoreError::Alarm(alarm)) => {
                let path = store.reader().dir().join(ALARM_FILE);
                return Err(JournalError::Alarm { path, alarm });
            }
            Err(StoreError::Withheld) => None,
        };

        let reader = store.reader().clone();
        let pending = Arc::new(Pending::new(next, config.max_pending_bytes));
        let ending = Ending {
            storage: Arc::clone(storage),
            pending: Arc::clone(&pending),
        };
        let (published, watched) = watch::channel(published);
        let (commands, receiver) = std_mpsc::channel();
        // Another segment is ready before this one is full.
        let (preparer, counts) = std_mpsc::channel();
        let _ = preparer.send(1);
        let publisher = Publisher {
            store,
            pending: Arc::clone(&pending),
            published,
            interval: config.publish_interval,
            ending: ending.clone(),
        };
        let ready = Preparer {
            wal: Arc::clone(&wal),
            ending: ending.clone(),
        };
        let committer = Committer {
            segment,
            frame: Vec::new(),
            frame_payload: config.frame_payload(),
            next,
            untold: 0,
            wal,
            pending: Arc::clone(&pending),
            publisher: commands.clone(),
            preparer,
            ending,
        };
        let (appends, queue) = mpsc::channel(QUEUE);
        let threads = start(
            (publisher, receiver),
            (committer, queue, commands.clone()),
            (ready, counts),
        )
        .map_err(JournalError::io(&config.dir))?;
        Ok(Self::assemble(
            reader, pending, watched, appends, commands, threads, lock,
        ))
    }
}

fn start(
    (publisher, commands): (Publisher, std_mpsc::Receiver<Command>),
    (committer, queue, stop): (Committer, mpsc::Receiver<Append>, std_mpsc::Sender<Command>),
    (preparer, counts): (Preparer, std_mpsc::Receiver<usize>),
) -> std::io::Result<Threads> {
    let named = |name: &str| thread::Builder::new().name(name.to_owned());
    let preparer = named("log-preparer").spawn(move || preparer.run(counts))?;
    let publisher = named("log-publisher").spawn(move || publisher.run(commands))?;
    let committer = named("log-committer").spawn(move || {
        committer.run(queue);
        let _ = stop.send(Command::Stop);
    })?;
    Ok(Threads {
        committer,
        publisher,
        preparer,
    })
}

/// Makes the folders, and empties that of files that were being written.
fn prepare_folders(storage: &dyn Storage, dir: &Path) -> Result<(), JournalError> {
    let temporary = dir.join(TEMPORARY);
    storage
        .remove_folder(&temporary)
        .map_err(JournalError::io(&temporary))?;
    private_folder(storage, &temporary)?;
    private_folder(storage, &dir.join(WAL_FOLDER))
}

/// Makes an empty log. The format file is the last one: without it, nothing was ever confirmed
/// here, unless someone took it away.
fn create(config: &Config) -> Result<(), JournalError> {
    let (storage, dir) = (&config.storage, &config.dir);
    let names = storage.list(dir).map_err(JournalError::io(dir))?;
    if names
        .iter()
        .any(|name| name == "checkpoint" || name == "tile")
    {
        return Err(JournalError::Missing {
            path: dir.join(FORMAT_FILE),
        });
    }
    write_state(&**storage, dir, &Frontier::new())?;
    let spare = Arc::clone(storage);
    WalFiles::open(spare, dir, config.segment_bytes, 0, Vec::new())?.start(0)?;
    write_format(&**storage, dir, &config.origin)
}

/// Reads the state, and checks it against the tiles and the visible checkpoint.
fn take_up_edge(reader: &Reader) -> Result<LogEdge, JournalError> {
    let state = read_state(&**reader.storage(), reader.dir())?;
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
        Self::at(dir, origin)
    }
}
