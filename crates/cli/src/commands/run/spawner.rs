use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use chancery_agent::handover::{Delegator, Grant, HandoverError, HandoverListener, check_grant};
use chancery_agent::{
    AgentKeyError, Answer, Credential, Held, Instance, SpawnEnd, SpawnEnds, SpawnError, SpawnMany,
    SpawnRequest, Spawned, SpawnedChild, Spawner,
};
use chancery_api::server::{LaunchTerms, Roster, RosterFilter};
use chancery_api::{ClientError, Problem, UnixClient};
use chancery_delegation::{ChainRules, DraftError, Entry};
use chancery_identity::{AgentId, InstanceSpiffeId, SpiffeId, TrustDomain, WitBundle};
use chancery_policy::DELEGATION_FILE;
use futures_util::{StreamExt as _, stream};
use tokio::process::{Child, Command};

use super::agent_id;
use super::children::Children;
use crate::args::{IsolationMode, NetworkMode, RunArgs};
use crate::commands::delegate::grant;
use crate::deployment::Layout;

/// How long a child may take until it asks for its delegation.
const START: Duration = Duration::from_secs(60);

/// How long a spawn waits for the own delegation.
const DELEGATION: Duration = Duration::from_secs(120);

/// How many children of one call are on their way at a time.
const STARTING: usize = 8;

/// Tells a child its parent's SPIFFE ID.
const PARENT_VARIABLE: &str = "CHANCERY_PARENT";

/// Tells a child what it is for: not among its arguments, which every user of the machine reads.
const TERMS_VARIABLE: &str = "CHANCERY_TERMS";

/// Where a child that was refused says why: beside its parent's socket.
const REFUSAL: &str = "refused.json";

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
    children: Children,
}

/// What every child of one call gets a part of.
struct Basis {
    held: Arc<Held>,
    lifetime_seconds: Option<u64>,
}

/// A child that has its delegation.
struct Begun {
    instance: String,
    process: Child,
}

/// Who waits for a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Attended {
    /// The one who asked: the child is ended with the question.
    ByAsker,
    /// Nobody: the node ends the child with its parent, where it may not outlive it.
    ByNode,
}

/// What a parent says of the child that this process is.
#[derive(Debug, Default)]
pub(super) struct Origin {
    pub(super) parent: Option<InstanceSpiffeId>,
    pub(super) terms: LaunchTerms,
}

impl Origin {
    /// As the parent's bridge said it; what nobody started has none.
    pub(super) fn read(args: &RunArgs) -> anyhow::Result<Self> {
        if args.parent.is_none() {
            return Ok(Self {
                parent: None,
                terms: LaunchTerms {
                    task: args.task.clone(),
                    lifetime_seconds: args.lifetime,
                    outlive: false,
                },
            });
        }
        let parent = std::env::var(PARENT_VARIABLE).context("the parent's SPIFFE ID")?;
        let terms = match std::env::var(TERMS_VARIABLE) {
            Ok(text) => serde_json::from_str(&text).context(TERMS_VARIABLE)?,
            Err(_) => LaunchTerms::default(),
        };
        Ok(Self {
            parent: Some(parent.parse().context("the parent's SPIFFE ID")?),
            terms,
        })
    }
}

/// Tells the parent whose socket that is why its child does not begin.
pub(super) fn tell_refusal(socket: &Path, error: &anyhow::Error) {
    let Some(ClientError::Refused(problem)) = error.downcast_ref::<ClientError>() else {
        return;
    };
    if let Ok(text) = serde_json::to_vec(problem) {
        // The parent says that its child ended, where it cannot say why.
        let _ = std::fs::write(socket.with_file_name(REFUSAL), text);
    }
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
            children: Children::default(),
        })
    }

    async fn basis(&self) -> anyhow::Result<Basis> {
        let lifetime_seconds = self.link_lifetime().await?;
        // Only who holds the root opens the session; a child that came first would find none.
        self.instance.enter_session(DELEGATION).await?;
        Ok(Basis {
            held: self.instance.held(DELEGATION).await?,
            lifetime_seconds,
        })
    }

    /// Starts a child and passes authority on to it. Nothing is started that could not be given what it
    /// is to have, and nothing is left of what fails.
    async fn begin(
        &self,
        request: &SpawnRequest,
        basis: &Basis,
        attended: Attended,
    ) -> anyhow::Result<Begun> {
        let agent: AgentId = agent_id(&self.layout, &request.agent)?;
        let entries = request.allow.iter().map(|text| {
            Entry::parse(&grant(text)?).map_err(|reason| anyhow::anyhow!("{text}: {reason}"))
        });
        let lifetimes = [basis.lifetime_seconds, request.lifetime_seconds];
        let grant = Grant {
            agent,
            entries: entries.collect::<anyhow::Result<_>>()?,
            lifetime_seconds: lifetimes.into_iter().flatten().min(),
            may_delegate: request.may_delegate,
        };
        let delegator = Delegator {
            key: self.instance.key(),
            spiffe_id: &self.spiffe_id,
            held: &basis.held,
            wits: &self.wits,
        };
        check_grant(&delegator, &grant)?;
        let folder = tempfile::Builder::new()
            .prefix("chancery-child-")
            .tempdir()?;
        let socket = folder.path().join("parent.sock");
        let listener = HandoverListener::bind(&socket, None)?;
        let mut process = self
            .command(request, &socket, attended)?
            .spawn()
            .context("chancery run")?;
        let pid = i32::try_from(process.id().context("the child has ended")?)?;
        let given = tokio::select! {
            biased;
            given = listener.give(pid, &delegator, &grant, START) => given.map_err(anyhow::Error::from),
            ended = process.wait() => Err(match (refusal(&socket), ended) {
                (Some(problem), _) => ClientError::Refused(problem).into(),
                (None, Ok(ended)) => {
                    anyhow::anyhow!("the child ended before it took its delegation: {ended}")
                }
                (None, Err(error)) => error.into(),
            }),
        };
        match given {
            Ok(given) => Ok(Begun {
                instance: given.child.to_string(),
                process,
            }),
            Err(error) => {
                // It may have ended by itself.
                let _ = process.kill().await;
                Err(error)
            }
        }
    }

    async fn start(&self, request: SpawnRequest) -> anyhow::Result<SpawnEnd> {
        let basis = self.basis().await?;
        let begun = self.begin(&request, &basis, Attended::ByAsker).await?;
        let output = begun
            .process
            .wait_with_output()
            .await
            .context("the child")?;
        Ok(SpawnEnd {
            instance: begun.instance,
            exit_code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        })
    }

    async fn start_many(&self, request: SpawnMany) -> anyhow::Result<Spawned> {
        let basis = self.basis().await?;
        let starting = stream::iter(request.children).map(|child| {
            let basis = &basis;
            async move {
                match self.begin(&child, basis, Attended::ByNode).await {
                    Ok(begun) => {
                        self.children.watch(&begun.instance, begun.process);
                        SpawnedChild::Instance(begun.instance)
                    }
                    Err(error) => SpawnedChild::Refused(failed(&error)),
                }
            }
        });
        let children = starting.buffered(STARTING).collect().await;
        Ok(Spawned { children })
    }

    async fn own_roster(&self, filter: &RosterFilter) -> anyhow::Result<Roster> {
        let node = UnixClient::new(self.layout.node_socket());
        let path = format!("/v1/descendants{}", filter.query());
        Ok(node.get(&path).await?)
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

    fn command(
        &self,
        request: &SpawnRequest,
        socket: &Path,
        attended: Attended,
    ) -> anyhow::Result<Command> {
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
            .env(TERMS_VARIABLE, serde_json::to_string(&request.terms())?)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(attended == Attended::ByAsker);
        if request.outlive {
            // What ends with this process, or at its terminal, is not the child's.
            command
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .process_group(0);
        }
        Ok(command)
    }
}

/// What a child that was refused said.
fn refusal(socket: &Path) -> Option<Problem> {
    let text = std::fs::read(socket.with_file_name(REFUSAL)).ok()?;
    serde_json::from_slice(&text).ok()
}

/// One reason for each cause, as far as it is known here.
fn failed(error: &anyhow::Error) -> SpawnError {
    if let Some(ClientError::Refused(problem)) = error.downcast_ref() {
        return SpawnError {
            reason: problem.reason.clone(),
            message: problem.message.clone(),
            remedy: problem.remedy.clone(),
        };
    }
    let refused = match error.downcast_ref::<HandoverError>() {
        Some(HandoverError::Link(AgentKeyError::Draft(DraftError::Refused(refusal)))) => {
            Some(refusal.reason.code())
        }
        Some(error) => Some(error.reason()),
        None => None,
    };
    SpawnError {
        reason: refused.unwrap_or("not_spawned").to_owned(),
        message: format!("{error:#}"),
        remedy: None,
    }
}

impl Spawner for ChildSpawner {
    fn spawn(&self, request: SpawnRequest) -> Answer<'_, Result<SpawnEnd, SpawnError>> {
        Box::pin(async move { self.start(request).await.map_err(|error| failed(&error)) })
    }

    fn spawn_many(&self, request: SpawnMany) -> Answer<'_, Result<Spawned, SpawnError>> {
        Box::pin(async move {
            let started = self.start_many(request).await;
            started.map_err(|error| failed(&error))
        })
    }

    fn ends(&self, instances: Vec<String>) -> Answer<'_, Result<SpawnEnds, SpawnError>> {
        Box::pin(async move { self.children.ends(&instances).await })
    }

    fn roster(&self, filter: RosterFilter) -> Answer<'_, Result<Roster, SpawnError>> {
        Box::pin(async move {
            let roster = self.own_roster(&filter).await;
            roster.map_err(|error| failed(&error))
        })
    }
}
