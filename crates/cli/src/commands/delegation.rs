//! `chancery delegation`.

use std::io::Read as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use chancery_api::server::{Introspect, Introspection};
use chancery_types::limits::MAX_CHAIN_BYTES;

use crate::args::{DelegationArgs, DelegationCommand, Format};
use crate::output;

pub(super) async fn run(format: Format, args: DelegationArgs) -> anyhow::Result<ExitCode> {
    let server = super::layout(&args.data)?.server_client();
    let DelegationCommand::Check { file } = args.command;
    let token = chain(&file)?;
    let told = server.introspect(&Introspect { token }).await?;
    output::result(format, &told, || shown(&told))?;
    Ok(match told.active {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

/// Reads links joined by commas, or the JSON array of them.
fn chain(file: &Path) -> anyhow::Result<String> {
    // An array has quotes and commas, and perhaps line breaks, around each link.
    let most = MAX_CHAIN_BYTES as u64 + 4_096;
    let shown = || file.display().to_string();
    let mut text = String::new();
    let read = super::open(file, most)?.read_to_string(&mut text);
    read.with_context(shown)?;
    let text = text.trim();
    if text.starts_with('[') {
        let links: Vec<String> = serde_json::from_str(text)
            .with_context(|| format!("{}: not a JSON array of links", shown()))?;
        return Ok(links.join(","));
    }
    Ok(text.to_owned())
}

fn shown(told: &Introspection) -> String {
    let rows = told.links.iter().enumerate().map(|(at, link)| {
        let standing = match link.revoked {
            Some(kind) => format!("{} ({kind})", link.standing),
            None => link.standing.clone(),
        };
        [
            at.to_string(),
            link.jti.clone(),
            link.delegate.clone(),
            link.expires_at.to_string(),
            standing,
        ]
    });
    let table = output::table(["link", "jti", "holder", "until", "standing"], rows);
    let table = if told.links.is_empty() {
        String::new()
    } else {
        table + "\n"
    };
    match (&told.cause, told.link) {
        (None, _) => format!("{table}the chain stands"),
        (Some(cause), Some(link)) => {
            format!("{table}the chain does not stand: {cause}, at link {link}")
        }
        (Some(cause), None) => format!("{table}the chain does not stand: {cause}"),
    }
}
