//! `chancery session`.

use std::process::ExitCode;

use chancery_api::gateway::{GatewayClient, OperatorSession, OperatorSessions};
use chancery_audit::Label;

use crate::args::{Format, SessionArgs, SessionCommand};
use crate::output;

pub(super) async fn run(format: Format, args: SessionArgs) -> anyhow::Result<ExitCode> {
    let gateway = GatewayClient::new(super::layout(&args.data)?.gateway_socket());
    match args.command {
        SessionCommand::List => {
            let known = gateway.sessions().await?;
            output::result(format, &known, || listed(&known))?;
        }
        SessionCommand::View { session } => {
            let view = gateway.session(session).await?;
            output::result(format, &view, || shown(&view))?;
        }
        SessionCommand::Observe { session } => {
            let changed = gateway.observe(session).await?;
            output::result(format, &changed, || {
                format!(
                    "{session}: policy is UNENFORCED from here on, entry {}; `chancery session enforce \
                     {session}` ends that",
                    changed.log_index
                )
            })?;
        }
        SessionCommand::Enforce { session } => {
            let changed = gateway.enforce(session).await?;
            output::result(format, &changed, || {
                format!(
                    "{session}: policy is enforced again, entry {}",
                    changed.log_index
                )
            })?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn listed(known: &OperatorSessions) -> String {
    let rows = known.sessions.iter().map(|session| {
        [
            session.session.to_string(),
            session.agent.to_string(),
            session.counts.allowed.to_string(),
            session.permissions.len().to_string(),
            stopped(session),
            unenforced(session),
        ]
    });
    output::table(
        [
            "session",
            "agent",
            "calls",
            "permissions",
            "stopped by",
            "unenforced",
        ],
        rows,
    )
}

fn stopped(session: &OperatorSession) -> String {
    match session.stopped_by.as_slice() {
        [] => "nothing".to_owned(),
        brakes => joined(brakes),
    }
}

/// What is not enforced now, and how many calls passed though policy said otherwise.
fn unenforced(session: &OperatorSession) -> String {
    let passed = session.counts.unenforced.unwrap_or_default();
    let now = session.observed.as_deref().unwrap_or("nothing");
    format!("{now} ({passed} calls so far)")
}

fn joined(labels: &[Label]) -> String {
    let texts: Vec<_> = labels.iter().map(ToString::to_string).collect();
    texts.join(", ")
}

fn shown(view: &OperatorSession) -> String {
    let counts = &view.counts;
    let read = match view.taint.as_slice() {
        [] => "nothing untrusted".to_owned(),
        sources => joined(sources),
    };
    let rows = [
        ["session", &view.session.to_string()],
        ["agent", &view.agent.to_string()],
        ["mission", &view.mission.to_string()],
        ["opened", &view.opened_at.to_string()],
        ["ends", &view.expires_at.to_string()],
        ["allowed", &counts.allowed.to_string()],
        ["denied", &counts.denied.to_string()],
        ["asked", &counts.escalated.to_string()],
        ["cost", &counts.cost_micros.to_string()],
        ["rows", &view.rows.to_string()],
        ["resources", &view.resources.to_string()],
        ["has read", &read],
        ["stopped by", &stopped(view)],
        ["unenforced", &unenforced(view)],
        ["questions", &view.questions.to_string()],
    ];
    let mut text = output::table(["what", "value"], rows.map(|row| row.map(str::to_owned)));
    for seat in &view.instances {
        text.push_str(&format!("\n{}: trust {}", seat.instance, seat.trust));
    }
    if view.permissions.is_empty() {
        text.push_str("\nnothing is permitted now");
        return text;
    }
    let rows = view.permissions.iter().map(|held| {
        [
            format!("{}/{}", held.server, held.name),
            held.resource.to_string(),
            match held.once {
                true => "once".to_owned(),
                false => "until it lapses".to_owned(),
            },
            held.basis.clone(),
            held.expires_at.to_string(),
        ]
    });
    let table = output::table(["permitted", "resource", "how often", "by", "lapses"], rows);
    format!("{text}\n{table}")
}
