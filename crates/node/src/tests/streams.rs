//! Streams over their life: what is sent when, and how many there may be.

use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::join_all;
use spiffe::X509Source;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tonic::transport::Channel;
use tonic::{Code, Streaming};

use super::Serving;
use super::workload_api::request;
use crate::pb::workload::spiffe_workload_api_client::SpiffeWorkloadApiClient;
use crate::pb::workload::{
    JwtBundlesRequest, X509BundlesRequest, X509svidRequest, X509svidResponse,
};

const SOON: Duration = Duration::from_secs(60);
const CONNECTIONS: usize = 32;
const STREAMS: usize = 63;

async fn next<T>(stream: &mut Streaming<T>) -> T {
    timeout(SOON, stream.message())
        .await
        .unwrap()
        .unwrap()
        .unwrap()
}

/// A client that resets its request while the issuer takes its time has nothing issued beside it.
#[tokio::test]
async fn who_gives_up_waiting_has_no_second_svid_issued() {
    let serving = Serving::start();
    serving.launch_own().await;
    let issuer = &serving.issuer;
    issuer.x509_answers.forget_permits(Semaphore::MAX_PERMITS);
    let launch = &serving.launches.list()[0];
    let bundle = issuer.bundle.borrow().clone().unwrap();
    for _ in 0..20 {
        let of = &serving.launches;
        let svid = crate::x509_source::X509Source::current(launch, of, &bundle);
        assert!(svid.now_or_never().is_none());
        tokio::task::yield_now().await;
    }
    assert_eq!(issuer.x509_asked.load(Ordering::SeqCst), 1);
    issuer.x509_answers.add_permits(1);
    let mut client = SpiffeWorkloadApiClient::new(serving.channel().await);
    let svids = client.fetch_x509svid(request(X509svidRequest {})).await;
    assert_eq!(next(&mut svids.unwrap().into_inner()).await.svids.len(), 1);
    assert_eq!(issuer.x509_asked.load(Ordering::SeqCst), 1);
}

/// What is sent when nothing changed would stand before what is sent when something did.
#[tokio::test]
async fn nothing_is_sent_when_nothing_changed() {
    let serving = Serving::start();
    serving.launch_own().await;
    let mut client = SpiffeWorkloadApiClient::new(serving.channel().await);
    let svids = client.fetch_x509svid(request(X509svidRequest {})).await;
    let mut svids = svids.unwrap().into_inner();
    let bundles = client
        .fetch_x509_bundles(request(X509BundlesRequest {}))
        .await;
    let mut bundles = bundles.unwrap().into_inner();
    let keys = client
        .fetch_jwt_bundles(request(JwtBundlesRequest {}))
        .await;
    let mut keys = keys.unwrap().into_inner();
    let (svid, bundle, key) = (
        next(&mut svids).await,
        next(&mut bundles).await,
        next(&mut keys).await,
    );
    for _ in 0..20 {
        // The streams are woken, and find what they have sent already.
        serving.issuer.bundle.send_modify(|_| {});
        serving.issuer.jwt_bundle.send_modify(|_| {});
        let other = client.fetch_x509svid(request(X509svidRequest {})).await;
        assert_eq!(next(&mut other.unwrap().into_inner()).await, svid);
    }
    serving.issuer.rotate_jwt_key();
    assert_ne!(next(&mut keys).await, key);
    serving.issuer.add_root();
    let (changed, changed_bundle) = (next(&mut svids).await, next(&mut bundles).await);
    assert!(changed.svids[0].bundle.len() > svid.svids[0].bundle.len());
    assert_eq!(changed.svids[0].x509_svid, svid.svids[0].x509_svid);
    assert_ne!(changed_bundle, bundle);
    // The keys for tokens did not change with the root.
    serving.issuer.rotate_jwt_key();
    let last = next(&mut keys).await;
    assert_eq!(last.bundles.len(), 1);
    let set = String::from_utf8(last.bundles["spiffe://td"].clone()).unwrap();
    assert_eq!(set.matches("\"kid\"").count(), 3);
}

#[tokio::test]
async fn a_06_a_client_holds_what_was_sent_last_and_nothing_older() {
    let serving = Serving::start();
    serving.launch_own().await;
    let source = X509Source::builder().endpoint(serving.endpoint());
    let source = source.build().await.unwrap();
    let mut updates = source.updated();
    let authorities = || {
        let bundles = source.bundle_set().unwrap();
        let held: Vec<_> = bundles
            .iter()
            .map(|(_, it)| it.authorities().len())
            .collect();
        held
    };
    let first = serving.issuer.bundle.borrow().clone();
    serving.issuer.add_root();
    timeout(SOON, updates.changed()).await.unwrap().unwrap();
    assert_eq!(authorities(), [2]);
    serving.issuer.bundle.send_replace(first);
    timeout(SOON, updates.changed()).await.unwrap().unwrap();
    assert_eq!(authorities(), [1]);
    source.shutdown().await;
}

#[tokio::test]
async fn a_21_a_client_comes_back_when_its_stream_ends() {
    let serving = Serving::start();
    serving.launch_own().await;
    let source = X509Source::builder().endpoint(serving.endpoint());
    let source = source.build().await.unwrap();
    let mut updates = source.updated();
    let before = source.svid().unwrap();
    let serving = serving.killed().await;
    timeout(SOON, updates.changed()).await.unwrap().unwrap();
    let after = source.svid().unwrap();
    assert_eq!(after.spiffe_id(), before.spiffe_id());
    assert_ne!(after.leaf().as_bytes(), before.leaf().as_bytes());
    assert_eq!(serving.launches.list().len(), 1);
    source.shutdown().await;
}

/// The memory that this process holds, in KiB: node and clients together.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.unwrap()
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .unwrap()
}

async fn open(channel: Channel) -> Vec<Streaming<X509svidResponse>> {
    let client = SpiffeWorkloadApiClient::new(channel);
    let opened = (0..STREAMS).map(|_| {
        let mut client = client.clone();
        async move {
            let stream = client.fetch_x509svid(request(X509svidRequest {})).await;
            stream.unwrap().into_inner()
        }
    });
    join_all(opened).await
}

#[tokio::test(flavor = "multi_thread")]
async fn two_thousand_streams_hear_of_every_change_and_of_the_end() {
    let serving = Serving::start();
    let launch = serving.launch_own().await;
    let before = resident();
    let mut streams = Vec::new();
    for _ in 0..CONNECTIONS {
        streams.extend(open(serving.channel().await).await);
    }
    assert_eq!(streams.len(), CONNECTIONS * STREAMS);
    let first = join_all(streams.iter_mut().map(next)).await;
    assert!(first.iter().all(|message| message == &first[0]));
    let grown = resident().saturating_sub(before);
    println!(
        "{} streams: {grown} KiB, node and clients together",
        streams.len()
    );
    serving.issuer.add_root();
    let second = join_all(streams.iter_mut().map(next)).await;
    assert!(second.iter().all(|message| message == &second[0]));
    assert!(second[0].svids[0].bundle.len() > first[0].svids[0].bundle.len());
    serving.launches.withdraw(launch.launch_id).unwrap();
    for stream in &mut streams {
        let end = timeout(SOON, stream.message()).await.unwrap().unwrap_err();
        assert_eq!(end.code(), Code::PermissionDenied);
    }
}
