//! A database that is killed while servers write.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use chancery_types::Timestamp;

use crate::World;
use crate::postgres::Postgres;
use crate::rows::root;

/// How often the database is killed.
const KILLS: usize = 2;

/// How many write at the same time, half of them for each of two servers.
const WRITERS: usize = 8;

pub(crate) async fn nothing_acknowledged_is_lost_when_the_database_is_killed(
    server: &mut Postgres,
) {
    let world = World::new(Some(server.database().await));
    let stores = [world.open().await, world.open().await];
    let acknowledged = Arc::new(AtomicU64::new(0));
    let mut writers = tokio::task::JoinSet::new();
    let (stop, stopped) = tokio::sync::watch::channel(false);
    for writer in 0..WRITERS {
        let store = stores[writer % 2].clone();
        let (acknowledged, stopped) = (Arc::clone(&acknowledged), stopped.clone());
        writers.spawn(async move {
            let (mut kept, mut doubtful) = (Vec::new(), Vec::new());
            for number in 0_u32.. {
                if *stopped.borrow() {
                    break;
                }
                let jti = format!("{writer}-{number}");
                if store.put_root(&root(&jti, None)).await.is_ok() {
                    acknowledged.fetch_add(1, Ordering::Relaxed);
                    kept.push(jti);
                } else {
                    doubtful.push(jti);
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            }
            (kept, doubtful)
        });
    }
    for _ in 0..KILLS {
        let before = acknowledged.load(Ordering::Relaxed);
        // Each restart is followed by writes that are acknowledged: both servers found it again.
        while acknowledged.load(Ordering::Relaxed) < before + 50 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        server.kill_and_restart().await;
    }
    let before = acknowledged.load(Ordering::Relaxed);
    while acknowledged.load(Ordering::Relaxed) < before + 50 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    stop.send(true).unwrap();
    let (mut kept, mut doubtful) = (Vec::new(), Vec::new());
    for (some, others) in writers.join_all().await {
        kept.extend(some);
        doubtful.extend(others);
    }
    let found = stores[0]
        .roots_since(Timestamp::from_micros(0))
        .await
        .unwrap();
    let mut found: Vec<_> = found
        .iter()
        .map(|row| row["root"].as_str().unwrap().to_owned())
        .collect();
    found.sort();
    let all = found.len();
    found.dedup();
    assert_eq!(found.len(), all, "a row is there twice");
    for jti in &kept {
        assert!(
            found.binary_search(jti).is_ok(),
            "{jti} was acknowledged and is lost"
        );
    }
    // What was not acknowledged may be there or not; nothing else is.
    for jti in &found {
        assert!(
            kept.contains(jti) || doubtful.contains(jti),
            "{jti} was never written"
        );
    }
    assert!(!doubtful.is_empty(), "no write met a kill");
    eprintln!(
        "{KILLS} kills: {} acknowledged, {} in doubt, {all} there",
        kept.len(),
        doubtful.len()
    );
}

pub(crate) async fn what_is_asked_while_it_is_away_fails_and_is_answered_when_it_is_back(
    server: &mut Postgres,
) {
    let world = World::new(Some(server.database().await));
    let store = world.open().await;
    store.put_root(&root("a", None)).await.unwrap();
    server.kill();
    // What serves a connection ends a moment after its server.
    let failing = async {
        while store.root("a").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let failed = tokio::time::timeout(Duration::from_secs(20), failing).await;
    failed.unwrap();
    assert!(world.try_open().await.is_err());
    server.kill_and_restart().await;
    assert!(store.root("a").await.unwrap().is_some());
}
