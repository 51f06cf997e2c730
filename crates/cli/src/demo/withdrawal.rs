//! The operator of a demo: withdraws the authority of a worker in the middle of its work.

use std::time::Duration;

use anyhow::Context as _;
use chancery_api::server::{Instance, RevocationDone, Revoke, ServerClient};
use chancery_audit::{Entry, Event, Ruling};
use chancery_delegation::Revocable;
use chancery_journal::Reader;
use chancery_types::RevocationKind;
use tokio::task::JoinHandle;

use crate::deployment::Layout;

const PAUSE: Duration = Duration::from_millis(50);

/// A worker that was revoked while it worked.
#[derive(Debug)]
pub(super) struct Withdrawn {
    /// The SPIFFE ID of the instance.
    pub(super) instance: String,
    /// What the server answered.
    pub(super) done: RevocationDone,
}

/// Revokes the instance of `agent` that is started behind `earlier` others, as soon as the
/// gateway's log has a call of it that was allowed.
pub(super) fn watch(
    layout: &Layout,
    agent: String,
    earlier: usize,
) -> JoinHandle<anyhow::Result<Withdrawn>> {
    let server = layout.server_client();
    let log = layout.gateway_log();
    tokio::spawn(async move {
        let instance = started(&server, &agent, earlier).await;
        let reader = Reader::open(&log)?;
        let mut seen = 0;
        while !is_allowed(&reader, &instance, &mut seen)? {
            tokio::time::sleep(PAUSE).await;
        }
        let what = Revocable::new(RevocationKind::Instance, &instance)?;
        let reason = "the demo's operator stops this worker".to_owned();
        let done = server.revoke(&Revoke { what, reason }).await?;
        Ok(Withdrawn { instance, done })
    })
}

/// The SPIFFE ID of the instance, once there is one.
async fn started(server: &ServerClient, agent: &str, earlier: usize) -> String {
    loop {
        if let Ok(listed) = server.instances().await {
            let mut of_agent: Vec<Instance> = listed.instances;
            of_agent.retain(|instance| instance.agent_id == agent);
            of_agent.sort_by_key(|instance| instance.opened_at);
            if let Some(instance) = of_agent.into_iter().nth(earlier) {
                return instance.spiffe_id;
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Whether what the log has from `seen` on allows a call of the instance.
fn is_allowed(reader: &Reader, instance: &str, seen: &mut u64) -> anyhow::Result<bool> {
    let size = reader.size()?;
    for entry in reader.entries(*seen..size)? {
        let (index, bytes) = entry?;
        let entry = Entry::parse(&bytes).with_context(|| format!("entry {index}"))?;
        if let Event::Decision(decision) = entry.event
            && decision.outcome == Ruling::Allow
            && decision.instance.as_str() == instance
        {
            return Ok(true);
        }
    }
    *seen = size;
    Ok(false)
}
