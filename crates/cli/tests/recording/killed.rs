use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use chancery_api::append::{AppendClient, AppendOptions, AppendTarget};
use chancery_crypto::random_bytes;
use chancery_types::base64url;
use tokio::task::JoinSet;

use crate::writer::{ORIGIN, Writer, checked};

/// How often the writer is killed.
const KILLS: usize = 15;

/// Callers of each of two producers.
const CALLERS: u64 = 16;

/// What was acknowledged: index, producer, sequence and content.
type Acknowledged = BTreeMap<u64, (String, u64, String)>;

async fn append_until(
    done: Arc<AtomicBool>,
    made: Arc<AtomicU64>,
    client: AppendClient,
) -> Acknowledged {
    let mut acknowledged = Acknowledged::new();
    while !done.load(Ordering::Relaxed) {
        let number = made.fetch_add(1, Ordering::Relaxed);
        let content = format!("{} {number}", client.producer());
        let appended = client.append(content.clone()).await.unwrap();
        let entry = (client.producer().to_owned(), appended.sequence, content);
        assert_eq!(acknowledged.insert(appended.index, entry), None);
    }
    acknowledged
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_writer_that_is_killed_loses_and_doubles_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("recorded");
    let mut writer = Writer::start(&folder, &["--origin", ORIGIN]);
    let done = Arc::new(AtomicBool::new(false));
    let made = Arc::new(AtomicU64::new(0));
    let mut callers = JoinSet::new();
    for producer in ["one", "two"] {
        let mut options = AppendOptions::new(AppendTarget::Owner {
            socket: writer.socket(),
            producer: producer.to_owned(),
        });
        options.patience = Duration::from_secs(60);
        let client = AppendClient::connect(options).await.unwrap();
        for _ in 0..CALLERS {
            callers.spawn(append_until(
                Arc::clone(&done),
                Arc::clone(&made),
                client.clone(),
            ));
        }
    }
    for _ in 0..KILLS {
        let [delay] = random_bytes().unwrap();
        tokio::time::sleep(Duration::from_millis(u64::from(delay))).await;
        writer.kill();
        writer = tokio::task::block_in_place(|| Writer::start(&folder, &[]));
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    done.store(true, Ordering::Relaxed);
    let mut acknowledged = Acknowledged::new();
    while let Some(entries) = callers.join_next().await {
        for (index, entry) in entries.unwrap() {
            let twice = acknowledged.insert(index, entry);
            assert_eq!(twice, None, "index {index} was given twice");
        }
    }
    assert!(writer.stop());

    let bodies = checked(&folder);
    // Every entry that was made was acknowledged in the end, so that there are as many and no more.
    assert_eq!(acknowledged.len(), bodies.len());
    assert_eq!(made.load(Ordering::Relaxed), bodies.len() as u64);
    assert!(bodies.len() > KILLS * 10, "only {} entries", bodies.len());
    let mut next: BTreeMap<String, u64> = BTreeMap::new();
    for (index, body) in (0_u64..).zip(&bodies) {
        let (producer, sequence, content) = &acknowledged[&index];
        assert_eq!(body["producer"], **producer);
        assert_eq!(body["sequence"], *sequence);
        assert_eq!(body["content"], base64url::encode(content));
        let next = next.entry(producer.clone()).or_default();
        assert_eq!(*sequence, *next, "a gap of {producer}");
        *next += 1;
    }
    assert_eq!(next.len(), 2);
}
