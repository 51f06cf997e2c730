//! Rows: what is stored once, replaced, ended, listed.

use std::collections::BTreeMap;

use chancery_identity::RegistrationTerms;
use chancery_journal::Subject;
use chancery_policy::SignedBundle;
use chancery_store::{
    AgentRow, AnswerRow, ApprovalRow, ConsentRow, FederationRow, InstanceRow, Kept, NewRevocation,
    PolicyRow, RevocationRow, RootRow,
};
use chancery_types::id::{ApprovalId, ConsentId, InstanceId, NodeId, SessionId};
use chancery_types::{Digest, Jwk, RevocationKind, Timestamp};
use serde_json::json;

use crate::World;

fn person(name: &str) -> Subject {
    Subject::person(name)
}

fn answer(state: &str, statement: &str) -> AnswerRow {
    AnswerRow {
        subject: person("ada"),
        document: json!({"state": state}),
        answer: Some((person("bob"), json!({"statement": statement}))),
    }
}

pub(crate) fn instance(number: u8) -> InstanceRow {
    InstanceRow {
        instance_id: InstanceId::from_random([number; 16]),
        agent_id: "spiffe://example.org/agent/clerk".into(),
        spiffe_id: format!("spiffe://example.org/agent/clerk/instance/{number}"),
        manifest_digest: Digest::of(b"manifest"),
        evidence: json!({"level": "launch"}),
        running: true,
        agent_key: None,
        opened_at: Timestamp::from_seconds(number.into()),
    }
}

/// A root of ada's.
pub(crate) fn root(jti: &str, standing: Option<(ConsentId, u64)>) -> RootRow {
    RootRow {
        jti: jti.into(),
        subject: person("ada"),
        instance_id: instance(1).instance_id,
        document: json!({"root": jti}),
        created_at: Timestamp::from_seconds(1),
        standing,
    }
}

pub(crate) async fn an_agent_key_is_set_once(world: World) {
    let store = world.open().await;
    let row = instance(1);
    store.put_instance(&row).await.unwrap();
    let first = Jwk::p256([1; 32], [2; 32]);
    assert!(store.set_agent_key(row.instance_id, &first).await.unwrap());
    assert!(store.set_agent_key(row.instance_id, &first).await.unwrap());
    assert!(
        !store
            .set_agent_key(row.instance_id, &Jwk::p256([3; 32], [4; 32]))
            .await
            .unwrap()
    );
    let read = store.instance(row.instance_id).await.unwrap().unwrap();
    assert_eq!(read.agent_key, Some(first));
}

pub(crate) async fn instances_are_found_together_each_with_its_node(world: World) {
    let store = world.open().await;
    let node = |number: u8| NodeId::from_random([number; 16]);
    let rows: Vec<_> = (1..=40).map(instance).collect();
    for (number, row) in (1..).zip(&rows) {
        // Every third is on a node.
        if number % 3 == 0 {
            let noted = store.put_instance_node(row.instance_id, node(number));
            noted.await.unwrap();
        }
        store.put_instance(row).await.unwrap();
    }
    for count in [0, 1, 2, 15, 16, 17, 40] {
        // One that there is not is not found, and one that is named twice is found all the same.
        let known = rows.iter().take(count).map(|row| row.instance_id);
        let mut asked: Vec<_> = known.collect();
        asked.push(InstanceId::from_random([200; 16]));
        asked.extend(asked.first().copied());
        let mut found = store.placed(&asked).await.unwrap();
        found.sort_by_key(|one| one.instance.instance_id);
        found.dedup();
        assert_eq!(found.len(), count, "{count}");
        for (number, (one, row)) in (1..).zip(found.iter().zip(&rows)) {
            assert_eq!(one.instance, *row);
            assert_eq!(one.node, (number % 3 == 0).then(|| node(number)));
        }
    }
}

pub(crate) async fn an_instance_ends_once(world: World) {
    let store = world.open().await;
    store.put_instance(&instance(1)).await.unwrap();
    store.put_instance(&instance(2)).await.unwrap();
    assert!(store.put_instance(&instance(2)).await.is_err());
    let id = instance(1).instance_id;
    let at = Timestamp::from_seconds(9);
    assert!(store.end_instance(id, at, "gone").await.unwrap());
    assert!(!store.end_instance(id, at, "gone").await.unwrap());
    let listed = store.instances().await.unwrap();
    assert_eq!(
        listed.iter().map(|row| row.running).collect::<Vec<_>>(),
        [true, false]
    );
}

pub(crate) async fn an_approval_is_answered_once(world: World) {
    let store = world.open().await;
    let id = ApprovalId::from_random([7; 16]);
    let row = ApprovalRow {
        approval_id: id,
        subject: person("ada"),
        opened_at: Timestamp::from_seconds(1),
        document: json!({"state": "pending"}),
    };
    assert!(store.put_approval(&row).await.unwrap());
    assert!(!store.put_approval(&row).await.unwrap());
    assert!(
        store
            .answer_approval(id, &answer("approved", "yes"))
            .await
            .unwrap()
    );
    assert!(
        !store
            .answer_approval(id, &answer("denied", "no"))
            .await
            .unwrap()
    );
    let answered = json!({"state": "approved", "statement": "yes"});
    assert_eq!(
        store.approval(id).await.unwrap(),
        Some(Kept::Value(answered.clone()))
    );
    assert_eq!(store.approvals().await.unwrap(), [answered]);
    let unknown = ApprovalId::from_random([8; 16]);
    let stray = answer("approved", "yes");
    assert!(!store.answer_approval(unknown, &stray).await.unwrap());
}

pub(crate) async fn the_newest_of_each_is_in_force(world: World) {
    let store = world.open().await;
    for version in [1, 3, 2] {
        let row = PolicyRow {
            digest: Digest::of([version]),
            bundle: SignedBundle {
                files: BTreeMap::from([(
                    "a.cedar".into(),
                    "permit(principal,action,resource);".into(),
                )]),
                kid: "k".into(),
                signature: "s".into(),
                approvals: Vec::new(),
            },
            version: version.into(),
            log_index: 0,
        };
        store.put_policy(&row).await.unwrap();
    }
    assert_eq!(store.current_policy().await.unwrap().unwrap().version, 3);
    let instance_id = instance(1).instance_id;
    for (jti, at) in [("a", 2), ("b", 1)] {
        let root = RootRow {
            jti: jti.into(),
            subject: person("ada"),
            instance_id,
            document: json!({"root": jti}),
            created_at: Timestamp::from_seconds(at),
            standing: None,
        };
        store.put_root(&root).await.unwrap();
    }
    assert_eq!(
        store.root_of(instance_id).await.unwrap().unwrap()["root"],
        "a"
    );
    assert!(
        store
            .root_of(instance(2).instance_id)
            .await
            .unwrap()
            .is_none()
    );
}

pub(crate) async fn recording_twice_changes_nothing(world: World) {
    let store = world.open().await;
    let session = SessionId::from_random([1; 16]);
    assert!(store.put_record(session, "first", 1).await.unwrap());
    assert!(!store.put_record(session, "second", 2).await.unwrap());
    assert_eq!(store.record(session).await.unwrap().unwrap(), "first");
}

pub(crate) async fn agents_keep_their_earlier_manifests(world: World) {
    let store = world.open().await;
    for text in ["one", "two"] {
        let row = AgentRow {
            agent_id: "spiffe://example.org/agent/clerk".into(),
            manifest_id: text.into(),
            manifest_digest: Digest::of(text),
            expires_at: Timestamp::from_seconds(9),
            federates_with: vec![],
            may_spawn: (text == "one").then(|| json!({"agents": []})),
            terms: RegistrationTerms::default(),
            owner: None,
            log_index: 4,
        };
        store.put_agent(&row, text.as_bytes()).await.unwrap();
    }
    let agents = store.agents().await.unwrap();
    assert_eq!(agents.len(), 1);
    assert_eq!(agents[0].manifest_id, "two");
    // What a registration does not name is not kept from the one before.
    assert_eq!(agents[0].may_spawn, None);
    assert_eq!(
        store.manifest(Digest::of("one")).await.unwrap().unwrap(),
        b"one"
    );
    assert!(store.manifest(Digest::of("three")).await.unwrap().is_none());
    assert!(
        store
            .agent("spiffe://example.org/agent/other")
            .await
            .unwrap()
            .is_none()
    );
}

pub(crate) async fn a_revocation_is_kept_until_it_is_taken_out(world: World) {
    let store = world.open().await;
    let row = |id: &str, second| RevocationRow {
        kind: RevocationKind::Key,
        id: id.into(),
        revoked_at: Timestamp::from_seconds(second),
        log_index: second,
        document: Kept::Value(json!({"reason": "lost"})),
    };
    let new = |id: &str, second| {
        let document = json!({"reason": "lost"});
        let sealed = store.seal_revocation(RevocationKind::Key, id, None, &document);
        NewRevocation {
            sealed: sealed.unwrap(),
            revoked_at: Timestamp::from_seconds(second),
            log_index: second,
        }
    };
    for together in [vec![new("a", 1), new("b", 2)], vec![new("a", 3)], vec![]] {
        let kept = store.put_revocations(&together).await;
        assert_eq!(kept.len(), together.len());
        assert!(kept.iter().all(Result::is_ok));
    }
    let again = world.open().await;
    let mut known = again.revocations().await.unwrap();
    known.sort_by(|one, next| one.id.cmp(&next.id));
    assert_eq!(known, [row("a", 3), row("b", 2)]);
    let kind = RevocationKind::Key;
    let index = async |kind, id| again.revocation_index(kind, id).await.unwrap();
    assert_eq!(index(kind, "a").await, Some(3));
    assert_eq!(index(kind, "c").await, None);
    assert_eq!(index(RevocationKind::Mission, "a").await, None);
    assert!(
        !store
            .drop_revocation(RevocationKind::Mission, "a")
            .await
            .unwrap()
    );
    assert!(store.drop_revocation(kind, "a").await.unwrap());
    assert!(!store.drop_revocation(kind, "a").await.unwrap());
    assert_eq!(index(kind, "a").await, None);
    assert_eq!(store.revocations().await.unwrap(), [row("b", 2)]);
}

/// Of those that are stored together one that the tables refuse keeps out none of the others.
pub(crate) async fn a_revocation_that_is_refused_keeps_out_no_other(world: World) {
    let store = world.open().await;
    let new = |id: &str, second: u64| {
        let document = json!({"reason": id});
        let sealed = store.seal_revocation(RevocationKind::Key, id, None, &document);
        NewRevocation {
            sealed: sealed.unwrap(),
            revoked_at: Timestamp::from_seconds(second),
            log_index: second,
        }
    };
    let unique = "CREATE UNIQUE INDEX one_at_a_time ON revocations (revoked_at)";
    world.run(unique).await;
    let together = [new("a", 1), new("b", 1), new("c", 2)];
    let kept = store.put_revocations(&together).await;
    let kept: Vec<_> = kept.iter().map(Result::is_ok).collect();
    assert_eq!(kept, [true, false, true]);
    let mut known: Vec<_> = store.revocations().await.unwrap();
    known.sort_by(|one, next| one.id.cmp(&next.id));
    let known = known.into_iter().map(|row| (row.id, row.document));
    let expected = ["a", "c"].map(|id| (id.to_owned(), Kept::Value(json!({"reason": id}))));
    assert_eq!(known.collect::<Vec<_>>(), expected);
}

pub(crate) async fn roots_are_listed_since_a_time(world: World) {
    let store = world.open().await;
    store.put_instance(&instance(1)).await.unwrap();
    for second in 1..=3 {
        let root = RootRow {
            jti: format!("root-{second}"),
            subject: person("ada"),
            instance_id: instance(1).instance_id,
            document: json!({"root": second}),
            created_at: Timestamp::from_seconds(second),
            standing: None,
        };
        store.put_root(&root).await.unwrap();
    }
    let since = store.roots_since(Timestamp::from_seconds(2)).await.unwrap();
    assert_eq!(since, [json!({"root": 3}), json!({"root": 2})]);
}

pub(crate) async fn a_consent_and_each_number_of_it_are_stored_once(world: World) {
    let store = world.open().await;
    store.put_instance(&instance(1)).await.unwrap();
    let consent = |number: u8| ConsentRow {
        consent: ConsentId::from_random([number; 16]),
        subject: person("ada"),
        document: json!({"consent": number}),
        created_at: Timestamp::from_seconds(10 - u64::from(number)),
    };
    for number in [1, 2] {
        store.put_consent(&consent(number)).await.unwrap();
    }
    assert!(store.put_consent(&consent(1)).await.is_err());
    let (first, second) = (consent(1).consent, consent(2).consent);
    assert_eq!(
        store.consent(first).await.unwrap(),
        Some(Kept::Value(json!({"consent": 1})))
    );
    assert_eq!(store.consent(consent(3).consent).await.unwrap(), None);
    let oldest_first = [json!({"consent": 2}), json!({"consent": 1})];
    assert_eq!(store.consents().await.unwrap(), oldest_first);
    for (jti, standing) in [
        ("c", Some((first, 2))),
        ("a", Some((first, 1))),
        ("b", Some((second, 1))),
        ("d", None),
    ] {
        store.put_root(&root(jti, standing)).await.unwrap();
    }
    // A number that another root has, and a root that is there: neither is stored by half.
    let twice = root("e", Some((first, 1)));
    assert!(store.put_root(&twice).await.is_err());
    let known = root("a", Some((first, 3)));
    assert!(store.put_root(&known).await.is_err());
    let roots = store.roots_of_consent(first).await.unwrap();
    let expected = [(1, json!({"root": "a"})), (2, json!({"root": "c"}))];
    assert_eq!(roots, expected);
    assert_eq!(
        store
            .roots_since(Timestamp::from_seconds(0))
            .await
            .unwrap()
            .len(),
        4
    );
}

pub(crate) async fn a_relation_and_its_bundle_are_kept(world: World) {
    let store = world.open().await;
    let row = |name: &str, web_roots: Option<&str>| FederationRow {
        trust_domain: name.into(),
        relationship: "{}".into(),
        web_roots: web_roots.map(Into::into),
        bundle: None,
        log_index: 3,
    };
    for row in [
        row("b.example", None),
        row("a.example", Some("pem")),
        row("b.example", None),
    ] {
        store.put_federation(&row).await.unwrap();
    }
    assert!(store.put_foreign_bundle("a.example", "keys").await.unwrap());
    assert!(!store.put_foreign_bundle("c.example", "keys").await.unwrap());
    let mut first = row("a.example", Some("pem"));
    first.bundle = Some("keys".into());
    assert_eq!(
        store.federations().await.unwrap(),
        [first, row("b.example", None)]
    );
    assert!(store.remove_federation("a.example").await.unwrap());
    assert!(!store.remove_federation("a.example").await.unwrap());
    assert_eq!(store.federations().await.unwrap(), [row("b.example", None)]);
}

/// Whatever the language of the database is: prefixes of sealed values are looked for by that order.
pub(crate) async fn text_is_ordered_byte_by_byte(world: World) {
    let store = world.open().await;
    for name in ["b", "a_", "B", "a-", "\u{e4}", "a"] {
        let row = AgentRow {
            agent_id: name.into(),
            manifest_id: name.into(),
            manifest_digest: Digest::of(name),
            expires_at: Timestamp::from_seconds(9),
            federates_with: vec!["z.example".into(), "Z.example".into()],
            may_spawn: None,
            terms: RegistrationTerms::default(),
            owner: None,
            log_index: 4,
        };
        store.put_agent(&row, b"").await.unwrap();
    }
    let agents = store.agents().await.unwrap();
    let ids: Vec<_> = agents.iter().map(|agent| agent.agent_id.as_str()).collect();
    assert_eq!(ids, ["B", "a", "a-", "a_", "b", "\u{e4}"]);
    assert_eq!(agents[0].federates_with, ["Z.example", "z.example"]);
}
