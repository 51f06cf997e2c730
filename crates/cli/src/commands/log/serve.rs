//! `chancery log serve`.

use std::net::SocketAddr;

use chancery_journal::{LogServer, Reader};
use serde::Serialize;

use super::{Place, Stop};
use crate::args::{Format, LogName};
use crate::output;

#[derive(Serialize)]
struct Opened {
    logs: Vec<ServedLog>,
}

#[derive(Serialize)]
struct ServedLog {
    origin: String,
    url: String,
    dir: String,
}

/// Serves until it is stopped.
pub(super) async fn run(format: Format, place: &Place, listen: SocketAddr) -> anyhow::Result<()> {
    let mut logs: Vec<(String, Reader)> = Vec::new();
    if place.dir.is_some() || place.log.is_some() {
        logs.push((String::new(), place.reader()?));
    } else {
        for log in [LogName::Gateway, LogName::Server] {
            logs.push((log.name().to_owned(), place.named(log)?));
        }
    }
    // Whoever sees what was opened may stop it.
    let mut stop = Stop::new()?;
    let server = LogServer::bind(listen, logs.clone()).await?;
    let address = server.address()?;
    if !address.ip().is_loopback() {
        output::say(format_args!(
            "{address} is not only for this machine: whoever reaches it reads every entry"
        ));
    }
    let logs = logs.iter().map(|(prefix, reader)| ServedLog {
        origin: reader.origin().to_string(),
        url: format!("http://{address}/{prefix}")
            .trim_end_matches('/')
            .to_owned(),
        dir: reader.dir().display().to_string(),
    });
    let opened = Opened {
        logs: logs.collect(),
    };
    output::result(format, &opened, || {
        let lines = opened.logs.iter();
        lines
            .map(|log| format!("{} at {}\n", log.origin, log.url))
            .collect()
    })?;
    server.serve(stop.asked()).await;
    Ok(())
}
