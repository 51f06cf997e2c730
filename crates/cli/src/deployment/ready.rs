use std::net::SocketAddr;
use std::time::Duration;

use anyhow::bail;
use chancery_api::UnixClient;
use chancery_api::signer::SignerClient;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use super::{Layout, Part, Supervisor};
use crate::output;

/// How long a part may take to serve before it is said what is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long a part that runs may take: it reads its whole log first.
const MOST: Duration = Duration::from_secs(1_800);

/// How often a part may end before it is given up.
const ENDS: u32 = 3;

/// How long the gateway may take to answer a greeting that is not TLS.
const GREETING: Duration = Duration::from_secs(1);

/// Waits until a part answers on its socket; fails with the part's name and where to look.
pub(crate) async fn wait_until_ready(
    layout: &Layout,
    supervisor: &Supervisor,
    part: Part,
    gateway: SocketAddr,
) -> anyhow::Result<()> {
    let started = Instant::now();
    let mut told = false;
    while started.elapsed() < MOST {
        if answers(layout, part, gateway).await {
            return Ok(());
        }
        if supervisor.watch().ends(part) >= ENDS {
            bail!("the {part} does not start; its messages, which say why, are above");
        }
        if started.elapsed() > PATIENCE && !told {
            output::say(waited_for(part));
            told = true;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    bail!(
        "the {part} does not answer after {} s; its messages are above",
        MOST.as_secs()
    )
}

fn waited_for(part: Part) -> String {
    let why = match part {
        Part::Gateway => "a tool server does not start (see above), or it has a long log to read",
        Part::Signer | Part::Server | Part::Node => "it may have a long log to read",
    };
    format!("the {part} does not serve yet: {why}")
}

/// Whether a part serves.
pub(crate) async fn answers(layout: &Layout, part: Part, gateway: SocketAddr) -> bool {
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
        Part::Gateway => timeout(GREETING, speaks_tls(gateway))
            .await
            .is_ok_and(|spoken| spoken.unwrap_or(false)),
    }
}

/// Whether somebody answers on the port. The port is open before the gateway serves, so that a
/// connection alone says nothing; one that serves answers what is not TLS with an alert.
async fn speaks_tls(gateway: SocketAddr) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect(gateway).await?;
    stream.write_all(b"ready?\n").await?;
    Ok(stream.read(&mut [0; 1]).await? > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_gateway_waits_for_tool_servers() {
        assert!(waited_for(Part::Gateway).contains("a tool server does not start"));
        for part in [Part::Signer, Part::Server, Part::Node] {
            let said = waited_for(part);
            assert!(
                said.contains("long log") && !said.contains("tool"),
                "{said}"
            );
        }
    }
}
