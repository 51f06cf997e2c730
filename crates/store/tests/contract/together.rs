//! Two who have one database and its keys: each reads what the other wrote, and what happens once happens once.

use chancery_journal::Subject;
use chancery_store::{AnswerRow, ApprovalRow, Store};
use chancery_types::Timestamp;
use chancery_types::id::{ApprovalId, ConsentId, InstanceId, SessionId};
use serde_json::json;

use crate::World;
use crate::rows::{instance, root};

pub(crate) async fn one_answer_is_kept_of_two_servers_that_answer_at_once(world: World) {
    let stores = [world.open().await, world.open().await];
    for number in 0..8_u8 {
        let id = ApprovalId::from_random([number; 16]);
        let row = ApprovalRow {
            approval_id: id,
            subject: Subject::person("ada"),
            opened_at: Timestamp::from_seconds(1),
            document: json!({"state": "pending"}),
        };
        assert!(stores[0].put_approval(&row).await.unwrap());
        let answer = |store: Store, state: &'static str| async move {
            let row = AnswerRow {
                subject: Subject::person("ada"),
                document: json!({"state": state}),
                answer: None,
            };
            store.answer_approval(id, &row).await.unwrap()
        };
        let (one, two) = tokio::join!(
            answer(stores[0].clone(), "approved"),
            answer(stores[1].clone(), "denied")
        );
        assert!(one ^ two, "{number}: {one} {two}");
        let kept = stores[0].approval(id).await.unwrap().unwrap();
        let state = if one { "approved" } else { "denied" };
        assert_eq!(kept.value().unwrap()["state"], state);
    }
}

pub(crate) async fn a_number_of_a_consent_is_given_once_by_two_servers(world: World) {
    let stores = [world.open().await, world.open().await];
    stores[0].put_instance(&instance(1)).await.unwrap();
    let consent = ConsentId::from_random([1; 16]);
    for number in 1..=8 {
        let names = [format!("one {number}"), format!("two {number}")];
        let rows = names.map(|jti| root(&jti, Some((consent, number))));
        let (one, two) = tokio::join!(stores[0].put_root(&rows[0]), stores[1].put_root(&rows[1]));
        assert!(one.is_ok() ^ two.is_ok(), "{number}: {one:?} {two:?}");
    }
    let roots = stores[1].roots_of_consent(consent).await.unwrap();
    assert_eq!(roots.len(), 8);
    let since = Timestamp::from_micros(0);
    assert_eq!(stores[0].roots_since(since).await.unwrap().len(), 8);
}

pub(crate) async fn an_end_and_a_record_are_told_once(world: World) {
    let stores = [world.open().await, world.open().await];
    for number in 0..8_u8 {
        let row = instance(number);
        stores[0].put_instance(&row).await.unwrap();
        let id: InstanceId = row.instance_id;
        let at = Timestamp::from_seconds(number.into());
        let ends = [0, 1].map(|one: usize| stores[one].end_instance(id, at, "gone"));
        let [one, two] = ends;
        let (one, two) = tokio::join!(one, two);
        assert!(one.unwrap() ^ two.unwrap(), "{number}");
        let session = SessionId::from_random([number; 16]);
        let (one, two) = tokio::join!(
            stores[0].put_record(session, "one", 1),
            stores[1].put_record(session, "two", 2)
        );
        assert!(one.unwrap() ^ two.unwrap(), "{number}");
    }
}
