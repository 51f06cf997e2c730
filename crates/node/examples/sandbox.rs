//! Runs a command in a sandbox: what `run` does, without identity.
//!
//!     sandbox run [--host-network] [--allow-unisolated] [--bind HOST INSIDE]...
//!         [--socket HOST NAME]... [--work FOLDER] [--env NAME VALUE]... -- CMD...
//!
//! Says on standard error, in one line of JSON, how the command is isolated, and ends as it ends.

use std::error::Error;
use std::ffi::OsString;
use std::io::Write as _;
use std::process::ExitCode;

use chancery_node::sandbox::{Bind, Exit, Launcher, Network, SocketBind, Spec, Work, shim_main};

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    match arguments.next() {
        Some(command) if command == "sandbox-shim" => shim_main(arguments),
        Some(command) if command == "run" => run(arguments).unwrap_or_else(|error| {
            // Nobody is left to tell when standard error is closed.
            let _ = writeln!(std::io::stderr(), "{error}");
            ExitCode::from(125)
        }),
        _ => ExitCode::from(2),
    }
}

fn run(arguments: impl Iterator<Item = OsString>) -> Result<ExitCode, Box<dyn Error>> {
    let spec = parse(arguments)?;
    let held = Launcher::default().spawn(spec)?;
    let isolation = serde_json::to_string(held.isolation())?;
    writeln!(std::io::stderr(), "{isolation}")?;
    match held.go()?.wait_blocking()? {
        Exit::Code(code) => Ok(ExitCode::from(code)),
        Exit::Killed => Ok(ExitCode::from(137)),
    }
}

fn parse(mut arguments: impl Iterator<Item = OsString>) -> Result<Spec, Box<dyn Error>> {
    let mut spec = Spec::new(Vec::<OsString>::new());
    while let Some(option) = arguments.next() {
        let mut value = || arguments.next().ok_or("a value is missing");
        match option.to_str() {
            Some("--host-network") => spec.network = Network::Host,
            Some("--allow-unisolated") => spec.allow_unisolated = true,
            Some("--bind") => spec.readable.push(Bind {
                host: value()?.into(),
                inside: value()?.into(),
                required: true,
            }),
            Some("--socket") => spec.sockets.push(SocketBind {
                host: value()?.into(),
                name: value()?.into_string().map_err(|_| "not a name")?,
                owned: true,
                variable: Some("SOCKET".into()),
            }),
            Some("--work") => spec.work = Work::Folder(value()?.into()),
            Some("--env") => spec.env.push((value()?, value()?)),
            Some("--") => {
                spec.argv = arguments.collect();
                return Ok(spec);
            }
            _ => return Err(format!("unknown option {}", option.display()).into()),
        }
    }
    Err("-- and a command are missing".into())
}
