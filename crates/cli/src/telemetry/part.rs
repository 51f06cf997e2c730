use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum::routing::get;
use chancery_api::OwnerListener;
use tokio::time::{MissedTickBehavior, interval};

use super::catalogue;
use crate::deployment::{Layout, Part};

/// How often the numbers of histograms are put in order.
const UPKEEP: Duration = Duration::from_secs(5);

/// Counts from now on what this part does, and shows it on the part's own socket for as long as the
/// runtime lives.
pub(crate) fn show(layout: &Layout, part: Part) -> anyhow::Result<()> {
    let handle = catalogue::record(&part.to_string()).context("metrics")?;
    let socket = layout.metrics_socket(part);
    let listener = OwnerListener::bind(&socket).context(socket.display().to_string())?;
    let upkeep = handle.clone();
    tokio::spawn(async move {
        let mut tick = interval(UPKEEP);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            upkeep.run_upkeep();
        }
    });
    let router = Router::new().route("/metrics", get(async move || axum::Json(handle.render())));
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, router).await {
            tracing::error!(%error, "the metrics of this part are not shown any more");
        }
    });
    Ok(())
}
