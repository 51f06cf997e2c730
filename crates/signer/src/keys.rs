//! The signer's keys, each in a file of mode 0600.

use std::path::{Path, PathBuf};

use chancery_crypto::{
    KeyError, KeyFileError, SigningKey, create_private_file, destroy_private_file,
    read_private_file,
};
use chancery_types::{Algorithm, Jwk, Secret};

use crate::seal::{Seal, SealedError, read_key_file};

/// The authorities' keys of one trust domain. Never printed.
#[derive(Debug)]
pub struct SignerKeys {
    /// Signs X.509-SVIDs.
    pub intermediate: SigningKey,
    /// The intermediate's certificate in DER.
    pub intermediate_certificate: Vec<u8>,
    /// Signs workload identity tokens.
    pub token: SigningKey,
    /// Signs the roots of delegation chains.
    pub delegation: SigningKey,
    /// Signs snapshots.
    pub snapshot: SigningKey,
    /// Signs access tokens for relying parties outside; none in a folder from before there were any.
    pub access: Option<SigningKey>,
    /// Signs JWT-SVIDs; none in a folder from before there were any.
    pub jwt: Option<SigningKey>,
}

/// Why keys cannot be made or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeysError {
    /// A key file cannot be read or made.
    #[error(transparent)]
    File(#[from] KeyFileError),
    /// A key file does not hold the key that belongs there.
    #[error("{}: {source}", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: KeyError,
    },
    /// A key is sealed and does not open.
    #[error(transparent)]
    Sealed(#[from] SealedError),
}

/// What the signer signs with for as long as it runs; the authorities of SVIDs and tokens, which
/// change meanwhile, are not among them.
#[derive(Debug)]
pub struct StandingKeys {
    /// Signs the roots of delegation chains.
    pub(crate) delegation: SigningKey,
    /// Signs snapshots.
    pub(crate) snapshot: SigningKey,
    /// Signs access tokens for relying parties outside; none in a folder from before there were any.
    pub(crate) access: Option<SigningKey>,
    /// The folder that they were read from; none where they were just made. A passphrase may be
    /// there to be read once alone.
    pub(crate) folder: Option<KeyFolder>,
}

/// A private key that stays where it is held: in a file's copy in memory, or in a module that signs
/// itself.
pub trait HeldKey: std::fmt::Debug + Send + Sync {
    /// Its public half.
    fn public(&self) -> &Jwk;
    /// A signature as JWS has it.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError>;
    /// A signature as X.509 has it.
    fn sign_der(&self, message: &[u8]) -> Result<Vec<u8>, KeyError>;
}

/// Who holds the keys of the authorities, each by a name of its own.
pub trait KeyCustody: std::fmt::Debug + Send + Sync {
    /// Makes a key; a name is used once.
    fn create(&self, name: &str) -> Result<Box<dyn HeldKey>, KeysError>;
    /// The key of that name.
    fn open(&self, name: &str) -> Result<Box<dyn HeldKey>, KeysError>;
    /// When this returns, nothing signs with it any more.
    fn destroy(&self, name: &str) -> Result<(), KeysError>;
    /// The same, and nothing of it is left: for keys whose names are never given again.
    fn discard(&self, name: &str) -> Result<(), KeysError>;
}

/// Keys in files of mode 0600 in one folder, sealed where a passphrase seals them. A key that is
/// destroyed is overwritten.
#[derive(Debug)]
pub struct KeyFolder {
    folder: PathBuf,
    seal: Option<Seal>,
}

pub(crate) const INTERMEDIATE: (&str, Algorithm) = ("intermediate.key", Algorithm::Es256);
pub(crate) const TOKEN: (&str, Algorithm) = ("token.key", Algorithm::Es256);
const DELEGATION: (&str, Algorithm) = ("delegation.key", Algorithm::Ed25519);
const SNAPSHOT: (&str, Algorithm) = ("snapshot.key", Algorithm::Ed25519);
const ACCESS: (&str, Algorithm) = ("access.key", Algorithm::Es256);
pub(crate) const JWT: (&str, Algorithm) = ("jwt.key", Algorithm::Es256);
pub(crate) const CERTIFICATE: &str = "intermediate.der";

impl SignerKeys {
    /// Makes fresh keys in a folder that has none. `certify` makes the intermediate's certificate.
    pub fn create<E: From<KeysError>>(
        folder: &Path,
        certify: impl FnOnce(&SigningKey) -> Result<Vec<u8>, E>,
    ) -> Result<Self, E> {
        let intermediate = create_key(folder, INTERMEDIATE)?;
        let certificate = certify(&intermediate)?;
        create_private_file(&folder.join(CERTIFICATE), &certificate).map_err(KeysError::from)?;
        Ok(Self {
            intermediate,
            intermediate_certificate: certificate,
            token: create_key(folder, TOKEN)?,
            delegation: create_key(folder, DELEGATION)?,
            snapshot: create_key(folder, SNAPSHOT)?,
            access: Some(create_key(folder, ACCESS)?),
            jwt: Some(create_key(folder, JWT)?),
        })
    }

    /// Reads the keys of a folder.
    pub fn open(folder: &Path) -> Result<Self, KeysError> {
        let certificate = read_private_file(&folder.join(CERTIFICATE))?;
        let later = |key: (&str, Algorithm)| {
            let there = folder.join(key.0).exists();
            there.then(|| open_key(folder, key)).transpose()
        };
        Ok(Self {
            intermediate: open_key(folder, INTERMEDIATE)?,
            intermediate_certificate: certificate.expose().to_vec(),
            token: open_key(folder, TOKEN)?,
            delegation: open_key(folder, DELEGATION)?,
            snapshot: open_key(folder, SNAPSHOT)?,
            access: later(ACCESS)?,
            jwt: later(JWT)?,
        })
    }
}

impl StandingKeys {
    /// Reads the keys of a folder.
    pub fn open(folder: &Path) -> Result<Self, KeysError> {
        let keys = KeyFolder::open(folder)?;
        let access = folder.join(ACCESS.0).exists();
        let access = access.then(|| keys.key(ACCESS));
        Ok(Self {
            delegation: keys.key(DELEGATION)?,
            snapshot: keys.key(SNAPSHOT)?,
            access: access.transpose()?,
            folder: Some(keys),
        })
    }
}

/// The keys that were just made, without those of the authorities.
impl From<SignerKeys> for StandingKeys {
    fn from(keys: SignerKeys) -> Self {
        Self {
            delegation: keys.delegation,
            snapshot: keys.snapshot,
            access: keys.access,
            folder: None,
        }
    }
}

impl HeldKey for SigningKey {
    fn public(&self) -> &Jwk {
        self.public()
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        self.sign(message)
    }

    fn sign_der(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        self.sign_der(message)
    }
}

impl KeyFolder {
    /// The keys of that folder. Where a passphrase seals them, it is read, and those that are still in
    /// clear are sealed.
    pub fn open(folder: impl Into<PathBuf>) -> Result<Self, KeysError> {
        let folder = folder.into();
        let seal = Seal::open(&folder)?;
        Ok(Self { folder, seal })
    }

    /// The content of a file of keys, which may stand elsewhere.
    pub(crate) fn read(&self, path: &Path) -> Result<Secret, KeysError> {
        read_key_file(path, self.seal.as_ref())
    }

    fn key(&self, (name, algorithm): (&str, Algorithm)) -> Result<SigningKey, KeysError> {
        let path = self.folder.join(name);
        let key = SigningKey::from_pkcs8(algorithm, self.read(&path)?);
        key.map_err(|source| KeysError::Key { path, source })
    }
}

impl KeyCustody for KeyFolder {
    fn create(&self, name: &str) -> Result<Box<dyn HeldKey>, KeysError> {
        let Some(seal) = &self.seal else {
            return Ok(Box::new(create_key(
                &self.folder,
                (name, Algorithm::Es256),
            )?));
        };
        let path = self.folder.join(name);
        let key = SigningKey::generate(Algorithm::Es256).map_err(|source| KeysError::Key {
            path: path.clone(),
            source,
        })?;
        create_private_file(&path, &seal.seal(&path, key.pkcs8().expose())?)?;
        Ok(Box::new(key))
    }

    fn open(&self, name: &str) -> Result<Box<dyn HeldKey>, KeysError> {
        Ok(Box::new(self.key((name, Algorithm::Es256))?))
    }

    fn destroy(&self, name: &str) -> Result<(), KeysError> {
        let path = self.folder.join(name);
        destroy_private_file(&path, b"destroyed\n")?;
        Ok(())
    }

    fn discard(&self, name: &str) -> Result<(), KeysError> {
        self.destroy(name)?;
        let path = self.folder.join(name);
        let gone = std::fs::remove_file(&path);
        gone.map_err(|source| KeysError::File(KeyFileError::Io { path, source }))
    }
}

/// Makes a key and its file.
pub fn create_key(
    folder: &Path,
    (name, algorithm): (&str, Algorithm),
) -> Result<SigningKey, KeysError> {
    let path = folder.join(name);
    let key = SigningKey::generate(algorithm).map_err(|source| KeysError::Key {
        path: path.clone(),
        source,
    })?;
    create_private_file(&path, key.pkcs8().expose())?;
    Ok(key)
}

/// Reads a key from its file.
pub fn open_key(
    folder: &Path,
    (name, algorithm): (&str, Algorithm),
) -> Result<SigningKey, KeysError> {
    let path = folder.join(name);
    let pkcs8 = read_private_file(&path)?;
    SigningKey::from_pkcs8(algorithm, pkcs8).map_err(|source| KeysError::Key { path, source })
}
