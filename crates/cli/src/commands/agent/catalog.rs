//! The tool catalog: what the configured servers offer, as a reviewer pins it.

use std::process::Stdio;

use anyhow::Context as _;
use chancery_delegation::access_token::EXCHANGE_SERVER;
use chancery_delegation::manifest::{CatalogTool, catalog_root};
use chancery_types::Digest;
use rmcp::ServiceExt as _;
use rmcp::transport::TokioChildProcess;
use serde_json::Value;
use tokio::process::Command;

use crate::gateway_config::{GatewayFile, ToolServer};

/// One tool of one server.
#[derive(Debug, Clone)]
pub(crate) struct ListedTool {
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) input_schema: Value,
    pub(crate) read_only: bool,
}

/// All tools of all servers.
#[derive(Debug, Clone)]
pub(crate) struct Catalog {
    trust_domain: String,
    tools: Vec<(String, ListedTool)>,
}

impl Catalog {
    /// Asks every configured server for its tools, and lists the exchanges that there are.
    pub(crate) async fn of(trust_domain: &str, config: &GatewayFile) -> anyhow::Result<Self> {
        let mut tools = Vec::new();
        for (audience, servers) in config.audiences()? {
            let tool = audience.to_tool(servers.iter().map(String::as_str));
            let text = |name: &str| {
                let text = tool.get(name).and_then(Value::as_str);
                text.unwrap_or_default().to_owned()
            };
            let listed = ListedTool {
                name: text("name"),
                description: text("description"),
                input_schema: tool.get("inputSchema").cloned().unwrap_or_default(),
                read_only: false,
            };
            tools.push((EXCHANGE_SERVER.to_owned(), listed));
        }
        for (server, command) in &config.tool_servers {
            let listed = list_tools(command)
                .await
                .with_context(|| format!("tool server {server}: {}", command.shown()))?;
            tools.extend(listed.into_iter().map(|tool| (server.clone(), tool)));
        }
        Ok(Self {
            trust_domain: trust_domain.to_owned(),
            tools,
        })
    }

    /// The tools with their servers.
    pub(crate) fn tools(&self) -> &[(String, ListedTool)] {
        &self.tools
    }

    /// Each tool as the manifest names it.
    pub(crate) fn entries(&self) -> anyhow::Result<Vec<CatalogTool>> {
        self.tools
            .iter()
            .map(|(server, tool)| {
                let id = format!("spiffe://{}/tool/{server}/{}", self.trust_domain, tool.name);
                let entry = CatalogTool::of(&id, &tool.input_schema, &tool.description);
                entry.with_context(|| format!("{server}/{}", tool.name))
            })
            .collect()
    }

    /// The digest that the manifest pins.
    pub(crate) fn root(&self) -> anyhow::Result<Digest> {
        Ok(catalog_root(&self.entries()?)?)
    }
}

/// Starts a tool server, asks for its tools and ends it.
pub(crate) async fn list_tools(server: &ToolServer) -> anyhow::Result<Vec<ListedTool>> {
    let mut command = Command::new(&server.command);
    command.args(&server.args);
    let (transport, _stderr) = TokioChildProcess::builder(command)
        .stderr(Stdio::null())
        .spawn()
        .context("cannot be started")?;
    let client = ().serve(transport).await.context("does not speak MCP")?;
    let tools = client
        .list_all_tools()
        .await
        .context("does not list its tools")?;
    let _ = client.cancel().await;
    tools
        .into_iter()
        .map(|tool| {
            let annotations = tool.annotations.as_ref();
            Ok(ListedTool {
                name: tool.name.to_string(),
                description: tool.description.as_deref().unwrap_or_default().to_owned(),
                input_schema: Value::Object(tool.input_schema.as_ref().clone()),
                read_only: annotations
                    .and_then(|hints| hints.read_only_hint)
                    .unwrap_or(false),
            })
        })
        .collect()
}
