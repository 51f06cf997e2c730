//! A process that is an instance of several agents.

use std::time::Duration;

use tokio::time::timeout;
use tonic::{Code, Status, Streaming};

use super::issuer::Mood;
use super::workload_api::request;
use super::{AGENT, Serving, Sleeper};
use crate::pb::workload::spiffe_workload_api_client::SpiffeWorkloadApiClient;
use crate::pb::workload::{Jwtsvid, JwtsvidRequest, X509svidRequest, X509svidResponse};

const OTHER: &str = "spiffe://td/agent/writer";
const SOON: Duration = Duration::from_secs(20);

async fn svids(serving: &Serving) -> Streaming<X509svidResponse> {
    let mut client = SpiffeWorkloadApiClient::new(serving.channel().await);
    let stream = client.fetch_x509svid(request(X509svidRequest {})).await;
    stream.unwrap().into_inner()
}

async fn next(stream: &mut Streaming<X509svidResponse>) -> Result<Vec<(String, String)>, Status> {
    let message = timeout(SOON, stream.message()).await.unwrap()?.unwrap();
    let svids = message.svids.into_iter();
    Ok(svids.map(|svid| (svid.spiffe_id, svid.hint)).collect())
}

async fn tokens(serving: &Serving, spiffe_id: &str) -> Result<Vec<Jwtsvid>, Status> {
    let mut client = SpiffeWorkloadApiClient::new(serving.channel().await);
    let asked = JwtsvidRequest {
        audience: vec!["reports".to_owned()],
        spiffe_id: spiffe_id.to_owned(),
    };
    Ok(client
        .fetch_jwtsvid(request(asked))
        .await?
        .into_inner()
        .svids)
}

#[tokio::test]
async fn a_20_each_identity_is_sent_and_the_first_one_stays_first() {
    let serving = Serving::start();
    let one = serving.launch_own().await;
    let mut stream = svids(&serving).await;
    let only = (one.spiffe_id.to_string(), String::new());
    assert_eq!(
        next(&mut stream).await.unwrap(),
        std::slice::from_ref(&only)
    );
    // An open stream hears of it at once.
    let two = serving.launch_as(OTHER).await;
    let both = [
        (one.spiffe_id.to_string(), AGENT.to_owned()),
        (two.spiffe_id.to_string(), OTHER.to_owned()),
    ];
    assert_eq!(next(&mut stream).await.unwrap(), both);
    assert_eq!(next(&mut svids(&serving).await).await.unwrap(), both);
    serving.issuer.add_root();
    assert_eq!(next(&mut stream).await.unwrap(), both);
    serving.launches.withdraw(two.launch_id).unwrap();
    assert_eq!(next(&mut stream).await.unwrap(), [only]);
    serving.launches.withdraw(one.launch_id).unwrap();
    assert_eq!(
        next(&mut stream).await.unwrap_err().code(),
        Code::PermissionDenied
    );
}

#[tokio::test]
async fn a_13_each_identity_has_a_token_and_one_may_be_asked_for() {
    let serving = Serving::start();
    let one = serving.launch_own().await.spiffe_id.to_string();
    let two = serving.launch_as(OTHER).await.spiffe_id.to_string();
    let all = tokens(&serving, "").await.unwrap();
    let ids: Vec<_> = all
        .iter()
        .map(|svid| (&*svid.spiffe_id, &*svid.hint))
        .collect();
    assert_eq!(ids, [(&*one, AGENT), (&*two, OTHER)]);
    for asked in [&one, &two] {
        let of_one = tokens(&serving, asked).await.unwrap();
        assert_eq!(of_one.len(), 1);
        assert_eq!(of_one[0].spiffe_id, *asked);
    }
    let refused = tokens(&serving, OTHER).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
}

#[tokio::test]
async fn only_the_same_process_is_an_instance_of_one_more_agent() {
    let serving = Serving::start();
    serving.launch_own().await;
    // Of the same agent again, or together with another process.
    assert_eq!(
        serving.register(None, false).await.unwrap_err().reason,
        "launch_taken"
    );
    let child = Sleeper::plain();
    let with_child = (OTHER, Some(child.0.id()), false);
    let refused = serving.register_as(with_child, None).await.unwrap_err();
    assert_eq!(refused.reason, "launch_taken");
    assert_eq!(serving.launches.list().len(), 1);
    // An issuer that refuses takes nothing from what is there.
    serving.issuer.feel(Mood::Refusing);
    let own = (OTHER, None, false);
    assert!(serving.register_as(own, None).await.is_err());
    serving.issuer.feel(Mood::Willing);
    assert_eq!(next(&mut svids(&serving).await).await.unwrap().len(), 1);
}
