//! Access tokens for relying parties outside, against the instance's chain.

use std::time::Duration;

use chancery_api::oauth::{
    CHAIN_TOKEN_TYPE, GRANT_TYPE, IssuedToken, PROOF_ASSERTION_TYPE, TokenRefusal,
};
use chancery_delegation::access_token::{AUTHORIZATION_DETAILS, EXCHANGE_SERVER};
use chancery_delegation::{Call, DraftError, Step, Target, read_arguments};
use chancery_types::Digest;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::{Instant as Moment, sleep};

use crate::clock::now;
use crate::gateway::GatewayError;
use crate::key::AgentKeyError;
use crate::session::{Instance, SessionError};

/// Between two looks whether a person has answered, at the least.
const LEAST_PAUSE: Duration = Duration::from_millis(100);

/// Proofs say whole seconds: this much later one is not older than a gateway that just started.
const NEXT_SECOND: Duration = Duration::from_millis(1_100);

/// An access token to be asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExchangeRequest {
    /// The one relying party that the token is for: an absolute URI.
    pub audience: String,
    /// The entries that it is to carry; all that it may where that is left open.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub authorization_details: Option<Vec<Value>>,
    /// The mission's step that it serves; the only one that lists it where that is left open.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub step: Option<String>,
}

/// A proof of the agent key to be made for one request to a relying party (RFC 9449).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DpopRequest {
    /// The HTTP method.
    pub method: String,
    /// The URL, without query and fragment.
    pub url: String,
    /// The access token that goes with it.
    pub access_token: String,
    /// The nonce that the relying party asked for.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub nonce: Option<String>,
}

impl std::fmt::Debug for DpopRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DpopRequest")
            .field("method", &self.method)
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

/// Why there is no access token.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExchangeError {
    /// The gateway refused.
    #[error("{}: {} ({})", .0.error, .0.error_description, .0.reason)]
    Refused(Box<TokenRefusal>),
    /// The entries that are asked for are not JSON that everybody reads alike.
    #[error("the authorization details are not entries")]
    Details,
    /// The instance cannot act.
    #[error(transparent)]
    Session(#[from] SessionError),
}

impl From<GatewayError> for ExchangeError {
    fn from(error: GatewayError) -> Self {
        Self::Session(error.into())
    }
}

impl From<AgentKeyError> for ExchangeError {
    fn from(error: AgentKeyError) -> Self {
        match error {
            AgentKeyError::Draft(DraftError::Refused(_)) => Self::Details,
            error => Self::Session(error.into()),
        }
    }
}

impl Instance {
    /// Exchanges the instance's chain for an access token. Joins the session where it has not; waits
    /// for a delegation and for a person's answer as long as it is told.
    pub async fn exchange(
        &self,
        request: &ExchangeRequest,
        delegation: Duration,
        approval: Duration,
    ) -> Result<IssuedToken, ExchangeError> {
        let deadline = Moment::now() + approval;
        let mut proven_again = false;
        loop {
            let form = self.exchange_form(request, delegation).await?;
            let refusal = match self.gateway().exchange_token(form).await? {
                Ok(issued) => return Ok(issued),
                Err(refusal) => refusal,
            };
            let interval = refusal.interval.map(Duration::from_secs);
            match interval {
                Some(pause) if Moment::now() + pause <= deadline => {
                    sleep(pause.max(LEAST_PAUSE)).await;
                }
                None if refusal.reason == "pop_stale" && !proven_again => {
                    proven_again = true;
                    sleep(NEXT_SECOND).await;
                }
                _ => return Err(ExchangeError::Refused(Box::new(refusal))),
            }
        }
    }

    async fn exchange_form(
        &self,
        request: &ExchangeRequest,
        delegation: Duration,
    ) -> Result<String, ExchangeError> {
        let held = self.held(delegation).await?;
        self.enter_session(delegation).await?;
        let details = request.authorization_details.as_ref();
        let details = details.map(|entries| Value::from(entries.clone()).to_string());
        let arguments = match &details {
            Some(details) => format!(r#"{{"{AUTHORIZATION_DETAILS}":{details}}}"#),
            None => "{}".to_owned(),
        };
        let (args, _) = read_arguments(&arguments).map_err(|_| ExchangeError::Details)?;
        let call = Call {
            server: EXCHANGE_SERVER,
            target: Target::Tool(&request.audience),
            args: &args,
        };
        let step = request.step.as_deref();
        let step = step.or_else(|| held.mission().only_step_for(&call).map(Step::id));
        let gateway = &self.gateway().gateway().spiffe_id;
        let chain = held.chain().join(",");
        let cth = Digest::of(&chain);
        let proof = self.key().prove_call(gateway, cth, call, step, now())?;
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", GRANT_TYPE)
            .append_pair("subject_token_type", CHAIN_TOKEN_TYPE)
            .append_pair("subject_token", &chain)
            .append_pair("audience", &request.audience)
            .append_pair("client_assertion_type", PROOF_ASSERTION_TYPE)
            .append_pair("client_assertion", &proof);
        if let Some(details) = &details {
            form.append_pair(AUTHORIZATION_DETAILS, details);
        }
        Ok(form.finish())
    }

    /// Proves the agent key to a relying party that the instance has an access token for.
    pub fn prove_dpop(&self, request: &DpopRequest) -> Result<String, AgentKeyError> {
        self.key().prove_dpop(request, now())
    }
}
