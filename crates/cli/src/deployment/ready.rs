use std::time::Duration;

use anyhow::bail;
use chancery_api::UnixClient;
use chancery_api::signer::SignerClient;
use tokio::net::TcpStream;

use super::{Layout, Part};

/// How long a part may take to serve.
const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until a part answers on its socket; fails with the part's name and where to look.
pub(crate) async fn wait_until_ready(
    layout: &Layout,
    part: Part,
    gateway_port: u16,
) -> anyhow::Result<()> {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while tokio::time::Instant::now() < deadline {
        if answers(layout, part, gateway_port).await {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    bail!(
        "the {part} does not answer after {} s; its messages are above",
        PATIENCE.as_secs()
    )
}

async fn answers(layout: &Layout, part: Part, gateway_port: u16) -> bool {
    match part {
        Part::Signer => SignerClient::new(layout.signer_socket())
            .ready()
            .await
            .is_ok(),
        Part::Server => layout.server_client().trust().await.is_ok(),
        Part::Node => {
            let node = UnixClient::new(layout.node_socket());
            node.get::<serde_json::Value>("/v1/launches").await.is_ok()
        }
        Part::Gateway => TcpStream::connect(("127.0.0.1", gateway_port))
            .await
            .is_ok(),
    }
}
