use std::time::Duration;

use bytes::Bytes;
use chancery_api::append::AppendError;
use chancery_api::pb::append::append_request::Message as Said;
use chancery_api::pb::append::{AppendRequest, Batch};

use crate::support::{Raw, Serving, run};

const MOST: usize = 32_768;

#[test]
fn what_is_too_large_or_nothing_is_refused() {
    run(async {
        let (large, largest) = (vec![b'x'; MOST + 1], vec![b'x'; MOST]);
        let many = vec![&b"x"[..]; 1_025];
        let heavy = vec![&largest[..]; 33];
        for (entries, expected) in [
            (vec![], "append_batch_size"),
            (vec![&b""[..]], "append_entry_size"),
            (vec![b"x", b""], "append_entry_size"),
            (vec![&large[..]], "append_entry_size"),
            (many, "append_batch_size"),
            (heavy, "append_batch_size"),
            // More than a message may have at all.
            (vec![&largest[..]; 40], "append_batch_size"),
        ] {
            let serving = Serving::start().await;
            let (mut raw, _) = Raw::open(&serving, "a").await;
            raw.send(0, &entries).await;
            assert_eq!(raw.refused().await, expected);
            assert!(serving.entries().is_empty());
        }
    });
}

#[test]
fn what_is_just_small_enough_is_taken() {
    run(async {
        let serving = Serving::start().await;
        let (mut raw, _) = Raw::open(&serving, "a").await;
        let largest = vec![b'x'; MOST];
        raw.send(0, &vec![&largest[..]; 32]).await;
        assert_eq!(raw.acknowledged().await.indices.len(), 32);
        raw.send(32, &vec![&b"x"[..]; 1_024]).await;
        assert_eq!(raw.acknowledged().await.indices.len(), 1_024);
        let client = serving.client("b").await;
        for content in [vec![], vec![0; MOST + 1]] {
            assert_eq!(client.append(content).await, Err(AppendError::Size));
        }
        client.append(largest).await.unwrap();
    });
}

/// Who does not read what is acknowledged is not read from either, and keeps nobody else from appending.
#[test]
fn a_producer_that_reads_nothing_is_not_read_for_ever() {
    // The buffers on the way hold what acknowledges a quarter of these.
    const BATCHES: u64 = 1_000;
    run(async {
        let serving = Serving::start().await;
        let (mut slow, _) = Raw::open(&serving, "slow").await;
        let requests = slow.requests.clone();
        let sending = tokio::spawn(async move {
            for batch in 0..BATCHES {
                let first = batch * 1_024;
                let entries = vec![Bytes::from_static(b"an entry"); 1_024];
                let message = Some(Said::Batch(Batch { first, entries }));
                requests.send(AppendRequest { message }).await.unwrap();
            }
        });
        let mut stalled = 0;
        loop {
            tokio::time::sleep(Duration::from_secs(3)).await;
            let size = serving.recorder.journal().size();
            if size == stalled {
                break;
            }
            stalled = size;
        }
        assert!(
            stalled < BATCHES * 1_024,
            "all was taken of who reads nothing"
        );
        let other = serving.client("other").await;
        other.append("x").await.unwrap();
        // Once it reads, it is read again.
        let mut acknowledged = 0;
        while acknowledged <= stalled + 10_240 {
            let some = slow.acknowledged().await;
            assert_eq!(some.first, acknowledged);
            acknowledged += some.indices.len() as u64;
        }
        sending.abort();
    });
}

#[test]
fn entries_of_many_callers_at_once_are_each_there_once() {
    run(async {
        let serving = Serving::start().await;
        let mut tasks = tokio::task::JoinSet::new();
        for producer in 0..8 {
            let client = serving.client(&format!("p{producer}")).await;
            for number in 0..300 {
                let client = client.clone();
                tasks.spawn(async move {
                    let content = format!("{producer} {number}");
                    (content.clone(), client.append(content).await.unwrap())
                });
            }
        }
        let mut indices = std::collections::BTreeMap::new();
        while let Some(done) = tasks.join_next().await {
            let (content, appended) = done.unwrap();
            assert_eq!(indices.insert(appended.index, content), None);
        }
        assert_eq!(indices.len(), 2_400);
        for (index, content) in indices {
            let bytes = serving.recorder.journal().read_entry(index).unwrap();
            let entry = chancery_audit::Entry::parse(&bytes).unwrap();
            let chancery_audit::Event::ProducerEntry(entry) = entry.event else {
                continue;
            };
            assert_eq!(entry.content.as_bytes(), content.as_bytes());
        }
    });
}
