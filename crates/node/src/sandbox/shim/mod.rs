//! The processes between the launcher and the command.

mod calls;
mod confine;
mod identity;
mod init;
mod namespaces;
mod plain;
mod process;
mod root;

use std::ffi::OsString;
use std::process::ExitCode;

use super::error::Stage;
use super::wire::{Report, send};
use process::control;

pub(super) const SUBCOMMAND: &str = "sandbox-shim";
pub(super) const OUTER: &str = "outer";
pub(super) const INNER: &str = "inner";
pub(super) const PLAIN: &str = "plain";

/// A step that failed.
#[derive(Debug)]
struct Failure {
    stage: Stage,
    problem: String,
}

/// Runs this process as a sandbox shim: the hidden subcommand `sandbox-shim`, with the arguments
/// after it. Must be called before the process starts any thread, and speaks with the launcher on
/// standard input; a person who calls it gets nothing but an exit code of 125.
pub fn shim_main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments = arguments.into_iter().collect::<Vec<_>>();
    let arguments = arguments
        .iter()
        .filter_map(|argument| argument.to_str())
        .collect::<Vec<_>>();
    let Ok(mut channel) = control() else {
        return refused();
    };
    let ended = match arguments.as_slice() {
        [OUTER, user, network] => match namespaces::start(&mut channel, user, network) {
            Ok(init) => {
                drop(channel);
                return namespaces::wait(init);
            }
            Err(failure) => Err(failure),
        },
        [INNER] => init::run(&mut channel),
        [PLAIN] => plain::run(&mut channel),
        _ => return refused(),
    };
    match ended {
        Ok(code) => code,
        Err(Failure { stage, problem }) => {
            // A launcher that is gone needs no report.
            let _ = send(&mut channel, &Report::Failed { stage, problem });
            refused()
        }
    }
}

/// The code by which container runtimes say that they, not the command, failed.
fn refused() -> ExitCode {
    ExitCode::from(125)
}

impl Stage {
    fn failed(self, problem: impl ToString) -> Failure {
        Failure {
            stage: self,
            problem: problem.to_string(),
        }
    }

    /// Names what was being done when a step failed.
    fn at<E: std::fmt::Display>(self, doing: impl std::fmt::Display) -> impl FnOnce(E) -> Failure {
        move |error| self.failed(format!("{doing}: {error}"))
    }
}
