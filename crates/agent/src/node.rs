//! The node over its own socket.

use std::path::Path;
use std::time::Duration;

use chancery_api::pb::agent::agent_identity_client::AgentIdentityClient;
use chancery_api::pb::agent::{
    AwaitDelegationRequest, ChallengeRequest, Delegation, IssueCredentialRequest,
    IssueCredentialResponse,
};
use chancery_delegation::ConsentArtefact;
use chancery_types::{parse_strict, to_canonical};
use tokio::sync::Mutex;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};

use crate::held::Held;
use crate::identity::{Answer, Credential, Gateway, NodeError, NodeIdentity};
use crate::key::{AgentKey, AgentKeyError};

const CONNECT: Duration = Duration::from_secs(10);
const MOST_LINK_BYTES: usize = 1 << 20;

/// The node's service beside the SPIFFE Workload API, on the same socket.
#[derive(Debug)]
pub struct NodeClient {
    endpoint: String,
    channel: Channel,
    /// A nonce is good for the next proof on its connection: one proof at a time.
    proving: Mutex<()>,
}

impl NodeClient {
    /// Connects to the node's workload socket; later on anew by itself.
    pub async fn connect(workload_socket: &Path) -> Result<Self, NodeError> {
        let endpoint = format!("unix:{}", workload_socket.display());
        let unreachable = |source: tonic::transport::Error| NodeError::Unreachable {
            endpoint: endpoint.clone(),
            source: source.into(),
        };
        let builder = Endpoint::from_shared(endpoint.clone()).map_err(unreachable)?;
        let channel = builder
            .connect_timeout(CONNECT)
            .connect()
            .await
            .map_err(unreachable)?;
        Ok(Self {
            endpoint,
            channel,
            proving: Mutex::default(),
        })
    }

    fn client(&self) -> AgentIdentityClient<Channel> {
        AgentIdentityClient::new(self.channel.clone()).max_decoding_message_size(MOST_LINK_BYTES)
    }

    fn error(&self, status: Status) -> NodeError {
        if status.code() == Code::Unavailable {
            let source = Box::new(status);
            return NodeError::Unreachable {
                endpoint: self.endpoint.clone(),
                source,
            };
        }
        NodeError::Refused {
            message: status.message().to_owned(),
        }
    }

    async fn issue(&self, key: &AgentKey) -> Result<Credential, NodeError> {
        let jwk = to_canonical(key.public()).map_err(AgentKeyError::from)?;
        let jwk = String::from_utf8(jwk).map_err(|_| NodeError::Answer { field: "jwk" })?;
        let mut client = self.client();
        let _proving = self.proving.lock().await;
        let challenge = client.challenge(ChallengeRequest {}).await;
        let challenge = challenge.map_err(|status| self.error(status))?.into_inner();
        let proof = key.prove_key(&challenge.nonce)?;
        let issued = client
            .issue_credential(IssueCredentialRequest { jwk, proof })
            .await;
        credential(issued.map_err(|status| self.error(status))?.into_inner())
    }

    async fn first_delegation(&self) -> Result<Held, NodeError> {
        let stream = self
            .client()
            .await_delegation(AwaitDelegationRequest {})
            .await;
        let mut stream = stream.map_err(|status| self.error(status))?.into_inner();
        match stream
            .message()
            .await
            .map_err(|status| self.error(status))?
        {
            Some(delegation) => held(delegation),
            None => Err(NodeError::Ended),
        }
    }
}

impl NodeIdentity for NodeClient {
    fn credential<'a>(&'a self, key: &'a AgentKey) -> Answer<'a, Result<Credential, NodeError>> {
        Box::pin(self.issue(key))
    }

    fn await_delegation(&self) -> Answer<'_, Result<Held, NodeError>> {
        Box::pin(self.first_delegation())
    }
}

fn credential(issued: IssueCredentialResponse) -> Result<Credential, NodeError> {
    let wrong = |field| NodeError::Answer { field };
    if issued.token.is_empty() {
        return Err(wrong("token"));
    }
    if issued.manifest.is_empty() {
        return Err(wrong("manifest"));
    }
    let gateway_id = issued.gateway_spiffe_id.parse();
    Ok(Credential {
        spiffe_id: issued.spiffe_id.parse().map_err(|_| wrong("spiffe_id"))?,
        wit: issued.token,
        manifest: issued.manifest,
        gateway: Gateway {
            address: issued
                .gateway_address
                .parse()
                .map_err(|_| wrong("gateway_address"))?,
            spiffe_id: gateway_id.map_err(|_| wrong("gateway_spiffe_id"))?,
        },
    })
}

fn held(delegation: Delegation) -> Result<Held, NodeError> {
    let wrong = |field| NodeError::Answer { field };
    let chain = parse_strict(delegation.chain.as_bytes()).map_err(|_| wrong("chain"))?;
    let chain = serde_json::from_value(chain).map_err(|_| wrong("chain"))?;
    let consent =
        ConsentArtefact::parse(delegation.consent.as_bytes()).map_err(|_| wrong("consent"))?;
    let principal =
        parse_strict(delegation.principal.as_bytes()).map_err(|_| wrong("principal"))?;
    let principal = serde_json::from_value(principal).map_err(|_| wrong("principal"))?;
    Ok(Held::new(chain, consent, delegation.mission, principal)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn issued() -> IssueCredentialResponse {
        IssueCredentialResponse {
            token: "t".to_owned(),
            spiffe_id: "spiffe://td/agent/a".to_owned(),
            manifest: vec![1],
            gateway_address: "127.0.0.1:1".to_owned(),
            gateway_spiffe_id: "spiffe://td/service/gateway".to_owned(),
        }
    }

    #[test]
    fn every_field_of_a_credential_is_needed() {
        assert_eq!(credential(issued()).unwrap().gateway.address.port(), 1);
        type Change = fn(&mut IssueCredentialResponse);
        let changes: [(&str, Change); 5] = [
            ("token", |answer| answer.token.clear()),
            ("spiffe_id", |answer| answer.spiffe_id.clear()),
            ("manifest", |answer| answer.manifest.clear()),
            ("gateway_address", |answer| {
                "localhost:1".clone_into(&mut answer.gateway_address)
            }),
            ("gateway_spiffe_id", |answer| {
                answer.gateway_spiffe_id.clear()
            }),
        ];
        for (name, change) in changes {
            let mut answer = issued();
            change(&mut answer);
            let refusal = credential(answer).unwrap_err();
            assert!(
                matches!(refusal, NodeError::Answer { field } if field == name),
                "{name}"
            );
        }
    }

    #[test]
    fn a_delegation_is_read_strictly() {
        let good = |chain: &str, consent: &str, principal: &str| {
            held(Delegation {
                chain: chain.to_owned(),
                consent: consent.to_owned(),
                mission: vec![1],
                principal: principal.to_owned(),
            })
        };
        let consent =
            r#"{"credential_id":"","client_data_json":"","authenticator_data":"","signature":""}"#;
        for (chain, consent, field) in [
            ("", consent, "chain"),
            ("{}", consent, "chain"),
            ("[1]", consent, "chain"),
            (r#"["a"]"#, "", "consent"),
            (r#"["a"]"#, "{}", "consent"),
            (r#"["a"]"#, consent, "principal"),
        ] {
            let refusal = good(chain, consent, "").unwrap_err();
            assert!(
                matches!(refusal, NodeError::Answer { field: f } if f == field),
                "{field}"
            );
        }
    }

    #[tokio::test]
    async fn a_node_that_is_away_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let refusal = NodeClient::connect(&folder.path().join("none.sock"))
            .await
            .unwrap_err();
        assert!(refusal.to_string().contains("none.sock"), "{refusal}");
    }
}
