use std::cell::RefCell;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use chancery_api::OwnerListener;
use chancery_api::append::{AppendClient, AppendError, AppendOptions, AppendTarget, Level};
use chancery_api::pb::append::append_request::Message as Said;
use chancery_api::pb::append::append_response::Message as Answer;
use chancery_api::pb::append::log_append_client::LogAppendClient;
use chancery_api::pb::append::{Acknowledged, AppendRequest, AppendResponse, Batch, Open, Opened};
use chancery_api::tls::TlsIdentity;
use chancery_identity::{SpiffeId, X509Bundle};
use chancery_journal::{Config, Journal, LocalSigner};
use chancery_recorder::{Admission, Listeners, Recorder, TlsSetup, serve};
use chancery_types::{Secret, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, KeyUsagePurpose, SanType,
};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Channel, Endpoint};
use tonic::{Status, Streaming};
use tonic_types::StatusExt as _;

pub(crate) const ORIGIN: &str = "td.example/log/recorded";
pub(crate) const SERVER: &str = "spiffe://td.example/service/log";
pub(crate) const ADMITTED: &str = "spiffe://td.example/service/builds";

thread_local! {
    /// The folders of this test's logs: they outlive whoever writes in them.
    static FOLDERS: RefCell<Vec<Arc<TempDir>>> = const { RefCell::new(Vec::new()) };
}

/// Runs a test, and takes its folders away once nothing of it runs any more.
pub(crate) fn run(test: impl Future<Output = ()>) {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().build().unwrap();
    runtime.block_on(test);
    drop(runtime);
    FOLDERS.take();
}

/// The authority of a trust domain.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    trust_domain: String,
}

impl Authority {
    pub(crate) fn new(trust_domain: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params.subject_alt_names = vec![uri(&format!("spiffe://{trust_domain}"))];
        let key = KeyPair::generate().unwrap();
        Self {
            issuer: CertifiedIssuer::self_signed(params, key).unwrap(),
            trust_domain: trust_domain.to_owned(),
        }
    }

    pub(crate) fn bundle(&self) -> X509Bundle {
        let trust_domain = self.trust_domain.parse().unwrap();
        X509Bundle::new(trust_domain, [self.issuer.der().to_vec()]).unwrap()
    }

    /// The identity of somebody, who believes `trusted`, valid until `seconds` from now.
    pub(crate) fn identity(&self, id: &str, trusted: &Self, seconds: i64) -> TlsIdentity {
        let (chain, key) = self.svid(id, seconds);
        TlsIdentity::new(chain, &key, trusted.bundle()).unwrap()
    }

    /// Certificate and key of somebody.
    pub(crate) fn svid(&self, id: &str, seconds: i64) -> (Vec<Vec<u8>>, Secret) {
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![uri(id)];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let at = |seconds: i64| {
            let time = i64::try_from(now.as_secs()).unwrap() + seconds;
            rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(u64::try_from(time).unwrap())
        };
        params.not_before = at(-60);
        params.not_after = at(seconds);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (
            vec![certificate.der().to_vec()],
            Secret::new(key.serialize_der()),
        )
    }
}

fn uri(id: &str) -> SanType {
    SanType::URI(id.try_into().unwrap())
}

/// A recorder that serves.
pub(crate) struct Serving {
    pub(crate) recorder: Arc<Recorder>,
    pub(crate) authority: Arc<Authority>,
    /// What the recorder presents and believes over TLS.
    pub(crate) own: TlsIdentity,
    pub(crate) address: String,
    folder: Arc<TempDir>,
    task: JoinHandle<()>,
}

impl Serving {
    pub(crate) async fn start() -> Self {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        FOLDERS.with_borrow_mut(|folders| folders.push(Arc::clone(&folder)));
        Self::start_in(folder, Arc::new(Authority::new("td.example"))).await
    }

    async fn start_in(folder: Arc<TempDir>, authority: Arc<Authority>) -> Self {
        let journal = reopened(folder.path()).await;
        let recorder = Recorder::open(journal, folder.path(), false, now).unwrap();
        let owner = OwnerListener::bind(&folder.path().join("append.sock")).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let own = authority.identity(SERVER, &authority, 600);
        let setup = TlsSetup {
            listener,
            identity: own.clone(),
            admission: Admission::of([ADMITTED.parse().unwrap()]),
        };
        let listeners = Listeners {
            owner,
            tls: Some(setup),
        };
        let served = Arc::clone(&recorder);
        let task = tokio::spawn(async move { serve(&served, listeners).await.unwrap() });
        Self {
            recorder,
            authority,
            own,
            address,
            folder,
            task,
        }
    }

    /// Ends it as an orderly stop does, and starts it again.
    pub(crate) async fn restart(self) -> Self {
        let (folder, authority) = (Arc::clone(&self.folder), Arc::clone(&self.authority));
        self.recorder.close().await.unwrap();
        self.end().await;
        Self::start_in(folder, authority).await
    }

    /// Lets go of everything but the folder.
    pub(crate) async fn end(self) -> Arc<TempDir> {
        self.task.abort();
        let _ = self.task.await;
        self.folder
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn owner(&self, producer: &str) -> AppendTarget {
        AppendTarget::Owner {
            socket: self.folder().join("append.sock"),
            producer: producer.to_owned(),
        }
    }

    pub(crate) fn tls(&self, identity: TlsIdentity) -> AppendTarget {
        AppendTarget::Tls {
            server: self.address.clone(),
            identity,
            expected: SERVER.parse::<SpiffeId>().unwrap(),
        }
    }

    pub(crate) async fn client(&self, producer: &str) -> AppendClient {
        AppendClient::connect(options(self.owner(producer)))
            .await
            .unwrap()
    }

    /// The entries of the log, as type and content.
    pub(crate) fn entries(&self) -> Vec<serde_json::Value> {
        let journal = self.recorder.journal();
        let entries = journal.entries(0..journal.size());
        let parsed = entries.map(|entry| serde_json::from_slice(&entry.unwrap().1).unwrap());
        parsed.collect()
    }
}

pub(crate) fn options(target: AppendTarget) -> AppendOptions {
    AppendOptions {
        patience: Duration::from_secs(20),
        ..AppendOptions::new(target)
    }
}

/// The log in a folder, once whoever had it has let go of it.
pub(crate) async fn reopened(folder: &Path) -> Journal {
    let begun = Instant::now();
    loop {
        match try_journal(folder) {
            Some(journal) => return journal,
            None => assert!(begun.elapsed() < Duration::from_secs(20), "it is held"),
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn try_journal(folder: &Path) -> Option<Journal> {
    let origin = ORIGIN.parse().unwrap();
    let signer = LocalSigner::open_or_create(&folder.join("keys"), &origin).ok()?;
    let mut config = Config::new(folder.join("log"), origin);
    config.publish_interval = Duration::from_millis(50);
    Journal::open(config, Arc::new(signer)).ok()
}

pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp::from_micros(u64::try_from(since.as_micros()).unwrap())
}

/// A stream that says what no client says.
pub(crate) struct Raw {
    pub(crate) requests: mpsc::Sender<AppendRequest>,
    pub(crate) answers: Streaming<AppendResponse>,
}

impl Raw {
    /// A stream on the owner's socket, with its first message.
    pub(crate) async fn begin(serving: &Serving, first: Said) -> Result<Self, Status> {
        let (requests, sent) = mpsc::channel(8);
        let message = Some(first);
        requests.send(AppendRequest { message }).await.unwrap();
        let mut client = LogAppendClient::new(channel(serving).await);
        let answers = client.append(ReceiverStream::new(sent)).await?.into_inner();
        Ok(Self { requests, answers })
    }

    pub(crate) async fn open(serving: &Serving, producer: &str) -> (Self, Opened) {
        let mut raw = Self::begin(serving, opening(producer)).await.unwrap();
        let Answer::Opened(opened) = raw.answer().await.unwrap() else {
            unreachable_answer()
        };
        (raw, opened)
    }

    pub(crate) async fn send(&self, first: u64, entries: &[&[u8]]) {
        let entries = entries.iter().map(|entry| Bytes::copy_from_slice(entry));
        let entries = entries.collect();
        let message = Some(Said::Batch(Batch { first, entries }));
        self.requests.send(AppendRequest { message }).await.unwrap();
    }

    pub(crate) async fn answer(&mut self) -> Result<Answer, Status> {
        Ok(self.answers.message().await?.unwrap().message.unwrap())
    }

    pub(crate) async fn acknowledged(&mut self) -> Acknowledged {
        match self.answer().await.unwrap() {
            Answer::Acknowledged(acknowledged) => acknowledged,
            Answer::Opened(_) => unreachable_answer(),
        }
    }

    /// The reason that the stream ends with.
    pub(crate) async fn refused(&mut self) -> String {
        loop {
            if let Err(status) = self.answer().await {
                return reason(&status);
            }
        }
    }
}

#[expect(clippy::panic, reason = "a test that cannot go on fails")]
fn unreachable_answer() -> ! {
    panic!("another answer than was asked for")
}

pub(crate) fn opening(producer: &str) -> Said {
    Said::Open(Open {
        producer: producer.to_owned(),
        level: Level::Durable.into(),
        origin: String::new(),
    })
}

pub(crate) async fn channel(serving: &Serving) -> Channel {
    let socket = serving.folder().join("append.sock");
    let endpoint = Endpoint::from_shared(format!("unix:{}", socket.display())).unwrap();
    endpoint.connect().await.unwrap()
}

/// The reason code in a refusal.
pub(crate) fn reason(status: &Status) -> String {
    let info = status.get_details_error_info();
    info.map_or_else(|| format!("{status:?}"), |info| info.reason)
}

/// The reason code of an error of the client.
pub(crate) fn code(error: &AppendError) -> &str {
    match error {
        AppendError::Refused { reason, .. } => reason,
        AppendError::Unreachable { message, .. } => message,
        _ => "another error",
    }
}
