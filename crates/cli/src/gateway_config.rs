//! The gateway's configuration in the data folder.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use anyhow::{Context as _, bail, ensure};
use chancery_crypto::replace_private_file;
use chancery_delegation::access_token::{Audience, EXCHANGE_SERVER};
use chancery_gateway::GatewayConfig;
use serde::{Deserialize, Serialize};

/// What `up` was told about the gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GatewayFile {
    /// The port.
    pub(crate) port: u16,
    /// The address that it listens on; 127.0.0.1 where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) listen: Option<IpAddr>,
    /// Where other hosts reach it; where it listens, where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) advertised: Option<SocketAddr>,
    /// The tool servers, by name.
    pub(crate) tool_servers: BTreeMap<String, ToolServer>,
    /// The relying parties whom access tokens may be asked for, and of which servers each one's
    /// tokens carry entries.
    #[serde(default)]
    pub(crate) audiences: BTreeMap<String, BTreeSet<String>>,
    /// Seconds between two roots of the completeness index.
    #[serde(default = "index_seconds")]
    pub(crate) index_seconds: u64,
}

const fn index_seconds() -> u64 {
    GatewayConfig::DEFAULT_INDEX_SECONDS
}

impl Default for GatewayFile {
    fn default() -> Self {
        Self {
            port: 0,
            listen: None,
            advertised: None,
            tool_servers: BTreeMap::new(),
            audiences: BTreeMap::new(),
            index_seconds: index_seconds(),
        }
    }
}

/// A stdio MCP server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ToolServer {
    /// The program.
    pub(crate) command: String,
    /// Its arguments.
    pub(crate) args: Vec<String>,
}

impl GatewayFile {
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read(path).with_context(|| path.display().to_string())?;
        serde_json::from_slice(&text).with_context(|| path.display().to_string())
    }

    pub(crate) fn write(&self, path: &Path) -> anyhow::Result<()> {
        Ok(replace_private_file(
            path,
            &serde_json::to_vec_pretty(self)?,
        )?)
    }

    /// Takes over what `--tool-server` says: `NAME=COMMAND ARGS`.
    pub(crate) fn add(&mut self, text: &str) -> anyhow::Result<()> {
        let (name, command) = text
            .split_once('=')
            .with_context(|| format!("--tool-server {text}: expected NAME=COMMAND"))?;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        ensure!(
            !name.is_empty() && name.bytes().all(plain),
            "--tool-server {text}: a name has letters, digits, dots, dashes and underscores"
        );
        ensure!(
            name != EXCHANGE_SERVER,
            "--tool-server {text}: {EXCHANGE_SERVER} is the name of the exchanges; choose another"
        );
        let mut words = words(command).with_context(|| format!("--tool-server {text}"))?;
        ensure!(
            !words.is_empty(),
            "--tool-server {text}: the command is empty"
        );
        let command = words.remove(0);
        self.tool_servers.insert(
            name.to_owned(),
            ToolServer {
                command,
                args: words,
            },
        );
        Ok(())
    }
}

impl GatewayFile {
    /// Where it listens.
    pub(crate) fn listen(&self) -> SocketAddr {
        let address = self.listen.unwrap_or(Ipv4Addr::LOCALHOST.into());
        (address, self.port).into()
    }

    /// Where this host reaches it.
    pub(crate) fn local(&self) -> SocketAddr {
        let mut local = self.listen();
        match local.ip() {
            IpAddr::V4(address) if address.is_unspecified() => {
                local.set_ip(Ipv4Addr::LOCALHOST.into())
            }
            IpAddr::V6(address) if address.is_unspecified() => {
                local.set_ip(Ipv6Addr::LOCALHOST.into())
            }
            _ => {}
        }
        local
    }

    /// Where other hosts reach it.
    pub(crate) fn advertised(&self) -> SocketAddr {
        self.advertised.unwrap_or_else(|| self.listen())
    }

    /// The names that it is addressed by, beside those of the loopback.
    pub(crate) fn names(&self) -> Vec<String> {
        let name = |address: SocketAddr| match address.ip() {
            IpAddr::V4(address) => address.to_string(),
            IpAddr::V6(address) => format!("[{address}]"),
        };
        vec![name(self.local()), name(self.advertised())]
    }

    /// Takes over where it listens and where other hosts reach it.
    pub(crate) fn place(
        &mut self,
        port: u16,
        listen: Option<IpAddr>,
        advertised: Option<SocketAddr>,
    ) {
        self.port = port;
        self.listen = listen;
        self.advertised = advertised;
    }

    /// Takes over what `--audience` says: `URI` or `URI=SERVER,SERVER`.
    pub(crate) fn add_audience(&mut self, text: &str) -> anyhow::Result<()> {
        let (uri, servers) = text.split_once('=').unwrap_or((text, ""));
        let audience: Audience = uri.parse().with_context(|| format!("--audience {text}"))?;
        let servers = servers.split(',').filter(|server| !server.is_empty());
        let servers = servers.map(str::to_owned).collect();
        self.audiences.insert(audience.to_string(), servers);
        Ok(())
    }

    /// The audiences, as the gateway takes them.
    pub(crate) fn audiences(&self) -> anyhow::Result<BTreeMap<Audience, BTreeSet<String>>> {
        let audiences = self.audiences.iter();
        audiences
            .map(|(uri, servers)| Ok((uri.parse().with_context(|| uri.clone())?, servers.clone())))
            .collect()
    }
}

impl ToolServer {
    /// The command line, for messages.
    pub(crate) fn shown(&self) -> String {
        let words = std::iter::once(&self.command).chain(&self.args);
        words.map(String::as_str).collect::<Vec<_>>().join(" ")
    }
}

/// Splits a command line at spaces, outside of single and double quotes.
fn words(text: &str) -> anyhow::Result<Vec<String>> {
    let (mut words, mut word, mut open, mut quoted) = (Vec::new(), String::new(), None, false);
    for letter in text.chars() {
        match (open, letter) {
            (Some(quote), _) if letter == quote => open = None,
            (None, '"' | '\'') => {
                open = Some(letter);
                quoted = true;
            }
            (None, ' ' | '\t') => {
                if quoted || !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                quoted = false;
            }
            _ => word.push(letter),
        }
    }
    if open.is_some() {
        bail!("a quote is not closed");
    }
    if quoted || !word.is_empty() {
        words.push(word);
    }
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_split_like_in_a_shell() {
        let mut file = GatewayFile::default();
        file.add("ledger=run 'a b'  \"\" c").unwrap();
        let ledger = &file.tool_servers["ledger"];
        assert_eq!(ledger.command, "run");
        assert_eq!(ledger.args, ["a b", "", "c"]);
    }

    #[test]
    fn what_cannot_be_run_is_refused() {
        for bad in [
            "",
            "ledger",
            "=x",
            "a/b=x",
            "token-exchange=x",
            "ledger=",
            "ledger= ",
            "ledger=x 'y",
        ] {
            assert!(GatewayFile::default().add(bad).is_err(), "{bad:?}");
        }
    }
}
