//! The blocks of a document: what is pasted, and what is then seen.

use std::path::Path;

/// A block that is pasted into a shell, and the lines that it says are seen.
#[derive(Debug, Default)]
pub(crate) struct Block {
    pub(crate) commands: String,
    /// `…` stands for anything within a line.
    pub(crate) seen: Vec<String>,
}

/// Every `sh` block of a text, each with the `text` block that follows it before the next one.
pub(crate) fn of(text: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let Some(kind) = line.strip_prefix("```") else {
            continue;
        };
        let inside: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
        match (kind, blocks.last_mut()) {
            ("sh", _) => blocks.push(Block {
                commands: inside.join("\n") + "\n",
                seen: Vec::new(),
            }),
            ("text", Some(block)) => {
                assert!(block.seen.is_empty(), "two outputs of {}", block.commands);
                block.seen = inside.iter().map(|line| (*line).to_owned()).collect();
            }
            _ => {}
        }
    }
    blocks
}

/// Commands for the build that this test is of, in place of one that a reader makes.
pub(crate) fn for_this_build(commands: &str) -> String {
    let built = Path::new(super::place::chancery()).parent().unwrap();
    let target = built.parent().unwrap();
    let replaced = commands
        .replacen("cargo build --release\n", "", 1)
        .replacen(
            "${CARGO_TARGET_DIR:-$PWD/target}/release:",
            &format!("{}:", built.display()),
            1,
        );
    assert!(!replaced.contains("/release") && replaced.len() < commands.len());
    format!("export CARGO_TARGET_DIR='{}'\n{replaced}", target.display())
}

/// What a reader builds and runs of the checkout's examples, as this build has them already.
pub(crate) fn with_built_examples(commands: &str) -> String {
    const RUN: &str = "cargo run --release --manifest-path \"$SOURCE/Cargo.toml\" \
                       -p chancery-agent --example two_agents\n";
    let built = Path::new(super::place::chancery()).parent().unwrap();
    let example = built.join("examples/two_agents");
    if !commands.contains(RUN) {
        return commands.to_owned();
    }
    assert!(
        example.exists(),
        "{} is missing; `cargo nextest run --workspace` builds it",
        example.display()
    );
    commands.replace(RUN, &format!("'{}'\n", example.display()))
}

/// The first line that was said to be seen and is not, in this order.
pub(crate) fn missing<'a>(seen: &'a [String], output: &str) -> Option<&'a str> {
    let mut lines = output.lines();
    seen.iter()
        .filter(|line| line.contains(char::is_alphanumeric))
        .find(|expected| !lines.any(|line| is_like(line, expected)))
        .map(String::as_str)
}

/// Whether a line is as expected; the width of gaps does not matter.
fn is_like(line: &str, expected: &str) -> bool {
    let plain = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let (line, expected) = (plain(line), plain(expected));
    let mut pieces = expected.split('…');
    let first = pieces.next().unwrap_or_default();
    let Some(mut rest) = line.strip_prefix(first) else {
        return false;
    };
    let mut open = false;
    for piece in pieces {
        open = piece.is_empty();
        match rest.split_once(piece) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.is_empty() || open
}

#[test]
fn outputs_are_compared_in_order_and_to_the_end_of_the_line() {
    let expected = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect();
    let output = "entry  3   of\nses_1 has ended (completed)\nexit code 1\n";
    for seen in [
        vec!["entry 3 of", "exit code 1"],
        vec!["…", "────", "ses_… has ended (…)"],
        vec!["ses_1 has …"],
    ] {
        let seen: Vec<String> = expected(&seen);
        assert_eq!(missing(&seen, output), None, "{seen:?}");
    }
    for seen in [
        vec!["entry 3"],
        vec!["exit code 1", "entry 3 of"],
        vec!["ses_… was ended (…)"],
        vec!["ses_… has"],
        vec!["exit code 1", "exit code 1"],
    ] {
        let seen: Vec<String> = expected(&seen);
        assert!(missing(&seen, output).is_some(), "{seen:?}");
    }
}

#[test]
fn a_block_belongs_to_the_output_after_it() {
    let blocks = of(
        "```text\nearly\n```\n```sh\none\ntwo\n```\nprose\n```json\n{}\n```\n```text\nout\n```\n```sh\nthree\n```\n",
    );
    let commands: Vec<&str> = blocks.iter().map(|block| block.commands.as_str()).collect();
    assert_eq!(commands, ["one\ntwo\n", "three\n"]);
    assert_eq!(blocks[0].seen, ["out"]);
    assert!(blocks[1].seen.is_empty());
}
