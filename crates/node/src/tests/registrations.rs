//! What an agent is registered with reaches open streams as soon as it changes.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use chancery_identity::{Isolation, RegistrationTerms};
use tokio::time::timeout;
use tonic::{Code, Status, Streaming};

use super::issuer::Mood;
use super::workload_api::request;
use super::{AGENT, Serving};
use crate::Registrations;
use crate::pb::workload::spiffe_workload_api_client::SpiffeWorkloadApiClient;
use crate::pb::workload::{
    JwtsvidRequest, WitsvidRequest, WitsvidResponse, X509svidRequest, X509svidResponse,
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

fn hints(message: &X509svidResponse) -> Vec<&str> {
    message
        .svids
        .iter()
        .map(|svid| svid.hint.as_str())
        .collect()
}

fn hint(text: &str) -> RegistrationTerms {
    RegistrationTerms {
        hint: Some(text.parse().unwrap()),
        ..Default::default()
    }
}

fn register<const N: usize>(serving: &Serving, terms: [(&str, RegistrationTerms); N]) {
    let terms = terms.map(|(agent, terms)| (agent.to_owned(), terms));
    let registrations = Registrations::new(BTreeMap::from(terms));
    serving.issuer.registrations.send_replace(registrations);
}

fn is_named(message: &X509svidResponse, name: &str) -> bool {
    let svid = &message.svids[0].x509_svid;
    svid.windows(name.len()).any(|part| part == name.as_bytes())
}

#[tokio::test]
async fn a_09_a_hint_is_the_registrations_and_changes_no_svid() {
    let serving = Serving::start();
    serving.launch_own().await;
    let mut stream = svids(&serving).await.unwrap();
    let first = next(&mut stream).await.unwrap();
    assert_eq!(hints(&first), [""]);
    for text in ["internal", "external"] {
        register(&serving, [(AGENT, hint(text)), (OTHER, hint("nobody's"))]);
        let told = next(&mut stream).await.unwrap();
        assert_eq!(hints(&told), [text]);
        assert_eq!(told.svids[0].x509_svid, first.svids[0].x509_svid);
        let mut client = SpiffeWorkloadApiClient::new(serving.channel().await);
        let asked = JwtsvidRequest {
            audience: vec!["reports".to_owned()],
            spiffe_id: String::new(),
        };
        let token = client.fetch_jwtsvid(request(asked)).await.unwrap();
        assert_eq!(token.into_inner().svids[0].hint, text);
    }
    register(&serving, []);
    assert_eq!(hints(&next(&mut stream).await.unwrap()), [""]);
    assert_eq!(serving.issuer.x509_asked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_09_several_identities_never_share_a_hint() {
    let serving = Serving::start();
    register(&serving, [(AGENT, hint("same")), (OTHER, hint("same"))]);
    serving.launch_own().await;
    serving.launch_as(OTHER).await;
    let mut stream = svids(&serving).await.unwrap();
    assert_eq!(hints(&next(&mut stream).await.unwrap()), ["same", OTHER]);
    register(&serving, [(OTHER, hint("own"))]);
    assert_eq!(hints(&next(&mut stream).await.unwrap()), [AGENT, "own"]);
}

#[tokio::test]
async fn a_name_that_is_registered_no_more_is_taken_from_open_streams() {
    let serving = Serving::start();
    serving.launch_own().await;
    let named = RegistrationTerms {
        dns_names: ["a.example".parse().unwrap()].into(),
        ..Default::default()
    };
    let mut stream = svids(&serving).await.unwrap();
    let first = next(&mut stream).await.unwrap();
    assert!(!is_named(&first, "a.example"));
    register(&serving, [(AGENT, named.clone())]);
    let second = next(&mut stream).await.unwrap();
    assert!(is_named(&second, "a.example"));
    assert_ne!(second.svids[0].x509_svid_key, first.svids[0].x509_svid_key);
    // What changes for others changes nothing here.
    register(&serving, [(AGENT, named), (OTHER, hint("other"))]);
    register(&serving, []);
    let third = next(&mut stream).await.unwrap();
    assert!(!is_named(&third, "a.example"));
    assert_eq!(third.svids[0].spiffe_id, first.svids[0].spiffe_id);
    assert_eq!(serving.issuer.x509_asked.load(Ordering::SeqCst), 3);
}

/// Nobody issues anew meanwhile: what is valid stays, and is taken once somebody does.
#[tokio::test]
async fn an_issuer_that_is_away_takes_nothing_and_is_asked_again() {
    let serving = Serving::start();
    serving.launch_own().await;
    let mut stream = svids(&serving).await.unwrap();
    let first = next(&mut stream).await.unwrap();
    serving.issuer.feel(Mood::Away);
    let named = RegistrationTerms {
        dns_names: ["a.example".parse().unwrap()].into(),
        hint: Some("told".parse().unwrap()),
        ..Default::default()
    };
    register(&serving, [(AGENT, named)]);
    let told = next(&mut stream).await.unwrap();
    assert_eq!(hints(&told), ["told"]);
    assert_eq!(told.svids[0].x509_svid, first.svids[0].x509_svid);
    serving.issuer.feel(Mood::Willing);
    assert!(is_named(&next(&mut stream).await.unwrap(), "a.example"));
}

#[tokio::test]
async fn an_instance_that_a_registration_permits_no_more_is_handed_nothing() {
    let serving = Serving::start();
    serving.issuer.serves_wits.store(true, Ordering::SeqCst);
    serving.launch_own().await;
    let mut stream = svids(&serving).await.unwrap();
    next(&mut stream).await.unwrap();
    let required = RegistrationTerms {
        isolation: Some(Isolation::Isolated),
        ..Default::default()
    };
    register(&serving, [(AGENT, required)]);
    let ended = next(&mut stream).await.unwrap_err();
    assert_eq!(ended.code(), Code::PermissionDenied);
    let refused = async {
        let mut stream = svids(&serving).await?;
        next(&mut stream).await
    };
    assert_eq!(refused.await.unwrap_err().code(), Code::PermissionDenied);
    // Permitted again, it is served again.
    register(&serving, []);
    let mut stream = svids(&serving).await.unwrap();
    assert_eq!(next(&mut stream).await.unwrap().svids.len(), 1);
}

#[tokio::test]
async fn a_wit_svid_is_issued_anew_and_hinted_as_the_registration_says() {
    let serving = Serving::start();
    serving.issuer.serves_wits.store(true, Ordering::SeqCst);
    serving.launch_own().await;
    let mut client = SpiffeWorkloadApiClient::new(serving.channel().await);
    let asked = WitsvidRequest::default();
    let stream = client.fetch_witsvid(request(asked)).await;
    let mut stream: Streaming<WitsvidResponse> = stream.unwrap().into_inner();
    let first = next(&mut stream).await.unwrap();
    register(&serving, [(AGENT, hint("internal"))]);
    let hinted = next(&mut stream).await.unwrap();
    assert_eq!(hinted.svids[0].hint, "internal");
    assert_eq!(hinted.svids[0].wit_svid, first.svids[0].wit_svid);
    let shorter = RegistrationTerms {
        jwt_svid_seconds: Some("60".parse().unwrap()),
        ..hint("internal")
    };
    register(&serving, [(AGENT, shorter)]);
    let anew = next(&mut stream).await.unwrap();
    assert_ne!(anew.svids[0].wit_svid, first.svids[0].wit_svid);
}
