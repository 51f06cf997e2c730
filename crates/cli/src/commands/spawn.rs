//! `chancery spawn`: asks the own bridge for a child with a narrower delegation.

use std::process::ExitCode;

use anyhow::Context as _;
use chancery_agent::{LocalClient, SpawnRequest};

use super::connect::own_bridge;
use crate::args::{Format, SpawnArgs};
use crate::output;

pub(super) async fn run(format: Format, args: SpawnArgs) -> anyhow::Result<ExitCode> {
    let bridge = own_bridge().context("no bridge: `spawn` works inside of `chancery run`")?;
    let request = SpawnRequest {
        agent: args.agent,
        allow: args.allow,
        argv: args.command,
    };
    let ended = LocalClient::new(bridge).spawn(&request).await?;
    let code = u8::try_from(ended.exit_code).unwrap_or(1);
    output::result(format, &ended, || ended.stdout.clone())?;
    Ok(ExitCode::from(code))
}
