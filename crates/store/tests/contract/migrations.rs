//! Tables go forward only.

use chancery_store::{SCHEMA_VERSION, StoreError};

use crate::World;

pub(crate) async fn tables_of_a_later_version_are_refused_and_stay_as_they_are(world: World) {
    let store = world.open().await;
    let later = (SCHEMA_VERSION + 1).to_string();
    store.set_meta("schema_version", &later).await.unwrap();
    world.run("DROP TABLE fences").await;
    for _ in 0..2 {
        let refused = world.try_open().await.unwrap_err();
        assert!(matches!(refused, StoreError::Version { .. }), "{refused}");
        let text = refused.to_string();
        assert!(
            text.contains(&later) && text.contains(store.place()),
            "{text}"
        );
    }
    // Nothing was made of what is missing.
    assert!(store.holder_of_fence("log").await.is_err());
    assert_eq!(store.meta("schema_version").await.unwrap(), Some(later));
}

pub(crate) async fn tables_of_the_version_before_are_brought_forward(world: World) {
    let store = world.open().await;
    store.set_meta("kept", "yes").await.unwrap();
    store.set_meta("schema_version", "2").await.unwrap();
    world.run("DROP TABLE fences").await;
    drop(store);
    let store = world.open().await;
    assert_eq!(store.meta("kept").await.unwrap().as_deref(), Some("yes"));
    assert_eq!(store.holder_of_fence("log").await.unwrap(), None);
    let version = store.meta("schema_version").await.unwrap();
    assert_eq!(version, Some(SCHEMA_VERSION.to_string()));
}

pub(crate) async fn a_version_that_is_no_number_is_refused(world: World) {
    let store = world.open().await;
    for version in ["", "two", "-1", "0", "4294967297", "2 ", "2.5"] {
        store.set_meta("schema_version", version).await.unwrap();
        let refused = world.try_open().await.unwrap_err();
        assert!(
            matches!(refused, StoreError::Version { .. }),
            "{version}: {refused}"
        );
    }
}

pub(crate) async fn a_database_is_made_once_by_two_servers_that_start_together(world: World) {
    let (one, two) = tokio::join!(world.try_open(), world.try_open());
    let (one, two) = (one.unwrap(), two.unwrap());
    one.set_meta("who", "one").await.unwrap();
    assert_eq!(two.meta("who").await.unwrap().as_deref(), Some("one"));
}

pub(crate) async fn tables_are_one_deployments(world: World) {
    let store = world.open().await;
    assert!(!store.is_owned().await.unwrap());
    store.own("this").await.unwrap();
    store.own("this").await.unwrap();
    assert!(store.is_owned().await.unwrap());
    let refused = store.own("another").await.unwrap_err();
    assert!(matches!(refused, StoreError::Foreign { .. }), "{refused}");
    world.try_open().await.unwrap();
    // What is another's is not even brought forward.
    store.set_meta("deployment", "another").await.unwrap();
    store.set_meta("schema_version", "2").await.unwrap();
    if world.is_shared() {
        let refused = world.try_open().await.unwrap_err();
        assert!(matches!(refused, StoreError::Foreign { .. }), "{refused}");
        let version = store.meta("schema_version").await.unwrap();
        assert_eq!(version.as_deref(), Some("2"));
    }
}
