//! No source file over the limit.

use std::path::Path;

/// Lines of a file. Test modules and integration tests are left out.
const LIMIT: usize = 800;

/// Files that are known to be larger. This list only shrinks.
const KNOWN: &[&str] = &[];

/// Findings about the sizes of source files.
pub(crate) fn check(root: &Path) -> anyhow::Result<Vec<String>> {
    let mut findings = Vec::new();
    for path in super::sources(root)? {
        if path.components().any(|part| part.as_os_str() == "tests") {
            continue;
        }
        let text = super::read(&path)?;
        let lines = text
            .lines()
            .take_while(|line| *line != "mod tests {")
            .count();
        let shown = super::shown(root, &path).to_string();
        if lines > LIMIT && !KNOWN.contains(&shown.as_str()) {
            findings.push(format!("{shown}: {lines} lines; the limit is {LIMIT}"));
        }
    }
    Ok(findings)
}
