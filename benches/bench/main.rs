//! What things cost, each beside its floor of the same run. Nothing here fails on speed.

mod agent;
mod appends;
mod biscuits;
mod calls;
mod chains;
mod identities;
mod large;
mod links;
mod manifest;
mod network;
mod options;
mod plane;
mod policies;
mod report;
mod revocations;
mod sample;
mod sessions;
mod signatures;
mod throughput;
mod tool_server;
mod world;

use std::io::Write as _;

use crate::options::{Options, USAGE};
use crate::report::Report;

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1).peekable();
    if arguments.peek().map(String::as_str) == Some(tool_server::ARGUMENT) {
        return tool_server::serve();
    }
    if arguments.peek().map(String::as_str) == Some(network::CLIENT) {
        return network::run_client(arguments.skip(1).collect());
    }
    if let Some(part) = arguments.peek().and_then(|name| identities::part(name)) {
        return part(arguments.skip(1).collect());
    }
    let Some(options) = Options::parse(arguments)? else {
        writeln!(std::io::stdout(), "{USAGE}")?;
        return Ok(());
    };
    let report = run(&options)?;
    let text = if options.json {
        format!("{}\n", report.to_json())
    } else {
        report.to_text()
    };
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(())
}

type Measure = fn(&Options, &mut Report) -> anyhow::Result<()>;

fn run(options: &Options) -> anyhow::Result<Report> {
    let sections: [(&str, Measure); 13] = [
        ("signatures", signatures::measure),
        ("links", links::measure),
        ("biscuits", biscuits::measure),
        ("policies", policies::measure),
        ("sessions", sessions::measure),
        ("appends", appends::measure),
        ("throughput", throughput::measure),
        ("network", network::measure),
        ("calls", calls::measure),
        ("revocations", revocations::measure),
        ("identities", identities::measure_delays),
        ("instances", identities::measure_instances),
        (options::LARGE, large::measure),
    ];
    let mut report = Report::default();
    for (name, measure) in sections {
        if options.wants(name) {
            writeln!(std::io::stderr(), "measuring {name}")?;
            measure(options, &mut report)?;
        }
    }
    Ok(report)
}
