//! Authorities that change while streams are open: what is sent verifies with what is sent beside it.

use std::sync::atomic::Ordering;
use std::time::Duration;

use chancery_crypto::SVID_ALGORITHMS;
use chancery_identity::{TrustDomain, X509Bundle, verify_x509_svid};
use spiffe::X509Source;
use tokio::time::timeout;
use tonic::{Code, Streaming};

use super::Serving;
use super::issuer::Mood;
use super::workload_api::request;
use crate::clock::now;
use crate::pb::workload::spiffe_workload_api_client::SpiffeWorkloadApiClient;
use crate::pb::workload::{X509svidRequest, X509svidResponse};

const SOON: Duration = Duration::from_secs(60);

async fn svids(serving: &Serving) -> Streaming<X509svidResponse> {
    let mut client = SpiffeWorkloadApiClient::new(serving.channel().await);
    let stream = client.fetch_x509svid(request(X509svidRequest {})).await;
    stream.unwrap().into_inner()
}

async fn next(stream: &mut Streaming<X509svidResponse>) -> X509svidResponse {
    let message = timeout(SOON, stream.message()).await.unwrap();
    message.unwrap().unwrap()
}

/// The certificates of a concatenation.
fn split(mut ders: &[u8]) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    while let [0x30, 0x82, high, low, ..] = ders {
        let length = 4 + (usize::from(*high) << 8 | usize::from(*low));
        let (one, rest) = ders.split_at(length);
        all.push(one.to_vec());
        ders = rest;
    }
    assert!(ders.is_empty());
    all
}

fn verifies(message: &X509svidResponse) -> bool {
    let domain: TrustDomain = "td".parse().unwrap();
    message.svids.iter().all(|svid| {
        let bundle = X509Bundle::new(domain.clone(), split(&svid.bundle)).unwrap();
        verify_x509_svid(&split(&svid.x509_svid), &bundle, now(), SVID_ALGORITHMS).is_ok()
    })
}

#[tokio::test]
async fn what_a_tainted_authority_signed_is_pushed_anew_before_its_root_leaves() {
    let serving = Serving::start();
    serving.launch_own().await;
    let mut stream = svids(&serving).await;
    let first = next(&mut stream).await;
    serving.issuer.activate_another();
    // The root is told; what is valid stays what it is.
    let told = next(&mut stream).await;
    assert_eq!(told.svids[0].x509_svid, first.svids[0].x509_svid);
    assert!(told.svids[0].bundle.len() > first.svids[0].bundle.len());
    serving.issuer.taint_first();
    let anew = next(&mut stream).await;
    assert_ne!(anew.svids[0].x509_svid, first.svids[0].x509_svid);
    assert_eq!(anew.svids[0].bundle, told.svids[0].bundle);
    serving.issuer.drop_root();
    let last = next(&mut stream).await;
    assert_eq!(last.svids[0].x509_svid, anew.svids[0].x509_svid);
    assert!(last.svids[0].bundle.len() < anew.svids[0].bundle.len());
    for message in [first, told, anew, last] {
        assert!(verifies(&message));
    }
    assert_eq!(serving.issuer.x509_asked.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn an_svid_is_never_sent_beside_a_bundle_without_its_root() {
    let serving = Serving::start();
    serving.launch_own().await;
    let mut stream = svids(&serving).await;
    let first = next(&mut stream).await;
    serving.issuer.activate_another();
    let told = next(&mut stream).await;
    assert_eq!(told.svids[0].x509_svid, first.svids[0].x509_svid);
    // Nobody said that it is tainted.
    serving.issuer.drop_root();
    let anew = next(&mut stream).await;
    assert_ne!(anew.svids[0].x509_svid, first.svids[0].x509_svid);
    assert!(verifies(&anew));
    // Where nothing else can be issued, nothing is sent.
    serving.issuer.activate_another();
    next(&mut stream).await;
    serving.issuer.feel(Mood::Away);
    serving.issuer.drop_root();
    let ended = timeout(SOON, stream.message()).await.unwrap();
    assert_eq!(ended.unwrap_err().code(), Code::Unavailable);
}

#[tokio::test]
async fn a_tainted_svid_stays_while_no_other_can_be_issued() {
    let serving = Serving::start();
    serving.launch_own().await;
    let mut stream = svids(&serving).await;
    let first = next(&mut stream).await;
    serving.issuer.feel(Mood::Away);
    serving.issuer.taint_first();
    // A stream that is opened meanwhile is served with what is valid.
    let mut other = svids(&serving).await;
    assert_eq!(next(&mut other).await, first);
    serving.issuer.activate_another();
    serving.issuer.feel(Mood::Willing);
    let last = loop {
        let message = next(&mut stream).await;
        assert!(verifies(&message));
        if message.svids[0].x509_svid != first.svids[0].x509_svid {
            break message;
        }
    };
    assert_eq!(last.svids.len(), 1);
}

/// A client that we did not write holds, at every moment, an SVID that its bundle verifies.
#[tokio::test]
async fn a_foreign_client_follows_from_one_authority_to_the_next() {
    let serving = Serving::start();
    serving.launch_own().await;
    let source = X509Source::builder().endpoint(serving.endpoint());
    let source = source.build().await.unwrap();
    let mut updates = source.updated();
    let first = source.svid().unwrap();
    serving.issuer.activate_another();
    timeout(SOON, updates.changed()).await.unwrap().unwrap();
    serving.issuer.taint_first();
    timeout(SOON, updates.changed()).await.unwrap().unwrap();
    let second = source.svid().unwrap();
    assert_ne!(second.leaf().as_bytes(), first.leaf().as_bytes());
    serving.issuer.drop_root();
    timeout(SOON, updates.changed()).await.unwrap().unwrap();
    assert_eq!(
        source.svid().unwrap().leaf().as_bytes(),
        second.leaf().as_bytes()
    );
    source.shutdown().await;
}
