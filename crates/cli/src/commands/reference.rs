//! `chancery reference`: the reference documents, written from the code.

use std::fmt::Write as _;
use std::process::ExitCode;

use clap::{Command, CommandFactory as _};

use crate::args::{Cli, ReferencePart};
use crate::output;

/// Environment variables that are read, and what each says.
const VARIABLES: [(&str, &str); 4] = [
    (
        "CHANCERY_DATA",
        "The data folder of the deployment; `--data` wins.",
    ),
    (
        "CHANCERY_LOG",
        "What is logged on standard error: `warn` (default), `info`, `debug`, or a filter.",
    ),
    (
        "CHANCERY_BRIDGE",
        "Set inside of `chancery run`: the socket of the instance's bridge.",
    ),
    (
        "SPIFFE_ENDPOINT_SOCKET",
        "Set inside of `chancery run`: the SPIFFE Workload API.",
    ),
];

pub(super) fn run(part: ReferencePart) -> anyhow::Result<ExitCode> {
    let text = match part {
        ReferencePart::Cli => commands(),
        ReferencePart::Events => chancery_audit::markdown(),
        ReferencePart::Reasons => reasons(),
    };
    output::result(crate::args::Format::Text, &text, || text.clone())?;
    Ok(ExitCode::SUCCESS)
}

fn commands() -> String {
    let mut text = "# Command line\n\nResults are written to standard output, everything else to \
        standard error. Every command takes `--format json`.\n\n## Environment\n\n\
        | variable | meaning |\n| --- | --- |\n"
        .to_owned();
    for (name, meaning) in VARIABLES {
        let _ = writeln!(text, "| `{name}` | {meaning} |");
    }
    let mut root = Cli::command().term_width(100);
    root.build();
    describe(&mut text, &mut root, "chancery");
    text
}

fn describe(text: &mut String, command: &mut Command, path: &str) {
    let help = command.render_long_help().to_string();
    let help: Vec<&str> = help.lines().map(str::trim_end).collect();
    let _ = write!(
        text,
        "\n## `{path}`\n\n```text\n{}\n```\n",
        help.join("\n").trim_end()
    );
    for inner in command.get_subcommands_mut() {
        if !inner.is_hide_set() && inner.get_name() != "help" {
            let path = format!("{path} {}", inner.get_name());
            describe(text, inner, &path);
        }
    }
}

fn reasons() -> String {
    let mut text =
        "# Reason codes\n\nEvery refusal carries one code: the same in the answer, in the \
        log and in a verifier's report.\n\n## Chains and proofs\n\n"
            .to_owned();
    for reason in chancery_delegation::Reason::ALL {
        let _ = writeln!(text, "- `{}`", reason.code());
    }
    text.push_str("\n## The gateway\n\n");
    text.push_str("| code | when |\n| --- | --- |\n");
    for (code, when) in chancery_gateway::REASONS {
        let _ = writeln!(text, "| `{code}` | {when} |");
    }
    text
}
