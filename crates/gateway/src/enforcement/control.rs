use bytes::Bytes;
use chancery_api::Problem;
use chancery_api::gateway::Challenge;
use http::StatusCode;
use serde::Serialize;
use serde_json::json;

use super::Enforcement;
use super::challenges::ChallengeRefusal;
use super::reasons::said;
use crate::enforcer::{ControlReply, ControlRequest};
use crate::front::Endpoint;
use crate::peer::Peer;

impl Enforcement {
    /// Serves the endpoints beside MCP.
    pub(crate) async fn serve_control(&self, peer: &Peer, request: ControlRequest) -> ControlReply {
        let session = request
            .parameters
            .get("session")
            .map(String::as_str)
            .unwrap_or_default();
        match request.endpoint {
            Endpoint::Challenge => reply(self.challenge(peer)),
            Endpoint::SessionOpen => reply(self.open_session(peer, &request.body).await),
            Endpoint::SessionJoin => reply(self.join_session(peer, session, &request.body).await),
            Endpoint::SessionRead => reply(self.read_session(peer, session).await),
            Endpoint::SessionLeave => {
                reply(self.leave_session(peer, session).await.map(|()| json!({})))
            }
            Endpoint::SessionEnd => reply(self.end_session_for(peer, session).await),
            Endpoint::TokenExchange => self.exchange_token(peer, &request).await,
            Endpoint::TokenKeys => reply(Ok(self.oauth_keys())),
            Endpoint::TokenMetadata => reply(self.oauth_metadata(&request.host)),
            Endpoint::Introspect => reply(self.introspect(peer, &request.body).await),
            Endpoint::McpPost | Endpoint::McpDelete => reply::<()>(Err("method_not_governed")),
        }
    }

    fn challenge(&self, peer: &Peer) -> Result<Challenge, &'static str> {
        let now = self.clock.now().map_err(|_| "clock_stepped_back")?;
        let tls = self.tls().ok_or("certificate_invalid")?;
        self.peers
            .verify(peer.certificates(), &tls, now)
            .map_err(|_| "certificate_invalid")?;
        let nonce = self
            .challenges
            .issue(peer.name(), now)
            .map_err(|refusal| match refusal {
                ChallengeRefusal::TooMany => "too_many_challenges",
                ChallengeRefusal::NoRandomness => "random_unavailable",
            })?;
        Ok(Challenge { nonce })
    }
}

fn reply<T: Serialize>(result: Result<T, &'static str>) -> ControlReply {
    let (status, body) = match result {
        Ok(answer) => (StatusCode::OK, serde_json::to_vec(&answer)),
        Err(code) => {
            let problem = Problem::new(status_of(code), code, said(code));
            (status_of(code), serde_json::to_vec(&problem))
        }
    };
    ControlReply {
        status,
        body: Bytes::from(body.unwrap_or_default()),
    }
}

fn status_of(code: &str) -> StatusCode {
    match code {
        "malformed" | "too_long" => StatusCode::BAD_REQUEST,
        "session_unknown" | "chain_not_yours" => StatusCode::NOT_FOUND,
        "session_exists" | "session_ended" | "session_ending" | "already_joined" => {
            StatusCode::CONFLICT
        }
        "too_many_challenges" => StatusCode::TOO_MANY_REQUESTS,
        "snapshot_stale"
        | "snapshot_expired"
        | "snapshot_missing"
        | "catalog_unavailable"
        | "clock_stepped_back"
        | "log_unavailable"
        | "object_store"
        | "exchange_unavailable"
        | "random_unavailable" => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::FORBIDDEN,
    }
}
