//! The bridge, as the processes inside the sandbox use it.

use std::io;
use std::path::{Path, PathBuf};

use chancery_api::gateway::{EndedSession, SessionView};
use chancery_api::oauth::IssuedToken;
use chancery_api::server::{Roster, RosterFilter};
use chancery_evidence::presentation::{Challenge, Presentation};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};

use crate::bridge::{MAX_ENDS, SpawnEnd, SpawnEnds, SpawnMany, SpawnRequest, Spawned};
use crate::exchange::{DpopRequest, ExchangeRequest};
use crate::lines::{LineError, Lines};

/// Most bytes of an answer: what a child wrote stands in it.
const ANSWER_BYTES: usize = 64 << 20;

/// Connects to the bridge of the own launch; one connection for each purpose.
#[derive(Debug, Clone)]
pub struct LocalClient {
    socket: PathBuf,
}

/// Why the bridge did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LocalError {
    /// Nobody listens there, or the socket is another launch's.
    #[error("{}: the bridge cannot be reached; is this process inside of `chancery run`?", socket.display())]
    Unreachable {
        /// The socket.
        socket: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The bridge hung up: it does not serve this process, or its launch has ended.
    #[error("{}: the bridge hung up; does this process belong to its launch?", socket.display())]
    HungUp {
        /// The socket.
        socket: PathBuf,
    },
    /// The bridge's answer cannot be read.
    #[error("{}: the bridge's answer cannot be read", socket.display())]
    Answer {
        /// The socket.
        socket: PathBuf,
    },
    /// The bridge refused.
    #[error("{message} ({reason})")]
    Refused {
        /// A stable code, one for each cause.
        reason: String,
        /// What went wrong.
        message: String,
        /// What would help.
        remedy: Option<String>,
    },
}

impl LocalClient {
    /// A client of the bridge on that socket.
    pub fn new(socket: impl Into<PathBuf>) -> Self {
        Self {
            socket: socket.into(),
        }
    }

    /// The socket.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// A connection with a tool server: MCP messages, one a line, both ways.
    pub async fn mcp(&self, server: &str) -> Result<(OwnedReadHalf, OwnedWriteHalf), LocalError> {
        Ok(self
            .open(&json!({"chancery": 1, "connect": server}))
            .await?
            .into_split())
    }

    /// As [`LocalClient::mcp`], but presents these links in place of the own chain: an instance may
    /// hold more than one.
    pub async fn mcp_with_chain(
        &self,
        server: &str,
        chain: &[String],
    ) -> Result<(OwnedReadHalf, OwnedWriteHalf), LocalError> {
        let first = json!({"chancery": 1, "connect": server, "chain": chain});
        Ok(self.open(&first).await?.into_split())
    }

    /// The links of the own chain, root first.
    pub async fn chain(&self) -> Result<Vec<String>, LocalError> {
        self.ask(&json!({"chancery": 1, "session": "chain"}), Some("chain"))
            .await
    }

    /// Starts a child instance and waits for its end.
    pub async fn spawn(&self, request: &SpawnRequest) -> Result<SpawnEnd, LocalError> {
        self.ask(&json!({"chancery": 1, "spawn": request}), None)
            .await
    }

    /// Starts many children, each with a part of the own authority; answers once each of them has begun
    /// or was refused. They go on when this client is gone.
    pub async fn spawn_many(&self, request: &SpawnMany) -> Result<Spawned, LocalError> {
        self.ask(&json!({"chancery": 1, "spawn_many": request}), None)
            .await
    }

    /// Waits until those children have ended, which [`LocalClient::spawn_many`] started. Each end is
    /// handed out once, [`MAX_ENDS`] in an answer.
    pub async fn ends(&self, instances: &[String]) -> Result<SpawnEnds, LocalError> {
        let ask = async |part: &[String]| -> Result<SpawnEnds, LocalError> {
            self.ask(&json!({"chancery": 1, "ends": part}), None).await
        };
        // Of none it is asked as well, for whoever may not ask at all.
        let (first, rest) = instances.split_at(instances.len().min(MAX_ENDS));
        let mut all = ask(first).await?;
        for part in rest.chunks(MAX_ENDS) {
            all.ends.extend(ask(part).await?.ends);
        }
        Ok(all)
    }

    /// What this instance started, and what that started, and so on, as far as it is asked for: living and
    /// dead.
    pub async fn roster(&self, filter: &RosterFilter) -> Result<Roster, LocalError> {
        self.ask(&json!({"chancery": 1, "roster": filter}), None)
            .await
    }

    /// An access token for a relying party outside, against the own chain.
    pub async fn exchange(&self, request: &ExchangeRequest) -> Result<IssuedToken, LocalError> {
        self.ask(&json!({"chancery": 1, "exchange": request}), None)
            .await
    }

    /// A relying party's challenge, answered with a presentation.
    pub async fn present(&self, challenge: &Challenge) -> Result<Presentation, LocalError> {
        self.ask(&json!({"chancery": 1, "present": challenge}), None)
            .await
    }

    /// A proof of the agent key for one request with an access token (RFC 9449).
    pub async fn prove_dpop(&self, request: &DpopRequest) -> Result<String, LocalError> {
        self.ask(&json!({"chancery": 1, "dpop": request}), Some("dpop"))
            .await
    }

    /// Ends the session for everybody in it.
    pub async fn end_session(&self) -> Result<EndedSession, LocalError> {
        self.ask(&json!({"chancery": 1, "session": "end"}), Some("ended"))
            .await
    }

    /// The session as the gateway sees it.
    pub async fn view_session(&self) -> Result<SessionView, LocalError> {
        self.ask(&json!({"chancery": 1, "session": "view"}), Some("view"))
            .await
    }

    async fn open(&self, first: &Value) -> Result<UnixStream, LocalError> {
        let unreachable = |source| LocalError::Unreachable {
            socket: self.socket.clone(),
            source,
        };
        let mut stream = UnixStream::connect(&self.socket)
            .await
            .map_err(unreachable)?;
        let line = format!("{first}\n");
        stream
            .write_all(line.as_bytes())
            .await
            .map_err(unreachable)?;
        Ok(stream)
    }

    /// Asks once and reads the member `name` of the answer, or all of it.
    async fn ask<D: DeserializeOwned>(
        &self,
        question: &Value,
        name: Option<&str>,
    ) -> Result<D, LocalError> {
        // The writing side stays open: closing it would say that the answer is not wanted.
        let (reader, _writer) = self.open(question).await?.into_split();
        let line = Lines::new(reader).next(ANSWER_BYTES).await;
        let unreadable = || LocalError::Answer {
            socket: self.socket.clone(),
        };
        let line = match line {
            Ok(Some(line)) => line,
            Ok(None) | Err(LineError::Broken(_)) => {
                return Err(LocalError::HungUp {
                    socket: self.socket.clone(),
                });
            }
            Err(_) => return Err(unreadable()),
        };
        let mut answer: Value = serde_json::from_str(&line).map_err(|_| unreadable())?;
        if let Some(error) = answer.get("error") {
            let text = |name| error.get(name).and_then(Value::as_str).map(str::to_owned);
            return Err(LocalError::Refused {
                reason: text("reason").ok_or_else(unreadable)?,
                message: text("message").ok_or_else(unreadable)?,
                remedy: text("remedy"),
            });
        }
        let document = match name {
            Some(name) => answer
                .get_mut(name)
                .map(Value::take)
                .ok_or_else(unreadable)?,
            None => answer,
        };
        serde_json::from_value(document).map_err(|_| unreadable())
    }
}
