//! A tool server for the tests, built with the official SDK.

use std::error::Error;
use std::time::Duration;

use rmcp::handler::server::wrapper::Parameters;
use rmcp::model::{ProgressNotificationParam, RequestMetaObject};
use rmcp::{Peer, RoleServer, ServiceExt as _, tool, tool_router};

#[derive(Debug, serde::Deserialize, schemars::JsonSchema)]
struct Sum {
    left: i64,
    right: i64,
}

struct Server;

#[tool_router(server_handler)]
impl Server {
    /// Adds two integers.
    #[tool]
    async fn add(&self, Parameters(sum): Parameters<Sum>) -> String {
        sum.left.saturating_add(sum.right).to_string()
    }

    /// Never offered to a governed agent.
    #[tool]
    async fn hidden(&self) -> String {
        "hidden".to_owned()
    }

    /// Reports progress before it is done.
    #[tool]
    async fn slow(
        &self,
        meta: RequestMetaObject,
        client: Peer<RoleServer>,
    ) -> Result<String, rmcp::ErrorData> {
        let token = meta
            .get_progress_token()
            .ok_or_else(|| rmcp::ErrorData::invalid_params("no progress token", None))?;
        for step in 0..3_u8 {
            tokio::time::sleep(Duration::from_millis(30)).await;
            let progress = ProgressNotificationParam::new(token.clone(), f64::from(step));
            client
                .notify_progress(progress)
                .await
                .map_err(|_| rmcp::ErrorData::internal_error("no client", None))?;
        }
        Ok("done".to_owned())
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let service = Server.serve(rmcp::transport::io::stdio()).await?;
    service.waiting().await?;
    Ok(())
}
