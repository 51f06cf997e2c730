//! The page of attacks, from its table.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::Context as _;

/// Where the table stands.
const TABLE: &str = "vectors/attacks.tsv";

const HEAD: &str = "# Attacks

Written by `cargo xtask gen` from `vectors/attacks.tsv`. The ids are those of the catalogue of attacks that the tests read beside the vectors of others. Each attack on
delegation, proof, issuance or revocation has tests that fail without the check against it, or says why it does not arise or stays open; the rest stand with the part
that they belong to. A test holds that every attack of the catalogue is here and that every test and vector that is named exists; `vectors/mutants/run.py attacks` takes
each check out and sees its tests fail. `open` is what nothing of ours stops or shows yet.

| id | part | attack | tests, below `crates/`, and vectors |
| --- | --- | --- | --- |
";

/// The page.
pub(crate) fn page(root: &Path) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(root.join(TABLE)).context(TABLE)?;
    let mut page = HEAD.to_owned();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let mut columns = line.split('\t');
        let mut next = || columns.next().with_context(|| format!("{TABLE}: {line}"));
        let (id, part, words, tests, remark) = (next()?, next()?, next()?, next()?, next()?);
        let tests = tests.split_whitespace().map(|test| format!("`{test}`"));
        let remark = Some(remark).filter(|remark| !remark.is_empty());
        let said: Vec<String> = tests.chain(remark.map(str::to_owned)).collect();
        writeln!(page, "| {id} | {part} | {words} | {} |", said.join("<br>"))?;
    }
    Ok(page)
}
