//! An X.509-SVID, its key and its bundle in files that somebody else renews.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use chancery_api::tls::{TlsIdentity, verify_peer};
use chancery_crypto::read_private_file;
use chancery_identity::{SpiffeId, TrustDomain, X509Bundle};
use chancery_types::{Digest, Secret, Timestamp};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};

use crate::args::SvidArgs;
use crate::output;

/// How often it is looked whether the files are others.
const LOOK: Duration = Duration::from_secs(5);

/// The three files.
#[derive(Debug)]
pub(crate) struct SvidFiles {
    svid: PathBuf,
    key: PathBuf,
    bundle: PathBuf,
    trust_domain: TrustDomain,
}

/// What stands in them.
struct Content {
    spiffe_id: SpiffeId,
    chain: Vec<Vec<u8>>,
    key: Secret,
    bundle: X509Bundle,
    /// Of chain and bundle, by which others are known.
    digest: Digest,
}

impl SvidFiles {
    /// The files of the arguments, for a trust domain; none where none are named.
    pub(crate) fn of(args: &SvidArgs, trust_domain: &TrustDomain) -> Option<Self> {
        Some(Self {
            svid: args.svid.clone()?,
            key: args.key.clone()?,
            bundle: args.bundle.clone()?,
            trust_domain: trust_domain.clone(),
        })
    }

    /// The identity in the files, and whose it is. It is replaced as long as the program runs when the files
    /// change; files that are not usable are told, and the last ones stay.
    pub(crate) fn follow(self, now: fn() -> Timestamp) -> anyhow::Result<(SpiffeId, TlsIdentity)> {
        let content = self.read(now())?;
        let identity = TlsIdentity::new(content.chain, &content.key, content.bundle)?;
        let (spiffe_id, followed) = (content.spiffe_id.clone(), identity.clone());
        let mut known = content.digest;
        let own = content.spiffe_id;
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(LOOK).await;
                match self.renew(&followed, known, &own, now()) {
                    Ok(digest) => known = digest,
                    Err(error) => output::say(format_args!(
                        "the last X.509-SVID stays: {}",
                        output::causes(&error)
                    )),
                }
            }
        });
        Ok((spiffe_id, identity))
    }

    fn renew(
        &self,
        identity: &TlsIdentity,
        known: Digest,
        own: &SpiffeId,
        now: Timestamp,
    ) -> anyhow::Result<Digest> {
        if self.digest()? == known {
            return Ok(known);
        }
        let content = self.read(now)?;
        anyhow::ensure!(
            content.spiffe_id == *own,
            "{}: of {}, and not of {own}",
            self.svid.display(),
            content.spiffe_id
        );
        identity.replace(content.chain, &content.key, content.bundle)?;
        Ok(content.digest)
    }

    fn digest(&self) -> anyhow::Result<Digest> {
        Ok(Digest::of_parts([
            &*read(&self.svid)?,
            &*read(&self.bundle)?,
        ]))
    }

    fn read(&self, now: Timestamp) -> anyhow::Result<Content> {
        let (svid, authorities) = (read(&self.svid)?, read(&self.bundle)?);
        let digest = Digest::of_parts([&*svid, &*authorities]);
        let chain = certificates(&self.svid, &svid)?;
        let authorities = certificates(&self.bundle, &authorities)?;
        let key = read_private_file(&self.key)?;
        let key = PrivatePkcs8KeyDer::from_pem_slice(key.expose())
            .with_context(|| format!("{}: no PKCS#8 key", self.key.display()))?;
        let bundle = X509Bundle::new(self.trust_domain.clone(), authorities)
            .with_context(|| self.bundle.display().to_string())?;
        let shown: Vec<_> = chain.iter().cloned().map(CertificateDer::from).collect();
        let verified = verify_peer(&shown, &bundle, now).with_context(|| {
            format!(
                "{}: no X.509-SVID of {} that is valid by {}",
                self.svid.display(),
                self.trust_domain,
                self.bundle.display()
            )
        })?;
        Ok(Content {
            spiffe_id: verified.spiffe_id().clone(),
            chain,
            key: Secret::new(key.secret_pkcs8_der().to_vec()),
            bundle,
            digest,
        })
    }
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path).with_context(|| path.display().to_string())
}

fn certificates(path: &Path, pem: &[u8]) -> anyhow::Result<Vec<Vec<u8>>> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let read = read.with_context(|| path.display().to_string())?;
    anyhow::ensure!(
        !read.is_empty(),
        "{}: no certificate in PEM",
        path.display()
    );
    Ok(read.iter().map(|der| der.to_vec()).collect())
}
