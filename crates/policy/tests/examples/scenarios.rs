use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use chancery_policy::{Bundle, Files, Table};

/// The scenarios. One that is taken away is missed, one that is added is tested.
const SCENARIOS: [&str; 4] = ["file-assistant", "incident", "ledger", "multi-organisation"];

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples")
}

fn read(folder: &Path, prefix: &str, files: &mut Files) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let name = format!("{prefix}{name}");
        match path.is_dir() {
            true => read(&path, &format!("{name}/"), files),
            false => drop(files.insert(name, std::fs::read(&path).unwrap())),
        }
    }
}

#[test]
fn every_scenario_passes_its_own_tests_and_each_policy_of_it_is_tested() {
    let folders = std::fs::read_dir(examples()).unwrap();
    let folders = folders.map(|entry| entry.unwrap().path());
    let scenarios: BTreeSet<PathBuf> = folders.filter(|path| path.is_dir()).collect();
    let names = scenarios
        .iter()
        .filter_map(|path| path.file_name()?.to_str());
    assert_eq!(names.collect::<Vec<_>>(), SCENARIOS);
    for folder in scenarios {
        let shown = folder.display();
        let mut files = Files::new();
        read(&folder, "", &mut files);
        let bundle = Bundle::load(&files).unwrap_or_else(|error| panic!("{shown}: {error}"));
        assert_eq!(bundle.analyse().unwrap(), [], "{shown}");
        let mut determining = BTreeSet::new();
        for row in Table::read(&files).unwrap().iter().flat_map(Table::rows) {
            let (decision, met) = row.run(&bundle);
            assert!(
                met,
                "{shown}: {} {:?}: {decision:?}",
                row.place(),
                row.name()
            );
            determining.extend(decision.determining);
        }
        let untested: Vec<&str> = bundle
            .policy_ids()
            .filter(|id| !determining.contains(*id))
            .collect();
        assert!(untested.is_empty(), "{shown}: {untested:?}");
    }
}
