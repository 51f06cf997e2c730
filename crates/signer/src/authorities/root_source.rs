use std::path::{Path, PathBuf};

use chancery_api::authority::AuthorityKind;
use chancery_crypto::{SigningKey, random_bytes};
use chancery_identity::{TrustDomain, X509Authority, spki_der};
use chancery_types::{Algorithm, Timestamp};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use serde::{Deserialize, Serialize};

use super::vault::{Vault, VaultConfig, VaultError};
use crate::KeysError;
use crate::ca::{CaError, IssuingAuthority, SerialNumber, certified_intermediate};
use crate::keys::{HeldKey, KeyFolder};

const FILE: &str = "root.json";

const DAY_SECONDS: u64 = 86_400;

/// Who certifies X.509 authorities, and how long authorities live: `root.json` in the signer's
/// folder. Without the file nobody but the holder of the offline root key does.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RootConfig {
    /// The certificates of the authority that certifies, its own first and a root among them or not,
    /// in PEM.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub certificate: Option<PathBuf>,
    /// Its key: PKCS#8 of a P-256 key in PEM or DER, in a file of mode 0600.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub key: Option<PathBuf>,
    /// A PKI over HTTP that certifies, in place of a key in a file.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub vault: Option<VaultConfig>,
    /// How long the authorities live.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub lifetimes: Option<Lifetimes>,
}

/// How long authorities live. Another one is prepared at half of it, and signs when a sixth is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lifetimes {
    /// Of X.509 authorities that the signer has certified by itself.
    pub x509_seconds: u64,
    /// Of authorities of JWT-SVIDs.
    pub jwt_seconds: u64,
    /// Of authorities of workload identity tokens.
    pub wit_seconds: u64,
}

/// Why the authorities cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuthoritiesError {
    /// A key or a file cannot be read or written.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// The trust domain is none.
    #[error("the trust document names no trust domain")]
    Name(#[from] chancery_identity::SpiffeIdError),
    /// A certificate is no authority of the trust domain.
    #[error("a certificate is no authority of the trust domain")]
    Profile(#[from] chancery_identity::ProfileError),
    /// The file that says what is where is not one.
    #[error("authorities.json contradicts itself; take it back from a copy, with its keys")]
    Malformed,
    /// A key file holds another key than the one that belongs there.
    #[error("{0}: not the key that authorities.json names")]
    OtherKey(String),
    /// The file that says who certifies is not one.
    #[error("{}: {problem}", path.display())]
    Root {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: &'static str,
    },
    /// The root does not certify.
    #[error("the root does not certify: {0}")]
    Ca(#[from] CaError),
    /// The PKI over HTTP cannot be asked.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// There is no randomness.
    #[error(transparent)]
    Random(#[from] chancery_crypto::RandomError),
}

impl Default for Lifetimes {
    /// Thirty days below a root that the signer reaches, a year where people have to sign.
    fn default() -> Self {
        Self {
            x509_seconds: 30 * DAY_SECONDS,
            jwt_seconds: 365 * DAY_SECONDS,
            wit_seconds: 365 * DAY_SECONDS,
        }
    }
}

impl Lifetimes {
    /// When an authority that is made now ends.
    pub(crate) const fn ends(self, kind: AuthorityKind, now: Timestamp) -> Timestamp {
        now.plus_seconds(match kind {
            AuthorityKind::X509 => self.x509_seconds,
            AuthorityKind::Jwt => self.jwt_seconds,
            AuthorityKind::Wit => self.wit_seconds,
        })
    }
}

impl RootConfig {
    /// What the folder says; nothing where there is no file.
    pub fn read(folder: &Path) -> Result<Self, AuthoritiesError> {
        let path = folder.join(FILE);
        match std::fs::read(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(_) => Err(problem(&path, "cannot be read")),
            Ok(text) => {
                serde_json::from_slice(&text).map_err(|_| problem(&path, "not a root.json"))
            }
        }
    }

    /// Writes it into the folder.
    pub fn write(&self, folder: &Path) -> Result<(), AuthoritiesError> {
        let path = folder.join(FILE);
        let text = serde_json::to_vec_pretty(self).map_err(|_| problem(&path, "not writable"))?;
        chancery_crypto::replace_private_file(&path, &text).map_err(KeysError::from)?;
        Ok(())
    }

    pub(crate) fn lifetimes(&self) -> Lifetimes {
        self.lifetimes.unwrap_or_default()
    }
}

fn problem(path: &Path, problem: &'static str) -> AuthoritiesError {
    AuthoritiesError::Root {
        path: path.to_owned(),
        problem,
    }
}

/// Who certifies X.509 authorities.
#[derive(Debug)]
pub(super) enum RootSource {
    /// Whoever holds the offline root key.
    Offline,
    /// The signer, with an authority's key that stands in a file: a root of the trust document, or
    /// an authority below one.
    Held {
        trust_domain: TrustDomain,
        /// Its own certificate first; a self-signed one is a root, and not handed out.
        chain: Vec<X509Authority>,
        key: SigningKey,
    },
    /// Somebody over HTTP, who is asked while nothing is held.
    Remote(Vault),
}

impl RootSource {
    pub(super) fn open(
        config: &RootConfig,
        folder: &Path,
        keys: &KeyFolder,
        trust_domain: &TrustDomain,
    ) -> Result<Self, AuthoritiesError> {
        let (certificate, key) = match (&config.certificate, &config.key, &config.vault) {
            (None, None, None) => return Ok(Self::Offline),
            (None, None, Some(vault)) => {
                return Ok(Self::Remote(Vault::new(vault, folder, trust_domain)?));
            }
            (Some(certificate), Some(key), None) => (folder.join(certificate), folder.join(key)),
            _ => {
                return Err(problem(
                    &folder.join(FILE),
                    "certificate and key are given together, and without vault",
                ));
            }
        };
        let pem =
            std::fs::read(&certificate).map_err(|_| problem(&certificate, "cannot be read"))?;
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
        let chain = chain.ok().filter(|chain| !chain.is_empty());
        let chain = chain.ok_or_else(|| problem(&certificate, "holds no certificate in PEM"))?;
        let chain: Result<Vec<_>, _> = (chain.iter())
            .map(|der| X509Authority::new(trust_domain, der.to_vec()))
            .collect();
        Ok(Self::Held {
            trust_domain: trust_domain.clone(),
            chain: chain?,
            key: read_key(keys, &key)?,
        })
    }

    /// Whether authorities are certified without anybody's help.
    pub(super) const fn certifies(&self) -> bool {
        !matches!(self, Self::Offline)
    }

    /// Who is asked over HTTP.
    pub(super) const fn remote(&self) -> Option<&Vault> {
        match self {
            Self::Remote(vault) => Some(vault),
            Self::Offline | Self::Held { .. } => None,
        }
    }

    /// A certificate for a key, and those between it and the root; none where somebody else has to be
    /// asked.
    pub(super) fn certify(
        &self,
        subject: &dyn HeldKey,
        lifetime_seconds: u64,
        now: Timestamp,
    ) -> Result<Vec<Vec<u8>>, AuthoritiesError> {
        let Self::Held {
            trust_domain,
            chain,
            key,
        } = self
        else {
            return Ok(Vec::new());
        };
        let own = chain.first().map(|own| own.der().to_vec());
        let own = own.unwrap_or_default();
        let authority = IssuingAuthority::new(trust_domain, own, key)?;
        let serial = SerialNumber::from_random(random_bytes()?);
        let spki = spki_der(subject.public());
        let made = certified_intermediate(&authority, &spki, now, lifetime_seconds, serial)?;
        let above = chain.iter().filter(|above| !above.is_self_issued());
        let above = above.map(|above| above.der().to_vec());
        Ok(std::iter::once(made).chain(above).collect())
    }
}

fn read_key(keys: &KeyFolder, path: &Path) -> Result<SigningKey, AuthoritiesError> {
    let content = keys.read(path)?;
    let der = match PrivatePkcs8KeyDer::from_pem_slice(content.expose()) {
        Ok(key) => chancery_types::Secret::new(key.secret_pkcs8_der().to_vec()),
        Err(_) => content,
    };
    SigningKey::from_pkcs8(Algorithm::Es256, der)
        .map_err(|_| problem(path, "holds no P-256 key as PKCS#8"))
}
