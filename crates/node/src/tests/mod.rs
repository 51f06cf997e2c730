//! The node on temporary sockets, with an issuer that signs for itself.

mod agent_key;
mod answers;
mod attackers;
mod authorities;
mod broker;
mod crowds;
mod foreign_bundles;
mod foreign_clients;
mod identities;
mod issuer;
mod jwt_api;
mod operator_routes;
mod registration;
mod registrations;
mod restart;
mod revocation;
mod spawning;
mod specification;
mod streams;
mod wit_api;
mod workload_api;

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use chancery_api::server::LaunchTerms;
use chancery_api::{ClientError, Problem, UnixClient};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tonic::transport::{Channel, Endpoint};

use chancery_identity::{InstanceSpiffeId, Isolation};

use crate::{
    LaunchRequest, Launches, Node, NodeConfig, NodeError, Process, RegisterLaunch, RegisteredLaunch,
};
pub(crate) use broker::{BROKER, allow_all};
use issuer::TestIssuer;

const AGENT: &str = "spiffe://td/agent/researcher";

/// A node that serves until it is dropped.
pub(crate) struct Serving {
    folder: tempfile::TempDir,
    issuer: Arc<TestIssuer>,
    pub(crate) launches: Arc<Launches>,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<Result<(), NodeError>>,
}

impl Serving {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self::start_in(folder, Arc::new(TestIssuer::new()))
    }

    fn start_as(trust_domain: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self::start_in(folder, Arc::new(TestIssuer::of(trust_domain)))
    }

    /// Ends as a killed process does, so that nobody hears of anything, and starts again.
    async fn killed(self) -> Self {
        let Self {
            folder,
            issuer,
            launches,
            task,
            ..
        } = self;
        task.abort();
        assert!(task.await.unwrap_err().is_cancelled());
        launches.abandon();
        Self::start_in(folder, issuer)
    }

    pub(crate) fn start_with_brokers() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("broker.sock");
        let issuer = Arc::new(TestIssuer::new());
        Self::start_node(folder, issuer, |node| node.with_brokers(&socket).unwrap())
    }

    fn start_in(folder: tempfile::TempDir, issuer: Arc<TestIssuer>) -> Self {
        Self::start_node(folder, issuer, |node| node)
    }

    fn start_node(
        folder: tempfile::TempDir,
        issuer: Arc<TestIssuer>,
        with: impl FnOnce(Node) -> Node,
    ) -> Self {
        let config = NodeConfig {
            workload_socket: folder.path().join("workload.sock"),
            operator_socket: folder.path().join("node.sock"),
            launches: folder.path().join("launches"),
        };
        let node = with(Node::bind(&config, Arc::clone(&issuer) as _).unwrap());
        let launches = Arc::clone(node.launches());
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(node.serve(async {
            let _ = stopped.await;
        }));
        Self {
            folder,
            issuer,
            launches,
            stop: Some(stop),
            task,
        }
    }

    /// The chain of an X.509-SVID of that SPIFFE ID.
    pub(crate) fn svid_of(&self, id: &str) -> Vec<Vec<u8>> {
        self.issuer.svid_of(&id.parse().unwrap()).0
    }

    fn workload_socket(&self) -> PathBuf {
        self.folder.path().join("workload.sock")
    }

    fn broker_socket(&self) -> PathBuf {
        self.folder.path().join("broker.sock")
    }

    /// Makes a process by itself a launch of that agent.
    async fn launch_apart(&self, pid: u32, agent: &str) -> InstanceSpiffeId {
        let process = Process::open(pid.try_into().unwrap()).unwrap();
        let request = LaunchRequest {
            agent: agent.parse().unwrap(),
            init_pid: None,
            isolation: Isolation::Unisolated,
            program: None,
            parent: None,
            terms: LaunchTerms::default(),
        };
        let launch = self.launches.register(process, request).await.unwrap();
        launch.instance().clone()
    }

    fn endpoint(&self) -> String {
        format!("unix:{}", self.workload_socket().display())
    }

    fn operator(&self) -> UnixClient {
        UnixClient::new(self.folder.path().join("node.sock"))
    }

    async fn register(
        &self,
        init: Option<u32>,
        isolated: bool,
    ) -> Result<RegisteredLaunch, Problem> {
        self.register_program(init, isolated, None).await
    }

    /// Makes a process a launch that is about to execute a program.
    async fn launch_program(&self, pid: u32, program: &str) -> RegisteredLaunch {
        let launch = self.register_program(Some(pid), false, Some(program.into()));
        launch.await.unwrap()
    }

    async fn register_program(
        &self,
        init: Option<u32>,
        isolated: bool,
        program: Option<PathBuf>,
    ) -> Result<RegisteredLaunch, Problem> {
        let of = (AGENT, init, isolated);
        self.register_as(of, program).await
    }

    /// Makes this very process a launch of that agent.
    async fn launch_as(&self, agent: &str) -> RegisteredLaunch {
        self.register_as((agent, None, false), None).await.unwrap()
    }

    async fn register_as(
        &self,
        (agent, init, isolated): (&str, Option<u32>, bool),
        program: Option<PathBuf>,
    ) -> Result<RegisteredLaunch, Problem> {
        let request = RegisterLaunch {
            agent_id: agent.parse().unwrap(),
            init_pid: init.map(|pid| pid.try_into().unwrap()),
            isolated,
            program,
            parent: None,
            terms: LaunchTerms::default(),
        };
        match self.operator().post("/v1/launches", &request).await {
            Ok(launch) => Ok(launch),
            Err(ClientError::Refused(problem)) => Err(problem),
            Err(other) => panic!("{other}"),
        }
    }

    /// Makes this very process a launch.
    pub(crate) async fn launch_own(&self) -> RegisteredLaunch {
        self.register(None, false).await.unwrap()
    }

    async fn channel(&self) -> Channel {
        Endpoint::from_shared(self.endpoint())
            .unwrap()
            .connect()
            .await
            .unwrap()
    }

    async fn stop(&mut self) {
        self.stop.take().unwrap().send(()).unwrap();
        (&mut self.task).await.unwrap().unwrap();
    }
}

/// A child that is killed when the test ends.
struct Sleeper(Child);

impl Sleeper {
    fn start(program: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new(program);
        Self(
            command
                .args(arguments)
                .stdin(Stdio::piped())
                .spawn()
                .unwrap(),
        )
    }

    fn plain() -> Self {
        Self::start("sleep", &["60"])
    }

    fn end(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
