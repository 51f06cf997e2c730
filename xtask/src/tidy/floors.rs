//! Holds the floors table of ARCHITECTURE.md against `cargo metadata`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;
use serde::Deserialize;

const PREFIX: &str = "chancery-";
const HEADING: &str = "| crate | depends on | holds |";

/// A workspace package with the names of its normal and build dependencies.
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) folder: PathBuf,
    pub(crate) dependencies: BTreeSet<String>,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<MetadataPackage>,
}

#[derive(Deserialize)]
struct MetadataPackage {
    name: String,
    manifest_path: PathBuf,
    dependencies: Vec<MetadataDependency>,
}

#[derive(Deserialize)]
struct MetadataDependency {
    name: String,
    kind: Option<String>,
}

/// The workspace's packages as cargo sees them.
pub(crate) fn packages(root: &Path) -> anyhow::Result<Vec<Package>> {
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--no-deps",
            "--format-version",
            "1",
            "--offline",
        ])
        .current_dir(root)
        .output()
        .context("cargo metadata")?;
    anyhow::ensure!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: Metadata = serde_json::from_slice(&output.stdout)?;
    let of = |package: MetadataPackage| Package {
        name: package.name,
        folder: package
            .manifest_path
            .parent()
            .map(Path::to_owned)
            .unwrap_or_default(),
        dependencies: package
            .dependencies
            .into_iter()
            .filter(|dependency| dependency.kind.as_deref() != Some("dev"))
            .map(|dependency| dependency.name)
            .collect(),
    };
    Ok(metadata.packages.into_iter().map(of).collect())
}

/// Every dependency between our crates must be reachable in the table; every crate must stand in it.
pub(crate) fn check(root: &Path, packages: &[Package]) -> anyhow::Result<Vec<String>> {
    let table = table(&super::read(&root.join("ARCHITECTURE.md"))?)?;
    let mut findings = Vec::new();
    let ours = packages
        .iter()
        .filter(|p| p.folder.parent() == Some(&root.join("crates")))
        .filter_map(|p| Some((p.name.strip_prefix(PREFIX)?, p)));
    let ours: BTreeMap<&str, &Package> = ours.collect();
    for (name, package) in &ours {
        let Some(reachable) = closure(&table, name) else {
            findings.push(format!(
                "ARCHITECTURE.md: crate {name} is not in the floors table"
            ));
            continue;
        };
        for dependency in package
            .dependencies
            .iter()
            .filter_map(|d| d.strip_prefix(PREFIX))
        {
            if !reachable.contains(dependency) {
                findings.push(format!(
                    "crates/{name}/Cargo.toml: depends on {dependency}, which its floor does not reach"
                ));
            }
        }
    }
    for name in table
        .keys()
        .filter(|name| !ours.contains_key(name.as_str()))
    {
        findings.push(format!(
            "ARCHITECTURE.md: crate {name} is in the floors table and not in crates/"
        ));
    }
    for data_plane in ["gateway", "node"] {
        if closure(&table, data_plane).is_some_and(|reachable| reachable.contains("server")) {
            findings.push(format!(
                "ARCHITECTURE.md: {data_plane} reaches server (invariant 1)"
            ));
        }
    }
    if closure(&table, "policy").is_some_and(|reachable| reachable.contains("delegation")) {
        findings.push("ARCHITECTURE.md: policy reaches delegation (invariant 2)".into());
    }
    Ok(findings)
}

type Table = BTreeMap<String, BTreeSet<String>>;

fn table(text: &str) -> anyhow::Result<Table> {
    let mut lines = text.lines().skip_while(|line| *line != HEADING);
    lines
        .next()
        .with_context(|| format!("ARCHITECTURE.md: no table headed {HEADING:?}"))?;
    let mut table = Table::new();
    for line in lines.skip(1).take_while(|line| line.starts_with('|')) {
        let mut cells = line.split('|').map(str::trim).skip(1);
        let name = cells
            .next()
            .unwrap_or_default()
            .trim_matches('`')
            .to_owned();
        let edges = cells.next().unwrap_or_default();
        let edges = edges
            .split(',')
            .map(str::trim)
            .filter(|edge| !matches!(*edge, "-" | ""));
        table.insert(name, edges.map(str::to_owned).collect());
    }
    Ok(table)
}

fn closure(table: &Table, name: &str) -> Option<BTreeSet<String>> {
    let mut reached = BTreeSet::new();
    let mut open: Vec<&str> = table.get(name)?.iter().map(String::as_str).collect();
    while let Some(next) = open.pop() {
        if reached.insert(next.to_owned()) {
            open.extend(table.get(next).into_iter().flatten().map(String::as_str));
        }
    }
    Some(reached)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "x\n| crate | depends on | holds |\n| --- | --- | --- |\n| `a` | - | |\n| `b` | a | |\n| `c` | b | |\n\n| d | c |";

    #[test]
    fn reads_the_table_and_closes_over_it() {
        let table = table(TEXT).unwrap();
        assert_eq!(table.len(), 3);
        assert_eq!(
            closure(&table, "c").unwrap(),
            BTreeSet::from(["a".into(), "b".into()])
        );
        assert!(closure(&table, "d").is_none());
    }

    #[test]
    fn a_text_without_the_table_is_refused() {
        assert!(super::table("nothing").is_err());
    }
}
