//! What stands for more in the texts of the corpus.

use serde_json::Value;

const TOOLS: &str = include_str!("../tools.json");

/// The answer to `tools/list` as it was pinned.
pub(super) const LISTING: &str = r#"{"jsonrpc":"2.0","id":$ID,"result":{"tools":[$TOOLS]}}"#;

/// A text with `$TOOLS`, `$TOOL(NAME)` and `$(COUNT*TEXT)` written out: the pinned tools, one of them, and a
/// text so many times.
pub(super) fn expand(text: &str) -> String {
    let mut text = text.replace("$TOOLS", &tools().collect::<Vec<_>>().join(","));
    while let Some((before, rest)) = text.split_once("$TOOL(") {
        let (name, after) = rest.split_once(')').unwrap();
        let named = tools().find(|tool| tool.starts_with(&format!("{{\"name\":\"{name}\"")));
        let named = named.unwrap_or_else(|| panic!("no tool {name}"));
        text = format!("{before}{named}{after}");
    }
    while let Some((before, rest)) = text.split_once("$(") {
        let (count, rest) = rest.split_once('*').unwrap();
        let (repeated, after) = rest.split_once(')').unwrap();
        let repeated = repeated.repeat(count.parse().unwrap());
        text = format!("{before}{repeated}{after}");
    }
    text
}

/// The pinned tools as they are written: one a line.
fn tools() -> impl Iterator<Item = &'static str> {
    let lines = TOOLS.lines().map(str::trim);
    lines
        .filter(|line| line.starts_with('{'))
        .map(|line| line.trim_end_matches(','))
}

/// A text as bytes, with `$HEX(..)` as the bytes that it says.
pub(super) fn bytes(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut parts = text.split("$HEX(");
    bytes.extend_from_slice(parts.next().unwrap_or_default().as_bytes());
    for part in parts {
        let (hex, after) = part.split_once(')').unwrap();
        let byte = |digits: &[u8]| {
            let digits = std::str::from_utf8(digits).unwrap();
            u8::from_str_radix(digits, 16).unwrap()
        };
        bytes.extend(hex.as_bytes().chunks(2).map(byte));
        bytes.extend_from_slice(after.as_bytes());
    }
    bytes
}

/// A text with its first letter as JSON escapes it.
pub(super) fn escaped(text: &str) -> String {
    let (first, rest) = text.split_at(1);
    format!("\\u{:04x}{rest}", u32::from(first.as_bytes()[0]))
}

/// Members of an object, without a comma too many.
pub(super) fn joined(members: &[&str]) -> String {
    let there = members.iter().filter(|members| !members.trim().is_empty());
    there.copied().collect::<Vec<_>>().join(",")
}

/// The last message of an answer, which is one message or a stream of events.
pub(super) fn last_message(heard: &str) -> Value {
    let mut events = heard.lines().filter_map(|line| line.strip_prefix("data: "));
    let last = events.next_back().unwrap_or(heard);
    serde_json::from_str(last).unwrap_or_default()
}
