//! PostgreSQL fails over to a replica; and a database that is an older copy is refused.

use std::os::unix::fs::PermissionsExt as _;

use sqlx::{Connection as _, PgConnection};

use super::replica::Replica;
use super::roll::Roll;
use super::servers::rows;
use super::until_served;
use super::watcher::Watcher;
use super::writers::Writers;
use crate::deployment::Deployment;
use crate::place::{Place, until};
use crate::postgres::Postgres;

/// A deployment whose tables are there.
pub(super) fn with_database(address: &str, further: &[&str]) -> Deployment {
    let place = Place::new();
    at(&place, address);
    Deployment::started(place, &[&["--database", "database"], further].concat())
}

/// Writes where the database is.
fn at(place: &Place, address: &str) {
    let file = place.write("database.next", format!("{address}\n"));
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::rename(file, place.at("database")).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_before_a_failover_is_there_after_it() {
    let Some(mut primary) = Postgres::start().await else {
        return;
    };
    let mut address = primary.database().await;
    let mut deployment = with_database(&address, &["--svid-lifetime", "60"]);
    let watcher = Watcher::start(&deployment, "watcher");
    let writers = Writers::start(deployment.place.at("chancery-data/run/server.sock"));
    let replica = Replica::of(&primary, &address).await;
    writers.go_on(10);
    primary.kill();
    replica.promote(&address).await;
    // The address is read at each start, and a server without its database starts again by itself.
    address = replica.address(&address);
    at(&deployment.place, &address);
    writers.go_on(10);
    deployment.agent("later", "/usr/bin/true");
    let written = writers.stop();
    watcher.was_never_without();
    let rows = rows(&address).await;
    let svids = watcher.svids();
    deployment.stop();
    println!(
        "{} acknowledged, {} not",
        written.tokens.len(),
        written.refused.len()
    );
    assert!(!written.refused.is_empty());
    let roll = Roll::of(&mut deployment);
    roll.has_each_once(&svids);
    roll.has_what_was_acknowledged(&written);
    roll.rows_are(&rows, &written);
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_that_are_an_older_copy_are_refused_and_taken_when_they_are_told_to_be() {
    let Some(mut server) = Postgres::start().await else {
        return;
    };
    let address = server.database().await;
    let (base, name) = address.rsplit_once('/').unwrap();
    let older = format!("{base}/older");
    let mut deployment = with_database(&address, &[]);
    deployment.agent("early", "/usr/bin/true");
    deployment.stop();
    let mut admin = PgConnection::connect(&format!("{base}/postgres"))
        .await
        .unwrap();
    let copy = format!("CREATE DATABASE older TEMPLATE {name}");
    // Its last connections end a moment after the server.
    until("a copy of the database", || {
        let copied = sqlx::query(sqlx::AssertSqlSafe(copy.clone())).execute(&mut admin);
        let copied =
            tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(copied));
        copied.ok()
    });
    deployment.start();
    deployment.agent("late", "/usr/bin/true");
    deployment.stop();

    at(&deployment.place, &older);
    let up = ["up", "--gateway-port", &deployment.port];
    let refused = deployment.place.chancery(&up);
    refused.refused(
        1,
        &[
            "these tables are an older copy",
            "database.place",
            "does not start",
        ],
    );
    at(&deployment.place, &address);
    deployment.start();
    let agents = |deployment: &Deployment| {
        let listed = deployment.place.chancery(&["agent", "list"]).ok();
        (
            listed.contains("/agent/early"),
            listed.contains("/agent/late"),
        )
    };
    assert_eq!(agents(&deployment), (true, true));
    deployment.stop();

    // Told so, it goes on from the older copy: what came after is registered again.
    at(&deployment.place, &older);
    std::fs::remove_file(deployment.place.at("chancery-data/server/database.place")).unwrap();
    deployment.start();
    until_served(&deployment);
    assert_eq!(agents(&deployment), (true, false));
    let again = ["agent", "register", "late.manifest"];
    deployment.place.chancery(&again).ok();
    assert_eq!(agents(&deployment), (true, true));
    deployment.stop();
    let roll = Roll::of(&mut deployment);
    assert_eq!(roll.bodies("manifest.register").count(), 3);
}
