//! The quick start and every how-to page, pasted one after another into one shell as they stand.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use super::blocks::{self, Block};
use super::place::{Place, Ran, checkout, free_port};
use super::tools::{self, Tools};

/// How long all pages together may take, on a machine that does other things too.
const PATIENCE: Duration = Duration::from_secs(600);

/// A page that runs by itself in a test of its own.
const DEMO: &str = "cd \"$(mktemp -d)\"\nchancery demo --unattended\n";

#[test]
fn every_page_runs_as_it_stands_and_shows_what_it_says() {
    if Tools::find().is_none() {
        return;
    }
    let place = Place::new();
    let pages = pages();
    assert!(pages.len() > 10, "{} pages", pages.len());
    let mut script = "set -euo pipefail\n".to_owned();
    for (page, (path, blocks)) in pages.iter().enumerate() {
        assert!(!blocks.is_empty(), "{}: nothing to paste", path.display());
        let commands: Vec<&str> = blocks.iter().map(|block| block.commands.as_str()).collect();
        let commands = commands.concat();
        // Each block's output in a file of its own, by the number of page and block.
        let numbered = blocks.iter().enumerate().map(|(number, block)| {
            let output = place.at(format!("out-{page}-{number}"));
            format!("exec >'{}' 2>&1\n{}", output.display(), block.commands)
        });
        let numbered: String = numbered.collect();
        script += &match page {
            0 => blocks::for_this_build(&numbered).replacen(DEMO, "", 1),
            _ => blocks::with_built_examples(&numbered),
        };
        assert!(is_plain(&commands), "{commands}");
    }
    script += "kill \"$up\"\nwait \"$up\"\n";
    let path = place.write("pages.sh", &script);
    let mut bash = place.command("bash");
    bash.arg(path)
        .current_dir(checkout())
        .env("PORT", free_port())
        .env("PORT2", free_port())
        .env("PORT3", free_port())
        .envs(tools::wheels());
    let ran = Ran::within(PATIENCE, &mut bash, &place);
    let (mut wrong, mut last) = (String::new(), String::new());
    for (page, (path, blocks)) in pages.iter().enumerate() {
        for (number, block) in blocks.iter().enumerate() {
            let output = place.at(format!("out-{page}-{number}"));
            let Ok(output) = std::fs::read_to_string(output) else {
                let _ = writeln!(wrong, "{}: not reached: {}", path.display(), block.commands);
                continue;
            };
            last.clone_from(&output);
            let missing = blocks::missing(&block.seen, &output);
            if let Some(line) = missing {
                let (path, commands) = (path.display(), &block.commands);
                let _ = writeln!(
                    wrong,
                    "{path}: {line:?} is not seen:\n{commands}=>\n{output}"
                );
            }
        }
    }
    let well = ran.code == Some(0) && wrong.is_empty();
    assert!(
        well,
        "{:?} {}\n{wrong}\nat last:\n{last}",
        ran.code, ran.err
    );
}

/// An exclamation mark is history to an interactive shell, but for these.
fn is_plain(commands: &str) -> bool {
    let plain = ["|| ! kill", "'#!/bin/bash'", "$!\n"];
    let known = |rest: String, known: &&str| rest.replace(known, "");
    !plain.iter().fold(commands.to_owned(), known).contains('!')
}

/// The quick start, then every how-to page.
fn pages() -> Vec<(PathBuf, Vec<Block>)> {
    let docs = checkout().join("docs");
    let mut pages: Vec<PathBuf> = std::fs::read_dir(docs.join("how-to"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    pages.sort();
    pages.insert(0, docs.join("quick-start.md"));
    let read = |path: PathBuf| {
        let blocks = blocks::of(&std::fs::read_to_string(&path).unwrap());
        (path, blocks)
    };
    pages.into_iter().map(read).collect()
}
