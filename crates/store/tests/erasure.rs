//! What is about a person is sealed, is erased with them, and was sealed where it stood in clear.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::path::Path;
use std::sync::Arc;

use chancery_journal::{Keyring, Subject};
use chancery_store::{
    AnswerRow, ApprovalRow, ConsentRow, ErasureRow, Kept, NewRevocation, RootRow, Store,
};
use chancery_types::id::{ApprovalId, ConsentId, InstanceId, PersonId};
use chancery_types::{Digest, RevocationKind, Timestamp, base64url};
use serde_json::{Value, json};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection};

const SECRETS: [&str; 6] = [
    "goal-of-ada",
    "consent-of-ada",
    "arguments-of-ada",
    "answer-of-ada",
    "reason-about-ada",
    "mission-of-ada",
];

async fn open(folder: &Path) -> Store {
    let keys = Arc::new(Keyring::open(&folder.join("keys")).unwrap());
    Store::open(&folder.join("chancery.db"), keys)
        .await
        .unwrap()
}

async fn connection(folder: &Path) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(folder.join("chancery.db"));
    options.connect().await.unwrap()
}

/// Every byte below a folder.
fn everything(folder: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => bytes.extend(everything(&path)),
            false => bytes.extend(std::fs::read(path).unwrap()),
        }
    }
    bytes
}

fn holds(folder: &Path, text: &str) -> bool {
    let text = text.as_bytes();
    everything(folder)
        .windows(text.len())
        .any(|part| part == text)
}

const fn instance() -> InstanceId {
    InstanceId::from_random([1; 16])
}

/// One value of every kind, of `ada`, and of each some of `bob`.
async fn fill(store: &Store) {
    for name in ["ada", "bob"] {
        let number = name.as_bytes()[0];
        let subject = Subject::person(name);
        let root = RootRow {
            jti: format!("root-{name}"),
            subject: subject.clone(),
            instance_id: instance(),
            document: json!({"goal": format!("goal-of-{name}")}),
            created_at: Timestamp::from_seconds(number.into()),
            standing: None,
        };
        store.put_root(&root).await.unwrap();
        let consent = ConsentRow {
            consent: ConsentId::from_random([number; 16]),
            subject: subject.clone(),
            document: json!({"text": format!("consent-of-{name}")}),
            created_at: Timestamp::from_seconds(1),
        };
        store.put_consent(&consent).await.unwrap();
        let id = ApprovalId::from_random([number; 16]);
        let approval = ApprovalRow {
            approval_id: id,
            subject: subject.clone(),
            opened_at: Timestamp::from_seconds(1),
            document: json!({"arguments": format!("arguments-of-{name}")}),
        };
        assert!(store.put_approval(&approval).await.unwrap());
        let document = json!({"reason": format!("reason-about-{name}")});
        let sealed = store.seal_revocation(RevocationKind::Person, name, None, &document);
        let revocation = NewRevocation {
            sealed: sealed.unwrap(),
            revoked_at: Timestamp::from_seconds(1),
            log_index: 1,
        };
        let kept = store.put_revocations(&[revocation]).await;
        assert!(kept.iter().all(Result::is_ok));
        let mission = format!("mission-of-{name}");
        let digest = Digest::of("m");
        store.put_mission(digest, name, &mission).await.unwrap();
    }
    // Each answers the other's question.
    for (asked, answered) in [("ada", "bob"), ("bob", "ada")] {
        let answer = AnswerRow {
            subject: Subject::person(asked),
            document: json!({"arguments": format!("arguments-of-{asked}"), "state": "approved"}),
            answer: Some((
                Subject::person(answered),
                json!({"statement": format!("answer-of-{answered}")}),
            )),
        };
        let id = ApprovalId::from_random([asked.as_bytes()[0]; 16]);
        assert!(store.answer_approval(id, &answer).await.unwrap());
    }
}

fn erase(store: &Store, name: &str) {
    let subject = Subject::person(name);
    store.keys().begin_erasure(&subject, "note").unwrap();
    let at = Timestamp::from_seconds(9);
    store.keys().finish_erasure(&subject, 7, at).unwrap();
}

async fn count(store: &Store, name: &str) -> u64 {
    let kept = store.kept_of(&Subject::person(name)).await.unwrap();
    kept.iter().map(|kept| kept.values).sum()
}

#[tokio::test]
async fn nothing_of_a_person_stands_in_clear() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    fill(&store).await;
    for secret in SECRETS {
        assert!(!holds(folder.path(), secret), "{secret}");
    }
    assert!(holds(folder.path(), "root-ada"));
    assert_eq!(count(&store, "ada").await, 6);
    assert_eq!(count(&store, "nobody").await, 0);
}

#[tokio::test]
async fn erasing_one_takes_all_of_theirs_and_nothing_of_another() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    fill(&store).await;
    erase(&store, "ada");
    // The same in this run and the next.
    let again = open(folder.path()).await;
    for store in [store, again] {
        let [ada, bob] = [b"ada"[0], b"bob"[0]];
        let erased = Kept::Erased { entry: 7 };
        let roots = store.roots_since(Timestamp::from_seconds(0)).await.unwrap();
        assert_eq!(roots, [json!({"goal": "goal-of-bob"})]);
        let consent = |number| ConsentId::from_random([number; 16]);
        let of_ada = store.consent(consent(ada)).await.unwrap();
        assert_eq!(of_ada, Some(erased.clone()));
        assert_eq!(
            store.consents().await.unwrap(),
            [json!({"text": "consent-of-bob"})]
        );
        let approval = |number| ApprovalId::from_random([number; 16]);
        let of_ada = store.approval(approval(ada)).await.unwrap();
        assert_eq!(of_ada, Some(erased.clone()));
        // What ada answered to bob's question is gone from it.
        let of_bob = json!({"arguments": "arguments-of-bob", "state": "approved"});
        let kept = store.approval(approval(bob)).await.unwrap();
        assert_eq!(kept, Some(Kept::Value(of_bob.clone())));
        assert_eq!(store.approvals().await.unwrap(), [of_bob]);
        let rows = store.revocations().await.unwrap();
        let document = |name| {
            let row = rows.iter().find(|row| row.id == name).unwrap();
            row.document.clone()
        };
        assert_eq!(document("ada"), erased);
        let reason = json!({"reason": "reason-about-bob"});
        assert_eq!(document("bob"), Kept::Value(reason));
        let digest = Digest::of("m");
        assert_eq!(store.mission(digest, "ada").await.unwrap(), None);
        let mission = store.mission(digest, "bob").await.unwrap();
        assert_eq!(mission.as_deref(), Some("mission-of-bob"));
        assert_eq!(count(&store, "ada").await, 0);
        assert_eq!(count(&store, "bob").await, 6);
        // Nothing more is kept of who was erased.
        let refused = store.put_mission(Digest::of("n"), "ada", "text").await;
        assert!(refused.is_err());
    }
}

#[tokio::test]
async fn a_value_opens_in_its_own_row_alone() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    fill(&store).await;
    let mut connection = connection(folder.path()).await;
    let swaps = [
        // Another subject's value.
        "UPDATE roots SET document = (SELECT document FROM roots WHERE jti = 'root-bob')
         WHERE jti = 'root-ada'",
        // Another table's.
        "UPDATE roots SET document = (SELECT document FROM missions WHERE person = 'ada')
         WHERE jti = 'root-ada'",
        // Cut short, in clear, nothing at all.
        "UPDATE roots SET document = substr(document, 1, length(document) - 2)",
        "UPDATE roots SET document = '{\"goal\":\"forged\"}'",
        "UPDATE roots SET document = 'sealed:'",
        "UPDATE roots SET document = ''",
    ];
    for swap in swaps {
        sqlx::query(swap).execute(&mut connection).await.unwrap();
        let since = Timestamp::from_seconds(0);
        let refused = store.roots_since(since).await.unwrap_err();
        let text = refused.to_string();
        assert!(text.contains("roots"), "{swap}: {text}");
    }
    connection.close().await.unwrap();
}

#[tokio::test]
async fn an_erasure_is_noted_once_and_its_reason_is_the_operators() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let row = |index| ErasureRow {
        person: PersonId::from_random([3; 16]),
        subject: Digest::of("commitment"),
        values: 4,
        at: Timestamp::from_seconds(5),
        log_index: index,
        document: json!({"reason": "asked-for-it"}),
    };
    store.put_erasure(&row(8)).await.unwrap();
    store.put_erasure(&row(9)).await.unwrap();
    assert_eq!(store.erasures().await.unwrap(), [row(8)]);
    assert!(!holds(folder.path(), "asked-for-it"));
}

fn token(claims: &Value) -> String {
    let header = json!({"alg": "Ed25519", "typ": "adt+jwt"});
    let part = |value: &Value| base64url::encode(value.to_string());
    format!("{}.{}.{}", part(&header), part(claims), "AA")
}

#[tokio::test]
async fn a_folder_in_clear_is_sealed_when_it_is_opened() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path()).await);
    // As version 1 kept it.
    let mut clear = connection(folder.path()).await;
    let root = json!({"root": token(&json!({"prn": {"sub": "ada"}})), "mission": "goal-of-ada"});
    let consent = json!({"signed": {"statement": {"person": "ada", "t": "consent-of-ada"}}});
    let approval = json!({
        "request": {"subject": {"principal": "ada", "arguments": "arguments-of-ada"}},
        "state": "approved", "statement": "answer-of-ada", "assertion": {},
    });
    let reason = json!({"reason": "reason-about-ada"});
    for (query, id, document) in [
        (
            "INSERT INTO roots VALUES (?, 'i', ?, 1)",
            "root-ada".to_owned(),
            &root,
        ),
        (
            "INSERT INTO consents VALUES (?, ?, 1)",
            ConsentId::from_random([1; 16]).to_string(),
            &consent,
        ),
        (
            "INSERT INTO approvals (approval_id, document, opened_at, answered) VALUES (?, ?, 1, 1)",
            ApprovalId::from_random([1; 16]).to_string(),
            &approval,
        ),
        (
            "INSERT INTO revocations (kind, id, document, revoked_at, log_index)
             VALUES ('person', ?, ?, 1, 1)",
            "ada".to_owned(),
            &reason,
        ),
    ] {
        sqlx::query(query)
            .bind(id)
            .bind(document.to_string())
            .execute(&mut clear)
            .await
            .unwrap();
    }
    for query in [
        "INSERT INTO meta VALUES ('mission sha256:00', 'mission-of-ada')",
        "UPDATE meta SET value = '1' WHERE key = 'schema_version'",
    ] {
        sqlx::query(query).execute(&mut clear).await.unwrap();
    }
    clear.close().await.unwrap();
    for secret in SECRETS {
        assert!(holds(folder.path(), secret), "{secret}");
    }
    let store = open(folder.path()).await;
    for secret in SECRETS {
        assert!(!holds(folder.path(), secret), "{secret}");
    }
    let id = ApprovalId::from_random([1; 16]);
    assert_eq!(
        store.approval(id).await.unwrap(),
        Some(Kept::Value(approval))
    );
    let roots = store.roots_since(Timestamp::from_micros(0)).await.unwrap();
    assert_eq!(roots, [root]);
    assert_eq!(store.consents().await.unwrap(), [consent]);
    assert_eq!(count(&store, "ada").await, 5);
    drop(store);
    let again = open(folder.path()).await;
    assert_eq!(count(&again, "ada").await, 5);
}

#[tokio::test]
async fn a_row_in_clear_that_names_nobody_is_refused_and_nothing_is_changed() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path()).await);
    let mut clear = connection(folder.path()).await;
    for query in [
        "INSERT INTO roots VALUES ('r', 'i', '{\"root\":\"x\"}', 1)",
        "UPDATE meta SET value = '1' WHERE key = 'schema_version'",
    ] {
        sqlx::query(query).execute(&mut clear).await.unwrap();
    }
    clear.close().await.unwrap();
    for _ in 0..2 {
        let keys = Arc::new(Keyring::open(&folder.path().join("keys")).unwrap());
        let refused = Store::open(&folder.path().join("chancery.db"), keys).await;
        let text = refused.unwrap_err().to_string();
        assert!(text.contains("roots"), "{text}");
    }
}
