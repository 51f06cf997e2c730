use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use chancery_agent::handover::{Delegator, Grant, HandoverListener};
use chancery_agent::{Answer, Credential, Instance, SpawnEnd, SpawnError, SpawnRequest, Spawner};
use chancery_delegation::{ChainRules, Entry};
use chancery_identity::{AgentId, SpiffeId, TrustDomain, WitBundle};
use chancery_policy::DELEGATION_FILE;
use tokio::process::Command;

use super::agent_id;
use crate::args::{IsolationMode, NetworkMode, RunArgs};
use crate::commands::delegate::grant;
use crate::deployment::Layout;

/// How long a child may take until it asks for its delegation.
const START: Duration = Duration::from_secs(60);

/// How long a spawn waits for the own delegation.
const DELEGATION: Duration = Duration::from_secs(120);

/// Tells a child its parent's SPIFFE ID.
pub(super) const PARENT_VARIABLE: &str = "CHANCERY_PARENT";

/// Starts children with a narrower delegation, outside of the own sandbox.
#[derive(Debug)]
pub(crate) struct ChildSpawner {
    layout: Layout,
    instance: Arc<Instance>,
    spiffe_id: SpiffeId,
    wits: WitBundle,
    isolation: IsolationMode,
    network: NetworkMode,
    read: Vec<PathBuf>,
}

impl ChildSpawner {
    /// Children get what this instance has: the same isolation, network and readable files.
    pub(crate) fn new(
        layout: &Layout,
        args: &RunArgs,
        instance: Arc<Instance>,
        credential: &Credential,
    ) -> anyhow::Result<Self> {
        let trust = layout.trust()?;
        let domain: TrustDomain = trust.trust_domain.parse()?;
        Ok(Self {
            layout: layout.clone(),
            instance,
            spiffe_id: credential.spiffe_id.clone(),
            wits: WitBundle::new(domain, trust.token_authorities.iter().copied()),
            isolation: args.isolation,
            network: args.network,
            read: args.read.clone(),
        })
    }

    async fn start(&self, request: SpawnRequest) -> anyhow::Result<SpawnEnd> {
        let agent: AgentId = agent_id(&self.layout, &request.agent)?;
        let entries = request.allow.iter().map(|text| {
            Entry::parse(&grant(text)?).map_err(|reason| anyhow::anyhow!("{text}: {reason}"))
        });
        let grant = Grant {
            agent,
            entries: entries.collect::<anyhow::Result<_>>()?,
            lifetime_seconds: self.link_lifetime().await?,
            may_delegate: false,
        };
        // Only who holds the root opens the session; a child that came first would find none.
        self.instance.enter_session(DELEGATION).await?;
        let held = self.instance.held(DELEGATION).await?;
        let folder = tempfile::Builder::new()
            .prefix("chancery-child-")
            .tempdir()?;
        let socket = folder.path().join("parent.sock");
        let listener = HandoverListener::bind(&socket, None)?;
        let mut child = self
            .command(&request, &socket)
            .spawn()
            .context("chancery run")?;
        let pid = i32::try_from(child.id().context("the child has ended")?)?;
        let delegator = Delegator {
            key: self.instance.key(),
            spiffe_id: &self.spiffe_id,
            held: &held,
            wits: &self.wits,
        };
        let given = tokio::select! {
            biased;
            given = listener.give(pid, &delegator, &grant, START) => given?,
            ended = child.wait() => {
                let ended = ended.context("the child")?;
                anyhow::bail!("the child ended before it took its delegation: {ended}")
            }
        };
        let output = child.wait_with_output().await.context("the child")?;
        Ok(SpawnEnd {
            instance: given.child.to_string(),
            exit_code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        })
    }

    /// How long a link lives by the operator's rules in force; as long as its parent where they do not
    /// say.
    async fn link_lifetime(&self) -> anyhow::Result<Option<u64>> {
        let server = self.layout.server_client();
        let digest = server.status().await?.policy_digest;
        let policy = server.policy(digest).await?;
        let rules = policy.files.get(DELEGATION_FILE);
        let rules = rules.map(|text| ChainRules::parse(text.as_bytes()));
        let rules = rules.transpose().context(DELEGATION_FILE)?;
        let lifetimes = rules.unwrap_or_default().link();
        Ok(lifetimes.default_seconds.or(lifetimes.max_seconds))
    }

    fn command(&self, request: &SpawnRequest, socket: &std::path::Path) -> Command {
        let program = std::env::current_exe().unwrap_or_else(|_| "chancery".into());
        let mut command = Command::new(program);
        command
            .arg("run")
            .arg("--data")
            .arg(self.layout.data())
            .arg("--agent")
            .arg(&request.agent)
            .arg("--parent")
            .arg(socket)
            .args(match self.isolation {
                IsolationMode::Required => ["--isolation", "required"],
                IsolationMode::BestEffort => ["--isolation", "best-effort"],
            })
            .args(match self.network {
                NetworkMode::None => ["--network", "none"],
                NetworkMode::Host => ["--network", "host"],
            });
        for path in &self.read {
            command.arg("--read").arg(path);
        }
        command
            .arg("--")
            .args(&request.argv)
            .env(PARENT_VARIABLE, self.spiffe_id.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        command
    }
}

impl Spawner for ChildSpawner {
    fn spawn(&self, request: SpawnRequest) -> Answer<'_, Result<SpawnEnd, SpawnError>> {
        Box::pin(async move {
            self.start(request).await.map_err(|error| SpawnError {
                reason: "not_spawned".to_owned(),
                message: format!("{error:#}"),
                remedy: None,
            })
        })
    }
}
