use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use chancery_api::Problem;
use chancery_api::tls::provider;
use chancery_crypto::{KeyFileError, read_private_file};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::BundleEndpointError;
use crate::Server;
use crate::own_svid::{OwnSvid, Renewal};

/// What tells its SVID from that of the listener of nodes.
const PART: &str = "bundle-endpoint";

/// What an endpoint presents; replaced while it serves.
pub(crate) struct Presented {
    source: Source,
    current: RwLock<Current>,
}

struct Current {
    certified: Arc<CertifiedKey>,
    /// When another SVID is asked for; files are looked at every time.
    renewal: Option<Renewal>,
}

enum Source {
    Svid,
    Files { certificate: PathBuf, key: PathBuf },
}

/// Why a certificate and its key cannot be presented.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// The file of the certificate cannot be read.
    #[error("{}: {source}; name the file of the certificate chain", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The key's file cannot be read, or others may read it.
    #[error(transparent)]
    Key(#[from] KeyFileError),
    /// A file does not hold what it must.
    #[error("{}: holds no {what} in PEM", path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        /// What it must hold.
        what: &'static str,
    },
    /// The key is not the certificate's, or of a kind that TLS does not know.
    #[error("{}: is not the key of {}, or not one that TLS can use", key.display(), certificate.display())]
    Mismatch {
        /// The file of the key.
        key: PathBuf,
        /// The file of the certificate.
        certificate: PathBuf,
        /// What the TLS library said.
        source: rustls::Error,
    },
}

impl Presented {
    /// A fresh X.509-SVID of the server.
    pub(crate) async fn svid(server: &Server) -> Result<Self, BundleEndpointError> {
        let current = issue(server).await.map_err(BundleEndpointError::Svid)?;
        Ok(Self {
            source: Source::Svid,
            current: RwLock::new(current),
        })
    }

    /// A certificate and its key from files.
    pub(crate) fn files(certificate: PathBuf, key: PathBuf) -> Result<Self, CertificateError> {
        let certified = read(&certificate, &key)?;
        Ok(Self {
            source: Source::Files { certificate, key },
            current: RwLock::new(Current {
                certified,
                renewal: None,
            }),
        })
    }

    /// Takes another one where it is time. One that cannot be had is told, and the last one stays.
    pub(crate) async fn renew(&self, server: &Server) {
        let next = match &self.source {
            Source::Svid => {
                if let Some(renewal) = self.renewal()
                    && !renewal.is_due(server).await
                {
                    return;
                }
                issue(server).await.map_err(|problem| problem.to_string())
            }
            Source::Files { certificate, key } => read(certificate, key)
                .map(|certified| Current {
                    certified,
                    renewal: None,
                })
                .map_err(|error| error.to_string()),
        };
        match next {
            Ok(next) => *self.current.write().unwrap_or_else(PoisonError::into_inner) = next,
            Err(error) => tracing::warn!(error, "the bundle endpoint keeps its certificate"),
        }
    }

    fn renewal(&self) -> Option<Renewal> {
        let current = self.current.read();
        let current = current.unwrap_or_else(PoisonError::into_inner);
        current.renewal.clone()
    }
}

impl fmt::Debug for Presented {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Presented([redacted])")
    }
}

impl ResolvesServerCert for Presented {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        Some(Arc::clone(&current.certified))
    }
}

async fn issue(server: &Server) -> Result<Current, Problem> {
    let issued = OwnSvid::issue(server, Some(PART)).await?;
    let chain = issued.chain.into_iter().map(CertificateDer::from).collect();
    let pkcs8 = PrivatePkcs8KeyDer::from(issued.key.expose().to_vec());
    let certified = CertifiedKey::from_der(chain, PrivateKeyDer::Pkcs8(pkcs8), &provider())
        .map_err(|error| Problem::internal("svid", &error))?;
    Ok(Current {
        certified: Arc::new(certified),
        renewal: Some(issued.renewal),
    })
}

fn read(certificate: &Path, key: &Path) -> Result<Arc<CertifiedKey>, CertificateError> {
    let pem = std::fs::read(certificate).map_err(|source| CertificateError::Read {
        path: certificate.to_owned(),
        source,
    })?;
    let missing = |path: &Path, what| CertificateError::Pem {
        path: path.to_owned(),
        what,
    };
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let chain = chain.ok().filter(|chain| !chain.is_empty());
    let chain = chain.ok_or_else(|| missing(certificate, "certificate"))?;
    let secret = read_private_file(key)?;
    let private = PrivateKeyDer::from_pem_slice(secret.expose());
    let private = private.map_err(|_| missing(key, "private key"))?;
    let certified = CertifiedKey::from_der(chain, private, &provider());
    let certified = certified.map_err(|source| CertificateError::Mismatch {
        key: key.to_owned(),
        certificate: certificate.to_owned(),
        source,
    })?;
    Ok(Arc::new(certified))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use chancery_crypto::create_private_file;
    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    #[test]
    fn what_is_wrong_with_a_certificate_names_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let (key, other) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let certificate = params.self_signed(&key).unwrap().pem();
        std::fs::write(at("good.pem"), certificate).unwrap();
        std::fs::write(at("none.pem"), "no certificate").unwrap();
        create_private_file(&at("good.key"), key.serialize_pem().as_bytes()).unwrap();
        create_private_file(&at("other.key"), other.serialize_pem().as_bytes()).unwrap();
        create_private_file(&at("none.key"), b"no key").unwrap();
        std::fs::copy(at("good.key"), at("open.key")).unwrap();
        std::fs::set_permissions(at("open.key"), std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(read(&at("good.pem"), &at("good.key")).is_ok());
        for (certificate, key, said) in [
            (
                "away.pem",
                "good.key",
                "away.pem: No such file or directory (os error 2); name the file of the certificate chain",
            ),
            (
                "none.pem",
                "good.key",
                "none.pem: holds no certificate in PEM",
            ),
            (
                "good.pem",
                "away.key",
                "away.key: No such file or directory (os error 2)",
            ),
            (
                "good.pem",
                "none.key",
                "none.key: holds no private key in PEM",
            ),
            (
                "good.pem",
                "open.key",
                "open.key: mode 0644 lets others in; run: chmod 600 ",
            ),
            ("good.pem", "other.key", "other.key: is not the key of "),
        ] {
            let error = read(&at(certificate), &at(key)).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }
}
