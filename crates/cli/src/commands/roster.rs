//! `chancery roster`: the living and the dead, and what each was for.

use std::process::ExitCode;

use chancery_agent::LocalClient;
use chancery_api::server::{InstanceState, Roster, RosterEntry, RosterFilter};
use chancery_types::Timestamp;

use super::connect::own_bridge;
use super::run::agent_id;
use crate::args::{Format, RosterArgs};
use crate::output;

pub(super) async fn run(format: Format, args: RosterArgs) -> anyhow::Result<ExitCode> {
    let state = match (args.running, args.ended) {
        (true, _) => Some(InstanceState::Running),
        (_, true) => Some(InstanceState::Ended),
        _ => None,
    };
    let roster = match own_bridge() {
        // An instance sees what it started and no others: the node says who asks.
        Some(bridge) => {
            let mut roster = LocalClient::new(bridge).roster().await?;
            roster
                .instances
                .retain(|entry| is_meant(entry, &args, state));
            let limit = usize::try_from(args.limit).unwrap_or(usize::MAX);
            roster.more |= roster.instances.len() > limit;
            roster.instances.truncate(limit);
            roster
        }
        None => {
            let layout = super::layout(&args.data)?;
            let agent = args.agent.as_deref();
            let filter = RosterFilter {
                agent: agent.map(|name| agent_id(&layout, name)).transpose()?,
                parent: args.parent,
                state,
                limit: Some(args.limit),
            };
            layout.server_client().roster(&filter).await?
        }
    };
    output::result(format, &roster, || text(&roster))?;
    Ok(ExitCode::SUCCESS)
}

/// Whether an entry is asked for. Inside of a sandbox nobody knows the trust domain: an agent goes by its
/// SPIFFE ID or by its last part.
fn is_meant(entry: &RosterEntry, args: &RosterArgs, state: Option<InstanceState>) -> bool {
    let last = |name: &String| {
        entry.agent_id == *name || entry.agent_id.ends_with(&format!("/agent/{name}"))
    };
    args.agent.as_ref().is_none_or(last)
        && args
            .parent
            .is_none_or(|parent| entry.parent == Some(parent))
        && state.is_none_or(|state| entry.state == state)
}

fn text(roster: &Roster) -> String {
    let time = |time: Option<Timestamp>| time.map(|time| time.to_string()).unwrap_or_default();
    let rows = roster.instances.iter().map(|entry| {
        let ended = match &entry.end_reason {
            Some(reason) => format!("{} ({reason})", entry.state.as_str()),
            None => entry.state.as_str().to_owned(),
        };
        let task = match entry.task_erased {
            Some(entry) => format!("(erased by entry {entry})"),
            None => entry.task.clone().unwrap_or_default(),
        };
        let agent = entry.agent_id.rsplit('/').next().unwrap_or_default();
        let until = [entry.until, entry.authority_until];
        [
            entry.instance_id.to_string(),
            agent.to_owned(),
            ended,
            task,
            entry.parent.map(|id| id.to_string()).unwrap_or_default(),
            time(Some(entry.since)),
            entry.on_behalf_of.clone().unwrap_or_default(),
            time(until.into_iter().flatten().min()),
        ]
    });
    let header = [
        "instance",
        "agent",
        "state",
        "task",
        "parent",
        "since",
        "on behalf of",
        "until",
    ];
    let mut text = output::table(header, rows);
    if roster.more {
        text.push_str("\nolder ones are left out: raise --limit, or filter");
    }
    text
}
