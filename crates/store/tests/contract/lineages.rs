//! Who started whom: followed down and up, ended, listed.

use chancery_journal::Subject;
use chancery_store::{Kept, LineageRow, RosterQuery, Store};
use chancery_types::Timestamp;
use chancery_types::id::InstanceId;
use serde_json::json;

use crate::World;
use crate::rows::instance;

fn id(number: u8) -> InstanceId {
    InstanceId::from_random([number; 16])
}

/// An instance that another one started, where `parent` is one.
async fn put(store: &Store, number: u8, parent: Option<u8>, (outlive, until): (bool, Option<u64>)) {
    let row = LineageRow {
        instance_id: id(number),
        parent: parent.map(id),
        outlive,
        until: until.map(Timestamp::from_seconds),
        task: Some((Subject::person("ada"), json!({"task": number}))),
        log_index: number.into(),
    };
    store.put_lineage(&row).await.unwrap();
    store.put_instance(&instance(number)).await.unwrap();
}

async fn ids(store: &Store, query: RosterQuery) -> Vec<InstanceId> {
    let query = RosterQuery {
        limit: 100,
        ..query
    };
    let rows = store.roster(&query).await.unwrap();
    rows.iter().map(|row| row.instance.instance_id).collect()
}

pub(crate) async fn a_lineage_is_followed_down_and_up(world: World) {
    let store = world.open().await;
    store.put_instance(&instance(1)).await.unwrap();
    put(&store, 2, Some(1), (false, None)).await;
    put(&store, 3, Some(2), (true, Some(50))).await;
    put(&store, 4, None, (false, Some(9))).await;
    assert_eq!(store.parent_of(id(3)).await.unwrap(), Some(id(2)));
    assert_eq!(store.parent_of(id(1)).await.unwrap(), None);
    assert_eq!(store.parent_of(id(4)).await.unwrap(), None);
    for asked in [vec![4], vec![2], vec![1, 2, 4]] {
        let ids: Vec<_> = asked.iter().copied().map(id).collect();
        let mut placed = store.placed(&ids).await.unwrap();
        placed.sort_by_key(|one| one.instance.instance_id);
        let until = placed.iter().map(|one| one.until);
        let expected = asked.iter().map(|number| match number {
            4 => Some(Timestamp::from_seconds(9)),
            _ => None,
        });
        assert_eq!(until.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
    }
    let above = |number| RosterQuery {
        above: Some(id(number)),
        ..RosterQuery::default()
    };
    assert_eq!(ids(&store, above(1)).await, [id(3), id(2)]);
    assert_eq!(ids(&store, above(2)).await, [id(3)]);
    assert!(ids(&store, above(3)).await.is_empty());
    let parent = RosterQuery {
        parent: Some(id(1)),
        ..RosterQuery::default()
    };
    assert_eq!(ids(&store, parent).await, [id(2)]);
    assert_eq!(
        ids(&store, RosterQuery::default()).await,
        [id(4), id(3), id(2), id(1)]
    );
    let nobody = RosterQuery {
        agent: Some("spiffe://example.org/agent/x".into()),
        ..above(1)
    };
    assert!(ids(&store, nobody).await.is_empty());
    let newest = RosterQuery {
        limit: 1,
        ..RosterQuery::default()
    };
    let newest = store.roster(&newest).await.unwrap();
    assert_eq!(newest.len(), 1);
    assert_eq!(newest[0].task, Some(Kept::Value(json!({"task": 4}))));
}

pub(crate) async fn who_may_not_outlive_a_parent_is_found(world: World) {
    let store = world.open().await;
    store.put_instance(&instance(1)).await.unwrap();
    put(&store, 2, Some(1), (false, None)).await;
    put(&store, 3, Some(1), (true, None)).await;
    put(&store, 4, Some(3), (false, Some(50))).await;
    let children = store.children_to_end(id(1)).await.unwrap();
    let children = children.iter().map(|row| row.instance_id);
    assert_eq!(children.collect::<Vec<_>>(), [id(2)]);
    assert_eq!(store.count_running_children(id(1)).await.unwrap(), 2);
    let overdue = async |now: u64| {
        let rows = store.overdue(Timestamp::from_seconds(now)).await.unwrap();
        for (row, until) in &rows {
            let timed = row.instance_id == id(4);
            assert_eq!(*until, timed.then(|| Timestamp::from_seconds(50)));
        }
        rows.iter()
            .map(|(row, _)| row.instance_id)
            .collect::<Vec<_>>()
    };
    assert!(overdue(49).await.is_empty());
    let at = Timestamp::from_seconds(40);
    let end = async |id, reason| store.end_instance(id, at, reason).await.unwrap();
    assert!(end(id(1), "process-exited").await);
    assert!(!end(id(1), "revoked").await);
    assert_eq!(overdue(49).await, [id(2)]);
    assert_eq!(overdue(50).await, [id(2), id(4)]);
    assert!(end(id(2), "parent-ended").await);
    assert_eq!(store.count_running_children(id(1)).await.unwrap(), 1);
    let dead = RosterQuery {
        running: Some(false),
        limit: 9,
        ..RosterQuery::default()
    };
    let dead = store.roster(&dead).await.unwrap();
    assert_eq!(
        (dead[1].end_reason.as_deref(), dead[1].ended_at),
        (Some("process-exited"), Some(at))
    );
    for expires in [30, 20] {
        let expires = Timestamp::from_seconds(expires);
        store.note_svids(&[(id(2), expires)]).await.unwrap();
    }
    // Of several at once, and of none.
    let at = Timestamp::from_seconds;
    let several = [(id(4), at(7)), (id(3), at(6))];
    store.note_svids(&several).await.unwrap();
    store.note_svids(&[]).await.unwrap();
    let all = RosterQuery {
        limit: 9,
        ..RosterQuery::default()
    };
    let noted = store.roster(&all).await.unwrap();
    let noted = noted.iter().map(|row| row.svid_until);
    assert_eq!(
        noted.collect::<Vec<_>>(),
        [Some(at(7)), Some(at(6)), Some(at(30)), None]
    );
    let children = RosterQuery {
        parent: Some(id(1)),
        limit: 9,
        ..RosterQuery::default()
    };
    let dead = store.roster(&children).await.unwrap();
    let two = dead
        .iter()
        .find(|row| row.instance.instance_id == id(2))
        .unwrap();
    assert_eq!(two.svid_until, Some(Timestamp::from_seconds(30)));
}

pub(crate) async fn the_end_of_the_last_svid_of_many_is_noted_together(world: World) {
    let store = world.open().await;
    let count = 90;
    for number in 1..=count {
        store.put_instance(&instance(number)).await.unwrap();
    }
    let at = |number: u8, seconds: u64| (id(number), Timestamp::from_seconds(seconds));
    let ends = async || {
        let all = RosterQuery {
            limit: 100,
            ..RosterQuery::default()
        };
        let mut rows = store.roster(&all).await.unwrap();
        rows.sort_by_key(|row| row.instance.instance_id);
        let ends = rows
            .iter()
            .map(|row| row.svid_until.map(Timestamp::as_seconds));
        ends.collect::<Vec<_>>()
    };
    // Whatever the number, in any order.
    for (some, seconds) in [(1, 10), (3, 11), (16, 12), (21, 13), (64, 14), (90, 15)] {
        let noted: Vec<_> = (1..=some).rev().map(|one| at(one, seconds)).collect();
        store.note_svids(&noted).await.unwrap();
        let expected = (1..=count).map(|one| match one <= some {
            true => Some(seconds),
            false => None,
        });
        assert_eq!(ends().await, expected.collect::<Vec<_>>(), "{some}");
    }
    // None ends earlier than before, and of two of one instance the later one counts.
    store
        .note_svids(&[at(1, 14), at(2, 30), at(3, 20), at(2, 25)])
        .await
        .unwrap();
    assert_eq!(ends().await[..4], [Some(15), Some(30), Some(20), Some(15)]);
}
