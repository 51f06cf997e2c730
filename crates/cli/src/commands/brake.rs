//! `chancery brake`.

use std::process::ExitCode;

use anyhow::Context as _;
use chancery_api::gateway::{BrakeChanged, BrakeOrder, Brakes, GatewayClient, SetBrake};
use chancery_audit::{BrakeMode, BrakeOn, Label};
use chancery_session::EVERYWHERE;

use crate::args::{BrakeArgs, BrakeCommand, BrakeTarget, BrakeWhat, Format};
use crate::output;

pub(super) async fn run(format: Format, args: BrakeArgs) -> anyhow::Result<ExitCode> {
    let gateway = GatewayClient::new(super::layout(&args.data)?.gateway_socket());
    match args.command {
        BrakeCommand::Pause(what) => set(format, &gateway, &what, BrakeMode::Pause).await?,
        BrakeCommand::Kill(what) => set(format, &gateway, &what, BrakeMode::Kill).await?,
        BrakeCommand::Release(what) => {
            let order = order(&what)?;
            let changed = gateway.release_brake(&order).await?;
            said(format, &order, "released", &changed)?;
        }
        BrakeCommand::List => {
            let known = gateway.brakes().await?;
            output::result(format, &known, || listed(&known))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn set(
    format: Format,
    gateway: &GatewayClient,
    what: &BrakeWhat,
    mode: BrakeMode,
) -> anyhow::Result<()> {
    let order = order(what)?;
    let changed = gateway
        .set_brake(&SetBrake {
            on: order.on,
            name: order.name.clone(),
            mode,
        })
        .await?;
    let done = match mode {
        BrakeMode::Pause => "paused",
        BrakeMode::Kill => "killed",
    };
    said(format, &order, done, &changed)
}

fn said(
    format: Format,
    order: &BrakeOrder,
    done: &str,
    changed: &BrakeChanged,
) -> anyhow::Result<()> {
    output::result(format, changed, || {
        let what = match order.on {
            BrakeOn::Everywhere => EVERYWHERE.to_owned(),
            on => format!("{} {}", on.name(), order.name),
        };
        format!("{what}: {done}, entry {}", changed.log_index)
    })
}

fn order(what: &BrakeWhat) -> anyhow::Result<BrakeOrder> {
    let on = match what.on {
        BrakeTarget::Everywhere => BrakeOn::Everywhere,
        BrakeTarget::Person => BrakeOn::Person,
        BrakeTarget::Session => BrakeOn::Session,
        BrakeTarget::Agent => BrakeOn::Agent,
        BrakeTarget::Instance => BrakeOn::Instance,
        BrakeTarget::Tool => BrakeOn::Tool,
    };
    let name = match (&what.name, on) {
        (None, BrakeOn::Everywhere) => EVERYWHERE,
        (Some(name), BrakeOn::Everywhere) => {
            anyhow::bail!("{name}: a brake on everything has no name; leave it out")
        }
        (name, _) => name.as_deref().unwrap_or_default(),
    };
    let name: Label = name.parse().context("NAME")?;
    Ok(BrakeOrder { on, name })
}

fn listed(known: &Brakes) -> String {
    let rows = known.brakes.iter().map(|brake| {
        [
            brake.mode.name().to_owned(),
            brake.on.name().to_owned(),
            brake.name.to_string(),
        ]
    });
    let table = output::table(["brake", "on", "name"], rows);
    match known.tainted_stores.as_slice() {
        [] => table,
        stores => {
            let names: Vec<_> = stores.iter().map(ToString::to_string).collect();
            format!(
                "{table}\nstores with untrusted content: {}",
                names.join(", ")
            )
        }
    }
}
