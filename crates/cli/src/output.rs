//! What goes to standard output (data) and standard error (talk).

use std::io::{ErrorKind, IsTerminal as _, Write as _};

use anyhow::Context as _;
use comfy_table::{ColumnConstraint, ContentArrangement, LineStyle, Table, TableStyle, Width};
use serde::Serialize;

use crate::args::Format;

/// Writes a result: one JSON document, or text made by `text`.
pub(crate) fn result<T: Serialize>(
    format: Format,
    value: &T,
    text: impl FnOnce() -> String,
) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    let written = match format {
        Format::Json => {
            // Whoever waits for the document sees none or all of it.
            let mut text = serde_json::to_vec_pretty(value)?;
            text.push(b'\n');
            out.write_all(&text)
        }
        Format::Text | Format::Svg | Format::Mermaid | Format::Dot => {
            let text = text();
            out.write_all(text.as_bytes()).and_then(|()| {
                if text.ends_with('\n') || text.is_empty() {
                    Ok(())
                } else {
                    writeln!(out)
                }
            })
        }
    };
    match written {
        // Whoever reads has seen enough, as `head` and `grep -q` do.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written.context("standard output"),
    }
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

/// A table for people: on a terminal as wide as that is, elsewhere one line for each row.
pub(crate) fn table<const N: usize>(
    header: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) -> String {
    let terminal = std::io::stdout().is_terminal();
    let width = terminal.then(|| Table::new().width()).flatten();
    arranged(header, rows, width)
}

/// A table that is as wide as that where no word of it must be broken for it, and else one line for
/// each row: whoever copies an identifier has all of it.
fn arranged<const N: usize>(
    header: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
    width: Option<u16>,
) -> String {
    let mut table = Table::new();
    table
        .load_style(TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─')))
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(header);
    let mut longest = header.map(longest_word);
    for row in rows {
        for (longest, cell) in longest.iter_mut().zip(&row) {
            *longest = longest_word(cell).max(*longest);
        }
        table.add_row(row);
    }
    // Each with a blank on either side.
    let least = longest.map(|word| u16::try_from(word + 2).unwrap_or(u16::MAX));
    let all = least
        .iter()
        .fold(0, |all: u16, one| all.saturating_add(*one));
    if let Some(width) = width.filter(|width| all <= *width) {
        table
            .set_width(width)
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_constraints(
                least.map(|least| ColumnConstraint::LowerBoundary(Width::Fixed(least))),
            );
    }
    table.to_string()
}

fn longest_word(cell: &str) -> usize {
    let words = cell.split_whitespace().map(|word| word.chars().count());
    words.max().unwrap_or_default()
}

/// Text for people: on a terminal, what does not fit into an indented line goes on in the next one,
/// from column `indent` on.
pub(crate) fn wrapped(text: &str, indent: usize) -> String {
    match Table::new().width() {
        Some(width) => wrap(text, indent, width.into()),
        None => text.to_owned(),
    }
}

/// Where words begin that fit nowhere else.
const LEAST_INDENT: usize = 4;

fn wrap(text: &str, indent: usize, width: usize) -> String {
    let mut wrapped = String::new();
    for line in text.split_inclusive('\n') {
        let indent = if line.starts_with(' ') { indent } else { 0 };
        let mut column = 0;
        for word in line.split_inclusive(' ') {
            let length = word.trim_end().chars().count();
            if column > LEAST_INDENT && length > 0 && column + length > width {
                wrapped.truncate(wrapped.trim_end_matches(' ').len());
                column = if indent + length > width {
                    LEAST_INDENT.min(indent)
                } else {
                    indent
                };
                wrapped.push('\n');
                wrapped.push_str(&" ".repeat(column));
            }
            wrapped.push_str(word);
            column += word.chars().count();
        }
    }
    wrapped
}

/// Asks on the terminal; anything but `yes` is no.
pub(crate) fn confirm(question: &str) -> anyhow::Result<bool> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_go_on_below_their_second_column() {
        let text = "short\n   policy       one two three four\nplain words here\n";
        assert_eq!(
            wrap(text, 16, 26),
            "short\n   policy       one two\n                three four\nplain words here\n"
        );
        assert_eq!(wrap(text, 16, 200), text);
    }

    #[test]
    fn a_table_breaks_no_identifier_for_any_terminal() {
        let agent = "spiffe://chancery.example/agent/fleeting";
        let digest = "sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
        let why = "behaves oddly since the change of last week";
        for (id, widths) in [(agent, 10..120), (digest, 10..160)] {
            for width in widths {
                let rows = [["agent", id, why].map(str::to_owned)];
                let text = arranged(["kind", "id", "why"], rows, Some(width));
                assert!(text.contains(id), "{width}:\n{text}");
            }
        }
        // Where it fits, what has words goes on in the next line.
        let rows = [["agent", agent, why].map(str::to_owned)];
        let text = arranged(["kind", "id", "why"], rows, Some(80));
        assert!(
            text.lines().all(|line| line.chars().count() <= 80),
            "{text}"
        );
        assert!(text.lines().count() > 3 && !text.contains(why), "{text}");
    }

    #[test]
    fn a_value_is_never_broken() {
        let line = "   code         sha256:0123456789abcdef\n";
        assert_eq!(wrap(line, 16, 30), "   code\n    sha256:0123456789abcdef\n");
        let alone = "    sha256:0123456789abcdef\n";
        assert_eq!(wrap(alone, 4, 10), alone);
    }
}
