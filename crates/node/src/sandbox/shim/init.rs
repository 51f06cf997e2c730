//! Pid 1 of the sandbox: builds it, confines itself in it, starts the command and buries the dead.

use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl::set_dumpable;
use nix::sys::signal::{SigSet, Signal, killpg};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, dup2_stdin, sethostname, setsid};

use super::{Failure, calls, confine, identity, process, refused, root};
use crate::sandbox::error::Stage;
use crate::sandbox::plan::Plan;
use crate::sandbox::spec::Placement;
use crate::sandbox::wire::{Confinement, Isolation, Order, Report, receive, receive_with, send};

pub(super) fn run(channel: &mut UnixStream) -> Result<ExitCode, Failure> {
    process::prepare(channel)?;
    set_dumpable(false).map_err(Stage::Start.at("dumpable"))?;
    let (order, input) = receive_with::<Order>(channel).map_err(Stage::Start.at("the channel"))?;
    let Order::Build(plan) = order else {
        return Err(Stage::Start.failed("nothing to build"));
    };
    dup2_stdin(&input).map_err(Stage::Start.at("standard input"))?;
    drop(input);
    setsid().map_err(Stage::Start.at("setsid"))?;
    let isolation = confine_self(&plan)?;
    send(channel, &Report::Ready(isolation)).map_err(Stage::Start.at("the channel"))?;
    match receive(channel) {
        Ok(Order::Go) => {}
        // The launcher has gone, or changed its mind.
        _ => return Ok(refused()),
    }
    let command = start(&plan)?;
    send(channel, &Report::Started).map_err(Stage::Start.at("the channel"))?;
    let code = attend(channel, command).map_err(Stage::Start.at("attending the command"))?;
    Ok(ExitCode::from(code))
}

fn confine_self(plan: &Plan) -> Result<Isolation, Failure> {
    // Without a user to become, the host's user is mapped to the one inside already.
    let owner = plan.become_uid.unwrap_or(Placement::UID);
    sethostname("agent").map_err(Stage::Namespaces.at("host name"))?;
    root::build(&plan.entries, owner)?;
    if let Some(uid) = plan.become_uid {
        identity::become_user(uid)?;
    }
    identity::forbid_namespaces()?;
    confine::drop_capabilities()?;
    calls::refuse_key_rings()?;
    let landlock = confine::landlock(plan)?;
    Ok(Isolation::Isolated(Confinement {
        uid: plan.host_uid,
        own_uid: plan.become_uid.is_some(),
        network: plan.network,
        landlock,
    }))
}

fn start(plan: &Plan) -> Result<Pid, Failure> {
    let (program, arguments) = plan
        .argv
        .split_first()
        .ok_or_else(|| Stage::Command.failed("no command"))?;
    let child = Command::new(program)
        .args(arguments)
        .env_clear()
        .envs(plan.env.iter().map(|(name, value)| (name, value)))
        .current_dir(&plan.cwd)
        .process_group(0)
        .spawn()
        .map_err(Stage::Command.at(program.display()))?;
    let pid = i32::try_from(child.id()).map_err(Stage::Command.at("pid"))?;
    Ok(Pid::from_raw(pid))
}

/// Passes signals on and buries the dead until the command has ended. When the launcher's end of
/// the channel closes, everything ends.
fn attend(channel: &mut UnixStream, command: Pid) -> io::Result<u8> {
    // Blocked only now: the command would inherit it.
    let signals = passed_on();
    let mut waited = signals;
    waited.add(Signal::SIGCHLD);
    waited.thread_block()?;
    let descriptor = SignalFd::with_flags(&waited, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
    loop {
        if let Some(code) = bury(command)? {
            return Ok(code);
        }
        let mut ready = [
            PollFd::new(descriptor.as_fd(), PollFlags::POLLIN),
            PollFd::new(channel.as_fd(), PollFlags::POLLIN),
        ];
        match poll(&mut ready, PollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        let [_, orders] = ready.map(|it| it.any().unwrap_or(false));
        while let Some(signal) = descriptor.read_signal()? {
            let signal = i32::try_from(signal.ssi_signo)
                .ok()
                .and_then(|number| Signal::try_from(number).ok());
            if let Some(signal) = signal.filter(|signal| signals.contains(*signal)) {
                pass_on(command, signal);
            }
        }
        if orders {
            match receive(channel) {
                Ok(Order::Signal(number)) => {
                    if let Ok(signal) = Signal::try_from(number) {
                        pass_on(command, signal);
                    }
                }
                _ => return Ok(128 + 9),
            }
        }
    }
}

fn passed_on() -> SigSet {
    [
        Signal::SIGHUP,
        Signal::SIGINT,
        Signal::SIGQUIT,
        Signal::SIGTERM,
        Signal::SIGUSR1,
        Signal::SIGUSR2,
        Signal::SIGWINCH,
    ]
    .into_iter()
    .collect()
}

fn pass_on(command: Pid, signal: Signal) {
    // A group that has ended hears nothing.
    let _ = killpg(command, signal);
}

/// Buries every process that has ended; gives the command's code when it is among them.
fn bury(command: Pid) -> io::Result<Option<u8>> {
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(pid, code)) if pid == command => {
                return Ok(Some(u8::try_from(code).unwrap_or(u8::MAX)));
            }
            Ok(WaitStatus::Signaled(pid, signal, _)) if pid == command => {
                return Ok(Some(u8::try_from(128 + signal as i32).unwrap_or(u8::MAX)));
            }
            Ok(WaitStatus::StillAlive) | Err(Errno::ECHILD) => return Ok(None),
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}
