//! `chancery roster`: the living and the dead, and what each was for.

use std::process::ExitCode;

use chancery_agent::LocalClient;
use chancery_api::server::{InstanceState, Roster, RosterFilter};
use chancery_types::Timestamp;

use super::connect::own_bridge;
use crate::args::{Format, RosterArgs};
use crate::output;

pub(super) async fn run(format: Format, args: RosterArgs) -> anyhow::Result<ExitCode> {
    let filter = RosterFilter {
        agent: args.agent,
        parent: args.parent,
        state: match (args.running, args.ended) {
            (true, _) => Some(InstanceState::Running),
            (_, true) => Some(InstanceState::Ended),
            _ => None,
        },
        on_behalf_of: args.on_behalf_of,
        since: args.since.map(Timestamp::from_seconds),
        after: args.after,
        limit: Some(args.limit),
    };
    let roster = match own_bridge() {
        // An instance sees what it started and no others: the node says who asks.
        Some(bridge) => LocalClient::new(bridge).roster(&filter).await?,
        None => {
            let server = super::layout(&args.data)?.server_client();
            server.roster(&filter).await?
        }
    };
    output::result(format, &roster, || text(&roster))?;
    Ok(ExitCode::SUCCESS)
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
    if let Some(next) = roster.next {
        text.push_str(&format!("\nolder ones follow: --after {next}"));
    }
    text
}
