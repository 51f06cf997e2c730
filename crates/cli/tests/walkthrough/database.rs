//! A deployment whose tables are in PostgreSQL, which is killed meanwhile.

use std::os::unix::fs::PermissionsExt as _;

use super::deployment::{Deployment, text};
use super::place::{Place, until};
use super::postgres::Postgres;

#[tokio::test(flavor = "multi_thread")]
async fn the_tables_of_a_deployment_are_in_postgresql_and_survive_that_it_is_killed() {
    let Some(mut server) = Postgres::start().await else {
        return;
    };
    let address = server.database().await;
    let place = Place::new();
    let file = place.write("database", format!("{address}\n"));
    let chosen = ["up", "--database", "database"];
    place
        .chancery(&chosen)
        .refused(1, &["database", "chmod 600"]);
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let mut deployment = Deployment::started(place, &["--database", "database"]);
    deployment.enrol(&deployment.code()).ok();
    deployment.agent("first", "/usr/bin/true");
    assert!(
        !deployment
            .place
            .at("chancery-data/server/chancery.db")
            .exists()
    );
    let agents = |deployment: &Deployment| {
        let listed = deployment
            .place
            .chancery(&["--format", "json", "agent", "list"]);
        (listed.code == Some(0)).then(|| listed.json()["agents"].as_array().unwrap().len())
    };
    assert_eq!(agents(&deployment), Some(1));

    server.kill();
    let refused = deployment.place.chancery(&["agent", "list"]);
    assert!(refused.code != Some(0), "{refused:?}");
    assert!(!refused.err.contains("panicked"), "{refused:?}");
    server.kill_and_restart().await;
    assert_eq!(until("the database again", || agents(&deployment)), 1);
    deployment.agent("second", "/usr/bin/true");

    // Stopped for good and started again: the address is remembered, the tables are the same.
    deployment.stop();
    deployment.start();
    assert_eq!(agents(&deployment), Some(2));
    deployment
        .place
        .chancery(&["log", "check", "--trust", "chancery-data/trust.json"])
        .ok();

    // Nobody else's tables, and no tables that are already somewhere else.
    let other = [
        "up",
        "--data",
        "other",
        "--gateway-port",
        "0",
        "--database",
        "database",
    ];
    deployment
        .place
        .chancery(&other)
        .refused(1, &["another data folder's"]);
    let mut plain = Deployment::new();
    plain.stop();
    let late = plain.place.write("database", format!("{address}\n"));
    std::fs::set_permissions(&late, std::fs::Permissions::from_mode(0o600)).unwrap();
    plain
        .place
        .chancery(&["up", "--database", text(&late)])
        .refused(1, &["chancery.db", "when a data folder is made"]);
}
