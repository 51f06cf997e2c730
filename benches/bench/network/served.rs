use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use chancery_api::OwnerListener;
use chancery_api::tls::TlsIdentity;
use chancery_identity::X509Bundle;
use chancery_recorder::{Admission, Listeners, Recorder, TlsSetup, serve};
use chancery_types::{Secret, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, KeyUsagePurpose, SanType,
};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

use crate::throughput::journal;

pub(crate) const DOMAIN: &str = "measured.example";
pub(crate) const LOG: &str = "spiffe://measured.example/service/log";
const PRODUCER: &str = "spiffe://measured.example/service/producer";

/// What a producer needs to know of a recorder.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Place {
    pub(crate) socket: String,
    pub(crate) address: String,
    pub(crate) certificate: Vec<u8>,
    pub(crate) key: Vec<u8>,
    pub(crate) authority: Vec<u8>,
}

/// A recorder that serves.
pub(crate) struct Served {
    pub(crate) recorder: Arc<Recorder>,
    pub(crate) place: Place,
}

impl Served {
    pub(crate) async fn start(folder: &Path) -> anyhow::Result<Self> {
        let (journal, _) = journal(folder)?;
        let recorder = Recorder::open(journal, folder, false, now)?;
        let socket = folder.join("append.sock");
        let owner = OwnerListener::bind(&socket)?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?.to_string();
        let authority = authority()?;
        let (certificate, key) = svid(&authority, LOG)?;
        let bundle = X509Bundle::new(DOMAIN.parse()?, [authority.der().to_vec()])?;
        let setup = TlsSetup {
            listener,
            identity: TlsIdentity::new(vec![certificate], &Secret::new(key), bundle)?,
            admission: Admission::of([PRODUCER.parse()?]),
        };
        let listeners = Listeners {
            owner,
            tls: Some(setup),
        };
        let serving = Arc::clone(&recorder);
        tokio::spawn(async move { serve(&serving, listeners).await });
        let (certificate, key) = svid(&authority, PRODUCER)?;
        let place = Place {
            socket: socket.display().to_string(),
            address,
            certificate,
            key,
            authority: authority.der().to_vec(),
        };
        Ok(Self { recorder, place })
    }
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    Timestamp::from_micros(since.map_or(0, |since| since.as_micros() as u64))
}

fn authority() -> anyhow::Result<CertifiedIssuer<'static, KeyPair>> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params.subject_alt_names = vec![SanType::URI(format!("spiffe://{DOMAIN}").try_into()?)];
    Ok(CertifiedIssuer::self_signed(params, KeyPair::generate()?)?)
}

fn svid(
    authority: &CertifiedIssuer<'static, KeyPair>,
    id: &str,
) -> anyhow::Result<(Vec<u8>, Vec<u8>)> {
    let mut params = CertificateParams::default();
    params.subject_alt_names = vec![SanType::URI(id.try_into()?)];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    let key = KeyPair::generate()?;
    let certificate = params.signed_by(&key, authority)?;
    Ok((certificate.der().to_vec(), key.serialize_der()))
}
