//! Two ways to one tool: through a whole gateway, and by the tool server's own stdin.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use chancery_gateway::{Gateway, GatewayConfig, Hosts, Limits, Upstream};
use chancery_identity::trust::GatewayName;
use chancery_types::Digest;
use serde_json::{Map, Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::{Mutex as AsyncMutex, oneshot};
use tokio::task::JoinSet;

use crate::agent::{Agent, Connection, chain_digest};
use crate::chains::{SERVER, TOOL};
use crate::plane::{DOMAIN, Plane, now};
use crate::tool_server;

/// Every call has arguments and an id of its own.
static NEXT: AtomicU64 = AtomicU64::new(1);

/// A whole deployment with an open session, and the worker who calls.
pub(crate) struct Governed {
    pub(crate) worker: Agent,
    chain: Vec<String>,
    digest: Digest,
    home: Home,
    _opener: (Agent, Connection),
    _serving: JoinSet<()>,
    _plane: Plane,
    _sockets: TempDir,
}

/// One of a deployment's gateways.
#[derive(Debug, Clone)]
pub(crate) struct Home {
    pub(crate) name: GatewayName,
    pub(crate) id: String,
    pub(crate) address: SocketAddr,
}

/// The tool server and who waits for it.
pub(crate) struct Direct {
    input: AsyncMutex<ChildStdin>,
    waiting: Arc<Mutex<HashMap<u64, oneshot::Sender<Value>>>>,
    _child: Child,
    _reading: JoinSet<()>,
}

/// One call, not sent yet.
pub(crate) struct Prepared {
    id: u64,
    path: String,
    pub(crate) args: Map<String, Value>,
}

impl Prepared {
    pub(crate) fn next() -> Self {
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = format!("/reports/2026/{id:08}.csv");
        Self {
            id,
            args: Map::from_iter([("path".to_owned(), Value::from(path.as_str()))]),
            path,
        }
    }

    fn body(&self, authority: Option<(&[String], &str)>) -> String {
        let mut meta = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
        });
        if let (Some(meta), Some((chain, proof))) = (meta.as_object_mut(), authority) {
            meta.insert("io.chancery/delegation".to_owned(), chain.into());
            meta.insert("io.chancery/proof".to_owned(), proof.into());
        }
        let params = json!({"name": TOOL, "arguments": self.args, "_meta": meta});
        json!({"jsonrpc": "2.0", "id": self.id, "method": "tools/call", "params": params})
            .to_string()
    }

    /// Calls through a gateway.
    pub(crate) async fn send(
        &self,
        connection: &mut Connection,
        chain: &[String],
        proof: &str,
    ) -> anyhow::Result<Value> {
        let headers = [
            ("accept", "application/json"),
            ("mcp-protocol-version", "2026-07-28"),
            ("mcp-method", "tools/call"),
            ("mcp-name", TOOL),
        ];
        let body = self.body(Some((chain, proof)));
        let path = format!("/mcp/{SERVER}");
        connection.post(&path, &headers, body).await
    }

    fn check(&self, answer: &Value) -> anyhow::Result<()> {
        let text = answer.pointer("/result/content/0/text");
        ensure!(
            text.and_then(Value::as_str) == Some(&self.path),
            "another answer: {answer}"
        );
        Ok(())
    }
}

impl Governed {
    /// Starts everything, its files below `data`.
    pub(crate) async fn start(data: &Path) -> anyhow::Result<Self> {
        let sockets = tempfile::tempdir()?;
        let name = GatewayName::default();
        let plane = Plane::start(data, sockets.path(), std::slice::from_ref(&name)).await?;
        let (home, serving) = start_gateway(data, sockets.path(), name).await?;
        let opener = Agent::launch(&plane).await?;
        let root = opener.root(&plane, &home).await?;
        let mut connection = opener.connect(&home).await?;
        let chain = vec![root.root.clone()];
        let session = connection
            .enter(&opener, (&root, &chain), &home, None)
            .await?;
        let worker = Agent::launch(&plane).await?;
        let chain = opener.delegate(&chain, &worker)?;
        let mut joining = worker.connect(&home).await?;
        joining
            .enter(&worker, (&root, &chain), &home, Some(&session))
            .await?;
        Ok(Self {
            worker,
            digest: chain_digest(&chain),
            chain,
            home,
            _opener: (opener, connection),
            _serving: serving,
            _plane: plane,
            _sockets: sockets,
        })
    }

    pub(crate) async fn connect(&self) -> anyhow::Result<Connection> {
        self.worker.connect(&self.home).await
    }

    /// Makes the proof, calls, and reads the answer.
    pub(crate) async fn call(&self, connection: &mut Connection) -> anyhow::Result<()> {
        let call = Prepared::next();
        let proof = self.prove(&call)?;
        let answer = call.send(connection, &self.chain, &proof).await?;
        call.check(&answer)
    }

    pub(crate) fn prove(&self, call: &Prepared) -> anyhow::Result<String> {
        self.worker.proof(&self.home, self.digest, &call.args)
    }
}

/// Starts the gateway of that name; its files stand where [`Plane::start`] put its keys.
pub(crate) async fn start_gateway(
    data: &Path,
    sockets: &Path,
    name: GatewayName,
) -> anyhow::Result<(Home, JoinSet<()>)> {
    let folder = data.join(name.service());
    let id = name.spiffe_id(DOMAIN);
    let upstream = Upstream::new(std::env::current_exe()?, [tool_server::ARGUMENT]);
    let gateway = Gateway::open(GatewayConfig {
        name: name.clone(),
        log: folder.join("log"),
        log_key: folder.join("log-key"),
        record_key: folder.join("record.key"),
        trust_file: data.join("trust.json"),
        server_socket: sockets.join("server.sock"),
        operator_socket: sockets.join(format!("{}.sock", name.service().replace('/', "-"))),
        listen: ([127, 0, 0, 1], 0).into(),
        servers: BTreeMap::from([(SERVER.parse()?, upstream)]),
        audiences: BTreeMap::new(),
        grace_seconds: GatewayConfig::DEFAULT_GRACE_SECONDS,
        abandon_seconds: GatewayConfig::DEFAULT_ABANDON_SECONDS,
        index_seconds: GatewayConfig::DEFAULT_INDEX_SECONDS,
        hosts: Hosts::default(),
        limits: Limits::default(),
        clock: now,
        folder,
    })
    .await?;
    let address = gateway.address();
    let home = Home { name, id, address };
    let mut serving = JoinSet::new();
    serving.spawn(async move {
        let _ = gateway.serve(std::future::pending::<()>()).await;
    });
    // Proofs of the very second of the start are refused.
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    Ok((home, serving))
}

impl Direct {
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg(tool_server::ARGUMENT)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let input = child.stdin.take().context("no stdin")?;
        let output = child.stdout.take().context("no stdout")?;
        let waiting: Arc<Mutex<HashMap<u64, oneshot::Sender<Value>>>> = Arc::default();
        let known = Arc::clone(&waiting);
        let mut reading = JoinSet::new();
        reading.spawn(async move {
            let mut lines = BufReader::new(output).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                let Ok(answer) = serde_json::from_str::<Value>(&line) else {
                    return;
                };
                let id = answer.get("id").and_then(Value::as_u64);
                let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(waiting) = id.and_then(|id| known.remove(&id)) {
                    let _ = waiting.send(answer);
                }
            }
        });
        Ok(Self {
            input: AsyncMutex::new(input),
            waiting,
            _child: child,
            _reading: reading,
        })
    }

    pub(crate) async fn call(&self) -> anyhow::Result<()> {
        let call = Prepared::next();
        let (sender, answer) = oneshot::channel();
        self.waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(call.id, sender);
        let mut line = call.body(None).into_bytes();
        line.push(b'\n');
        let mut input = self.input.lock().await;
        input.write_all(&line).await?;
        input.flush().await?;
        drop(input);
        call.check(&answer.await?)
    }
}
