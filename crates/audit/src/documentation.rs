//! The documentation of every type of entry, from the types themselves.

use std::fmt::Write as _;

use crate::{Event, TypeDoc, Writer};

/// Every type of entry, in the order of the registry.
pub fn documentation() -> Vec<TypeDoc> {
    Event::types()
}

/// The documentation as a page of Markdown.
pub fn markdown() -> String {
    let mut page = String::from(
        "# Log entries\n\nEvery entry is the canonical JSON object `{\"at\", \"body\", \"origin\", \"type\", \"v\"}`: `v` is 1, `at` counts microseconds since the epoch, `origin` names the log, and `body` has the members below. A member with a question mark may be absent.\n",
    );
    for kind in documentation() {
        let writer = match kind.writer {
            Writer::Server => "server",
            Writer::Gateway => "gateway",
        };
        // Writing to a String cannot fail.
        let _ = write!(
            page,
            "\n## `{}`\n\n{} Written by the {writer}.\n\n| member | type | meaning |\n| --- | --- | --- |\n",
            kind.name, kind.meaning
        );
        for field in kind.fields {
            let optional = if field.required { "" } else { "?" };
            let described = field.kind.replace('|', "\\|");
            let _ = writeln!(
                page,
                "| `{}`{optional} | {described} | {} |",
                field.name, field.meaning
            );
        }
    }
    page
}
