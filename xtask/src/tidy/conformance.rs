//! The page of SPIFFE conformance names every row of the checklist once, and tests that exist.

use std::collections::BTreeMap;
use std::path::Path;

const PAGE: &str = "docs/reference/spiffe.md";
/// The tests that are named by their rows.
const PROFILES: &str = "crates/identity/tests/profiles";
/// Where a row has no test.
const NOT_YET: &str = "not yet";

/// The checklist: how many rows each part has, in the order of the page.
const PARTS: &[(&str, usize)] = &[
    ("ID", 13),
    ("X", 15),
    ("J", 12),
    ("W", 19),
    ("B", 10),
    ("F", 21),
    ("E", 9),
    ("A", 22),
    ("R", 16),
];

/// Findings about the page.
pub(crate) fn check(root: &Path) -> anyhow::Result<Vec<String>> {
    let page = super::read(&root.join(PAGE))?;
    let rows = rows(&page);
    let mut findings = missing(&rows);
    let mut named = Vec::new();
    for row in &rows {
        findings.extend(judge(root, row)?);
        named.extend(row.tests.iter().map(|test| (test.clone(), row.prefix())));
    }
    for test in elsewhere(&page) {
        findings.extend(judge_test(root, "below", test)?);
    }
    for (test, prefix) in profile_tests(root)? {
        let known = named
            .iter()
            .any(|(name, of)| *name == test && *of == prefix);
        if !known {
            findings.push(format!("{PAGE}: {test} is not in the row of its number"));
        }
    }
    Ok(findings)
}

struct Row {
    id: String,
    tests: Vec<String>,
    says: String,
    not_yet: bool,
}

impl Row {
    /// What the names of its tests begin with: `ID-1` is `id_01_`.
    fn prefix(&self) -> String {
        let (part, number) = self.id.split_once('-').unwrap_or((&self.id, ""));
        format!("{}_{number:0>2}_", part.to_ascii_lowercase())
    }
}

fn rows(page: &str) -> Vec<Row> {
    let cells = |line: &str| -> Vec<String> {
        line.trim_matches('|')
            .split('|')
            .map(|cell| cell.trim().to_owned())
            .collect()
    };
    let is_row = |id: &str| {
        id.split_once('-').is_some_and(|(part, number)| {
            PARTS.iter().any(|(known, _)| *known == part) && number.parse::<usize>().is_ok()
        })
    };
    let lines = page.lines().filter(|line| line.starts_with('|'));
    lines
        .filter_map(|line| match cells(line).as_slice() {
            [id, says, tests] if is_row(id) => Some(Row {
                id: id.clone(),
                says: says.clone(),
                not_yet: tests == NOT_YET,
                tests: tests
                    .split("<br>")
                    .filter_map(|test| test.strip_prefix('`')?.strip_suffix('`'))
                    .map(str::to_owned)
                    .collect(),
            }),
            _ => None,
        })
        .collect()
}

/// Rows that are missing, stand twice, or stand elsewhere.
fn missing(rows: &[Row]) -> Vec<String> {
    let expected = PARTS
        .iter()
        .flat_map(|(part, count)| (1..=*count).map(move |number| format!("{part}-{number}")));
    let expected: Vec<_> = expected.collect();
    let found: Vec<_> = rows.iter().map(|row| row.id.clone()).collect();
    if expected == found {
        return Vec::new();
    }
    let odd = expected
        .iter()
        .zip(&found)
        .find(|(one, other)| one != other);
    let odd = odd.map_or_else(
        || format!("{} rows, not {}", found.len(), expected.len()),
        |(one, other)| format!("{other} stands where {one} belongs"),
    );
    vec![format!("{PAGE}: {odd}")]
}

fn judge(root: &Path, row: &Row) -> anyhow::Result<Vec<String>> {
    let id = &row.id;
    let mut findings = Vec::new();
    if row.says.is_empty() {
        findings.push(format!("{PAGE}: {id} says nothing"));
    }
    if row.not_yet != row.tests.is_empty() {
        findings.push(format!(
            "{PAGE}: {id} names neither a test nor says {NOT_YET:?}"
        ));
    }
    for test in &row.tests {
        findings.extend(judge_test(root, id, test)?);
    }
    Ok(findings)
}

fn judge_test(root: &Path, id: &str, test: &str) -> anyhow::Result<Option<String>> {
    let Some((path, name)) = test.split_once("::") else {
        return Ok(Some(format!("{PAGE}: {id}: {test} is no path::name")));
    };
    let file = root.join("crates").join(path);
    let found = file.is_file() && tests(&super::read(&file)?).contains(&name);
    Ok((!found).then(|| format!("{PAGE}: {id}: there is no test {test}")))
}

/// The tests that rows of other tables name.
fn elsewhere(page: &str) -> impl Iterator<Item = &str> {
    let others = page.lines().filter(|line| rows(line).is_empty());
    let pieces = others
        .filter(|line| line.starts_with('|'))
        .flat_map(|line| line.split('`'));
    pieces.filter(|piece| piece.contains(".rs::"))
}

/// The names of the tests of a source file.
fn tests(source: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut marked = false;
    for line in source.lines().map(str::trim) {
        let declared = line.strip_prefix("async ").unwrap_or(line);
        if let Some((name, _)) = declared
            .strip_prefix("fn ")
            .and_then(|rest| rest.split_once('('))
            && marked
        {
            found.push(name);
        }
        marked = line == "#[test]" || line.starts_with("#[tokio::test");
    }
    found
}

/// Every test of the folder whose tests are named by rows, with what its name begins with.
fn profile_tests(root: &Path) -> anyhow::Result<BTreeMap<String, String>> {
    let mut found = BTreeMap::new();
    let folder = root.join(PROFILES);
    for path in super::sources(root)? {
        if !path.starts_with(&folder) {
            continue;
        }
        let shown = super::shown(&root.join("crates"), &path).to_string();
        for name in tests(&super::read(&path)?) {
            let mut parts = name.splitn(3, '_');
            let (part, number) = (parts.next(), parts.next());
            let prefix = format!(
                "{}_{}_",
                part.unwrap_or_default(),
                number.unwrap_or_default()
            );
            found.insert(format!("{shown}::{name}"), prefix);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = "#[test]\nfn id_01_a() {}\n\nfn helper() {}\n\n#[tokio::test]\nasync fn b() {}\n\
                          #[tokio::test(flavor = \"multi_thread\")]\nasync fn c() {}\n";

    #[test]
    fn finds_tests_and_nothing_else() {
        assert_eq!(super::tests(SOURCE), ["id_01_a", "b", "c"]);
    }

    #[test]
    fn other_tables_name_tests_as_well() {
        let page =
            "| ID-1 | says | `x.rs::a` |\n| who | what | `y.rs::b`<br>`y.rs::c` |\n`z.rs::d`";
        assert_eq!(elsewhere(page).collect::<Vec<_>>(), ["y.rs::b", "y.rs::c"]);
    }

    #[test]
    fn reads_rows_and_what_they_name() {
        let page = "| row | a | b |\n| --- | --- | --- |\n| ID-1 | says | `x.rs::id_01_a`<br>`y.rs::b` |\n| X-2 | says | not yet |\n| other | - | - |";
        let rows = rows(page);
        assert_eq!(rows.len(), 2);
        assert_eq!(rows[0].tests, ["x.rs::id_01_a", "y.rs::b"]);
        assert_eq!(rows[0].prefix(), "id_01_");
        assert!(rows[1].not_yet && rows[1].tests.is_empty());
        assert_eq!(rows[1].prefix(), "x_02_");
        assert!(!missing(&rows).is_empty());
    }
}
