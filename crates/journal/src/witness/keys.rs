use std::path::{Path, PathBuf};

use chancery_crypto::{
    AwsLc, KeyError, KeyFileError, MlDsa44Key, SigningKey, create_private_file, read_private_file,
    replace_private_file,
};
use chancery_tlog::{
    Checkpoint, CosignatureError, KeyName, NameError, NoteSignature, Subtree, SubtreeError,
    TimestampedSignature, VerifierKey, VerifierKeyError, cosigned_message, cosigned_text,
    verify_cosignature,
};
use chancery_types::{Algorithm, Secret};

use crate::disk::read_if_present;
use crate::{JournalError, Storage};

const NAME_FILE: &str = "name";
const ED25519_FILE: &str = "ed25519.pk8";
const ML_DSA_44_FILE: &str = "ml-dsa-44.seed";

/// The two keys of a witness, under one name, in files of mode 0600. They cosign and sign nothing
/// else.
#[derive(Debug)]
pub struct WitnessKeys {
    ed25519: SigningKey,
    ml_dsa_44: MlDsa44Key,
    verifiers: [VerifierKey; 2],
}

/// Why there are no keys, or why they do not sign.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WitnessKeyError {
    /// No name was given where the keys are to be made.
    #[error("{}: no witness yet; give it a name, such as witness.example/w1", path.display())]
    Unnamed {
        /// The file of the name.
        path: PathBuf,
    },
    /// The name is not the one that the keys were made for.
    #[error("{}: this witness is called {found}; its keys are bound to that name", path.display())]
    OtherName {
        /// The file of the name.
        path: PathBuf,
        /// The name in the file.
        found: KeyName,
    },
    /// The name in the file.
    #[error("{}: not the name of a witness; restore it from a copy", path.display())]
    Name {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: NameError,
    },
    /// A file.
    #[error(transparent)]
    Directory(#[from] JournalError),
    /// A key file.
    #[error(transparent)]
    KeyFile(#[from] KeyFileError),
    /// A key file does not hold a key.
    #[error("{}: not a witness key; restore it from a copy", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: KeyError,
    },
    /// The keys have no public form.
    #[error("the witness keys have no public form")]
    Public(#[from] VerifierKeyError),
    /// A key does not sign.
    #[error("a witness key does not sign")]
    Sign(#[source] KeyError),
    /// What is to be cosigned cannot be.
    #[error("the checkpoint cannot be cosigned")]
    Cosignature(#[source] CosignatureError),
    /// What is to be cosigned cannot be.
    #[error("the checkpoint cannot be cosigned")]
    Subtree(#[source] SubtreeError),
    /// A signature that was just made does not verify.
    #[error("a cosignature that was just made does not verify; the machine cannot be relied on")]
    Unverified,
}

impl WitnessKeys {
    /// Takes up the keys in `dir`, or makes them where there is no name yet. The name is written
    /// last, before the keys are used: keys without a name never signed.
    pub(super) fn open_or_create(
        storage: &dyn Storage,
        dir: &Path,
        name: Option<&KeyName>,
    ) -> Result<Self, WitnessKeyError> {
        let path = dir.join(NAME_FILE);
        let known = read_if_present(storage, &path)?;
        let name = match (known, name) {
            (Some(known), asked) => {
                let found = str::from_utf8(&known).unwrap_or_default();
                let found: KeyName = found.trim_end_matches('\n').parse().map_err(|source| {
                    WitnessKeyError::Name {
                        path: path.clone(),
                        source,
                    }
                })?;
                if asked.is_some_and(|asked| *asked != found) {
                    return Err(WitnessKeyError::OtherName { path, found });
                }
                found
            }
            (None, None) => return Err(WitnessKeyError::Unnamed { path }),
            (None, Some(name)) => {
                make_keys(dir)?;
                create_private_file(&path, format!("{name}\n").as_bytes())?;
                name.clone()
            }
        };
        Self::take_up(dir, &name)
    }

    /// The public keys: Ed25519 (0x04) and ML-DSA-44 (0x06), for the policies of others.
    pub const fn verifiers(&self) -> &[VerifierKey; 2] {
        &self.verifiers
    }

    /// Cosigns a whole checkpoint with both keys, at a time in seconds since the epoch. What is
    /// returned was verified.
    pub(super) fn cosign(
        &self,
        checkpoint: &Checkpoint,
        timestamp: u64,
    ) -> Result<Vec<NoteSignature>, WitnessKeyError> {
        let [classical, post_quantum] = &self.verifiers;
        let text = cosigned_text(timestamp, &checkpoint.to_string())
            .map_err(WitnessKeyError::Cosignature)?;
        let signature = self.ed25519.sign(&text).map_err(WitnessKeyError::Sign)?;
        let first = TimestampedSignature::ed25519(timestamp, signature)
            .map_err(WitnessKeyError::Cosignature)?;
        let whole = Subtree::new(0, checkpoint.size).map_err(WitnessKeyError::Subtree)?;
        let message = cosigned_message(
            post_quantum.name(),
            timestamp,
            &checkpoint.origin,
            whole,
            &checkpoint.root,
        )
        .map_err(WitnessKeyError::Cosignature)?;
        let signature = self
            .ml_dsa_44
            .sign(&message)
            .map_err(WitnessKeyError::Sign)?;
        let second = TimestampedSignature::new(timestamp, signature)
            .map_err(WitnessKeyError::Cosignature)?;
        let line = |key: &VerifierKey, body: &TimestampedSignature| {
            NoteSignature::new(key.name().clone(), key.key_id(), body.to_bytes())
        };
        let lines = vec![line(classical, &first), line(post_quantum, &second)];
        for (key, line) in self.verifiers.iter().zip(&lines) {
            if verify_cosignature(key, checkpoint, line, &AwsLc) != Ok(timestamp) {
                return Err(WitnessKeyError::Unverified);
            }
        }
        Ok(lines)
    }

    fn take_up(dir: &Path, name: &KeyName) -> Result<Self, WitnessKeyError> {
        let read = |name: &str| -> Result<(PathBuf, Secret), WitnessKeyError> {
            let path = dir.join(name);
            Ok((path.clone(), read_private_file(&path)?))
        };
        let (path, pkcs8) = read(ED25519_FILE)?;
        let ed25519 = SigningKey::from_pkcs8(Algorithm::Ed25519, pkcs8)
            .map_err(|source| WitnessKeyError::Key { path, source })?;
        let (path, seed) = read(ML_DSA_44_FILE)?;
        let ml_dsa_44 =
            MlDsa44Key::from_seed(seed).map_err(|source| WitnessKeyError::Key { path, source })?;
        let verifiers = [
            VerifierKey::cosignature(name.clone(), &ed25519.public().to_public_bytes())?,
            VerifierKey::ml_dsa_44(name.clone(), &ml_dsa_44.public())?,
        ];
        Ok(Self {
            ed25519,
            ml_dsa_44,
            verifiers,
        })
    }
}

/// Makes the keys that are not there yet: a start that was cut short had no name, and its keys
/// signed nothing.
fn make_keys(dir: &Path) -> Result<(), WitnessKeyError> {
    let key = |path: &Path| {
        let path = path.to_owned();
        move |source| WitnessKeyError::Key { path, source }
    };
    let path = dir.join(ED25519_FILE);
    if !path.exists() {
        let fresh = SigningKey::generate(Algorithm::Ed25519).map_err(key(&path))?;
        replace_private_file(&path, fresh.pkcs8().expose())?;
    }
    let path = dir.join(ML_DSA_44_FILE);
    if !path.exists() {
        let fresh = MlDsa44Key::generate().map_err(key(&path))?;
        replace_private_file(&path, fresh.seed().expose())?;
    }
    Ok(())
}
