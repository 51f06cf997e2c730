//! A control plane that lies: it stands between a gateway and the server, passes on what it is not
//! told to change, and has the signer sign whatever snapshot it likes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chancery_api::ClientError;
use chancery_api::server::ServerClient;
use chancery_api::signer::{SignSnapshot, SignerClient};
use chancery_api::snapshot::{SignedSnapshot, Snapshot};
use chancery_policy::{BundleSignature, SignedBundle};
use chancery_types::{Digest, to_canonical};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinHandle;

type Alteration = Arc<dyn Fn(&mut Snapshot) + Send + Sync>;

/// What is told in place of the truth.
#[derive(Default)]
struct Lies {
    snapshot: Option<Alteration>,
    /// A snapshot to be told as it is, however old.
    told: Option<SignedSnapshot>,
    policies: BTreeMap<String, SignedBundle>,
    /// The signatures of policy signers that the signer is shown.
    signatures: Vec<BundleSignature>,
    /// A trust document to be told in place of the one in force.
    trust: Option<String>,
    /// Whether answers of people are kept back.
    keeps_answers: bool,
}

struct Between {
    server: PathBuf,
    signer: SignerClient,
    lies: Mutex<Lies>,
}

pub(crate) struct Intermediary {
    socket: PathBuf,
    between: Arc<Between>,
    serving: JoinHandle<()>,
}

impl Intermediary {
    /// Listens beside the sockets of a data folder's server and signer.
    pub(crate) fn start(data: &Path) -> Self {
        let socket = data.join("between.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let between = Arc::new(Between {
            server: data.join("server.sock"),
            signer: SignerClient::new(data.join("signer.sock")),
            lies: Mutex::default(),
        });
        let serving = tokio::spawn(serve(listener, Arc::clone(&between)));
        Self {
            socket,
            between,
            serving,
        }
    }

    pub(crate) fn socket(&self) -> &Path {
        &self.socket
    }

    /// Serves altered snapshots from now on, each signed by the snapshot signer.
    pub(crate) fn alter_snapshots(&self, alter: impl Fn(&mut Snapshot) + Send + Sync + 'static) {
        self.between
            .lie(|lies| lies.snapshot = Some(Arc::new(alter)));
    }

    /// Names a policy bundle in every snapshot and serves `bundle` under that name.
    pub(crate) fn impose(&self, digest: Digest, bundle: SignedBundle) {
        self.between
            .lie(|lies| drop(lies.policies.insert(digest.to_string(), bundle)));
        self.alter_snapshots(move |snapshot| snapshot.policy_digest = digest);
    }

    /// Shows the signer these signatures over the policy from now on.
    pub(crate) fn show_signatures(&self, signatures: Vec<BundleSignature>) {
        self.between.lie(|lies| lies.signatures = signatures);
    }

    /// What the signer says to a snapshot that names this policy, shown these signatures.
    pub(crate) async fn try_snapshot(
        &self,
        digest: Digest,
        signatures: Vec<BundleSignature>,
    ) -> String {
        let mut snapshot = self.truth().await.snapshot;
        snapshot.sequence += 1;
        snapshot.policy_digest = digest;
        let request = SignSnapshot {
            snapshot: String::from_utf8(to_canonical(&snapshot).unwrap()).unwrap(),
            policy: signatures,
        };
        match self.between.signer.snapshot(&request).await {
            Err(ClientError::Refused(problem)) => problem.reason,
            other => panic!("{other:?}"),
        }
    }

    /// A snapshot of the truth, as the server has it signed.
    pub(crate) async fn truth(&self) -> SignedSnapshot {
        let server = ServerClient::new(self.between.server.clone());
        server.snapshot().await.unwrap()
    }

    /// Tells this very snapshot from now on.
    pub(crate) fn tell(&self, snapshot: SignedSnapshot) {
        self.between.lie(|lies| lies.told = Some(snapshot));
    }

    /// Tells of this trust document, and names it in every snapshot.
    pub(crate) fn tell_trust(&self, document: String, version: u64) {
        let digest = Digest::of(&document);
        self.between.lie(|lies| lies.trust = Some(document));
        self.alter_snapshots(move |snapshot| {
            snapshot.trust_version = version;
            snapshot.trust_digest = digest;
        });
    }

    pub(crate) fn keep_answers(&self, keep: bool) {
        self.between.lie(|lies| lies.keeps_answers = keep);
    }

    /// Tells the truth again.
    pub(crate) fn be_honest(&self) {
        self.between.lie(|lies| *lies = Lies::default());
    }
}

impl Drop for Intermediary {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Between {
    fn lie<T>(&self, with: impl FnOnce(&mut Lies) -> T) -> T {
        with(&mut self.lies.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn snapshot(&self, alter: Alteration) -> SignedSnapshot {
        let server = ServerClient::new(self.server.clone());
        let mut snapshot = server.snapshot().await.unwrap().snapshot;
        snapshot.sequence += 1;
        alter(&mut snapshot);
        let canonical = String::from_utf8(to_canonical(&snapshot).unwrap()).unwrap();
        let request = SignSnapshot {
            snapshot: canonical,
            policy: self.lie(|lies| lies.signatures.clone()),
        };
        let signed = self.signer.snapshot(&request).await.unwrap();
        SignedSnapshot {
            snapshot,
            kid: signed.kid,
            signature: signed.signature,
        }
    }

    /// What is answered to a request in place of the server; none where the server answers.
    async fn answer(&self, request: &str) -> Option<String> {
        let path = request.strip_prefix("GET ")?.split([' ', '?']).next()?;
        if path == "/v1/snapshot"
            && let Some(told) = self.lie(|lies| lies.told.clone())
        {
            return Some(serde_json::to_string(&told).unwrap());
        }
        if path == "/v1/snapshot" {
            let alter = self.lie(|lies| lies.snapshot.clone())?;
            let signed = self.snapshot(alter).await;
            return Some(serde_json::to_string(&signed).unwrap());
        }
        if path == "/v1/trust" {
            let document = self.lie(|lies| lies.trust.clone())?;
            return Some(serde_json::json!({"document": document}).to_string());
        }
        if let Some(digest) = path.strip_prefix("/v1/policies/") {
            let bundle = self.lie(|lies| lies.policies.get(digest).cloned())?;
            return Some(serde_json::to_string(&bundle).unwrap());
        }
        if path.starts_with("/v1/approvals/") {
            while self.lie(|lies| lies.keeps_answers) {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        None
    }
}

async fn serve(listener: UnixListener, between: Arc<Between>) {
    while let Ok((stream, _)) = listener.accept().await {
        let between = Arc::clone(&between);
        tokio::spawn(async move {
            // The gateway or the server went away.
            let _ = pass(stream, &between).await;
        });
    }
}

async fn pass(mut gateway: UnixStream, between: &Between) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        if gateway.read_buf(&mut head).await? == 0 {
            return Ok(());
        }
    }
    if let Some(body) = between.answer(&String::from_utf8_lossy(&head)).await {
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        gateway.write_all(head.as_bytes()).await?;
        return gateway.write_all(body.as_bytes()).await;
    }
    let mut server = UnixStream::connect(&between.server).await?;
    server.write_all(&head).await?;
    copy_bidirectional(&mut gateway, &mut server).await?;
    Ok(())
}
