//! Many launches on one node: nobody hears of another one's.

use std::process::{Child, Command};
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::time::timeout;
use tonic::Streaming;

use super::workload_api::request;
use super::{Serving, Sleeper};
use crate::Withdrawn;
use crate::pb::workload::spiffe_workload_api_client::SpiffeWorkloadApiClient;
use crate::pb::workload::{X509svidRequest, X509svidResponse};

const SOON: Duration = Duration::from_secs(60);
const OTHER: &str = "spiffe://td/agent/writer";
/// How many processes there are, and of how many agents each is an instance.
const PROCESSES: usize = 20;
const AGENTS: usize = 50;
const STREAMS: usize = 10;

async fn next(stream: &mut Streaming<X509svidResponse>) -> X509svidResponse {
    let message = timeout(SOON, stream.message()).await.unwrap();
    message.unwrap().unwrap()
}

fn agent(number: usize) -> String {
    format!("spiffe://td/agent/worker-{number}")
}

/// A thousand instances of others are launched and revoked; then one more of the process whose streams are
/// open. What comes next on each stream is that one, and nothing was asked for in between.
#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_launches_send_each_stream_what_changed_for_it_alone() {
    let serving = Serving::start();
    let own = serving.launch_own().await.spiffe_id.to_string();
    let mut streams = Vec::new();
    for _ in 0..STREAMS {
        let mut client = SpiffeWorkloadApiClient::new(serving.channel().await);
        let stream = client.fetch_x509svid(request(X509svidRequest {})).await;
        streams.push(stream.unwrap().into_inner());
    }
    for stream in &mut streams {
        assert_eq!(next(stream).await.svids.len(), 1);
    }
    let asked = serving.issuer.x509_asked.load(Ordering::SeqCst);
    let mut others: Vec<Sleeper> = (0..PROCESSES).map(|_| Sleeper::plain()).collect();
    let mut instances = std::collections::BTreeSet::new();
    for number in 0..AGENTS {
        for other in &others {
            let instance = serving.launch_apart(other.0.id(), &agent(number)).await;
            instances.insert(instance.to_string());
        }
    }
    assert_eq!(instances.len(), PROCESSES * AGENTS);
    assert_eq!(serving.launches.list().len(), 1 + PROCESSES * AGENTS);
    let withdrawn = &serving.issuer.withdrawn;
    withdrawn.send_replace(Withdrawn::new(Default::default(), instances));
    withdrawn.send_replace(Withdrawn::default());
    for other in &mut others {
        other.end();
    }
    // The ends are told one by one, and the last of them after all the others were heard.
    let gone = async {
        while serving.launches.list().len() > 1 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(SOON, gone).await.unwrap();
    for stream in &mut streams {
        assert!(stream.message().now_or_never().is_none());
    }
    assert_eq!(serving.issuer.x509_asked.load(Ordering::SeqCst), asked);
    let sibling = serving.launch_as(OTHER).await.spiffe_id.to_string();
    for stream in &mut streams {
        let message = next(stream).await;
        let ids: Vec<_> = message.svids.iter().map(|svid| &svid.spiffe_id).collect();
        assert_eq!(ids, [&own, &sibling]);
    }
    assert_eq!(serving.issuer.x509_asked.load(Ordering::SeqCst), asked + 1);
}

/// A process is held once, however many agents it is an instance of.
#[tokio::test]
async fn a_process_of_many_agents_is_held_once() {
    let serving = Serving::start();
    let other = Sleeper::plain();
    serving.launch_own().await;
    let before = pidfds();
    for number in 0..AGENTS {
        serving.launch_apart(other.0.id(), &agent(number)).await;
    }
    // Nothing else is held meanwhile: one that holds it, and one that waits for its exit.
    assert!(pidfds() <= before + 2, "{} after {before}", pidfds());
    drop(other);
}

/// How many pidfds this process has.
fn pidfds() -> usize {
    let open = std::fs::read_dir("/proc/self/fd").unwrap();
    let links = open.filter_map(|one| std::fs::read_link(one.unwrap().path()).ok());
    links
        .filter(|link| link.to_string_lossy().contains("pidfd"))
        .count()
}

/// Those that are registered together are found again together, each with its own process.
#[tokio::test]
async fn a_node_that_was_killed_finds_every_agent_of_a_process_again() {
    let serving = Serving::start();
    let children: Vec<Child> = (0..3)
        .map(|_| Command::new("sleep").arg("60").spawn().unwrap())
        .collect();
    for child in &children {
        for number in 0..5 {
            serving.launch_apart(child.id(), &agent(number)).await;
        }
    }
    let before: Vec<_> = serving
        .launches
        .list()
        .iter()
        .map(|launch| (launch.id(), launch.bridge_pid()))
        .collect();
    let serving = serving.killed().await;
    let after: Vec<_> = serving
        .launches
        .list()
        .iter()
        .map(|launch| (launch.id(), launch.bridge_pid()))
        .collect();
    assert_eq!(after, before);
    for mut child in children {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let gone = async {
        while !serving.launches.list().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(SOON, gone).await.unwrap();
}
