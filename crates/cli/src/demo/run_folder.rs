//! The folder that a demo leaves behind.

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use chancery_server::Clock;

/// Where a demo's things stand. The trust document is beside the folder, not in it.
#[derive(Debug, Clone)]
pub(super) struct RunFolder {
    folder: PathBuf,
}

impl RunFolder {
    /// Makes a new folder below `out`.
    pub(super) fn create(out: &Path) -> anyhow::Result<Self> {
        let out = std::path::absolute(out).context(out.display().to_string())?;
        std::fs::create_dir_all(&out).with_context(|| out.display().to_string())?;
        let stamp: String = Clock::machine()
            .to_string()
            .chars()
            .take(19)
            .filter(|letter| letter.is_ascii_digit() || *letter == 'T')
            .collect();
        for attempt in 0..100 {
            let name = if attempt == 0 {
                format!("run-{stamp}")
            } else {
                format!("run-{stamp}-{attempt}")
            };
            let folder = out.join(name);
            match std::fs::create_dir(&folder) {
                Ok(()) => {
                    let run = Self { folder };
                    std::fs::create_dir(run.folder.join("logs")).context("logs")?;
                    return Ok(run);
                }
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error).context(folder.display().to_string()),
            }
        }
        anyhow::bail!("{}: no name is free for a run folder", out.display())
    }

    pub(super) fn path(&self) -> &Path {
        &self.folder
    }

    pub(super) fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    pub(super) fn policy(&self) -> PathBuf {
        self.folder.join("policy")
    }

    pub(super) fn books(&self) -> PathBuf {
        self.folder.join("books")
    }

    pub(super) fn ledger(&self) -> PathBuf {
        self.folder.join("ledger.db")
    }

    pub(super) fn manifest(&self, agent: &str) -> PathBuf {
        self.folder.join(format!("{agent}.manifest"))
    }

    pub(super) fn authenticator(&self) -> PathBuf {
        self.folder.join("person.authenticator")
    }

    pub(super) fn evidence(&self) -> PathBuf {
        self.folder.join("evidence")
    }

    pub(super) fn report(&self) -> PathBuf {
        self.folder.join("report.html")
    }

    /// The trust document, outside of the folder.
    pub(super) fn trust(&self) -> PathBuf {
        self.folder.with_extension("trust.json")
    }

    pub(super) fn log_path(&self, name: &str) -> String {
        self.folder
            .join("logs")
            .join(format!("{name}.log"))
            .display()
            .to_string()
    }

    pub(super) fn log(&self, name: &str) -> anyhow::Result<File> {
        let path = self.log_path(name);
        File::create(&path).context(path)
    }
}
