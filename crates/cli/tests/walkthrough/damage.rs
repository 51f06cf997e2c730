//! Data folders that cannot be served: `up` says which file it is and what helps, and changes nothing.

use std::net::TcpListener;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::deployment::{Deployment, text};
use super::place::{Place, checkout, free_port, until};

#[test]
fn what_up_cannot_use_is_named_before_anything_is_made() {
    let place = Place::new();
    let policy = checkout().join("demo/policy");
    let port = free_port();
    let up = |rest: &[&str]| {
        let arguments = [&["up", "--gateway-port", &port], rest].concat();
        place.chancery(&arguments)
    };
    up(&["--policy", "no-folder"]).refused(1, &["no-folder"]);
    std::fs::create_dir(place.at("empty")).unwrap();
    up(&["--policy", "empty"]).refused(1, &["empty", "no policy bundle"]);
    up(&["--policy", text(&policy), "--trust-domain", "Not A Domain"])
        .refused(1, &["--trust-domain"]);
    assert!(!place.at("chancery-data").exists());

    std::fs::create_dir(place.at("chancery-data")).unwrap();
    place.write("chancery-data/letter.txt", "mine");
    up(&["--policy", text(&policy)]).refused(1, &["chancery-data", "not empty", "--data"]);
    place.write("chancery-data/version", "chancery data folder 9\n");
    for command in [vec!["up", "--gateway-port", &port], vec!["trust", "show"]] {
        place
            .chancery(&command)
            .refused(1, &["chancery-data/version", "another version", "--data"]);
    }
    assert_eq!(
        std::fs::read_to_string(place.at("chancery-data/letter.txt")).unwrap(),
        "mine"
    );

    let deep = place.at("d".repeat(120));
    up(&["--data", text(&deep)]).refused(1, &["shorter", "--data"]);
    up(&["--data", "other"]).refused(1, &["no policy", "--policy"]);
}

#[test]
fn an_occupied_port_is_named_and_the_one_time_code_is_not_lost() {
    let place = Place::new();
    let policy = checkout().join("demo/policy");
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let taken = listener.local_addr().unwrap().port().to_string();
    let arguments = ["up", "--gateway-port", &taken, "--policy", text(&policy)];
    place
        .chancery(&arguments)
        .refused(1, &[&taken, "--gateway-port"]);
    drop(listener);
    let deployment = Deployment::at(place);
    deployment.enrol(&deployment.code()).ok();
}

#[test]
fn a_second_up_leaves_the_first_alone() {
    let deployment = Deployment::new();
    let port = free_port();
    let policy = checkout().join("demo/policy");
    let second = ["up", "--gateway-port", &port, "--policy", text(&policy)];
    deployment
        .place
        .chancery(&second)
        .refused(1, &["chancery-data", "another `chancery up`", "--data"]);
    deployment.enrol(&deployment.code()).ok();
    deployment.place.chancery(&["agent", "list"]).ok();
}

#[test]
fn a_damaged_log_is_named_and_not_served() {
    let mut deployment = Deployment::with_person();
    deployment.agent("desk", "/bin/true");
    let running = deployment.run(&["--agent", "desk", "--", "/bin/true"]);
    running.ended().ok();
    // Tiles are there before the checkpoint that covers them is: nothing is on its way any more.
    until("a published end of the instance", || {
        let listed = ["--format", "json", "log", "--log", "server", "entries"];
        let entries = deployment.place.chancery(&listed).json();
        let mut types = entries
            .as_array()?
            .iter()
            .map(|line| &line["entry"]["type"]);
        types.any(|kind| kind == "identity.end").then_some(())
    });
    deployment.stop();
    for (name, log, path) in [
        ("cut-server", "server", "server/log/tile/entries"),
        ("cut-tile", "server", "server/log/tile/0"),
        ("cut-checkpoint", "server", "server/log/checkpoint"),
    ] {
        deployment.copy_of_data(name);
        let file = cut(&deployment.place.at(name).join(path));
        let size = std::fs::metadata(&file).unwrap().size();
        let said = deployment
            .place
            .chancery(&["log", "--data", name, "--log", log, "check"]);
        said.refused(1, &[text(&file)]);
        let up = ["up", "--data", name, "--gateway-port", &deployment.port];
        let said = deployment
            .place
            .chancery(&up)
            .refused(1, &[text(&file), "does not start"]);
        assert!(said.contains("copy"), "{said}");
        assert_eq!(
            std::fs::metadata(&file).unwrap().size(),
            size,
            "nothing is repaired in silence"
        );
    }
    deployment.start();
    deployment
        .place
        .chancery(&["log", "--log", "server", "check"])
        .ok();
}

/// Cuts the largest file below a path, and says which it is.
fn cut(path: &Path) -> PathBuf {
    let mut files = vec![path.to_owned()];
    let mut largest = (0, PathBuf::new());
    while let Some(path) = files.pop() {
        if path.is_dir() {
            files.extend(
                std::fs::read_dir(&path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
        } else {
            largest = largest.max((std::fs::metadata(&path).unwrap().size(), path));
        }
    }
    let (size, file) = largest;
    let opened = std::fs::OpenOptions::new().write(true).open(&file).unwrap();
    opened.set_len(size - size / 4 - 1).unwrap();
    file
}
