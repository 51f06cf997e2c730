//! A workload: a process that is an instance of agents and keeps a stream of its SVIDs open.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::os::fd::AsFd as _;
use std::path::PathBuf;

use anyhow::Context as _;
use chancery_api::UnixClient;
use chancery_node::pb::workload::spiffe_workload_api_client::SpiffeWorkloadApiClient;
use chancery_node::pb::workload::{X509svidRequest, X509svidResponse};
use chancery_node::{RegisterLaunch, RegisteredLaunch};
use prost::Message as _;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::unix::pipe::Receiver;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Streaming};

use super::monotonic;
use super::parts::{operator_socket, workload_socket};

pub(crate) const WORKLOAD: &str = "identities-workload";

/// What it is told, one a line.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Command {
    /// Become an instance of that agent.
    Register(String),
    /// Open the stream anew.
    Open,
    /// Let go of the stream.
    Close,
}

/// What it tells, one a line.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Event {
    /// It is an instance of that SPIFFE ID.
    Registered(String),
    /// A message of the stream.
    Received(Received),
    /// The stream ended.
    Ended(String),
    /// A command failed.
    Failed(String),
}

/// A message of the stream, and what it changed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Received {
    /// When it was there, by the monotonic clock.
    pub(crate) at: u64,
    /// Its size.
    pub(crate) bytes: usize,
    /// How many SVIDs are in it that were in none before.
    pub(crate) fresh: usize,
    /// The identities that came with it.
    pub(crate) came: Vec<String>,
    /// The identities that went with it.
    pub(crate) went: Vec<String>,
}

/// Goes on until nobody tells it anything any more.
pub(crate) fn run(arguments: Vec<String>) -> anyhow::Result<()> {
    let sockets = PathBuf::from(arguments.first().context("where are the sockets?")?);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(work(sockets))
}

async fn work(sockets: PathBuf) -> anyhow::Result<()> {
    // No thread beside the one that works: what one process is told is no work of a workload.
    let commands = Receiver::from_owned_fd(std::io::stdin().as_fd().try_clone_to_owned()?)?;
    let mut commands = BufReader::new(commands).lines();
    let mut stream = None;
    let mut known = Known::default();
    loop {
        let told = tokio::select! {
            line = commands.next_line() => Told::Command(line?),
            message = next(&mut stream) => Told::Message(message),
        };
        match told {
            Told::Command(None) => return Ok(()),
            Told::Command(Some(line)) => match serde_json::from_str(&line)? {
                Command::Register(agent) => {
                    // The stream is listened to meanwhile.
                    let sockets = sockets.clone();
                    tokio::spawn(async move { tell(&registered(sockets, agent).await) });
                }
                Command::Open => match open(&sockets).await {
                    Ok(opened) => stream = Some(opened),
                    Err(error) => tell(&Event::Failed(format!("{error:#}")))?,
                },
                Command::Close => stream = None,
            },
            Told::Message(Ok(Some(message))) => {
                let at = monotonic();
                tell(&Event::Received(known.take(message, at)))?;
            }
            Told::Message(ended) => {
                stream = None;
                let why = ended.err().map_or_else(String::new, |it| it.to_string());
                tell(&Event::Ended(why))?;
            }
        }
    }
}

enum Told {
    Command(Option<String>),
    Message(Result<Option<X509svidResponse>, tonic::Status>),
}

async fn next(
    stream: &mut Option<Streaming<X509svidResponse>>,
) -> Result<Option<X509svidResponse>, tonic::Status> {
    match stream {
        Some(stream) => stream.message().await,
        None => std::future::pending().await,
    }
}

async fn registered(sockets: PathBuf, agent: String) -> Event {
    let registering = async {
        let request = RegisterLaunch {
            agent_id: agent.parse()?,
            init_pid: None,
            isolated: false,
            program: None,
            parent: None,
            terms: Default::default(),
        };
        let operator = UnixClient::new(operator_socket(&sockets));
        let launch: RegisteredLaunch = operator.post("/v1/launches", &request).await?;
        Ok::<_, anyhow::Error>(launch.spiffe_id.to_string())
    };
    match registering.await {
        Ok(id) => Event::Registered(id),
        Err(error) => Event::Failed(format!("{error:#}")),
    }
}

async fn open(sockets: &std::path::Path) -> anyhow::Result<Streaming<X509svidResponse>> {
    let address = format!("unix:{}", workload_socket(sockets).display());
    let channel: Channel = Endpoint::from_shared(address)?.connect().await?;
    let mut client = SpiffeWorkloadApiClient::new(channel);
    let mut request = Request::new(X509svidRequest {});
    let header = ("workload.spiffe.io", "true".parse()?);
    request.metadata_mut().insert(header.0, header.1);
    Ok(client.fetch_x509svid(request).await?.into_inner())
}

/// The SVIDs of the last message.
#[derive(Default)]
struct Known(BTreeMap<String, Vec<u8>>);

impl Known {
    fn take(&mut self, message: X509svidResponse, at: u64) -> Received {
        let bytes = message.encoded_len();
        let now = message.svids.into_iter();
        let now: BTreeMap<_, _> = now.map(|one| (one.spiffe_id, one.x509_svid)).collect();
        let before = std::mem::replace(&mut self.0, now);
        let now = &self.0;
        let fresh = now
            .iter()
            .filter(|(id, svid)| before.get(*id) != Some(svid));
        let of_one = |one: &BTreeMap<String, Vec<u8>>, other: &BTreeMap<String, Vec<u8>>| {
            let ids = one.keys().filter(|id| !other.contains_key(*id));
            ids.cloned().collect()
        };
        Received {
            at,
            bytes,
            fresh: fresh.count(),
            came: of_one(now, &before),
            went: of_one(&before, now),
        }
    }
}

fn tell(event: &Event) -> anyhow::Result<()> {
    let mut line = serde_json::to_vec(event)?;
    line.push(b'\n');
    Ok(std::io::stdout().lock().write_all(&line)?)
}
