//! Tool servers as stdio children, one per seat and server.

mod board;
mod child;
mod exchange;
mod lines;
mod pool;
mod survey;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde::Deserialize;

use crate::server_name::ServerName;

pub(crate) use exchange::Delivery;
pub(crate) use pool::ChildKey;
pub use pool::Upstreams;
pub use survey::SurveyError;

/// How a tool server is started. The child sees the environment named here and nothing else of the
/// gateway's.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Upstream {
    /// The program.
    pub command: PathBuf,
    /// Its arguments.
    #[serde(default)]
    pub args: Vec<String>,
    /// Variables that are set for it; may hold secrets.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Variables that it inherits from the gateway.
    #[serde(default = "inherited")]
    pub inherit: Vec<String>,
    /// Its working directory; the gateway's where absent.
    #[serde(default)]
    pub cwd: Option<PathBuf>,
}

fn inherited() -> Vec<String> {
    ["PATH", "LANG", "TZ"].map(str::to_owned).to_vec()
}

impl Upstream {
    /// Starts `command` with `args`, inheriting `PATH`, `LANG` and `TZ`.
    pub fn new(
        command: impl Into<PathBuf>,
        args: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        Self {
            command: command.into(),
            args: args.into_iter().map(Into::into).collect(),
            env: BTreeMap::new(),
            inherit: inherited(),
            cwd: None,
        }
    }
}

impl fmt::Debug for Upstream {
    /// Without the values of variables.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upstream")
            .field("command", &self.command)
            .field("args", &self.args)
            .field("env", &self.env.keys())
            .field("inherit", &self.inherit)
            .field("cwd", &self.cwd)
            .finish()
    }
}

/// Why a child ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Ending {
    #[error("it exited ({0})")]
    Exited(String),
    #[error("it sent a message larger than is read")]
    TooLarge,
    #[error("its output broke off")]
    Broken,
    #[error("the gateway ended it")]
    Stopped,
}

/// Why a server could not take a message.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UpstreamError {
    /// No server of this name is configured.
    #[error("no server named {0} is configured")]
    Unknown(ServerName),
    /// The program could not be started.
    #[error("server {server} could not be started: check its command {} and cwd", command.display())]
    Spawn {
        /// The server.
        server: ServerName,
        /// Its program.
        command: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// As many children run as may.
    #[error("too many servers are running")]
    TooMany,
    /// The child ended.
    #[error("server {server} ended before it answered: {ending}")]
    Over {
        /// The server.
        server: ServerName,
        /// Why.
        ending: String,
    },
    /// Another request with the same id waits for its answer.
    #[error("the request id is in use")]
    IdInUse,
    /// No client has shaken hands with the server that would have to be started, or it did not answer
    /// the repeated handshake.
    #[error("server {0} did not come back after it ended: initialize again")]
    Handshake(ServerName),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_program_that_does_not_start_is_named_without_its_arguments() {
        let server: ServerName = "files".parse().unwrap();
        let upstream = Upstream::new("/no/such-program", ["hunter2"]);
        let limits = crate::limits::Limits::default();
        let changes = tokio::sync::watch::Sender::new(0);
        let era = crate::era::Era::Legacy;
        let refused = child::Child::spawn(&server, &upstream, era, &limits, changes);
        let said = refused.unwrap_err().to_string();
        assert!(
            said.contains("files") && said.contains("/no/such-program"),
            "{said}"
        );
        assert!(!said.contains("hunter2"), "{said}");
    }

    #[test]
    fn values_of_variables_are_not_shown() {
        let text = r#"{"command":"x","env":{"TOKEN":"hunter2"}}"#;
        let upstream: Upstream = serde_json::from_str(text).unwrap();
        let shown = format!("{upstream:?}");
        assert!(shown.contains("TOKEN") && !shown.contains("hunter2"));
        assert_eq!(upstream.inherit, ["PATH", "LANG", "TZ"]);
        assert!(serde_json::from_str::<Upstream>(r#"{"command":"x","shell":true}"#).is_err());
    }
}
