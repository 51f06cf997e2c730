use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chancery_crypto::{
    ContentCipher, ContentKey, destroy_private_file, random_bytes, read_private_file,
    replace_private_file,
};
use chancery_types::{Digest, Secret, Timestamp, base64url, parse_strict, to_canonical};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{ContentError, Subject};

const MASTER: &str = "master";
const KEY: &str = "key";
const NOTE: &str = "erasing";
const NEXT: &str = "next";

const MAGIC: &[u8; 4] = b"CSV1";
const ID_BYTES: usize = 16;
const VALUE_TAG: &[u8] = b"chancery/sealed/v1";
const KEY_TAG: &[u8] = b"chancery/data-key/v1";

/// The name of a subject's data key, drawn at random: what sealed values say in place of their
/// subject.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId([u8; ID_BYTES]);

impl KeyId {
    fn from_hex(text: &str) -> Option<Self> {
        if text.len() != ID_BYTES * 2
            || !text
                .bytes()
                .all(|it| matches!(it, b'0'..=b'9' | b'a'..=b'f'))
        {
            return None;
        }
        u128::from_str_radix(text, 16)
            .ok()
            .map(|number| Self(number.to_be_bytes()))
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

/// What stands in the place of an erased subject's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tombstone {
    /// The key that was erased; none where nothing had been kept.
    pub key: Option<KeyId>,
    /// The index of the entry that enrolled the erasure.
    pub entry: u64,
    /// When it was enrolled.
    pub at: Timestamp,
}

/// An erasure that was begun and not finished.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Erasing {
    /// Who is erased.
    pub subject: Subject,
    /// What its beginner noted.
    pub note: String,
}

/// The data keys of all subjects, in one folder of mode 0700, each file of mode 0600: `master`, the
/// key that seals all others, and for each subject the sealed data key or what says that it was
/// erased. Values that are sealed under an erased key can be read by nobody any more, whoever has
/// the master key.
///
/// An erasure is begun ([`Keyring::begin_erasure`], durable), enrolled by the caller, and finished
/// ([`Keyring::finish_erasure`], which overwrites the sealed key before it takes its name away). One
/// that was begun is among [`Keyring::erasing`] after any crash or failure, to be enrolled and finished.
///
/// Whoever writes holds an exclusive lock on the folder, whoever reads it a shared one, so that other
/// processes see no change half made.
pub struct Keyring {
    folder: PathBuf,
    master: Option<ContentKey>,
    state: Mutex<State>,
    writes: bool,
}

#[derive(Default)]
struct State {
    /// By the name of the subject.
    standing: HashMap<Digest, Standing>,
    names: BTreeMap<KeyId, Digest>,
    erasing: BTreeMap<Digest, Erasing>,
}

#[derive(Clone)]
enum Standing {
    Live(KeyId, Arc<ContentKey>),
    Erased(Tombstone),
    /// Overwritten, by an erasure that is not finished.
    Gone(Option<KeyId>),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyFile {
    format: KeyFormat,
    id: String,
    sealed: String,
}

#[derive(Serialize, Deserialize)]
enum KeyFormat {
    #[serde(rename = "chancery/data-key/v1")]
    V1,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TombstoneFile {
    format: TombstoneFormat,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    entry: u64,
    at: Timestamp,
}

#[derive(Serialize, Deserialize)]
enum TombstoneFormat {
    #[serde(rename = "chancery/erased-key/v1")]
    V1,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct NoteFile {
    format: NoteFormat,
    /// The key that is destroyed; none where nothing is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    subject: String,
    note: String,
}

#[derive(Serialize, Deserialize)]
enum NoteFormat {
    #[serde(rename = "chancery/erasing/v1")]
    V1,
}

impl Keyring {
    /// Takes up the keys of a folder, or makes it with a fresh master key. One process at a time
    /// writes in it; its caller sees to that.
    pub fn open(folder: &Path) -> Result<Self, ContentError> {
        DirBuilder::new()
            .mode(0o700)
            .recursive(true)
            .create(folder)
            .map_err(ContentError::io(folder))?;
        let _writing = lock_alone(folder)?;
        let found = files(folder)?;
        for unfinished in found.iter().filter(|path| has_extension(path, NEXT)) {
            fs::remove_file(unfinished).map_err(ContentError::io(unfinished))?;
        }
        let master = folder.join(MASTER);
        if !master.exists() {
            if found.iter().any(|path| has_extension(path, KEY)) {
                return Err(ContentError::NoMaster { path: master });
            }
            let key = ContentKey::generate()?;
            let text = base64url::encode(key.bytes().expose());
            replace_private_file(&master, text.as_bytes())?;
        }
        Self::load(folder, true)
    }

    /// Reads the keys of a folder that another process may write in. Where there is no folder there
    /// are no keys.
    pub fn read(folder: &Path) -> Result<Self, ContentError> {
        if folder.exists() {
            let _reading = lock_shared(folder)?;
            return Self::load(folder, false);
        }
        Ok(Self {
            folder: folder.to_owned(),
            master: None,
            state: Mutex::default(),
            writes: false,
        })
    }

    fn load(folder: &Path, writes: bool) -> Result<Self, ContentError> {
        let path = folder.join(MASTER);
        let master = read_master(&path)?;
        let mut state = State::default();
        let found = files(folder)?;
        let mut destroyed = HashMap::new();
        for path in found.iter().filter(|path| has_extension(path, NOTE)) {
            let (name, (key, note)) = (name_of(path)?, read_note(path)?);
            if note.subject.name() != name {
                return Err(damaged(path, "the note of this subject's erasure"));
            }
            destroyed.insert(name, key);
            state.erasing.insert(name, note);
        }
        for path in found.iter().filter(|path| has_extension(path, KEY)) {
            let name = name_of(path)?;
            let standing = match read_key(path, &name, &master) {
                // A crash while the key was being overwritten.
                Err(ContentError::Damaged { .. }) if destroyed.contains_key(&name) => {
                    Standing::Gone(destroyed.get(&name).copied().flatten())
                }
                read => read?,
            };
            if let Some(id) = standing.id() {
                state.names.insert(id, name);
            }
            state.standing.insert(name, standing);
        }
        Ok(Self {
            folder: folder.to_owned(),
            master: Some(master),
            state: Mutex::new(state),
            writes,
        })
    }

    /// Seals a value of a subject for a place: it opens there alone. The first value of a subject
    /// makes its key, durably. Refuses a subject that was erased or is being erased.
    pub fn seal(
        &self,
        subject: &Subject,
        place: &[u8],
        value: &[u8],
    ) -> Result<Vec<u8>, ContentError> {
        let (id, key) = self.key_for(subject)?;
        let sealed = key.seal(&value_context(id, place), value)?;
        Ok([&MAGIC[..], &id.0, &sealed].concat())
    }

    /// Opens a value that was sealed for this place.
    pub fn open_value(&self, place: &[u8], sealed: &[u8]) -> Result<Secret, ContentError> {
        let (id, rest) = split(sealed)?;
        let key = self.key(id)?;
        Ok(key.open(&value_context(id, place), rest)?)
    }

    /// The key that a sealed value names, erased or not.
    pub fn key_of_value(sealed: &[u8]) -> Result<KeyId, ContentError> {
        split(sealed).map(|(id, _)| id)
    }

    /// The key of a subject, as long as it has one.
    pub fn key_of(&self, subject: &Subject) -> Option<KeyId> {
        match self.lock().standing.get(&subject.name()) {
            Some(Standing::Live(id, _)) => Some(*id),
            _ => None,
        }
    }

    /// All keys, those that were erased too.
    pub fn keys(&self) -> Vec<KeyId> {
        self.lock().names.keys().copied().collect()
    }

    /// When and by which entry a subject was erased; none before that is finished to the last step.
    pub fn erased(&self, subject: &Subject) -> Option<Tombstone> {
        let (name, state) = (subject.name(), self.lock());
        match state.standing.get(&name) {
            Some(Standing::Erased(tombstone)) if !state.erasing.contains_key(&name) => {
                Some(*tombstone)
            }
            _ => None,
        }
    }

    /// Refuses a subject that was erased or is being erased.
    pub fn check(&self, subject: &Subject) -> Result<(), ContentError> {
        self.lock().check(&subject.name())
    }

    /// The erasure of a subject that was begun and not finished.
    pub fn erasing_of(&self, subject: &Subject) -> Option<Erasing> {
        self.lock().erasing.get(&subject.name()).cloned()
    }

    /// The erasures that were begun and not finished.
    pub fn erasing(&self) -> Vec<Erasing> {
        self.lock().erasing.values().cloned().collect()
    }

    /// Begins an erasure: durable when this returns. From here on nothing is sealed for the subject;
    /// what is kept can be read until the erasure is finished. Begun again, the first note stands and
    /// is given back.
    pub fn begin_erasure(&self, subject: &Subject, note: &str) -> Result<String, ContentError> {
        self.check_writes()?;
        let name = subject.name();
        let mut state = self.lock();
        if let Some(known) = state.erasing.get(&name) {
            return Ok(known.note.clone());
        }
        state.check(&name)?;
        let _writing = lock_alone(&self.folder)?;
        let path = self.path(&name, NOTE);
        let file = NoteFile {
            format: NoteFormat::V1,
            key: state
                .standing
                .get(&name)
                .and_then(Standing::id)
                .map(|id| id.to_string()),
            subject: subject.as_str().to_owned(),
            note: note.to_owned(),
        };
        replace_private_file(&path, &written(&path, &file)?)?;
        let erasing = Erasing {
            subject: subject.clone(),
            note: note.to_owned(),
        };
        state.erasing.insert(name, erasing);
        Ok(note.to_owned())
    }

    /// Destroys the key of a subject whose erasure was begun, and is enrolled as that entry: the
    /// sealed key is overwritten and synced, then replaced by what says that it was erased, then the
    /// note is taken away. A crash or a failure in between leaves an erasure that is not finished:
    /// nothing is opened by the key any more, and [`Keyring::erasing`] has it until this was repeated.
    pub fn finish_erasure(
        &self,
        subject: &Subject,
        entry: u64,
        at: Timestamp,
    ) -> Result<Tombstone, ContentError> {
        self.check_writes()?;
        let name = subject.name();
        let mut state = self.lock();
        let tombstone = match state.standing.get(&name) {
            Some(Standing::Erased(known)) => *known,
            other => Tombstone {
                key: other.and_then(Standing::id),
                entry,
                at,
            },
        };
        // Nothing is opened by it from here on, whatever becomes of the file.
        state.standing.insert(name, Standing::Erased(tombstone));
        let _writing = lock_alone(&self.folder)?;
        let path = self.path(&name, KEY);
        let file = TombstoneFile {
            format: TombstoneFormat::V1,
            key: tombstone.key.map(|id| id.to_string()),
            entry: tombstone.entry,
            at: tombstone.at,
        };
        // What says that it was erased is not overwritten in place: a crash would leave nothing.
        let mark = written(&path, &file)?;
        match is_tombstone(&path) {
            true => replace_private_file(&path, &mark)?,
            false => destroy_private_file(&path, &mark)?,
        }
        let note = self.path(&name, NOTE);
        match fs::remove_file(&note) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(ContentError::io(&note)(error));
            }
            _ => {}
        }
        let folder = File::open(&self.folder).and_then(|folder| folder.sync_all());
        folder.map_err(ContentError::io(&self.folder))?;
        state.erasing.remove(&name);
        Ok(tombstone)
    }

    fn key(&self, id: KeyId) -> Result<Arc<ContentKey>, ContentError> {
        let state = self.lock();
        let known = state.names.get(&id);
        match known.and_then(|name| state.standing.get(name)) {
            Some(Standing::Live(_, key)) => Ok(Arc::clone(key)),
            Some(Standing::Erased(tombstone)) => Err(ContentError::Erased {
                entry: tombstone.entry,
            }),
            Some(Standing::Gone(_)) => Err(ContentError::Erasing),
            None => Err(ContentError::UnknownKey { id }),
        }
    }

    /// The key of a subject, made durably where there is none.
    pub(super) fn key_for(
        &self,
        subject: &Subject,
    ) -> Result<(KeyId, Arc<ContentKey>), ContentError> {
        let name = subject.name();
        let mut state = self.lock();
        state.check(&name)?;
        if let Some(Standing::Live(id, key)) = state.standing.get(&name) {
            return Ok((*id, Arc::clone(key)));
        }
        self.check_writes()?;
        let _writing = lock_alone(&self.folder)?;
        let master = self.master.as_ref().ok_or(ContentError::ReadOnly)?;
        let (id, key) = (KeyId(random_bytes()?), ContentKey::generate()?);
        let sealed = master.seal(&key_context(&name, id), key.bytes().expose())?;
        let path = self.path(&name, KEY);
        let file = KeyFile {
            format: KeyFormat::V1,
            id: id.to_string(),
            sealed: base64url::encode(sealed),
        };
        // Whole or not at all: a key file cut short by a crash would stop every later start.
        replace_private_file(&path, &written(&path, &file)?)?;
        let key = Arc::new(key);
        state.names.insert(id, name);
        let live = Standing::Live(id, Arc::clone(&key));
        state.standing.insert(name, live);
        Ok((id, key))
    }

    const fn check_writes(&self) -> Result<(), ContentError> {
        match self.writes {
            true => Ok(()),
            false => Err(ContentError::ReadOnly),
        }
    }

    fn path(&self, name: &Digest, extension: &str) -> PathBuf {
        self.folder.join(format!("{}.{extension}", name.to_hex()))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn check(&self, name: &Digest) -> Result<(), ContentError> {
        match self.standing.get(name) {
            _ if self.erasing.contains_key(name) => Err(ContentError::Erasing),
            Some(Standing::Erased(known)) => Err(ContentError::Erased { entry: known.entry }),
            Some(Standing::Gone(_)) => Err(ContentError::Erasing),
            Some(Standing::Live(..)) | None => Ok(()),
        }
    }
}

impl Standing {
    const fn id(&self) -> Option<KeyId> {
        match self {
            Self::Live(id, _) => Some(*id),
            Self::Erased(tombstone) => tombstone.key,
            Self::Gone(id) => *id,
        }
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyring")
            .field("folder", &self.folder)
            .finish_non_exhaustive()
    }
}

/// The parts of a sealed value: the key's name, and what the key opens.
fn split(sealed: &[u8]) -> Result<(KeyId, &[u8]), ContentError> {
    let rest = sealed.strip_prefix(MAGIC).ok_or(ContentError::NotSealed)?;
    let (id, rest) = rest
        .split_first_chunk::<ID_BYTES>()
        .ok_or(ContentError::NotSealed)?;
    Ok((KeyId(*id), rest))
}

fn value_context(id: KeyId, place: &[u8]) -> Vec<u8> {
    [VALUE_TAG, &id.0, place].concat()
}

fn key_context(name: &Digest, id: KeyId) -> Vec<u8> {
    [KEY_TAG, name.as_bytes(), &id.0].concat()
}

fn damaged(path: &Path, expected: &'static str) -> ContentError {
    ContentError::Damaged {
        path: path.to_owned(),
        expected,
    }
}

/// Holds the folder against whoever reads or writes in it, until it is dropped.
fn lock_alone(folder: &Path) -> Result<File, ContentError> {
    let held = File::open(folder).and_then(|file| file.lock().map(|()| file));
    held.map_err(ContentError::io(folder))
}

/// Holds the folder against whoever writes in it, until it is dropped.
fn lock_shared(folder: &Path) -> Result<File, ContentError> {
    let held = File::open(folder).and_then(|file| file.lock_shared().map(|()| file));
    held.map_err(ContentError::io(folder))
}

fn is_tombstone(path: &Path) -> bool {
    matches!(read_file::<TombstoneFile>(path), Ok(Some(_)))
}

fn files(folder: &Path) -> Result<Vec<PathBuf>, ContentError> {
    let listed = fs::read_dir(folder).and_then(|listed| {
        listed
            .map(|file| file.map(|file| file.path()))
            .collect::<io::Result<Vec<_>>>()
    });
    listed.map_err(ContentError::io(folder))
}

fn has_extension(path: &Path, extension: &str) -> bool {
    path.extension().is_some_and(|found| found == extension)
}

fn name_of(path: &Path) -> Result<Digest, ContentError> {
    let name = path.file_stem().and_then(|name| name.to_str());
    name.and_then(|name| Digest::from_hex(name).ok())
        .ok_or_else(|| damaged(path, "named by a digest"))
}

fn written<T: Serialize>(path: &Path, file: &T) -> Result<Vec<u8>, ContentError> {
    to_canonical(file).map_err(|_| damaged(path, "writable in canonical form"))
}

fn read_file<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, ContentError> {
    let bytes = read_private_file(path)?;
    let value = parse_strict(bytes.expose()).ok();
    Ok(value.and_then(|value| serde_json::from_value(value).ok()))
}

fn read_master(path: &Path) -> Result<ContentKey, ContentError> {
    let not_a_key = || damaged(path, "a master key");
    let text = read_private_file(path)?;
    let text = str::from_utf8(text.expose()).map_err(|_| not_a_key())?;
    let bytes = base64url::decode(text).map_err(|_| not_a_key())?;
    ContentKey::from_bytes(Secret::new(bytes)).map_err(|_| not_a_key())
}

/// The note of an erasure, and the key that it destroys.
fn read_note(path: &Path) -> Result<(Option<KeyId>, Erasing), ContentError> {
    let not_a_note = || damaged(path, "the note of an erasure");
    let file: NoteFile = read_file(path)?.ok_or_else(not_a_note)?;
    let key = file
        .key
        .map(|id| KeyId::from_hex(&id).ok_or_else(not_a_note));
    let erasing = Erasing {
        subject: Subject::from_text(file.subject),
        note: file.note,
    };
    Ok((key.transpose()?, erasing))
}

fn read_key(path: &Path, name: &Digest, master: &ContentKey) -> Result<Standing, ContentError> {
    let not_a_key = || damaged(path, "a data key");
    if let Some(file) = read_file::<TombstoneFile>(path)? {
        let key = file
            .key
            .map(|id| KeyId::from_hex(&id).ok_or_else(not_a_key));
        return Ok(Standing::Erased(Tombstone {
            key: key.transpose()?,
            entry: file.entry,
            at: file.at,
        }));
    }
    let file: KeyFile = read_file(path)?.ok_or_else(not_a_key)?;
    let id = KeyId::from_hex(&file.id).ok_or_else(not_a_key)?;
    let sealed = base64url::decode(&file.sealed).map_err(|_| not_a_key())?;
    let foreign = || ContentError::ForeignKey {
        path: path.to_owned(),
    };
    let bytes = master.open(&key_context(name, id), &sealed);
    let key = ContentKey::from_bytes(bytes.map_err(|_| foreign())?).map_err(|_| not_a_key())?;
    Ok(Standing::Live(id, Arc::new(key)))
}
