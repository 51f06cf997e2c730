//! `chancery reference`: the reference documents, written from the code.

use std::fmt::Write as _;
use std::process::ExitCode;

use chancery_evidence::completeness::IndexFault;
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

/// What commands end with.
const EXIT_CODES: [(&str, &str); 6] = [
    (
        "0",
        "done; of `verify` and `why`: everything holds; of `policy test`: every row is decided as it says",
    ),
    (
        "1",
        "refused, failed or not verified; the last line on standard error says why, and what helps",
    ),
    (
        "2",
        "wrong usage: an unknown flag or a value of the wrong form",
    ),
    (
        "3",
        "something that is needed is out of reach, mostly because `chancery up` does not run",
    ),
    (
        "4",
        "`apply --plan` found something to change, `policy diff` something that is decided otherwise; \
         nothing was changed",
    ),
    (
        "others",
        "`run` and `spawn` end with their command's code; 137 where it was killed",
    ),
];

pub(super) fn run(part: ReferencePart) -> anyhow::Result<ExitCode> {
    let text = match part {
        ReferencePart::Cli => commands(),
        ReferencePart::Events => chancery_audit::markdown(),
        ReferencePart::EventsSchema => {
            let schema = chancery_audit::json_schema();
            format!("{}\n", serde_json::to_string_pretty(&schema)?)
        }
        ReferencePart::Reasons => reasons(),
        ReferencePart::Metrics => crate::telemetry::markdown(),
    };
    output::result(crate::args::Format::Text, &text, || text.clone())?;
    Ok(ExitCode::SUCCESS)
}

fn commands() -> String {
    let mut text = "# Command line\n\nResults are written to standard output, everything else to \
        standard error. With `--format json` a result is one JSON document, an error still a line \
        on standard error. `run` and `connect` write what their command or server writes.\n\n\
        ## Exit codes\n\n| code | meaning |\n| --- | --- |\n"
        .to_owned();
    for (code, meaning) in EXIT_CODES {
        let _ = writeln!(text, "| {code} | {meaning} |");
    }
    text.push_str("\n## Environment\n\n| variable | meaning |\n| --- | --- |\n");
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
        log and in a verifier's report. [Troubleshooting](../troubleshooting.md) says more about \
        those that people meet.\n"
            .to_owned();
    let chain = chancery_delegation::Reason::ALL.map(|reason| (reason.code(), reason.said()));
    codes(&mut text, "Chains and proofs", &chain);
    let session = chancery_session::Reason::OWN.map(|reason| (reason.code(), reason.said()));
    codes(&mut text, "Decisions in a session", &session);
    codes(&mut text, "The gateway", chancery_gateway::REASONS);
    let own = chancery_agent::PRESENT_REASONS;
    let presented = [chancery_evidence::presentation::REASONS, own].concat();
    codes(&mut text, "Presentations", &presented);
    codes(
        &mut text,
        "Registrations",
        chancery_server::REGISTRATION_REASONS,
    );
    codes(&mut text, "Federation", chancery_server::FEDERATION_REASONS);
    codes(&mut text, "Authorities", chancery_signer::AUTHORITY_REASONS);
    codes(
        &mut text,
        "Nodes on other hosts",
        chancery_server::NODE_REASONS,
    );
    codes(
        &mut text,
        "Brokers and WIT-SVIDs",
        chancery_server::BROKER_REASONS,
    );
    codes(
        &mut text,
        "Appending to a log",
        chancery_recorder::APPEND_REASONS,
    );
    codes(&mut text, "Passkeys", chancery_server::PASSKEY_REASONS);
    codes(&mut text, "The console", chancery_server::CONSOLE_REASONS);
    codes(
        &mut text,
        "Instances that start others",
        chancery_server::SPAWN_REASONS,
    );
    let log = chancery_tlog::LogReason::ALL.iter();
    let log: Vec<_> = log.map(|reason| (reason.code(), reason.said())).collect();
    codes(&mut text, "A served log (`log check`, `log monitor`)", &log);
    let alarms = chancery_journal::LogAlarm::REASONS;
    codes(&mut text, "A log that is not signed any more", alarms);
    let broken = "an entry of an instance is missing, added or out of order";
    let index: Vec<_> = [("chain_broken", broken)]
        .into_iter()
        .chain(IndexFault::CODES)
        .collect();
    codes(
        &mut text,
        "What the entries of a log say of each other (`log check`, `log monitor`, `verify`)",
        &index,
    );
    text
}

fn codes(text: &mut String, heading: &str, codes: &[(&str, &str)]) {
    let _ = write!(
        text,
        "\n## {heading}\n\n| code | when, and what helps |\n| --- | --- |\n"
    );
    for (code, when) in codes {
        let _ = writeln!(text, "| `{code}` | {when} |");
    }
}
