use chancery_crypto::{AwsLc, SigningKey};
use chancery_identity::{key_proof_signing_input, verify_wit};
use chancery_types::{Algorithm, jws};
use tokio::sync::mpsc;
use tonic::transport::Channel;
use tonic::{Code, Status};

use super::issuer::Mood;
use super::{Serving, Sleeper};
use crate::Delegation;
use crate::clock::now;
use chancery_api::pb::agent::agent_identity_client::AgentIdentityClient;
use chancery_api::pb::agent::{
    AwaitDelegationRequest, ChallengeRequest, IssueCredentialRequest, IssueCredentialResponse,
};

type Client = AgentIdentityClient<Channel>;

async fn client(serving: &Serving) -> Client {
    AgentIdentityClient::new(serving.channel().await)
}

async fn nonce(client: &mut Client) -> String {
    client
        .challenge(ChallengeRequest {})
        .await
        .unwrap()
        .into_inner()
        .nonce
}

fn proof(key: &SigningKey, nonce: &str) -> IssueCredentialRequest {
    let input = key_proof_signing_input(key.public(), nonce).unwrap();
    IssueCredentialRequest {
        jwk: serde_json::to_string(key.public()).unwrap(),
        proof: jws::assemble(&input, &key.sign(input.as_bytes()).unwrap()),
    }
}

async fn credential(
    client: &mut Client,
    key: &SigningKey,
) -> Result<IssueCredentialResponse, Status> {
    let nonce = nonce(client).await;
    let issued = client.issue_credential(proof(key, &nonce)).await?;
    Ok(issued.into_inner())
}

#[tokio::test]
async fn a_proven_key_gets_its_credential() {
    for algorithm in [Algorithm::Ed25519, Algorithm::Es256] {
        let serving = Serving::start();
        let launch = serving.launch_own().await;
        let mut client = client(&serving).await;
        let key = SigningKey::generate(algorithm).unwrap();
        let issued = credential(&mut client, &key).await.unwrap();
        assert_eq!(issued.spiffe_id, launch.spiffe_id.to_string());
        let bundle = serving.issuer.wit_bundle();
        let wit = verify_wit(&issued.token, &bundle, now(), &AwsLc).unwrap();
        assert_eq!(wit.agent_key(), key.public());
        assert_eq!(*wit.spiffe_id(), launch.spiffe_id.to_spiffe_id());
        assert!(credential(&mut client, &key).await.is_ok());
    }
}

#[tokio::test]
async fn an_instance_has_one_agent_key() {
    let serving = Serving::start();
    serving.launch_own().await;
    let mut client = client(&serving).await;
    let key = SigningKey::generate(Algorithm::Ed25519).unwrap();
    serving.issuer.feel(Mood::Away);
    let refusal = credential(&mut client, &key).await.unwrap_err();
    assert_eq!(refusal.code(), Code::Unavailable);
    serving.issuer.feel(Mood::Willing);
    // Nothing was issued, so nothing is bound yet.
    let key = SigningKey::generate(Algorithm::Ed25519).unwrap();
    credential(&mut client, &key).await.unwrap();
    let second = SigningKey::generate(Algorithm::Ed25519).unwrap();
    let refusal = credential(&mut client, &second).await.unwrap_err();
    assert_eq!(refusal.code(), Code::PermissionDenied);
}

#[tokio::test]
async fn a_nonce_is_good_once_and_on_its_connection() {
    let serving = Serving::start();
    serving.launch_own().await;
    let (mut one, mut two) = (client(&serving).await, client(&serving).await);
    let key = SigningKey::generate(Algorithm::Ed25519).unwrap();
    let nonce_of_one = nonce(&mut one).await;
    let refusal = two
        .issue_credential(proof(&key, &nonce_of_one))
        .await
        .unwrap_err();
    assert_eq!(refusal.code(), Code::FailedPrecondition);
    nonce(&mut two).await;
    let refusal = two
        .issue_credential(proof(&key, &nonce_of_one))
        .await
        .unwrap_err();
    assert_eq!(refusal.code(), Code::InvalidArgument);
    one.issue_credential(proof(&key, &nonce_of_one))
        .await
        .unwrap();
    let refusal = one
        .issue_credential(proof(&key, &nonce_of_one))
        .await
        .unwrap_err();
    assert_eq!(refusal.code(), Code::FailedPrecondition);
    let (old, _) = (nonce(&mut one).await, nonce(&mut one).await);
    let refusal = one.issue_credential(proof(&key, &old)).await.unwrap_err();
    assert_eq!(refusal.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn refuses_keys_and_proofs_of_others() {
    let serving = Serving::start();
    serving.launch_own().await;
    let mut client = client(&serving).await;
    let key = SigningKey::generate(Algorithm::Ed25519).unwrap();
    let other = SigningKey::generate(Algorithm::Ed25519).unwrap();
    let other_jwk = serde_json::to_string(other.public()).unwrap();
    for change in [
        |request: &mut IssueCredentialRequest, other: &str| request.jwk = other.to_owned(),
        |request: &mut IssueCredentialRequest, _: &str| request.jwk.clear(),
        |request: &mut IssueCredentialRequest, _: &str| request.proof.clear(),
        |request: &mut IssueCredentialRequest, _: &str| request.jwk.insert_str(1, r#""d":"AA","#),
        |request: &mut IssueCredentialRequest, _: &str| {
            request.proof = request.proof.replace('.', "..");
        },
    ] {
        let nonce = nonce(&mut client).await;
        let mut request = proof(&key, &nonce);
        change(&mut request, &other_jwk);
        let refusal = client.issue_credential(request).await.unwrap_err();
        assert_eq!(refusal.code(), Code::InvalidArgument);
    }
}

#[tokio::test]
async fn a_process_of_no_launch_gets_nothing() {
    let serving = Serving::start();
    let mut client = client(&serving).await;
    let refusal = client.challenge(ChallengeRequest {}).await.unwrap_err();
    assert_eq!(refusal.code(), Code::PermissionDenied);
    let refusal = client
        .issue_credential(IssueCredentialRequest::default())
        .await
        .unwrap_err();
    assert_eq!(refusal.code(), Code::PermissionDenied);
    let refusal = client
        .await_delegation(AwaitDelegationRequest {})
        .await
        .unwrap_err();
    assert_eq!(refusal.code(), Code::PermissionDenied);
}

#[tokio::test]
async fn delegations_arrive_until_the_launch_ends() {
    let serving = Serving::start();
    let mut child = Sleeper::plain();
    serving.register(Some(child.0.id()), false).await.unwrap();
    let (sender, receiver) = mpsc::unbounded_channel();
    *serving.issuer.delegations.lock().unwrap() = Some(receiver);
    let mut client = client(&serving).await;
    let stream = client
        .await_delegation(AwaitDelegationRequest {})
        .await
        .unwrap();
    let mut stream = stream.into_inner();
    for chain in ["[\"a\"]", "[\"a\",\"b\"]"] {
        let delegation = Delegation {
            chain: chain.to_owned(),
            consent: String::new(),
            mission: Vec::new(),
            principal: String::new(),
        };
        sender.send(delegation).unwrap();
        let received = stream.message().await.unwrap().unwrap();
        assert_eq!(
            (received.chain.as_str(), received.consent.as_str()),
            (chain, "")
        );
    }
    child.end();
    let end = stream.message().await.unwrap_err();
    assert_eq!(end.code(), Code::PermissionDenied);
}
