//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;

use crate::sample::Effort;

/// What to run and how to print it.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) json: bool,
    /// Where logs and whole deployments are written.
    pub(crate) folder: PathBuf,
    /// Sections by the beginning of their name; all where there is none.
    sections: Vec<String>,
    quick: bool,
    /// How many entries a large log has.
    pub(crate) entries: u64,
    live: usize,
}

/// The section that is measured only when it is named.
pub(crate) const LARGE: &str = "large";

pub(crate) const USAGE: &str =
    "cargo bench -p chancery-benches -- [--format text|json] [--dir DIR] [--quick] [SECTION...]

Sections: signatures, links, biscuits, policies, sessions, appends, throughput, network, calls,
revocations, identities, instances; and large, which is measured only when it is named.
--dir      the folder whose disk is measured (default: the target directory's tmp)
--entries  of the large log (default: 10000000, which take nine gigabytes)
--live     instances of the section instances (default: 10000)
--quick    a fifth of the rounds, and a tenth of the instances";

impl Options {
    /// Reads the arguments behind the program's name. None asks for the usage.
    pub(crate) fn parse(
        mut arguments: impl Iterator<Item = String>,
    ) -> anyhow::Result<Option<Self>> {
        let mut options = Self {
            json: false,
            folder: PathBuf::from(env!("CARGO_TARGET_TMPDIR")),
            sections: Vec::new(),
            quick: false,
            entries: 10_000_000,
            live: 10_000,
        };
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                // What cargo adds.
                "--bench" => {}
                "--help" => return Ok(None),
                "--quick" => options.quick = true,
                "--format" => {
                    options.json = match arguments.next().as_deref() {
                        Some("json") => true,
                        Some("text") => false,
                        _ => anyhow::bail!("--format is text or json"),
                    }
                }
                "--dir" => {
                    options.folder = arguments.next().context("--dir needs a folder")?.into()
                }
                "--entries" => {
                    let entries = arguments.next().context("--entries needs a number")?;
                    options.entries = entries.parse().context("--entries needs a number")?;
                }
                "--live" => {
                    let live = arguments.next().context("--live needs a number")?;
                    options.live = live.parse().context("--live needs a number")?;
                }
                option if option.starts_with('-') => anyhow::bail!("{option} is not known"),
                _ => options.sections.push(argument),
            }
        }
        Ok(Some(options))
    }

    pub(crate) fn wants(&self, section: &str) -> bool {
        let named = self.sections.iter().any(|name| section.starts_with(name));
        named || (self.sections.is_empty() && section != LARGE)
    }

    pub(crate) const fn is_quick(&self) -> bool {
        self.quick
    }

    /// For what takes microseconds.
    pub(crate) fn arithmetic(&self) -> Effort {
        Effort {
            rounds: self.rounds(15),
            turns: 40,
            turn: Duration::from_micros(500),
        }
    }

    /// How many instances live on one server.
    pub(crate) const fn live(&self) -> usize {
        if self.quick {
            self.live / 10
        } else {
            self.live
        }
    }

    /// So many rounds, or a fifth of them.
    pub(crate) const fn rounds(&self, full: usize) -> usize {
        if self.quick { full.div_ceil(5) } else { full }
    }
}
