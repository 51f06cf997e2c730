//! The checks of `cargo xtask tidy`, each a list of findings; none may remain.

mod conformance;
mod documented;
mod floors;
mod purity;
mod size;

use std::path::{Path, PathBuf};

use anyhow::Context as _;

/// Runs every check and reports all findings at once.
pub(crate) fn check(root: &Path) -> anyhow::Result<()> {
    let packages = floors::packages(root)?;
    let mut findings = floors::check(root, &packages)?;
    findings.extend(purity::check(&packages)?);
    findings.extend(size::check(root)?);
    findings.extend(documented::check(root)?);
    findings.extend(conformance::check(root)?);
    findings.extend(changelog(root)?);
    if findings.is_empty() {
        return Ok(());
    }
    anyhow::bail!("{} findings:\n{}", findings.len(), findings.join("\n"))
}

fn changelog(root: &Path) -> anyhow::Result<Vec<String>> {
    let text = read(&root.join("CHANGELOG.md"))?;
    let kept = text.lines().any(|line| line == "## [Unreleased]");
    Ok(if kept {
        vec![]
    } else {
        vec!["CHANGELOG.md: no section \"## [Unreleased]\"".into()]
    })
}

/// Every Rust source file of ours, generated ones (`pb/`) left out.
fn sources(root: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut folders = vec![root.join("crates"), root.join("xtask")];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).context(folder.display().to_string())? {
            let path = entry?.path();
            if path.is_dir() {
                let generated = path
                    .file_name()
                    .is_some_and(|name| name == "pb" || name == "target");
                if !generated {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}

fn read(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| path.display().to_string())
}

fn shown<'a>(root: &Path, path: &'a Path) -> std::path::Display<'a> {
    path.strip_prefix(root).unwrap_or(path).display()
}
