//! An instance with a bridge, a node and a gateway that answer as they are told.

pub(crate) mod gateway;
pub(crate) mod world;

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chancery_agent::{
    Admit, AgentKey, Answer, Bridge, BridgeConfig, Credential, Gateway, GatewayClient, Held,
    Instance, NodeError, NodeIdentity, OwnSvid, Patience, Spawner,
};
use chancery_identity::SpiffeId;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use gateway::{FakeGateway, Say, Seen};
use world::{World, gateway_id, instance};

/// A node that signs for itself and has at most one delegation.
pub(crate) struct FakeNode {
    pub(crate) world: World,
    pub(crate) name: SpiffeId,
    pub(crate) held: Mutex<Option<Held>>,
}

impl NodeIdentity for FakeNode {
    fn credential<'a>(&'a self, key: &'a AgentKey) -> Answer<'a, Result<Credential, NodeError>> {
        Box::pin(async { Ok(self.world.credential(&self.name, key.public())) })
    }

    fn await_delegation(&self) -> Answer<'_, Result<Held, NodeError>> {
        Box::pin(async {
            loop {
                if let Some(held) = self.held.lock().unwrap().clone() {
                    return Ok(held);
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
    }
}

pub(crate) struct Setup {
    pub(crate) admit: Admit,
    pub(crate) patience: Patience,
    pub(crate) delegated: bool,
    pub(crate) spawner: Option<Arc<dyn Spawner>>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            admit: Arc::new(|_| true),
            patience: Patience {
                delegation: Duration::from_millis(300),
                approval: Duration::from_secs(5),
            },
            delegated: true,
            spawner: None,
        }
    }
}

/// A bridge that serves.
pub(crate) struct Serving {
    pub(crate) gateway: FakeGateway,
    pub(crate) node: Arc<FakeNode>,
    pub(crate) socket: PathBuf,
    pub(crate) instance: Arc<Instance>,
    folder: tempfile::TempDir,
    stop: Option<oneshot::Sender<()>>,
    task: Option<JoinHandle<()>>,
}

impl Serving {
    pub(crate) async fn start(
        script: impl Fn(usize, &Seen) -> Say + Send + Sync + 'static,
    ) -> Self {
        Self::with(Setup::default(), script).await
    }

    pub(crate) async fn with(
        setup: Setup,
        script: impl Fn(usize, &Seen) -> Say + Send + Sync + 'static,
    ) -> Self {
        let world = World::new();
        let name = instance("reader", 1);
        let key = AgentKey::generate().unwrap();
        let gateway = FakeGateway::start(&world.tls(&gateway_id()), script).await;
        let held = setup.delegated.then(|| world.held(&name, &key));
        let svid = OwnSvid::new(world.tls(&name));
        let at = Gateway {
            address: gateway.address,
            spiffe_id: gateway_id(),
        };
        let node = Arc::new(FakeNode {
            world,
            name,
            held: Mutex::new(held),
        });
        let instance = Instance::new(key, node.clone(), GatewayClient::new(at, svid));
        let instance = Arc::new(instance);
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("bridge.sock");
        let config = BridgeConfig {
            socket: socket.clone(),
            owner: None,
            patience: setup.patience,
        };
        let bridge =
            Bridge::bind(&config, Arc::clone(&instance), setup.admit, setup.spawner).unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(bridge.serve(async {
            let _ = stopped.await;
        }));
        Self {
            gateway,
            node,
            socket,
            instance,
            folder,
            stop: Some(stop),
            task: Some(task),
        }
    }

    pub(crate) async fn open(&self, first: &str) -> Client {
        let stream = UnixStream::connect(&self.socket).await.unwrap();
        let (reader, writer) = stream.into_split();
        let mut client = Client {
            reader: BufReader::new(reader),
            writer: Some(writer),
        };
        client.send(first).await;
        client
    }

    pub(crate) async fn connect(&self) -> Client {
        self.open(r#"{"chancery":1,"connect":"files"}"#).await
    }

    pub(crate) async fn stop(&mut self) {
        self.stop.take().unwrap().send(()).unwrap();
        self.task.take().unwrap().await.unwrap();
        assert!(self.folder.path().exists());
    }
}

/// A client that speaks lines.
pub(crate) struct Client {
    reader: BufReader<OwnedReadHalf>,
    writer: Option<OwnedWriteHalf>,
}

impl Client {
    pub(crate) async fn send(&mut self, line: &str) {
        let line = format!("{line}\n");
        // Fails when the bridge hung up.
        let _ = self
            .writer
            .as_mut()
            .unwrap()
            .write_all(line.as_bytes())
            .await;
    }

    pub(crate) fn close_writing(&mut self) {
        self.writer = None;
    }

    /// The next line; empty when the bridge hung up.
    pub(crate) async fn line(&mut self) -> String {
        let mut line = String::new();
        let reading = self.reader.read_line(&mut line);
        // A refused connection may be reset.
        let _ = timeout(Duration::from_secs(10), reading)
            .await
            .expect("no line in time");
        line.trim_end_matches('\n').to_owned()
    }

    pub(crate) async fn json(&mut self) -> Value {
        let line = self.line().await;
        serde_json::from_str(&line).unwrap_or_else(|_| panic!("not JSON: {line:?}"))
    }

    pub(crate) async fn ask(&mut self, line: &str) -> Value {
        self.send(line).await;
        self.json().await
    }

    /// Whether nothing arrives for a while.
    pub(crate) async fn is_silent(&mut self) -> bool {
        let mut line = String::new();
        let reading = self.reader.read_line(&mut line);
        timeout(Duration::from_millis(300), reading).await.is_err()
    }
}
