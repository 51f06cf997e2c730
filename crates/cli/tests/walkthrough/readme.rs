//! The walk-through of the README, pasted into a shell as it stands.

use super::blocks;
use super::place::{Place, Ran, checkout, free_port};
use super::tools::Tools;

/// What the README says that is seen, in this order.
const EXPECTED: [&str; 22] = [
    "enrol_code",
    "is principal and approver (stand-in, software-only); trust document version 2",
    "trust.json: trust document, version 2",
    "desk.manifest: signed manifest of spiffe://chancery.example/agent/desk",
    "spiffe://chancery.example/agent/desk registered",
    "running",
    "\"amount_cents\":960000",
    "approved (stand-in, software-only)",
    "(isolated)",
    "tools: balance, post",
    "balance: {\"book\":\"north\"",
    "balance was refused",
    "post: {",
    "evidence: evidence of ses_",
    "\nverified",
    "\nself-asserted",
    "exit code 1",
    "ledger/post",
    "every tile recomputed",
    "c2sp.org/tlog-proof@v1",
    "\"name\": \"balance\"",
    "\nverified",
];

#[test]
fn the_walk_through_of_the_readme_runs_as_it_stands() {
    if Tools::find().is_none() {
        return;
    }
    let place = Place::new();
    let script = script();
    let path = place.write("walk-through.sh", &script);
    let mut bash = place.command("bash");
    bash.arg(path)
        .current_dir(checkout())
        .env("PORT", free_port());
    let ran = Ran::to_the_end(&mut bash, &place);
    assert_eq!(ran.code, Some(0), "{}\n{}", ran.out, ran.err);
    let mut rest = ran.out.as_str();
    for expected in EXPECTED {
        let found = rest.split_once(expected);
        let (_, after) =
            found.unwrap_or_else(|| panic!("{expected:?} is not seen in:\n{rest}\n{}", ran.err));
        rest = after;
    }
}

/// Every `sh` block of the section, one after another. The build is the one that this test is of.
fn script() -> String {
    let readme = std::fs::read_to_string(checkout().join("README.md")).unwrap();
    let (_, section) = readme.split_once("\n## Walk-through\n").unwrap();
    let section = section.split("\n## ").next().unwrap();
    let blocks = blocks::of(section);
    assert!(blocks.len() > 8, "{} blocks", blocks.len());
    let commands: Vec<&str> = blocks.iter().map(|block| block.commands.as_str()).collect();
    let commands = blocks::for_this_build(&commands.concat());
    format!("set -euo pipefail -v\n{commands}")
}
