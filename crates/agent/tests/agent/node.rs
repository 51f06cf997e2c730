use std::path::PathBuf;
use std::sync::Mutex;

use chancery_agent::{AgentKey, NodeClient, NodeError, NodeIdentity as _};
use chancery_api::pb::agent::agent_identity_server::{AgentIdentity, AgentIdentityServer};
use chancery_api::pb::agent::{
    AwaitDelegationRequest, ChallengeRequest, ChallengeResponse, Delegation,
    IssueCredentialRequest, IssueCredentialResponse,
};
use chancery_crypto::AwsLc;
use chancery_identity::verify_key_proof;
use chancery_types::Jwk;
use tokio::net::UnixListener;
use tokio_stream::wrappers::UnixListenerStream;
use tonic::{Request, Response, Status};

use crate::support::world::{GATEWAY, MISSION, World, consent, instance, principal, session};

/// A node with one nonce for each proof.
struct Node {
    nonce: Mutex<Option<String>>,
    delegations: Vec<Delegation>,
}

#[tonic::async_trait]
impl AgentIdentity for Node {
    type AwaitDelegationStream = tokio_stream::Iter<std::vec::IntoIter<Result<Delegation, Status>>>;

    async fn challenge(
        &self,
        _: Request<ChallengeRequest>,
    ) -> Result<Response<ChallengeResponse>, Status> {
        let nonce = chancery_crypto::random_bytes::<8>().unwrap();
        let nonce = chancery_types::base64url::encode(nonce);
        *self.nonce.lock().unwrap() = Some(nonce.clone());
        Ok(Response::new(ChallengeResponse { nonce }))
    }

    async fn issue_credential(
        &self,
        request: Request<IssueCredentialRequest>,
    ) -> Result<Response<IssueCredentialResponse>, Status> {
        let request = request.into_inner();
        let nonce = self.nonce.lock().unwrap().take();
        let nonce =
            nonce.ok_or_else(|| Status::failed_precondition("ask for a challenge first"))?;
        let jwk: Jwk = serde_json::from_str(&request.jwk).unwrap();
        verify_key_proof(&request.proof, &jwk, &nonce, &AwsLc)
            .map_err(|error| Status::invalid_argument(error.to_string()))?;
        Ok(Response::new(IssueCredentialResponse {
            token: "wit".to_owned(),
            spiffe_id: instance("reader", 1).to_string(),
            manifest: b"envelope".to_vec(),
            gateway_address: "127.0.0.1:8443".to_owned(),
            gateway_spiffe_id: GATEWAY.to_owned(),
        }))
    }

    async fn await_delegation(
        &self,
        _: Request<AwaitDelegationRequest>,
    ) -> Result<Response<Self::AwaitDelegationStream>, Status> {
        let delegations: Vec<_> = self.delegations.iter().cloned().map(Ok).collect();
        Ok(Response::new(tokio_stream::iter(delegations)))
    }
}

fn serve(delegations: Vec<Delegation>) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("workload.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let node = AgentIdentityServer::new(Node {
        nonce: Mutex::default(),
        delegations,
    });
    let server = tonic::transport::Server::builder().add_service(node);
    tokio::spawn(server.serve_with_incoming(UnixListenerStream::new(listener)));
    (folder, socket)
}

#[tokio::test]
async fn a_credential_is_issued_and_renewed_for_a_proven_key() {
    let (_folder, socket) = serve(Vec::new());
    let node = NodeClient::connect(&socket).await.unwrap();
    let key = AgentKey::generate().unwrap();
    // Each needs a nonce of its own, and they do not take each other's.
    let (one, two, three) = tokio::join!(
        node.credential(&key),
        node.credential(&key),
        node.credential(&key)
    );
    for credential in [one, two, three] {
        let credential = credential.unwrap();
        assert_eq!(credential.spiffe_id, instance("reader", 1));
        assert_eq!(credential.gateway.address.port(), 8443);
        assert_eq!(credential.manifest, b"envelope");
    }
}

#[tokio::test]
async fn a_delegation_comes_with_everything_it_is_presented_with() {
    let (world, key) = (World::new(), AgentKey::generate().unwrap());
    let root = world.root(&instance("reader", 1), &key);
    let delegation = Delegation {
        chain: serde_json::to_string(&[root]).unwrap(),
        consent: serde_json::to_string(&consent()).unwrap(),
        mission: MISSION.to_vec(),
        principal: serde_json::to_string(&principal()).unwrap(),
    };
    let (_folder, socket) = serve(vec![delegation.clone()]);
    let held = NodeClient::connect(&socket)
        .await
        .unwrap()
        .await_delegation()
        .await
        .unwrap();
    assert_eq!(held.session(), session());
    assert!(held.is_root() && held.is_for(key.public()));
    assert_eq!(held.principal(), &principal());

    for (mission, expected) in [
        (b"another".to_vec(), "the mission is not the root's"),
        (Vec::new(), "the mission is not the root's"),
    ] {
        let (_folder, socket) = serve(vec![Delegation {
            mission,
            ..delegation.clone()
        }]);
        let node = NodeClient::connect(&socket).await.unwrap();
        let NodeError::Held(refusal) = node.await_delegation().await.unwrap_err() else {
            panic!("another error");
        };
        assert_eq!(refusal.to_string(), expected);
    }
}

#[tokio::test]
async fn a_node_that_ends_the_wait_gave_nothing() {
    let (_folder, socket) = serve(Vec::new());
    let node = NodeClient::connect(&socket).await.unwrap();
    assert!(matches!(
        node.await_delegation().await.unwrap_err(),
        NodeError::Ended
    ));
}
