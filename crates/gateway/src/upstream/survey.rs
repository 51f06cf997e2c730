use std::sync::Arc;

use chancery_types::parse_strict_with_floats;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::timeout;

use super::child::Child;
use super::{Delivery, UpstreamError, Upstreams};
use crate::envelope::{Kind, Message};
use crate::era::Era;
use crate::server_name::ServerName;

/// Most pages of a server's list that are read.
const MAX_PAGES: usize = 64;

const LEGACY: &str = "2025-11-25";
const STATELESS: &str = "2026-07-28";

/// Why a server's tools are not known.
#[derive(Debug, thiserror::Error)]
pub enum SurveyError {
    /// The server cannot be started, or ended.
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
    /// The server did not answer in time.
    #[error("server {0} did not list its tools in time")]
    TimedOut(ServerName),
    /// The server answered with an error, or with no list that has one reading.
    #[error("server {0} did not answer with a list of tools")]
    NoList(ServerName),
}

impl Upstreams {
    /// The tools of a server as a child of its own lists them, all pages. The child is nobody's
    /// seat and ends with the survey.
    pub(crate) async fn survey(&self, server: &ServerName) -> Result<Vec<Value>, SurveyError> {
        let surveyed = timeout(self.limits.restart, async {
            // Servers that know the handshake only must be asked with it; one that knows the
            // stateless era only refuses it.
            match self.survey_in(server, Era::Legacy).await {
                Err(SurveyError::NoList(_)) => self.survey_in(server, Era::Stateless).await,
                surveyed => surveyed,
            }
        });
        surveyed
            .await
            .unwrap_or_else(|_| Err(SurveyError::TimedOut(server.clone())))
    }

    async fn survey_in(&self, server: &ServerName, era: Era) -> Result<Vec<Value>, SurveyError> {
        let upstream = self
            .servers
            .get(server)
            .ok_or_else(|| UpstreamError::Unknown(server.clone()))?;
        // What this child says about changes is no news: it is asked right now.
        let child = Child::spawn(server, upstream, era, &self.limits, watch::Sender::new(0))?;
        if era == Era::Legacy {
            let hello = json!({
                "protocolVersion": LEGACY,
                "capabilities": {},
                "clientInfo": {"name": "chancery-gateway", "version": env!("CARGO_PKG_VERSION")},
            });
            ask(&child, server, 0, "initialize", hello).await?;
            child
                .send(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#)
                .await?;
        }
        let mut tools = Vec::new();
        let mut cursor = None;
        for page in 1..=MAX_PAGES {
            let mut result = ask(&child, server, page, "tools/list", page_of(era, cursor)).await?;
            match result.get_mut("tools").map(Value::take) {
                Some(Value::Array(mut listed)) => tools.append(&mut listed),
                _ => return Err(SurveyError::NoList(server.clone())),
            }
            cursor = result
                .get("nextCursor")
                .and_then(Value::as_str)
                .map(str::to_owned);
            if cursor.is_none() {
                child.stop();
                return Ok(tools);
            }
        }
        Err(SurveyError::NoList(server.clone()))
    }
}

fn page_of(era: Era, cursor: Option<String>) -> Value {
    let mut params = serde_json::Map::new();
    if era == Era::Stateless {
        let meta = json!({
            "io.modelcontextprotocol/protocolVersion": STATELESS,
            "io.modelcontextprotocol/clientCapabilities": {},
        });
        params.insert("_meta".to_owned(), meta);
    }
    if let Some(cursor) = cursor {
        params.insert("cursor".to_owned(), cursor.into());
    }
    Value::Object(params)
}

async fn ask(
    child: &Arc<Child>,
    server: &ServerName,
    id: usize,
    method: &str,
    params: Value,
) -> Result<Value, SurveyError> {
    let no_list = || SurveyError::NoList(server.clone());
    let request = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
    let request = Message::from_client(request.to_string().into_bytes()).map_err(|_| no_list())?;
    let mut exchange = child.request(&request, false).await?;
    loop {
        match exchange.next().await {
            Delivery::Message(_) => {}
            Delivery::Response(response) => {
                let accepted = matches!(
                    response.kind(),
                    Kind::Response {
                        is_error: false,
                        ..
                    }
                );
                let body = response.body().filter(|_| accepted).ok_or_else(no_list)?;
                return parse_strict_with_floats(body.get().as_bytes()).map_err(|_| no_list());
            }
            Delivery::Withdrawn => return Err(no_list()),
            Delivery::Over(ending) => {
                let over = UpstreamError::Over {
                    server: server.clone(),
                    ending: ending.to_string(),
                };
                return Err(over.into());
            }
        }
    }
}
