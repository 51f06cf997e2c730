//! A fence has one holder, and its epochs rise.

use std::time::Duration;

use crate::World;

const LONG: Duration = Duration::from_mins(10);
const SHORT: Duration = Duration::from_millis(50);

pub(crate) async fn a_fence_has_one_holder_at_a_time(world: World) {
    let store = world.open().await;
    let other = world.open().await;
    let first = store.take_fence("log", "one", LONG).await.unwrap().unwrap();
    assert_eq!((first.name(), first.epoch()), ("log", 1));
    assert_eq!(other.take_fence("log", "two", LONG).await.unwrap(), None);
    assert_eq!(store.take_fence("log", "one", LONG).await.unwrap(), None);
    let another = other.take_fence("tiles", "two", LONG).await.unwrap();
    assert_eq!(another.unwrap().epoch(), 1);
    assert!(store.renew_fence(&first, LONG).await.unwrap());
    let holder = other.holder_of_fence("log").await.unwrap();
    assert_eq!(holder.as_deref(), Some("one"));
    assert_eq!(other.holder_of_fence("none").await.unwrap(), None);
    store.release_fence(&first).await.unwrap();
    let second = other.take_fence("log", "two", LONG).await.unwrap().unwrap();
    assert_eq!(second.epoch(), 2);
    // Whoever let it go, or comes too late, changes nothing of it any more.
    assert!(!store.renew_fence(&first, LONG).await.unwrap());
    store.release_fence(&first).await.unwrap();
    assert!(other.renew_fence(&second, LONG).await.unwrap());
}

pub(crate) async fn a_fence_whose_time_is_over_is_not_renewed(world: World) {
    let store = world.open().await;
    let first = store
        .take_fence("log", "one", SHORT)
        .await
        .unwrap()
        .unwrap();
    tokio::time::sleep(SHORT * 2).await;
    assert!(!store.renew_fence(&first, LONG).await.unwrap());
    let next = store.take_fence("log", "two", LONG).await.unwrap().unwrap();
    assert_eq!(next.epoch(), 2);
}

pub(crate) async fn of_many_who_want_a_fence_one_has_it(world: World) {
    let store = world.open().await;
    let mut wanting = tokio::task::JoinSet::new();
    for number in 0..16 {
        let store = store.clone();
        wanting.spawn(async move {
            let holder = format!("server {number}");
            store.take_fence("log", &holder, LONG).await.unwrap()
        });
    }
    let taken = wanting.join_all().await;
    assert_eq!(taken.into_iter().flatten().count(), 1);
}

pub(crate) async fn who_lost_a_fence_changes_no_setting_of_it(world: World) {
    let store = world.open().await;
    let first = store.take_fence("log", "one", LONG).await.unwrap().unwrap();
    assert!(store.set_meta_within(&first, "place", "1").await.unwrap());
    assert!(store.set_meta_within(&first, "place", "2").await.unwrap());
    store.release_fence(&first).await.unwrap();
    // Nobody else has it yet.
    assert!(store.set_meta_within(&first, "place", "3").await.unwrap());
    let second = store.take_fence("log", "two", LONG).await.unwrap().unwrap();
    assert!(!store.set_meta_within(&first, "place", "4").await.unwrap());
    assert!(!store.set_meta_within(&first, "other", "4").await.unwrap());
    assert_eq!(store.meta("place").await.unwrap().as_deref(), Some("3"));
    assert_eq!(store.meta("other").await.unwrap(), None);
    assert!(store.set_meta_within(&second, "place", "5").await.unwrap());
    assert_eq!(store.meta("place").await.unwrap().as_deref(), Some("5"));
}

pub(crate) async fn a_fence_is_taken_from_a_holder_that_has_ended_and_from_nobody_else(
    world: World,
) {
    let store = world.open().await;
    let first = store.take_fence("log", "one", LONG).await.unwrap().unwrap();
    let take = |holder, ended| store.take_fence_after("log", holder, ended, LONG);
    assert_eq!(take("two", None).await.unwrap(), None);
    assert_eq!(take("two", Some("three")).await.unwrap(), None);
    let second = take("two", Some("one")).await.unwrap().unwrap();
    assert_eq!(second.epoch(), first.epoch() + 1);
    assert!(!store.renew_fence(&first, LONG).await.unwrap());
    assert_eq!(take("one", Some("one")).await.unwrap(), None);
}
