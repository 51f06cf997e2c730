//! The demo, with the ledger and with a tool server that knows nothing of us.

use serde_json::Value;

use super::foreign::check_logs_of_the_demo;
use super::place::Place;
use super::tools::Tools;

/// What both demos must show.
const SHOWN: [&str; 5] = [
    "consents",
    "denied",
    "revokes a worker",
    "waits for a person",
    "verif",
];

#[test]
fn the_demo_tells_a_story_in_which_everything_went_as_it_must() {
    let place = Place::new();
    let arguments = ["--format", "json", "demo", "--out", "out", "--unattended"];
    let story = place.chancery(&arguments).json();
    check(&place, &story);
    let run_folder = story["run_folder"].as_str().unwrap();
    check_logs_of_the_demo(&place, &place.at(run_folder).join("data"));
}

#[test]
fn any_tool_server_takes_the_place_of_the_ledger() {
    let Some(tools) = Tools::find() else {
        return;
    };
    let place = Place::new();
    let shared = place.at("shared");
    std::fs::create_dir(&shared).unwrap();
    std::fs::write(shared.join("note.txt"), "a note\n").unwrap();
    let (node, server) = (tools.node(), tools.filesystem_server());
    let mut arguments = vec![
        "--format",
        "json",
        "demo",
        "--out",
        "out",
        "--unattended",
        "--tools",
    ];
    arguments.extend(["--", &node, &server, shared.to_str().unwrap()]);
    check(&place, &place.chancery(&arguments).json());
    assert_eq!(
        std::fs::read_to_string(shared.join("note.txt")).unwrap(),
        "a note\n"
    );
}

#[test]
fn a_tool_server_that_cannot_be_started_is_named() {
    let place = Place::new();
    let ran = place.chancery(&["demo", "--out", "out", "--tools", "--", "/no/such/server"]);
    ran.refused(1, &["/no/such/server"]);
    let ran = place.chancery(&["demo", "--out", "out", "--tools", "--", "true"]);
    ran.refused(1, &["true"]);
    place.chancery(&["demo", "--tools"]).refused(2, &["CMD"]);
}

#[track_caller]
fn check(place: &Place, story: &Value) {
    let steps = story["steps"].as_array().unwrap();
    assert!(steps.len() >= 8, "{story:#}");
    assert!(steps.iter().all(|step| step["ok"] == true), "{story:#}");
    let titles: String = steps.iter().map(|step| step["title"].to_string()).collect();
    for word in SHOWN {
        assert!(titles.contains(word), "{word}: {titles}");
    }
    let text = |name: &str| story[name].as_str().unwrap().to_owned();
    let evidence = format!("{}/evidence", text("run_folder"));
    let trust = text("trust");
    let verified = ["--format", "json", "verify", &evidence, "--trust", &trust];
    assert_eq!(place.chancery(&verified).json()["outcome"], "verified");
    check_graph(place, &evidence, &trust);
    let report = std::fs::read_to_string(format!("{}/report.html", text("run_folder"))).unwrap();
    assert!(report.contains("class=\"cg\"") && report.contains("</svg>"));
}

/// The graph of the session is drawn from verified evidence and from nothing else.
#[track_caller]
fn check_graph(place: &Place, evidence: &str, trust: &str) {
    let index = std::fs::read(format!("{evidence}/index.json")).unwrap();
    let index: Value = serde_json::from_slice(&index).unwrap();
    let session = index["session"].as_str().unwrap();
    let mut asked = vec!["graph", "--session", session, "--evidence", evidence];
    place
        .chancery(&asked)
        .refused(1, &["self-asserted", "--trust"]);
    asked.extend(["--trust", trust]);
    let json = place
        .chancery(&[&asked[..], &["--format", "json"]].concat())
        .json();
    assert_eq!(json["basis"]["verified"], "evidence");
    let count = |list: &str, kind: &str| {
        let all = json[list].as_array().unwrap().iter();
        all.filter(|one| one["kind"] == kind).count()
    };
    assert_eq!(
        (count("nodes", "instance"), count("nodes", "person")),
        (5, 1)
    );
    assert!(count("edges", "may-call") > 0 && count("edges", "called") > 0);
    for (file, begins) in [
        ("g.svg", "<svg "),
        ("g.mmd", "flowchart LR"),
        ("g.dot", "digraph chancery {"),
        ("g.json", "{"),
    ] {
        place
            .chancery(&[&asked[..], &["--out", file]].concat())
            .ok();
        let drawn = std::fs::read_to_string(place.at(file)).unwrap();
        assert!(drawn.starts_with(begins), "{file}");
    }
    for (more, said) in [(["--out", "g.png"], "g.png"), (["--expand", "k99"], "k99")] {
        place
            .chancery(&[&asked[..], &more].concat())
            .refused(1, &[said]);
    }
    let nobody = [
        "graph",
        "--agent",
        "nobody",
        "--evidence",
        evidence,
        "--trust",
        trust,
    ];
    place.chancery(&nobody).refused(1, &["agent nobody"]);
}
