//! `chancery spawn`: asks the own bridge for children with a narrower delegation.

use std::io::Read as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, ensure};
use chancery_agent::{
    LocalClient, MAX_CHILDREN, SpawnEnd, SpawnMany, SpawnRequest, Spawned, SpawnedChild,
};
use serde::Serialize;

use super::connect::own_bridge;
use crate::args::{Format, SpawnArgs};
use crate::output;

/// Most bytes of a file of children: what a bridge hears at once.
const MOST_BYTES: u64 = 4 << 20;

pub(super) async fn run(format: Format, args: SpawnArgs) -> anyhow::Result<ExitCode> {
    let bridge = own_bridge().context("no bridge: `spawn` works inside of `chancery run`")?;
    let bridge = LocalClient::new(bridge);
    if let Some(file) = &args.children {
        let children = read(file)?;
        let request = SpawnMany {
            argv: args.command,
            children,
        };
        return many(format, &bridge, &request, args.wait).await;
    }
    let request = SpawnRequest {
        agent: args.agent.unwrap_or_default(),
        allow: args.allow,
        argv: args.command,
        task: args.task,
        lifetime_seconds: args.lifetime,
        outlive: args.outlive,
        may_delegate: args.may_delegate,
    };
    if args.detach {
        let request = SpawnMany {
            argv: Vec::new(),
            children: vec![request],
        };
        return many(format, &bridge, &request, false).await;
    }
    let ended = bridge.spawn(&request).await?;
    let code = u8::try_from(ended.exit_code).unwrap_or(1);
    output::result(format, &ended, || ended.stdout.clone())?;
    Ok(ExitCode::from(code))
}

/// The children of a file.
fn read(file: &Path) -> anyhow::Result<Vec<SpawnRequest>> {
    let shown = || file.display().to_string();
    let mut text = String::new();
    let read = super::open(file, MOST_BYTES.saturating_add(1))?.read_to_string(&mut text);
    read.with_context(shown)?;
    let file = shown();
    ensure!(
        text.len() as u64 <= MOST_BYTES,
        "{file}: more than {MOST_BYTES} bytes; start the children by several calls"
    );
    let children: Vec<serde_json::Value> = serde_json::from_str(&text)
        .with_context(|| format!("{file}: not a JSON array of children"))?;
    ensure!(
        (1..=MAX_CHILDREN).contains(&children.len()),
        "{file}: {} children; one call starts 1 to {MAX_CHILDREN}",
        children.len()
    );
    let children = children.into_iter().enumerate().map(|(place, child)| {
        let child = serde_json::from_value::<SpawnRequest>(child);
        child.with_context(|| format!("{file}: child {place}"))
    });
    children.collect()
}

/// What became of the children, and their ends where they were waited for.
#[derive(Serialize)]
struct Many {
    children: Vec<SpawnedChild>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ends: Option<Vec<SpawnEnd>>,
}

async fn many(
    format: Format,
    bridge: &LocalClient,
    request: &SpawnMany,
    wait: bool,
) -> anyhow::Result<ExitCode> {
    let Spawned { children } = bridge.spawn_many(request).await?;
    let begun = children.iter().filter_map(|child| match child {
        SpawnedChild::Instance(instance) => Some(instance.clone()),
        SpawnedChild::Refused(_) => None,
    });
    let begun: Vec<String> = begun.collect();
    let ends = match wait {
        true => Some(bridge.ends(&begun).await?.ends),
        false => None,
    };
    let all_begun = begun.len() == children.len();
    let failed = |ends: &Vec<SpawnEnd>| ends.iter().any(|end| end.exit_code != 0);
    let well = all_begun && !ends.as_ref().is_some_and(failed);
    let many = Many { children, ends };
    output::result(format, &many, || text(&many))?;
    Ok(match well {
        true => ExitCode::SUCCESS,
        false => ExitCode::from(1),
    })
}

fn text(many: &Many) -> String {
    let end_of = |instance: &String| {
        let ends = many.ends.as_ref()?.iter();
        let end = ends.into_iter().find(|end| end.instance == *instance)?;
        Some(format!("exit code {}", end.exit_code))
    };
    let rows = many.children.iter().enumerate();
    let rows = rows.map(|(place, child)| match child {
        SpawnedChild::Instance(instance) => {
            let state = end_of(instance).unwrap_or_else(|| "begun".to_owned());
            [place.to_string(), instance.clone(), state]
        }
        SpawnedChild::Refused(error) => {
            let said = format!("{} ({})", error.message, error.reason);
            [place.to_string(), "refused".to_owned(), said]
        }
    });
    output::table(["child", "instance", "state"], rows)
}
