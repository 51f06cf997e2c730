//! Repository chores: `cargo xtask tidy` holds the code against ARCHITECTURE.md and the house
//! style, `cargo xtask gen` writes generated files and `gen --check` compares them.

mod attacks;
mod r#gen;
mod tidy;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Parser, Subcommand};

#[derive(Parser)]
struct Args {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Checks floors, file sizes, documentation, the purity of the inner crates and the page of
    /// SPIFFE conformance.
    Tidy,
    /// Writes generated files.
    Gen {
        /// Compares instead of writing.
        #[arg(long)]
        check: bool,
    },
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            use std::io::Write as _;
            let _ = writeln!(std::io::stderr(), "{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> anyhow::Result<()> {
    let root = root()?;
    match args.chore {
        Chore::Tidy => tidy::check(&root),
        Chore::Gen { check } => r#gen::generate(&root, check),
    }
}

fn root() -> anyhow::Result<PathBuf> {
    let parent = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    Ok(parent
        .context("xtask stands in the workspace root")?
        .to_owned())
}
