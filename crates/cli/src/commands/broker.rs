//! `chancery broker`.

use std::process::ExitCode;

use anyhow::Context as _;
use chancery_api::server::{AllowBroker, Brokers, RemoveBroker};
use chancery_identity::broker::BrokerRule;

use crate::args::{BrokerArgs, BrokerCommand, Format};
use crate::output;

pub(super) async fn run(format: Format, args: BrokerArgs) -> anyhow::Result<ExitCode> {
    let server = super::layout(&args.data)?.server_client();
    match args.command {
        BrokerCommand::Allow {
            broker,
            references,
            within,
        } => {
            let rule = BrokerRule::new(broker, references, within).context("--within")?;
            let changed = server.allow_broker(&AllowBroker { rule }).await?;
            output::result(format, &changed, || {
                format!(
                    "{} is a broker, entry {}",
                    changed.broker, changed.log_index
                )
            })?;
        }
        BrokerCommand::List => {
            let known = server.brokers().await?;
            output::result(format, &known, || listed(&known))?;
        }
        BrokerCommand::Remove { broker } => {
            let changed = server.remove_broker(&RemoveBroker { broker }).await?;
            output::result(format, &changed, || {
                format!(
                    "{} is no broker any more, entry {}: nothing more is issued to it",
                    changed.broker, changed.log_index
                )
            })?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn listed(known: &Brokers) -> String {
    let rows = known.rules.iter().map(|rule| {
        let references: Vec<_> = rule.references().map(|kind| kind.to_string()).collect();
        let within: Vec<_> = rule.within().map(ToString::to_string).collect();
        [
            rule.broker().to_string(),
            references.join(", "),
            within.join(", "),
        ]
    });
    let table = output::table(["broker", "references", "workloads within"], rows);
    if known.served {
        return table;
    }
    format!("{table}\nnone of it has an effect: start `chancery up` with --broker-api")
}
