//! Nodes of other hosts: what admits them, where instances are, and that one that is out stays out.

use chancery_store::{NodeAuthorityRow, NodeRow, NodeTokenRow, NodeTpmRow};
use chancery_types::id::NodeId;
use chancery_types::{Digest, Timestamp};

use crate::World;
use crate::rows::instance;

pub(crate) async fn a_node_token_is_used_once_and_in_time(world: World) {
    let store = world.open().await;
    let at = Timestamp::from_seconds;
    let token = |text: &str, expires| NodeTokenRow {
        token: Digest::of(text),
        expires_at: at(expires),
        used_at: None,
    };
    store.put_node_token(&token("a", 100), at(0)).await.unwrap();
    store.put_node_token(&token("b", 100), at(0)).await.unwrap();
    assert!(!store.use_node_token(Digest::of("c"), at(10)).await.unwrap());
    assert!(
        !store
            .use_node_token(Digest::of("a"), at(100))
            .await
            .unwrap()
    );
    assert!(store.use_node_token(Digest::of("a"), at(99)).await.unwrap());
    assert!(!store.use_node_token(Digest::of("a"), at(99)).await.unwrap());
    let known = store.node_tokens().await.unwrap();
    let used: Vec<_> = known.iter().filter(|one| one.used_at.is_some()).collect();
    assert_eq!(used.len(), 1);
    assert_eq!(used[0].token, Digest::of("a"));
    // What was over long ago is forgotten, and of the same name there is one.
    store
        .put_node_token(&token("d", 900), at(101))
        .await
        .unwrap();
    assert_eq!(store.node_tokens().await.unwrap().len(), 1);
    assert!(store.put_node_token(&token("d", 900), at(0)).await.is_err());
}

pub(crate) async fn a_node_that_is_out_stays_out(world: World) {
    let store = world.open().await;
    let (one, other) = (NodeId::from_random([1; 16]), NodeId::from_random([2; 16]));
    let node = |node_id, log_index| NodeRow {
        node_id,
        proof: "x509".into(),
        subject: Some("CN=host".into()),
        joined_at: Timestamp::from_seconds(log_index),
        expires_at: Timestamp::from_seconds(600),
        tpm: None,
        evicted_at: None,
        log_index,
    };
    for (id, index) in [(one, 1), (other, 2), (one, 3)] {
        assert!(store.put_node(&node(id, index)).await.unwrap());
    }
    for (number, on) in [(1, Some(one)), (2, Some(one)), (3, Some(other)), (4, None)] {
        let row = instance(number);
        if let Some(on) = on {
            let noted = store.put_instance_node(row.instance_id, on).await;
            noted.unwrap();
            assert!(
                store
                    .put_instance_node(row.instance_id, other)
                    .await
                    .is_err()
            );
        }
        store.put_instance(&row).await.unwrap();
        assert_eq!(store.node_of(row.instance_id).await.unwrap(), on);
    }
    let at = Timestamp::from_seconds;
    let ended = store.end_instance(instance(2).instance_id, at(50), "gone");
    ended.await.unwrap();
    let running = store.running_on(one).await.unwrap();
    assert_eq!(running, [instance(1).instance_id]);
    // One that has ended holds what it was issued until then.
    let (first, second) = (instance(1).instance_id, instance(2).instance_id);
    let recent = async |since| store.recent_on(one, at(since)).await.unwrap();
    assert_eq!(recent(0).await, [first, second]);
    assert_eq!(recent(50).await, [first, second]);
    assert_eq!(recent(51).await, [first]);
    // It has ended once.
    assert!(!store.end_instance(second, at(70), "gone").await.unwrap());
    assert_eq!(recent(51).await, [first]);
    assert!(
        store
            .recent_on(NodeId::from_random([3; 16]), at(0))
            .await
            .unwrap()
            .is_empty()
    );
    // What a TPM showed is of the last join alone.
    for tpm in [Some("{}".to_owned()), Some(r#"{"a":1}"#.to_owned()), None] {
        let row = NodeRow {
            tpm,
            ..node(one, 6)
        };
        assert!(store.put_node(&row).await.unwrap());
        assert_eq!(store.node(one).await.unwrap(), Some(row.clone()));
        assert!(store.nodes().await.unwrap().contains(&row));
    }
    let at = Timestamp::from_seconds(9);
    assert!(store.evict_node(one, at, 7).await.unwrap());
    assert!(!store.evict_node(one, at, 8).await.unwrap());
    assert!(!store.put_node(&node(one, 10)).await.unwrap());
    drop(store);
    let store = world.open().await;
    let row = store.node(one).await.unwrap().unwrap();
    assert_eq!((row.evicted_at, row.log_index), (Some(at), 7));
    assert_eq!(store.nodes().await.unwrap().len(), 2);
    let mut authority = NodeAuthorityRow {
        fingerprint: Digest::of("ca"),
        certificate: b"ca".to_vec(),
        tpms: Some(r#"{"7":"x"}"#.to_owned()),
        log_index: 11,
    };
    // Taken in again it is of another kind, and stays one.
    for tpms in [authority.tpms.clone(), Some("{}".to_owned()), None] {
        authority.tpms = tpms;
        store.put_node_authority(&authority).await.unwrap();
        let known = store.node_authorities().await.unwrap();
        assert_eq!(known, [authority.clone()]);
    }
    let ca = Digest::of("ca");
    assert!(store.remove_node_authority(ca).await.unwrap());
    assert!(!store.remove_node_authority(ca).await.unwrap());
    let mut tpm = NodeTpmRow {
        tpm: Digest::of("ek"),
        pcrs: "{}".to_owned(),
        log_index: 12,
    };
    store.put_node_tpm(&tpm).await.unwrap();
    // Taken in again it has other values, and stays one.
    tpm.pcrs = r#"{"0":"x"}"#.to_owned();
    store.put_node_tpm(&tpm).await.unwrap();
    assert_eq!(store.node_tpms().await.unwrap(), [tpm.clone()]);
    let digest = Digest::of("ek");
    assert_eq!(store.node_tpm(digest).await.unwrap(), Some(tpm));
    assert_eq!(store.node_tpm(Digest::of("ak")).await.unwrap(), None);
    assert!(store.remove_node_tpm(digest).await.unwrap());
    assert!(!store.remove_node_tpm(digest).await.unwrap());
    assert!(store.node_tpms().await.unwrap().is_empty());
    assert_eq!(store.node_tpm(digest).await.unwrap(), None);
}
