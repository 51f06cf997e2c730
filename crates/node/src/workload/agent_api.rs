use std::sync::Arc;

use chancery_crypto::AwsLc;
use chancery_identity::{ProvenKey, verify_key_proof};
use chancery_types::{Jwk, parse_strict};
use futures_util::StreamExt as _;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::spiffe_api::status;
use super::{NO_IDENTITY, caller_by_default, release};
use crate::Launches;
use chancery_api::pb::agent::agent_identity_server::AgentIdentity;
use chancery_api::pb::agent::{
    AwaitDelegationRequest, ChallengeRequest, ChallengeResponse, Delegation,
    IssueCredentialRequest, IssueCredentialResponse,
};

/// The credential of the agent key, and the authority that is delegated to its instance.
pub(super) struct AgentApi {
    launches: Arc<Launches>,
}

impl AgentApi {
    pub(super) const fn new(launches: Arc<Launches>) -> Self {
        Self { launches }
    }
}

#[tonic::async_trait]
impl AgentIdentity for AgentApi {
    type AwaitDelegationStream = ReceiverStream<Result<Delegation, Status>>;

    async fn challenge(
        &self,
        request: Request<ChallengeRequest>,
    ) -> Result<Response<ChallengeResponse>, Status> {
        let (peer, _) = caller_by_default(&self.launches, &request).await?;
        let nonce = peer
            .challenge()
            .map_err(|error| Status::internal(error.to_string()))?;
        Ok(Response::new(ChallengeResponse { nonce }))
    }

    async fn issue_credential(
        &self,
        request: Request<IssueCredentialRequest>,
    ) -> Result<Response<IssueCredentialResponse>, Status> {
        let (peer, launch) = caller_by_default(&self.launches, &request).await?;
        let request = request.into_inner();
        let nonce = peer.take_nonce();
        let nonce =
            nonce.ok_or_else(|| Status::failed_precondition("ask for a challenge first"))?;
        let key = proven(&request, &nonce)?;
        // Held until the issuer has answered, so that no second key slips in.
        let mut bound = launch.agent_key.lock().await;
        if bound.is_some_and(|bound| bound != *key.jwk()) {
            return Err(Status::permission_denied(
                "the instance has another agent key",
            ));
        }
        let issued = self.launches.issuer().issue_wit(&launch, &key).await;
        let issued = issued.map_err(|error| status(&error))?;
        *bound = Some(*key.jwk());
        release(&peer, std::slice::from_ref(&launch)).await?;
        Ok(Response::new(IssueCredentialResponse {
            token: issued.token,
            spiffe_id: launch.instance().to_string(),
            manifest: issued.manifest,
            gateway_address: issued.gateway_address.to_string(),
            gateway_spiffe_id: issued.gateway_spiffe_id.to_string(),
        }))
    }

    async fn await_delegation(
        &self,
        request: Request<AwaitDelegationRequest>,
    ) -> Result<Response<Self::AwaitDelegationStream>, Status> {
        let (peer, launch) = caller_by_default(&self.launches, &request).await?;
        let mut delegations = self.launches.issuer().delegations(&launch);
        let (sender, receiver) = mpsc::channel(1);
        tokio::spawn(async move {
            loop {
                let next = tokio::select! {
                    _ = launch.ended() => Some(Err(Status::permission_denied(NO_IDENTITY))),
                    () = peer.process().exited() => return,
                    () = sender.closed() => return,
                    next = delegations.next() => next.map(|next| {
                        next.map(|delegation| Delegation {
                            chain: delegation.chain,
                            consent: delegation.consent,
                            mission: delegation.mission,
                            principal: delegation.principal,
                        })
                        .map_err(|error| status(&error))
                    }),
                };
                let Some(next) = next else {
                    return;
                };
                // Who asked may execute another program by now.
                let next = match next {
                    Ok(delegation) => release(&peer, std::slice::from_ref(&launch))
                        .await
                        .map(|()| delegation),
                    ended => ended,
                };
                let last = next.is_err();
                if sender.send(next).await.is_err() || last {
                    return;
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(receiver)))
    }
}

fn proven(request: &IssueCredentialRequest, nonce: &str) -> Result<ProvenKey, Status> {
    let jwk = parse_strict(request.jwk.as_bytes()).ok();
    let jwk = jwk.and_then(|jwk| serde_json::from_value::<Jwk>(jwk).ok());
    let jwk = jwk.ok_or_else(|| Status::invalid_argument("jwk is no public key of ours"))?;
    verify_key_proof(&request.proof, &jwk, nonce, &AwsLc)
        .map_err(|error| Status::invalid_argument(error.to_string()))
}
