use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

use chancery_fuzz::{TARGETS, Target};

use super::mutation::Mutations;

const FAMILIES: [&str; 13] = [
    "types",
    "tlog",
    "journal",
    "node",
    "attestation",
    "identity",
    "delegation",
    "audit",
    "policy",
    "session",
    "gateway",
    "evidence",
    "recorder",
];

fn seeds(target: &Target) -> Vec<Vec<u8>> {
    let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/corpus");
    let folder = PathBuf::from(corpus).join(target.name);
    let listed = fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}; every target has seeds", folder.display()));
    let mut paths: Vec<_> = listed.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

/// Runs one input; where a guarantee does not hold, says for which bytes.
fn run(target: &Target, input: &[u8]) -> bool {
    let ran = catch_unwind(AssertUnwindSafe(|| (target.run)(input)));
    ran.unwrap_or_else(|_| {
        let kept = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(target.name);
        fs::write(&kept, input).unwrap();
        panic!("{}: the input is kept in {}", target.name, kept.display())
    })
}

fn family(name: &str) {
    let rounds = std::env::var("CHANCERY_FUZZ_ROUNDS").ok();
    let rounds: u32 = rounds.map_or(1, |rounds| rounds.parse().unwrap());
    let of_family = |target: &&Target| target.name.split('_').next() == Some(name);
    for target in TARGETS.iter().filter(of_family) {
        let seeds = seeds(target);
        let taken = seeds.iter().filter(|seed| run(target, seed)).count();
        assert!(
            taken > 0,
            "{}: no seed is taken any more, so nothing behind the first check is reached; make its seeds anew",
            target.name
        );
        let mut mutations = Mutations::new(target.name);
        for _ in 0..target.inputs * rounds {
            run(target, &mutations.of(&seeds));
        }
    }
}

#[test]
fn every_target_is_of_a_family_and_has_its_binary() {
    for target in TARGETS {
        let name = target.name;
        assert!(
            FAMILIES.contains(&name.split('_').next().unwrap()),
            "{name}"
        );
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz");
        let source = PathBuf::from(folder).join(format!("fuzz_targets/{name}.rs"));
        let call = format!("chancery_fuzz::run(\"{name}\", input)");
        assert!(fs::read_to_string(source).unwrap().contains(&call));
        let manifest = fs::read_to_string(PathBuf::from(folder).join("Cargo.toml")).unwrap();
        assert!(manifest.contains(&format!("name = \"{name}\"")), "{name}");
    }
}

#[test]
fn types() {
    family("types");
}

#[test]
fn tlog() {
    family("tlog");
}

#[test]
fn journal() {
    family("journal");
}

#[test]
fn node() {
    family("node");
}

#[test]
fn attestation() {
    family("attestation");
}

#[test]
fn identity() {
    family("identity");
}

#[test]
fn delegation() {
    family("delegation");
}

#[test]
fn audit() {
    family("audit");
}

#[test]
fn policy() {
    family("policy");
}

#[test]
fn session() {
    family("session");
}

#[test]
fn gateway() {
    family("gateway");
}

#[test]
fn recorder() {
    family("recorder");
}

#[test]
fn evidence() {
    family("evidence");
}
