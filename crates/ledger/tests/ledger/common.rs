//! A ledger of the demo's books, served by a child process and asked over MCP.

use std::path::{Path, PathBuf};

use rmcp::model::{CallToolRequestParams, CallToolResult, ProtocolVersion};
use rmcp::service::{RunningService, ServiceError};
use rmcp::transport::TokioChildProcess;
use rmcp::{ClientLifecycleMode, ClientServiceExt as _, RoleClient};
use serde_json::{Value, json};

pub(crate) type Client = RunningService<RoleClient, ()>;

pub(crate) fn demo() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../demo")
}

pub(crate) async fn books() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let db = folder.path().join("ledger.db");
    chancery_ledger::load(&db, &demo()).await.unwrap();
    (folder, db)
}

pub(crate) fn legacy() -> ClientLifecycleMode {
    ClientLifecycleMode::Initialize
}

pub(crate) fn modern() -> ClientLifecycleMode {
    ClientLifecycleMode::Discover {
        preferred_versions: vec![ProtocolVersion::V_2026_07_28],
    }
}

pub(crate) async fn connect(db: &Path, era: ClientLifecycleMode) -> Client {
    let mut server = tokio::process::Command::new(env!("CARGO_BIN_EXE_ledger-server"));
    server.arg("serve").arg(db);
    let transport = TokioChildProcess::new(server).unwrap();
    ().serve_with_lifecycle(transport, era).await.unwrap()
}

pub(crate) async fn call(
    client: &Client,
    tool: &'static str,
    arguments: Value,
) -> Result<CallToolResult, ServiceError> {
    let arguments = arguments.as_object().unwrap().clone();
    let request = CallToolRequestParams::new(tool).with_arguments(arguments);
    client.call_tool(request).await
}

/// What a successful call answered.
pub(crate) async fn answer(client: &Client, tool: &'static str, arguments: Value) -> Value {
    let result = call(client, tool, arguments).await.unwrap();
    assert_ne!(result.is_error, Some(true), "{result:?}");
    result.structured_content.unwrap()
}

/// What a refused call said.
pub(crate) async fn refusal(client: &Client, tool: &'static str, arguments: Value) -> String {
    let result = call(client, tool, arguments).await.unwrap();
    assert_eq!(result.is_error, Some(true), "{result:?}");
    result.content[0].as_text().unwrap().text.clone()
}

/// Every line of a listing, page by page.
pub(crate) async fn all(client: &Client, book: &str, what: &str, status: &str) -> Vec<Value> {
    let mut lines = Vec::new();
    let mut cursor = None;
    loop {
        let mut arguments = json!({"book": book, "what": what, "status": status, "limit": 50});
        if let Some(cursor) = cursor {
            arguments["cursor"] = cursor;
        }
        let mut page = answer(client, "list", arguments).await;
        lines.append(page[what].as_array_mut().unwrap());
        match page.get("next_cursor") {
            Some(next) => cursor = Some(next.clone()),
            None => return lines,
        }
    }
}
