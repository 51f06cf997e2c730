//! The table of requirements: every id once, every named test there, every gap said.
#![expect(
    clippy::disallowed_methods,
    reason = "the table and the tests are files; the crate itself reads none"
)]
#![cfg(test)]

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

    /// How many lines each group has.
    const GROUPS: [(&str, usize); 6] =
        [("P", 7), ("Z", 10), ("S", 9), ("O", 4), ("I", 5), ("H", 7)];

    struct Line {
        tests: Vec<String>,
        missing: String,
    }

    fn checkout() -> &'static Path {
        Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
    }

    fn table() -> BTreeMap<String, Line> {
        let page = checkout().join("docs/reference/requirements.md");
        let text = std::fs::read_to_string(page).unwrap();
        let mut found = BTreeMap::new();
        for row in text.lines().filter(|row| row.starts_with("| ")).skip(2) {
            let columns: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
            let [id, claim, tests, missing] = columns[..] else {
                panic!("not four columns: {row}");
            };
            assert!(!claim.is_empty(), "{id} claims nothing");
            let tests = tests.split("<br>").filter(|test| !test.is_empty());
            let line = Line {
                tests: tests
                    .map(|test| test.trim_matches('`').to_owned())
                    .collect(),
                missing: missing.to_owned(),
            };
            let twice = found.insert(id.to_owned(), line).is_some();
            assert!(!twice, "{id} stands twice");
        }
        found
    }

    #[test]
    fn every_line_of_the_groups_is_in_the_table() {
        let known: Vec<String> = table().into_keys().collect();
        let mut expected: Vec<String> = GROUPS
            .iter()
            .flat_map(|(group, lines)| (1..=*lines).map(move |line| format!("{group}{line}")))
            .collect();
        expected.sort();
        assert_eq!(known, expected);
    }

    #[test]
    fn a_line_without_a_test_says_what_is_not_there() {
        for (id, line) in table() {
            let shown = !line.tests.is_empty() || !line.missing.is_empty();
            assert!(shown, "{id} has no test and does not say so");
        }
    }

    #[test]
    fn every_named_test_exists() {
        for (id, line) in table() {
            for test in line.tests {
                let (path, name) = test.split_once("::").unwrap();
                let file = checkout().join("crates").join(path);
                let text = std::fs::read_to_string(&file);
                let text = text.unwrap_or_else(|error| panic!("{id}: {path}: {error}"));
                let (before, _) = text
                    .split_once(&format!("fn {name}("))
                    .unwrap_or_else(|| panic!("{id}: {path} has no test {name}"));
                let mut before = before.lines().rev().take(4);
                let marked = before.any(|line| line.contains("test"));
                assert!(marked, "{id}: {name} of {path} is not a test");
            }
        }
    }
}
