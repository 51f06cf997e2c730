//! A command without isolation: tied to its launcher, and nothing more.

use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};

use nix::sys::prctl::set_no_new_privs;
use nix::unistd::dup2_stdin;

use super::{Failure, process, refused};
use crate::sandbox::error::Stage;
use crate::sandbox::wire::{Isolation, Order, Report, receive, receive_with, send};

/// Becomes the command itself when told to go, so that the process that was registered is it.
pub(super) fn run(channel: &mut UnixStream) -> Result<ExitCode, Failure> {
    process::prepare(channel)?;
    let (order, input) = receive_with::<Order>(channel).map_err(Stage::Start.at("the channel"))?;
    let Order::Build(plan) = order else {
        return Err(Stage::Start.failed("nothing to build"));
    };
    dup2_stdin(&input).map_err(Stage::Start.at("standard input"))?;
    drop(input);
    set_no_new_privs().map_err(Stage::Capabilities.at("no_new_privs"))?;
    let (program, arguments) = plan
        .argv
        .split_first()
        .ok_or_else(|| Stage::Command.failed("no command"))?;
    let held = Report::Ready(Isolation::Unisolated(String::new()));
    send(channel, &held).map_err(Stage::Start.at("the channel"))?;
    match receive(channel) {
        Ok(Order::Go) => {}
        _ => return Ok(refused()),
    }
    let error = Command::new(program)
        .args(arguments)
        .env_clear()
        .envs(plan.env.iter().map(|(name, value)| (name, value)))
        .current_dir(&plan.cwd)
        .exec();
    Err(Stage::Command.at(program.display())(error))
}
