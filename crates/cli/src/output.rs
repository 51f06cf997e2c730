//! What goes to standard output (data) and standard error (talk).

use std::io::Write as _;

use anyhow::Context as _;
use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;

use crate::args::Format;

/// How wide a table is where there is no terminal to ask.
const WIDTH: u16 = 120;

/// Writes a result: one JSON document, or text made by `text`.
pub(crate) fn result<T: Serialize>(
    format: Format,
    value: &T,
    text: impl FnOnce() -> String,
) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    match format {
        Format::Json => {
            // Whoever waits for the document sees none or all of it.
            let mut text = serde_json::to_vec_pretty(value)?;
            text.push(b'\n');
            out.write_all(&text)
        }
        Format::Text => {
            let text = text();
            out.write_all(text.as_bytes()).and_then(|()| {
                if text.ends_with('\n') || text.is_empty() {
                    Ok(())
                } else {
                    writeln!(out)
                }
            })
        }
    }
    .context("standard output")
}

/// Says something to the person at the terminal.
pub(crate) fn say(text: impl std::fmt::Display) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// An error with its causes, each said once.
pub(crate) fn causes(error: &anyhow::Error) -> String {
    error
        .chain()
        .map(ToString::to_string)
        .reduce(|said, cause| match said.contains(&cause) {
            true => said,
            false => format!("{said}: {cause}"),
        })
        .unwrap_or_default()
}

/// A table for people.
pub(crate) fn table<const N: usize>(
    header: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) -> String {
    let mut table = Table::new();
    table
        .load_style(presets::UTF8_HORIZONTAL_ONLY)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header(header);
    if !std::io::IsTerminal::is_terminal(&std::io::stdout()) {
        table.set_width(WIDTH);
    }
    for row in rows {
        table.add_row(row);
    }
    table.to_string()
}

/// Asks on the terminal; anything but `yes` is no.
pub(crate) fn confirm(question: &str) -> anyhow::Result<bool> {
    use std::io::IsTerminal as _;
    anyhow::ensure!(
        std::io::stdin().is_terminal(),
        "a person must answer on a terminal; with a stand-in authenticator, --yes answers for one"
    );
    let mut err = std::io::stderr().lock();
    write!(err, "{question} [yes/no] ")
        .and_then(|()| err.flush())
        .context("terminal")?;
    let mut answer = String::new();
    std::io::stdin()
        .read_line(&mut answer)
        .context("terminal")?;
    Ok(answer.trim() == "yes")
}
