use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use chancery_crypto::{KeyFileError, read_private_file, replace_private_file};
use chancery_types::{Digest, parse_strict, to_canonical};
use serde::{Deserialize, Serialize};

/// The latest policy bundle that was ever put in force: versions never go back and none names two
/// bundles, across restarts too.
#[derive(Debug)]
pub(crate) struct LatestPolicy {
    file: PathBuf,
    latest: Mutex<Option<Named>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    version: u64,
    policy: Digest,
}

/// Why a bundle is not put in force, or nobody knows which was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LatestPolicyError {
    /// The file cannot be read or kept.
    #[error(transparent)]
    File(#[from] KeyFileError),
    /// The file does not say which bundle it was.
    #[error("{}: does not say which policy bundle was in force last; take back the newest copy of the folder", .0.display())]
    Malformed(PathBuf),
    /// A later bundle was in force.
    #[error("version {version} of the policy is older than version {latest}, which was in force")]
    Older {
        /// Its version.
        version: u64,
        /// The version that was in force.
        latest: u64,
    },
    /// Two bundles of one version.
    #[error("another policy bundle of version {0} was in force before; find out who signed two")]
    Fork(u64),
}

impl LatestPolicy {
    /// Reads which bundle it was; none was where there is no file.
    pub(crate) fn open(file: PathBuf) -> Result<Self, LatestPolicyError> {
        let latest = match file.exists() {
            true => Some(read(&file)?),
            false => None,
        };
        Ok(Self {
            file,
            latest: Mutex::new(latest),
        })
    }

    /// Takes a bundle that is about to be put in force. It is kept before.
    pub(crate) fn take(&self, version: u64, policy: Digest) -> Result<(), LatestPolicyError> {
        let next = Named { version, policy };
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        match *latest {
            Some(latest) if latest == next => return Ok(()),
            Some(latest) if version < latest.version => {
                return Err(LatestPolicyError::Older {
                    version,
                    latest: latest.version,
                });
            }
            Some(latest) if version == latest.version => {
                return Err(LatestPolicyError::Fork(version));
            }
            Some(_) | None => {}
        }
        let malformed = || LatestPolicyError::Malformed(self.file.clone());
        let bytes = to_canonical(&next).map_err(|_| malformed())?;
        replace_private_file(&self.file, &bytes)?;
        *latest = Some(next);
        Ok(())
    }
}

fn read(file: &Path) -> Result<Named, LatestPolicyError> {
    let bytes = read_private_file(file)?;
    parse_strict(bytes.expose())
        .ok()
        .and_then(|value| serde_json::from_value(value).ok())
        .ok_or_else(|| LatestPolicyError::Malformed(file.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_only_rises_and_names_one_bundle_across_restarts_too() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("policy.json");
        let open = || LatestPolicy::open(file.clone()).unwrap();
        let (first, second, other) = (Digest::of("1"), Digest::of("2"), Digest::of("other"));
        let latest = open();
        latest.take(4, first).unwrap();
        latest.take(4, first).unwrap();
        latest.take(7, second).unwrap();
        for latest in [latest, open()] {
            for (version, policy) in [(4, first), (6, other), (0, second)] {
                let refused = latest.take(version, policy).unwrap_err();
                assert!(
                    matches!(refused, LatestPolicyError::Older { latest: 7, .. }),
                    "{refused}"
                );
            }
            let refused = latest.take(7, other).unwrap_err();
            assert!(matches!(refused, LatestPolicyError::Fork(7)), "{refused}");
            latest.take(7, second).unwrap();
        }
        open().take(8, other).unwrap();
    }

    #[test]
    fn a_file_that_does_not_say_it_is_no_beginning() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("policy.json");
        for bad in [
            "",
            "{}",
            "{\"version\":1}",
            "{\"policy\":1,\"version\":1}",
            "null",
        ] {
            replace_private_file(&file, bad.as_bytes()).unwrap();
            let refused = LatestPolicy::open(file.clone()).unwrap_err();
            assert!(matches!(refused, LatestPolicyError::Malformed(_)), "{bad}");
        }
    }
}
