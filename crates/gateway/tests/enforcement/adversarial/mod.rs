//! H4 and S7: whatever a tool server says and however a client writes it, no decision changes that should
//! not. The cases are data, in `tests/adversarial`; each is played against a real gateway, proves that it got
//! to the code it attacks, and has a twin, the same without the attack, of which something else comes.

mod corpus;
mod scene;
mod text;

use std::collections::BTreeSet;
use std::path::Path;

use corpus::{folder, read};
use scene::Scene;

/// The kinds, and how many cases of each there are at least.
const KINDS: [(&str, usize); 6] = [
    ("arguments", 40),
    ("changes", 6),
    ("lists", 25),
    ("meta", 25),
    ("outputs", 30),
    ("state", 30),
];

const LEAST: usize = 100;

async fn play(kind: &str) {
    let (known, written) = read(kind);
    let mut scene = Scene::start().await;
    for (case, written) in known.cases.iter().zip(&written) {
        let twin = format!("the twin of {}", case.id);
        for (label, steps) in [(&case.id, case.steps()), (&twin, case.twin_steps(written))] {
            scene.play(label, &steps).await;
            if case.restores {
                scene.restore().await;
            }
        }
    }
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn h4_arguments_in_hostile_spellings_change_no_decision() {
    play("arguments").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn h4_forged_members_of_meta_change_no_decision() {
    play("meta").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn h4_hostile_outputs_change_no_decision() {
    play("outputs").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn h4_hostile_lists_show_nothing_that_was_not_reviewed() {
    play("lists").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn h4_tools_that_change_after_they_were_pinned_are_denied() {
    play("changes").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn h4_forged_state_sessions_and_headers_change_no_decision() {
    play("state").await;
}

#[test]
fn h4_the_corpus_is_whole() {
    let mut total = 0;
    let files = std::fs::read_dir(folder()).unwrap();
    let files = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    let files: BTreeSet<_> = files
        .filter_map(|name| name.strip_suffix(".json").map(str::to_owned))
        .filter(|name| name != "mission")
        .collect();
    let kinds: BTreeSet<_> = KINDS.iter().map(|(kind, _)| (*kind).to_owned()).collect();
    assert_eq!(files, kinds);
    let mut attacks = BTreeSet::new();
    for (kind, least) in KINDS {
        let (known, written) = read(kind);
        assert_eq!(known.kind, kind);
        assert!(!known.about.is_empty(), "{kind}");
        assert!(known.cases.len() >= least, "{kind}: {}", known.cases.len());
        for (place, (case, written)) in known.cases.iter().zip(&written).enumerate() {
            let id = &case.id;
            assert_eq!(*id, format!("{kind}-{:03}", place + 1));
            let known = attacks.insert(format!("{kind}: {}", case.attack));
            assert!(known, "{id}: an attack twice");
            let twin: Vec<_> = case.twin_steps(written);
            let expected = |steps: &[corpus::Step]| -> Vec<_> {
                steps.iter().map(|step| step.expect.clone()).collect()
            };
            let (ours, theirs) = (expected(&case.steps()), expected(&twin));
            assert_ne!(ours, theirs, "{id}: its twin comes to the same");
            assert!(ours.iter().all(shows), "{id}: shows nothing");
            assert!(theirs.iter().all(shows), "{id}: its twin shows nothing");
            assert!(exists(&case.reaches), "{id}: there is no {}", case.reaches);
        }
        total += known.cases.len();
    }
    assert!(total >= LEAST, "{total} cases");
}

/// Whether what is expected can be told from a request that never arrived.
fn shows(expect: &corpus::Expect) -> bool {
    expect.decision.is_some()
        || expect.code.is_some()
        || expect.status.is_some()
        || !expect.hears.is_empty()
        || !expect.deaf.is_empty()
        || !expect.receives.is_empty()
}

fn exists(code: &str) -> bool {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let (path, function) = code.split_once("::").unwrap();
    let (name, path) = path.split_once('/').unwrap();
    let file = crates.join(name).join("src").join(path);
    let text = std::fs::read_to_string(file).unwrap_or_default();
    text.contains(&format!("fn {function}"))
}
