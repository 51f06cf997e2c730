//! What is about a person is sealed and goes with them, whichever database holds it.

use chancery_journal::Subject;
use chancery_store::Store;
use chancery_types::{Digest, Timestamp};
use serde_json::json;

use crate::World;
use crate::rows::root;

async fn count(store: &Store, name: &str) -> u64 {
    let kept = store.kept_of(&Subject::person(name)).await.unwrap();
    kept.iter().map(|kept| kept.values).sum()
}

pub(crate) async fn a_person_is_counted_and_erased_alone(world: World) {
    let store = world.open().await;
    let mut bobs = root("b", None);
    bobs.subject = Subject::person("bob");
    for row in [root("a", None), root("c", None), bobs] {
        store.put_root(&row).await.unwrap();
    }
    store
        .put_mission(Digest::of("m"), "ada", "text")
        .await
        .unwrap();
    assert_eq!(
        [count(&store, "ada").await, count(&store, "bob").await],
        [3, 1]
    );
    assert_eq!(count(&store, "nobody").await, 0);
    let ada = Subject::person("ada");
    let mut hers = store.roots_of(&ada).await.unwrap();
    hers.sort_by_key(ToString::to_string);
    assert_eq!(hers, [json!({"root": "a"}), json!({"root": "c"})]);
    store.keys().begin_erasure(&ada, "note").unwrap();
    let at = Timestamp::from_seconds(9);
    store.keys().finish_erasure(&ada, 7, at).unwrap();
    assert_eq!(
        [count(&store, "ada").await, count(&store, "bob").await],
        [0, 1]
    );
    let left = store.roots_since(Timestamp::from_micros(0)).await.unwrap();
    assert_eq!(left, [json!({"root": "b"})]);
    assert!(store.roots_of(&ada).await.unwrap().is_empty());
    assert_eq!(store.root("a").await.unwrap(), None);
}

pub(crate) async fn nothing_of_a_person_is_in_a_row_in_clear(world: World) {
    let store = world.open().await;
    let mut row = root("a", None);
    row.document = json!({"goal": "goal-of-ada"});
    store.put_root(&row).await.unwrap();
    let text = world.text("SELECT document FROM roots").await;
    assert!(
        text.starts_with("sealed:") && !text.contains("goal-of-ada"),
        "{text}"
    );
    // A value opens in its own row alone, in clear not at all.
    for (statement, table) in [
        ("UPDATE roots SET jti = 'b'", "roots"),
        (
            "UPDATE roots SET document = '{\"goal\":\"forged\"}'",
            "roots",
        ),
    ] {
        world.run(statement).await;
        let since = Timestamp::from_micros(0);
        let refused = store.roots_since(since).await.unwrap_err().to_string();
        assert!(refused.contains(table), "{statement}: {refused}");
    }
}
