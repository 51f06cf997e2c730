use rmcp::model::{
    CallToolRequestParams, ClientRequest, ProgressNotificationParam, ProtocolVersion, Request,
    ServerResult,
};
use rmcp::service::{NotificationContext, PeerRequestOptions, RunningService};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::{ClientHandler, ClientLifecycleMode, ClientServiceExt as _, RoleClient};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::support::Gateway;

#[derive(Debug, Clone, Default)]
struct Handler {
    progress: Arc<AtomicUsize>,
}

impl ClientHandler for Handler {
    async fn on_progress(&self, _: ProgressNotificationParam, _: NotificationContext<RoleClient>) {
        self.progress.fetch_add(1, Ordering::Relaxed);
    }
}

async fn connect(
    gateway: &Gateway,
    peer: &str,
    server: &str,
    mode: ClientLifecycleMode,
) -> RunningService<RoleClient, Handler> {
    let socket = gateway.bridge(peer);
    let transport = StreamableHttpClientTransport::from_unix_socket(
        socket.to_str().unwrap(),
        format!("http://localhost/mcp/{server}"),
    );
    Handler::default()
        .serve_with_lifecycle(transport, mode)
        .await
        .unwrap()
}

fn discover() -> ClientLifecycleMode {
    ClientLifecycleMode::Discover {
        preferred_versions: vec![ProtocolVersion::V_2026_07_28],
    }
}

fn either() -> ClientLifecycleMode {
    ClientLifecycleMode::Auto {
        preferred_versions: vec![ProtocolVersion::V_2026_07_28],
        legacy_version: None,
    }
}

async fn works(client: &RunningService<RoleClient, Handler>) {
    let tools = client.list_all_tools().await.unwrap();
    let mut names: Vec<_> = tools.iter().map(|tool| tool.name.to_string()).collect();
    names.sort();
    assert_eq!(names, ["add", "slow"]);
    let arguments = json!({"left": 40, "right": 2})
        .as_object()
        .cloned()
        .unwrap();
    let call = CallToolRequestParams::new("add").with_arguments(arguments);
    let sum = client.call_tool(call).await.unwrap();
    let text = serde_json::to_value(&sum.content).unwrap()[0]["text"].clone();
    assert_eq!(text, "42");
    let slow = client
        .send_request_with_option(
            ClientRequest::CallToolRequest(Request::new(CallToolRequestParams::new("slow"))),
            PeerRequestOptions::with_timeout(Duration::from_secs(10)),
        )
        .await
        .unwrap();
    let result = slow.await_response().await.unwrap();
    assert!(matches!(result, ServerResult::CallToolResult(_)));
    assert_eq!(client.service().progress.load(Ordering::Relaxed), 3);
    let denied = client.call_tool(CallToolRequestParams::new("denied")).await;
    let rmcp::ServiceError::McpError(error) = denied.unwrap_err() else {
        panic!("not an error of the protocol");
    };
    assert_eq!(error.code.0, 4403);
}

#[tokio::test]
async fn the_sdk_client_works_in_the_legacy_era() {
    let gateway = Gateway::start().await;
    let client = connect(&gateway, "a", "sdk", ClientLifecycleMode::Initialize).await;
    works(&client).await;
    client.cancel().await.unwrap();
}

#[tokio::test]
async fn the_sdk_client_works_in_the_stateless_era() {
    let gateway = Gateway::start().await;
    let client = connect(&gateway, "a", "sdk", discover()).await;
    works(&client).await;
    client.cancel().await.unwrap();
}

#[tokio::test]
async fn the_sdk_client_finds_out_the_era() {
    let gateway = Gateway::start().await;
    let client = connect(&gateway, "a", "sdk", either()).await;
    works(&client).await;
    let client = connect(&gateway, "b", "old", either()).await;
    let call = CallToolRequestParams::new("fails");
    assert_eq!(client.call_tool(call).await.unwrap().is_error, Some(true));
    let methods = gateway.received();
    assert!(methods[0].contains("server/discover"), "{methods:?}");
    assert!(methods[1].contains("\"initialize\""), "{methods:?}");
}
