//! An MCP client over the bridge.

use anyhow::Context as _;
use chancery_agent::LocalClient;
use rmcp::model::{CallToolRequestParams, CallToolResult};
use rmcp::service::RunningService;
use rmcp::{RoleClient, ServiceError, ServiceExt as _};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// A connection to one tool server, over the bridge and the gateway.
pub(super) struct Tools(RunningService<RoleClient, ()>);

impl Tools {
    pub(super) async fn connect(bridge: &LocalClient, server: &str) -> anyhow::Result<Self> {
        let streams = bridge.mcp(server).await.context("bridge")?;
        Ok(Self(
            ().serve(streams)
                .await
                .context("the tool server does not answer")?,
        ))
    }

    /// A connection whose calls present another chain than the own one.
    pub(super) async fn connect_with_chain(
        bridge: &LocalClient,
        server: &str,
        chain: &[String],
    ) -> anyhow::Result<Self> {
        let streams = bridge
            .mcp_with_chain(server, chain)
            .await
            .context("bridge")?;
        Ok(Self(
            ().serve(streams)
                .await
                .context("the tool server does not answer")?,
        ))
    }

    /// Calls a tool.
    pub(super) async fn call(
        &self,
        tool: &str,
        arguments: Value,
    ) -> Result<CallToolResult, ServiceError> {
        let arguments = match arguments {
            Value::Object(arguments) => arguments,
            _ => Map::new(),
        };
        let request = CallToolRequestParams::new(tool.to_owned()).with_arguments(arguments);
        self.0.call_tool(request).await
    }

    /// Calls a tool that must succeed and reads its structured answer.
    pub(super) async fn ask<T: DeserializeOwned>(
        &self,
        tool: &str,
        arguments: Value,
    ) -> anyhow::Result<T> {
        let result = self
            .call(tool, arguments)
            .await
            .with_context(|| tool.to_owned())?;
        anyhow::ensure!(
            result.is_error != Some(true),
            "{tool}: {:?}",
            result.content
        );
        let answer = result
            .structured_content
            .with_context(|| format!("{tool}: no answer"))?;
        serde_json::from_value(answer).with_context(|| tool.to_owned())
    }

    /// The names of the tools that this client may call.
    pub(super) async fn names(&self) -> anyhow::Result<Vec<String>> {
        let tools = self.0.list_all_tools().await.context("tools/list")?;
        Ok(tools
            .into_iter()
            .map(|tool| tool.name.to_string())
            .collect())
    }

    pub(super) async fn close(self) {
        let _ = self.0.cancel().await;
    }
}
