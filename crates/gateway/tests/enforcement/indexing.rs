//! The completeness index in the gateway's log.

use std::time::Duration;

use chancery_audit::{Entry, Event, IndexRoot, LeafRef, leaf_hash};
use chancery_evidence::completeness::{IndexChecker, InstanceIndex};
use chancery_gateway::{Gateway, GatewayError};
use serde_json::json;

use super::world::{World, count, tools};

fn leaves(log: &[Entry]) -> impl Iterator<Item = (LeafRef, &Entry)> {
    (0..).zip(log).map(|(index, entry)| {
        let hash = leaf_hash(&entry.to_bytes().unwrap());
        (LeafRef { index, hash }, entry)
    })
}

/// Every root of the log is that of its entries; the last one.
fn checked(log: &[Entry]) -> IndexRoot {
    let mut checker = IndexChecker::default();
    for (leaf, entry) in leaves(log) {
        assert_eq!(checker.take(&leaf, &entry.event), Ok(()));
    }
    let roots = log.iter().rev().find_map(|entry| match &entry.event {
        Event::IndexRoot(root) => Some(root.clone()),
        _ => None,
    });
    roots.unwrap()
}

/// Whether the last root covers every entry of an instance.
fn covers_all(log: &[Entry]) -> bool {
    let mut index = InstanceIndex::default();
    for (leaf, entry) in leaves(log) {
        index.take(&leaf, &entry.event);
    }
    count(log, "index.root") > 0 && checked(log).root == index.to_entry().root
}

/// The log, once the last root covers all that its instances did.
async fn covered(world: &World) -> Vec<Entry> {
    loop {
        let log = world.log().await;
        if covers_all(&log) {
            return log;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn evidence_of_a_session_ends_with_an_index_of_all_of_it() {
    let world = World::start().await;
    let mut opened = world.open(&tools()).await;
    opened.call("read", json!({"path": "/a"})).await;
    let ended = opened
        .connection
        .control("POST", &opened.session, "/end")
        .await;
    assert_eq!(ended.reason(), "ok", "{ended:?}");
    let report = world.report(&opened.session).await;
    assert!(report.is_verified(), "{report:#?}");
    let log = world.log().await;
    assert!(covers_all(&log));
    let end = log
        .iter()
        .position(|entry| matches!(entry.event, Event::SessionEnd(_)));
    assert!(checked(&log).size > end.unwrap() as u64);
    assert_eq!(checked(&log).instances, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn roots_are_enrolled_where_something_changed_and_go_on_after_a_restart() {
    let mut world = World::with(|config| config.index_seconds = 1).await;
    assert_eq!(count(&world.log().await, "index.root"), 0);
    let mut opened = world.open(&tools()).await;
    opened.call("read", json!({"path": "/a"})).await;
    let log = covered(&world).await;
    let before = count(&log, "index.root");
    world.stop_gateway().await;
    // A gateway looks at its index as soon as it serves: nothing changed.
    world.start_gateway(|config| config.index_seconds = 1).await;
    let log = world.log().await;
    assert_eq!(count(&log, "index.root"), before);
    // Another session: what is folded from the log goes on as if nothing had been between.
    let mut other = world.open(&tools()).await;
    other.call("read", json!({"path": "/b"})).await;
    let log = covered(&world).await;
    assert!(count(&log, "index.root") > before);
    assert_eq!(checked(&log).instances, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interval_is_neither_nothing_nor_more_than_an_hour() {
    let world = World::plane().await;
    for seconds in [0, 3_601, u64::MAX] {
        let mut config = world.config();
        config.index_seconds = seconds;
        let refused = Gateway::open(config).await.unwrap_err();
        assert!(matches!(refused, GatewayError::Index(_)), "{refused}");
    }
}
