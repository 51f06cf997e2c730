//! The `chancery` command.

mod args;
mod bundle_config;
mod commands;
mod demo;
mod deployment;
mod gateway_config;
mod output;
mod server_config;
mod svid_files;
mod telemetry;

use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::time::Duration;

use chancery_api::ClientError;
use clap::Parser as _;
use tracing_subscriber::EnvFilter;

/// Refused, failed or not verified.
const FAILED: u8 = 1;

/// Something that is needed is out of reach.
const UNREACHABLE: u8 = 3;

/// What is logged where `CHANCERY_LOG` says nothing. The HTTP library warns of answers to the PINGs that
/// the node asks its clients for by itself.
const LOGGED: &str = "warn,h2::proto::ping_pong=error";

/// How long tasks may take to end once the command has.
const FAREWELL: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    let mut args = std::env::args_os();
    if args.nth(1).is_some_and(|first| first == "sandbox-shim") {
        // The shim must be the only thread of its process.
        return chancery_node::sandbox::shim_main(args);
    }
    let cli = args::Cli::parse();
    tracing_subscriber::fmt()
        .with_env_filter(
            EnvFilter::try_from_env("CHANCERY_LOG").unwrap_or_else(|_| EnvFilter::new(LOGGED)),
        )
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .init();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let outcome = runtime.map_err(anyhow::Error::from).and_then(|runtime| {
        let outcome = runtime.block_on(commands::run(cli));
        // A read of standard input may never return and must not keep the process.
        runtime.shutdown_timeout(FAREWELL);
        outcome
    });
    match outcome {
        Ok(code) => code,
        Err(error) => {
            output::say(format_args!("error: {}", output::causes(&error)));
            match error.downcast_ref::<ClientError>() {
                Some(ClientError::Refused(problem)) => {
                    if let Some(remedy) = &problem.remedy {
                        output::say(format_args!("help: {remedy}"));
                    }
                    ExitCode::from(FAILED)
                }
                Some(_) => ExitCode::from(UNREACHABLE),
                None => ExitCode::from(FAILED),
            }
        }
    }
}
