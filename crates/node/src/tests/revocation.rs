//! What is revoked is taken from open streams at once, and handed to nobody.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::timeout;
use tonic::{Code, Status, Streaming};

use super::workload_api::request;
use super::{AGENT, Serving};
use crate::Withdrawn;
use crate::pb::workload::spiffe_workload_api_client::SpiffeWorkloadApiClient;
use crate::pb::workload::{
    JwtBundlesRequest, JwtsvidRequest, X509BundlesRequest, X509svidRequest, X509svidResponse,
};

const OTHER: &str = "spiffe://td/agent/writer";
const SOON: Duration = Duration::from_secs(20);

async fn svids(serving: &Serving) -> Result<Streaming<X509svidResponse>, Status> {
    let mut client = SpiffeWorkloadApiClient::new(serving.channel().await);
    let stream = client.fetch_x509svid(request(X509svidRequest {})).await?;
    Ok(stream.into_inner())
}

async fn next<T>(stream: &mut Streaming<T>) -> Result<T, Status> {
    let message = timeout(SOON, stream.message()).await.unwrap()?;
    Ok(message.unwrap())
}

fn ids(message: &X509svidResponse) -> Vec<&str> {
    message
        .svids
        .iter()
        .map(|it| it.spiffe_id.as_str())
        .collect()
}

fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn agent(name: &str) -> Withdrawn {
    Withdrawn::new(names(&[name]), BTreeSet::new())
}

fn instance(name: &str) -> Withdrawn {
    Withdrawn::new(BTreeSet::new(), names(&[name]))
}

fn assert_refused<T>(outcome: Result<T, Status>, what: &str) {
    let Err(status) = outcome else {
        panic!("{what}: something was handed out");
    };
    assert_eq!(status.code(), Code::PermissionDenied, "{what}: {status}");
    assert!(status.message().contains("no identity issued"), "{what}");
}

#[tokio::test]
async fn a_22_every_stream_of_a_revoked_identity_ends_and_nothing_more_is_handed_out() {
    let serving = Serving::start();
    let launch = serving.launch_own().await;
    for revoked in [instance(&launch.spiffe_id.to_string()), agent(AGENT)] {
        let mut client = SpiffeWorkloadApiClient::new(serving.channel().await);
        let mut x509 = svids(&serving).await.unwrap();
        let bundles = client
            .fetch_x509_bundles(request(X509BundlesRequest {}))
            .await;
        let mut bundles = bundles.unwrap().into_inner();
        let keys = client
            .fetch_jwt_bundles(request(JwtBundlesRequest {}))
            .await;
        let mut keys = keys.unwrap().into_inner();
        next(&mut x509).await.unwrap();
        next(&mut bundles).await.unwrap();
        next(&mut keys).await.unwrap();
        let asked = serving
            .issuer
            .x509_asked
            .load(std::sync::atomic::Ordering::Relaxed);
        serving.issuer.withdrawn.send_replace(revoked);
        assert_refused(next(&mut x509).await, "svids");
        assert_refused(next(&mut bundles).await, "bundles");
        assert_refused(next(&mut keys).await, "keys");
        assert_refused(svids(&serving).await, "a new stream");
        let token = JwtsvidRequest {
            audience: vec!["reports".to_owned()],
            spiffe_id: String::new(),
        };
        assert_refused(client.fetch_jwtsvid(request(token)).await, "a token");
        let now = serving
            .issuer
            .x509_asked
            .load(std::sync::atomic::Ordering::Relaxed);
        assert_eq!(now, asked, "the issuer was asked for what is revoked");
        // Root keys alone lift a revocation; then the process, which runs still, is served again.
        serving.issuer.withdrawn.send_replace(Withdrawn::default());
        let again = async {
            loop {
                if let Ok(mut stream) = svids(&serving).await {
                    return next(&mut stream).await.unwrap();
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        assert_eq!(ids(&timeout(SOON, again).await.unwrap()).len(), 1);
    }
}

#[tokio::test]
async fn a_06_of_several_identities_the_revoked_one_alone_is_taken() {
    let serving = Serving::start();
    let one = serving.launch_own().await.spiffe_id.to_string();
    let two = serving.launch_as(OTHER).await.spiffe_id.to_string();
    let mut stream = svids(&serving).await.unwrap();
    assert_eq!(ids(&next(&mut stream).await.unwrap()), [&*one, &*two]);
    serving.issuer.withdrawn.send_replace(agent(AGENT));
    assert_eq!(ids(&next(&mut stream).await.unwrap()), [&*two]);
    serving.issuer.withdrawn.send_replace(Withdrawn::default());
    assert_eq!(ids(&next(&mut stream).await.unwrap()), [&*one, &*two]);
    let both = Withdrawn::new(names(&[AGENT]), names(&[&two]));
    serving.issuer.withdrawn.send_replace(both);
    // The two may be taken one after the other.
    let ended = async {
        loop {
            if let Err(status) = next(&mut stream).await {
                return status;
            }
        }
    };
    let status = timeout(SOON, ended).await.unwrap();
    assert_eq!(status.code(), Code::PermissionDenied);
}

#[tokio::test]
async fn what_is_revoked_of_others_changes_nothing() {
    let serving = Serving::start();
    let launch = serving.launch_own().await.spiffe_id.to_string();
    let mut stream = svids(&serving).await.unwrap();
    next(&mut stream).await.unwrap();
    let other = format!("{AGENT}/instance/ins_7zzzzzzzzzzzzzzzzzzzzzzzzz");
    for revoked in [
        agent(OTHER),
        instance(&other),
        agent(""),
        instance(AGENT),
        agent(&launch),
    ] {
        serving.issuer.withdrawn.send_replace(revoked);
        let heard = timeout(Duration::from_millis(50), stream.message()).await;
        assert!(heard.is_err(), "{heard:?}");
    }
}

#[tokio::test]
async fn a_launch_that_comes_later_or_is_taken_up_again_is_revoked_as_well() {
    let serving = Serving::start();
    serving.issuer.withdrawn.send_replace(agent(AGENT));
    serving.launch_own().await;
    assert_refused(svids(&serving).await, "registered later");
    let serving = serving.killed().await;
    assert_refused(svids(&serving).await, "taken up again");
}
