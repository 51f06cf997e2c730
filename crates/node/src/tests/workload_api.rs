use std::time::Duration;

use spiffe::{WorkloadApiClient, X509Source};
use tokio::time::timeout;
use tonic::metadata::MetadataValue;
use tonic::{Code, Request, Status, Streaming};

use super::issuer::Mood;
use super::{Serving, Sleeper};
use crate::EndReason;
use crate::pb::workload::spiffe_workload_api_client::SpiffeWorkloadApiClient;
use crate::pb::workload::{JwtsvidRequest, X509BundlesRequest, X509svidRequest, X509svidResponse};

const SOON: Duration = Duration::from_secs(10);

pub(super) fn request<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request
        .metadata_mut()
        .insert("workload.spiffe.io", MetadataValue::from_static("true"));
    request
}

async fn svids(serving: &Serving) -> Result<Streaming<X509svidResponse>, Status> {
    let mut client = SpiffeWorkloadApiClient::new(serving.channel().await);
    let stream = client.fetch_x509svid(request(X509svidRequest {})).await?;
    Ok(stream.into_inner())
}

/// The first message or, whether at once or in the stream, the refusal.
async fn first(serving: &Serving) -> Result<X509svidResponse, Status> {
    let mut stream = svids(serving).await?;
    let message = timeout(SOON, stream.message()).await.unwrap()?;
    message.ok_or_else(|| Status::ok("stream ended"))
}

async fn next<T>(stream: &mut Streaming<T>) -> Result<Option<T>, Status> {
    timeout(SOON, stream.message()).await.unwrap()
}

#[tokio::test]
async fn an_ordinary_client_gets_its_identity() {
    let serving = Serving::start();
    let launch = serving.launch_own().await;
    let client = WorkloadApiClient::connect_to(serving.endpoint())
        .await
        .unwrap();
    let context = client.fetch_x509_context().await.unwrap();
    let svid = context.default_svid().unwrap();
    assert_eq!(svid.spiffe_id().to_string(), launch.spiffe_id.to_string());
    assert_eq!(svid.cert_chain().len(), 2);
    let bundles = client.fetch_x509_bundles().await.unwrap();
    assert_eq!(bundles.len(), 1);
    let source = X509Source::builder()
        .endpoint(serving.endpoint())
        .build()
        .await
        .unwrap();
    assert_eq!(source.svid().unwrap().spiffe_id(), svid.spiffe_id());
    source.shutdown().await;
}

#[tokio::test]
async fn one_svid_serves_all_callers_of_a_launch() {
    let serving = Serving::start();
    serving.launch_own().await;
    let (one, two) = (
        first(&serving).await.unwrap(),
        first(&serving).await.unwrap(),
    );
    assert_eq!(one, two);
    let svid = &one.svids[0];
    assert!(!svid.x509_svid.is_empty() && !svid.x509_svid_key.is_empty());
    assert!(!svid.bundle.is_empty() && svid.hint.is_empty());
    assert!(one.federated_bundles.is_empty() && one.crl.is_empty());
}

#[tokio::test]
async fn a_process_of_no_launch_has_no_identity() {
    let serving = Serving::start();
    let refusal = first(&serving).await.unwrap_err();
    assert_eq!(refusal.code(), Code::PermissionDenied);
    assert_eq!(refusal.message(), "no identity issued");
    let mut client = SpiffeWorkloadApiClient::new(serving.channel().await);
    let refusal = client
        .fetch_x509_bundles(request(X509BundlesRequest {}))
        .await
        .unwrap_err();
    assert_eq!(refusal.code(), Code::PermissionDenied);
}

#[tokio::test]
async fn the_parent_of_a_launch_is_not_the_launch() {
    let serving = Serving::start();
    let child = Sleeper::plain();
    serving.register(Some(child.0.id()), false).await.unwrap();
    // The test is the bridge, and so the instance; a stranger is neither.
    assert!(first(&serving).await.is_ok());
    let stranger = Sleeper::plain();
    let stranger = crate::Process::open(stranger.0.id().try_into().unwrap()).unwrap();
    assert!(serving.launches.of_caller(&stranger).is_empty());
}

#[tokio::test]
async fn every_request_carries_the_security_header() {
    let serving = Serving::start();
    serving.launch_own().await;
    let mut client = SpiffeWorkloadApiClient::new(serving.channel().await);
    let missing = client.fetch_x509svid(X509svidRequest {}).await.unwrap_err();
    assert_eq!(missing.code(), Code::InvalidArgument);
    assert_eq!(missing.message(), "security header missing from request");
    for value in ["True", "TRUE", "1", "", "true,true", "false"] {
        let mut request = Request::new(X509BundlesRequest {});
        request
            .metadata_mut()
            .insert("workload.spiffe.io", value.parse().unwrap());
        let refusal = client.fetch_x509_bundles(request).await.unwrap_err();
        assert_eq!(refusal.code(), Code::InvalidArgument, "{value:?}");
    }
    let refusal = client
        .fetch_jwtsvid(JwtsvidRequest::default())
        .await
        .unwrap_err();
    assert_eq!(refusal.code(), Code::InvalidArgument);
    let refusal = unknown_method(&serving, Request::new(X509svidRequest {})).await;
    assert_eq!(refusal.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn what_is_not_served_is_unimplemented() {
    let serving = Serving::start();
    serving.launch_own().await;
    let refusal = unknown_method(&serving, request(X509svidRequest {})).await;
    assert_eq!(refusal.code(), Code::Unimplemented, "{refusal}");
}

async fn unknown_method(serving: &Serving, request: Request<X509svidRequest>) -> Status {
    let mut grpc = tonic::client::Grpc::new(serving.channel().await);
    grpc.ready().await.unwrap();
    let codec: tonic_prost::ProstCodec<X509svidRequest, X509svidResponse> = Default::default();
    let path = http::uri::PathAndQuery::from_static("/SpiffeWorkloadAPI/FetchWITSVID");
    grpc.unary(request, path, codec)
        .await
        .map(|_| ())
        .unwrap_err()
}

#[tokio::test]
async fn a_stream_ends_with_its_process() {
    let serving = Serving::start();
    let mut child = Sleeper::plain();
    let launch = serving.register(Some(child.0.id()), false).await.unwrap();
    let mut stream = svids(&serving).await.unwrap();
    assert!(next(&mut stream).await.unwrap().is_some());
    child.end();
    let end = next(&mut stream).await.unwrap_err();
    assert_eq!(end.code(), Code::PermissionDenied);
    assert_eq!(end.message(), "no identity issued");
    assert_eq!(
        first(&serving).await.unwrap_err().code(),
        Code::PermissionDenied
    );
    assert!(serving.launches.list().is_empty());
    let ended = serving.issuer.ended.lock().unwrap().clone();
    assert_eq!(ended, [(launch.spiffe_id, EndReason::ProcessExited)]);
}

#[tokio::test]
async fn an_svid_is_renewed_at_half_of_its_life() {
    let serving = Serving::start();
    *serving.issuer.lifetime_seconds.lock().unwrap() = 4;
    serving.launch_own().await;
    let mut stream = svids(&serving).await.unwrap();
    let one = next(&mut stream).await.unwrap().unwrap();
    let two = next(&mut stream).await.unwrap().unwrap();
    assert_ne!(one.svids[0].x509_svid_key, two.svids[0].x509_svid_key);
    assert_eq!(one.svids[0].spiffe_id, two.svids[0].spiffe_id);
    serving.issuer.feel(Mood::Refusing);
    let end = next(&mut stream).await.unwrap_err();
    assert_eq!(end.code(), Code::PermissionDenied);
}

#[tokio::test]
async fn a_new_root_reaches_open_streams() {
    let serving = Serving::start();
    serving.launch_own().await;
    let mut stream = svids(&serving).await.unwrap();
    let mut client = SpiffeWorkloadApiClient::new(serving.channel().await);
    let bundles = client
        .fetch_x509_bundles(request(X509BundlesRequest {}))
        .await
        .unwrap();
    let mut bundles = bundles.into_inner();
    let before = next(&mut stream).await.unwrap().unwrap();
    let bundle = next(&mut bundles).await.unwrap().unwrap();
    assert_eq!(bundle.bundles["spiffe://td"], before.svids[0].bundle);
    serving.issuer.add_root();
    let after = next(&mut stream).await.unwrap().unwrap();
    let bundle = next(&mut bundles).await.unwrap().unwrap();
    assert!(after.svids[0].bundle.len() > before.svids[0].bundle.len());
    assert_eq!(after.svids[0].x509_svid, before.svids[0].x509_svid);
    assert_eq!(bundle.bundles["spiffe://td"], after.svids[0].bundle);
}

#[tokio::test]
async fn an_issuer_that_fails_is_told_apart_from_one_that_refuses() {
    for (mood, code, is_asked_at_once) in [
        (Mood::Away, Code::Unavailable, true),
        (Mood::Refusing, Code::PermissionDenied, true),
        (Mood::WrongKey, Code::Unavailable, false),
        (Mood::WrongInstance, Code::Unavailable, false),
    ] {
        let serving = Serving::start();
        serving.launch_own().await;
        serving.issuer.feel(mood);
        assert_eq!(first(&serving).await.unwrap_err().code(), code, "{mood:?}");
        serving.issuer.feel(Mood::Willing);
        // Whose answer was not acceptable is left alone for a while: it has issued that one as well.
        assert_eq!(first(&serving).await.is_ok(), is_asked_at_once, "{mood:?}");
        let again = async {
            while first(&serving).await.is_err() {
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
        };
        let again = tokio::time::timeout(std::time::Duration::from_secs(30), again);
        again.await.unwrap();
    }
}

#[tokio::test]
async fn without_a_bundle_nothing_is_served() {
    let serving = Serving::start();
    serving.launch_own().await;
    serving.issuer.bundle.send_replace(None);
    assert_eq!(first(&serving).await.unwrap_err().code(), Code::Unavailable);
}

#[tokio::test]
async fn the_end_of_the_node_ends_streams_and_is_told() {
    let mut serving = Serving::start();
    serving.launch_own().await;
    let mut stream = svids(&serving).await.unwrap();
    assert!(next(&mut stream).await.unwrap().is_some());
    serving.stop().await;
    assert!(next(&mut stream).await.is_err());
    let ended = serving.issuer.ended.lock().unwrap().clone();
    assert_eq!(ended.len(), 1);
    assert_eq!(ended[0].1, EndReason::NodeStopped);
}
