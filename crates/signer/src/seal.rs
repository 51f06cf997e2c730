//! Key files that a passphrase seals: AES-256-GCM under a key that Argon2id (RFC 9106) derives.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use argon2::{Algorithm, Argon2, Params, Version};
use chancery_crypto::{
    ContentCipher as _, ContentKey, SealError, create_private_file, destroy_private_file,
    random_bytes, read_private_file, replace_private_file,
};
use chancery_types::{Secret, base64url};
use serde::{Deserialize, Serialize};

use crate::KeysError;

const FILE: &str = "seal.json";

/// How a sealed key file begins.
const PREFIX: &[u8] = b"chancery sealed key 1\n";

const TAG: &[u8] = b"chancery/signer-key/v1\0";

/// What shows that a passphrase is the one.
const CHECK: &[u8] = b"chancery/seal/v1";

/// The shortest passphrase, in bytes.
const MIN_PASSPHRASE_BYTES: usize = 12;

/// What deriving the key costs whoever guesses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SealCost {
    /// Kibibytes of memory, a gibibyte at most.
    pub memory_kib: u32,
    /// Passes over it, 100 at most.
    pub passes: u32,
}

/// Why keys are not sealed, or do not open.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SealedError {
    /// The file that says how keys are sealed cannot be read or is none.
    #[error("{}: not a seal.json; take it back from a copy, the keys do not open without it", .0.display())]
    Malformed(PathBuf),
    /// The keys are sealed already.
    #[error("{}: the keys are sealed already", .0.display())]
    Sealed(PathBuf),
    /// The passphrase's file cannot be read, or others may read it.
    #[error("the passphrase: {0}")]
    Passphrase(#[source] chancery_crypto::KeyFileError),
    /// The passphrase is too short.
    #[error("{}: a passphrase has {MIN_PASSPHRASE_BYTES} bytes at least", .0.display())]
    Short(PathBuf),
    /// It is another passphrase.
    #[error("{}: another passphrase than the one that sealed the keys", .0.display())]
    Wrong(PathBuf),
    /// A key file was changed, or is of another place.
    #[error("{}: does not open: changed, or moved from another place", .0.display())]
    Refused(PathBuf),
    /// A file cannot be written or read.
    #[error(transparent)]
    File(#[from] chancery_crypto::KeyFileError),
    /// The folder cannot be read.
    #[error("{}: {source}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The library failed.
    #[error("the key that seals cannot be derived")]
    Derive,
    /// There is no randomness.
    #[error(transparent)]
    Random(#[from] chancery_crypto::RandomError),
    /// A value cannot be sealed.
    #[error(transparent)]
    Seal(#[from] SealError),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum SealFormat {
    #[serde(rename = "chancery/seal/v1")]
    V1,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SealFile {
    format: SealFormat,
    cost: SealCost,
    salt: String,
    check: String,
    /// Where the passphrase is read at the start: a file of mode 0600, or `/dev/fd/N`.
    passphrase: PathBuf,
}

/// Seals and opens the key files of one folder.
#[derive(Debug)]
pub struct Seal(ContentKey);

impl Default for SealCost {
    /// 64 MiB and three passes: the second choice of RFC 9106.
    fn default() -> Self {
        Self {
            memory_kib: 64 << 10,
            passes: 3,
        }
    }
}

impl Seal {
    /// Has the keys of a folder sealed by the passphrase in a file, from the next start on. The file
    /// is read at every start.
    pub fn begin(folder: &Path, passphrase: &Path, cost: SealCost) -> Result<(), SealedError> {
        let path = folder.join(FILE);
        if path.exists() {
            return Err(SealedError::Sealed(path));
        }
        let salt = random_bytes::<16>()?;
        let seal = derive(passphrase, &salt, cost)?;
        let file = SealFile {
            format: SealFormat::V1,
            cost,
            salt: base64url::encode(salt),
            check: base64url::encode(seal.0.seal(CHECK, CHECK)?),
            passphrase: passphrase.to_owned(),
        };
        let text = serde_json::to_vec_pretty(&file).map_err(|_| SealedError::Derive)?;
        Ok(create_private_file(&path, &text)?)
    }

    /// The seal of a folder, where it has one; every key file that is still in clear is sealed.
    pub fn open(folder: &Path) -> Result<Option<Self>, SealedError> {
        let path = folder.join(FILE);
        if !path.exists() {
            return Ok(None);
        }
        let bad = || SealedError::Malformed(path.clone());
        let text = read_private_file(&path)?;
        let file: SealFile = serde_json::from_slice(text.expose()).map_err(|_| bad())?;
        let SealFormat::V1 = file.format;
        let salt: [u8; 16] = base64url::decode_array(&file.salt).map_err(|_| bad())?;
        let check = base64url::decode(&file.check).map_err(|_| bad())?;
        let seal = derive(&file.passphrase, &salt, file.cost)?;
        let opened = seal.0.open(CHECK, &check);
        if !opened.is_ok_and(|opened| opened.ct_eq(CHECK)) {
            return Err(SealedError::Wrong(file.passphrase));
        }
        seal.seal_all(folder)?;
        Ok(Some(seal))
    }

    /// Ends what a crash left of sealing, then seals every key that is in clear.
    fn seal_all(&self, folder: &Path) -> Result<(), SealedError> {
        for clear in files(folder, "clear")? {
            end_sealing(&clear)?;
        }
        for key in files(folder, "key")? {
            self.seal_file(&key)?;
        }
        Ok(())
    }

    /// Puts the sealed key in the place of the one in clear, which is overwritten then.
    fn seal_file(&self, path: &Path) -> Result<(), SealedError> {
        let content = read_private_file(path)?;
        if content.expose().starts_with(PREFIX) {
            return Ok(());
        }
        let sealed = self.seal(path, content.expose())?;
        let clear = path.with_extension("clear");
        let failed = |source| SealedError::Folder {
            path: path.to_owned(),
            source,
        };
        std::fs::hard_link(path, &clear).map_err(failed)?;
        replace_private_file(path, &sealed)?;
        end_sealing(&clear)
    }

    /// What stands in a key's file.
    pub(crate) fn seal(&self, path: &Path, key: &[u8]) -> Result<Vec<u8>, SealedError> {
        let sealed = self.0.seal(&context(path), key)?;
        Ok([PREFIX, &sealed].concat())
    }
}

/// The files of a folder whose names end so.
fn files(folder: &Path, extension: &str) -> Result<Vec<PathBuf>, SealedError> {
    let failed = |source| SealedError::Folder {
        path: folder.to_owned(),
        source,
    };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_some_and(|end| end == extension) && path.is_file() {
            files.push(path);
        }
    }
    Ok(files)
}

/// Takes away the other name of a key in clear. It may be the key itself, before the sealed one came
/// in its place: then nothing but the name goes.
fn end_sealing(clear: &Path) -> Result<(), SealedError> {
    let failed = |source| SealedError::Folder {
        path: clear.to_owned(),
        source,
    };
    let place = |path: &Path| {
        let found = std::fs::metadata(path).map_err(failed)?;
        Ok::<_, SealedError>((found.dev(), found.ino()))
    };
    if place(clear)? != place(&clear.with_extension("key"))? {
        destroy_private_file(clear, b"")?;
    }
    std::fs::remove_file(clear).map_err(failed)
}

/// The content of a key's file: opened, where it is sealed.
pub(crate) fn read_key_file(path: &Path, seal: Option<&Seal>) -> Result<Secret, KeysError> {
    let content = read_private_file(path)?;
    let Some(sealed) = content.expose().strip_prefix(PREFIX) else {
        return Ok(content);
    };
    let refused = || KeysError::Sealed(SealedError::Refused(path.to_owned()));
    let seal = seal.ok_or_else(refused)?;
    let opened = seal.0.open(&context(path), sealed);
    opened.map_err(|_| refused())
}

/// A sealed key is of its name.
fn context(path: &Path) -> Vec<u8> {
    let name = path
        .file_name()
        .map(|name| name.to_string_lossy().into_owned());
    [TAG, name.unwrap_or_default().as_bytes()].concat()
}

fn derive(file: &Path, salt: &[u8; 16], cost: SealCost) -> Result<Seal, SealedError> {
    let passphrase = read_private_file(file).map_err(SealedError::Passphrase)?;
    let passphrase = passphrase.expose().trim_ascii_end();
    if passphrase.len() < MIN_PASSPHRASE_BYTES {
        return Err(SealedError::Short(file.to_owned()));
    }
    if cost.memory_kib > 1 << 20 || cost.passes > 100 {
        return Err(SealedError::Derive);
    }
    let params = Params::new(cost.memory_kib, cost.passes, 1, Some(32));
    let params = params.map_err(|_| SealedError::Derive)?;
    let mut key = vec![0; 32];
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(passphrase, salt, &mut key)
        .map_err(|_| SealedError::Derive)?;
    Ok(Seal(ContentKey::from_bytes(Secret::new(key))?))
}
