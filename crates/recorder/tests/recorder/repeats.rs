use chancery_api::append::{AppendClient, AppendOptions};
use serde_json::json;

use crate::support::{Raw, Serving, options, run};

#[test]
fn entries_stand_in_order_with_who_sent_them() {
    run(async {
        let serving = Serving::start().await;
        let (one, other) = (serving.client("one").await, serving.client("other").await);
        assert_eq!(one.producer(), "owner/one");
        assert_eq!(one.append("a").await.unwrap().index, 0);
        assert_eq!(other.append("b").await.unwrap().index, 1);
        let last = one.append("c").await.unwrap();
        assert_eq!((last.sequence, last.index, last.covered), (1, 2, 0));
        let entries = serving.entries();
        let bodies: Vec<_> = entries.iter().map(|entry| entry["body"].clone()).collect();
        let body = |producer: &str, sequence: u64, content: &str| json!({"producer": producer, "sequence": sequence, "content": content});
        assert_eq!(
            bodies,
            [
                body("owner/one", 0, "YQ"),
                body("owner/other", 0, "Yg"),
                body("owner/one", 1, "Yw"),
            ]
        );
        assert_eq!(entries[0]["type"], "producer.entry");
        assert_eq!(entries[0]["origin"], crate::support::ORIGIN);
    });
}

#[test]
fn what_is_sent_again_is_there_once() {
    run(async {
        let serving = Serving::start().await;
        let (mut raw, opened) = Raw::open(&serving, "a").await;
        assert_eq!(opened.next, 0);
        raw.send(0, &[b"x", b"y"]).await;
        raw.send(0, &[b"x", b"y", b"z"]).await;
        raw.send(1, &[b"y"]).await;
        assert_eq!(raw.acknowledged().await.indices, [0, 1]);
        assert_eq!(raw.acknowledged().await.indices, [0, 1, 2]);
        assert_eq!(raw.acknowledged().await.indices, [1]);
        assert_eq!(serving.entries().len(), 3);
    });
}

#[test]
fn a_gap_and_another_entry_are_refused_and_nothing_of_the_batch_is_taken() {
    run(async {
        for (first, entries, expected) in [
            (3, vec![&b"d"[..]], "append_gap"),
            (u64::MAX, vec![b"d"], "append_gap"),
            (0, vec![b"a", b"X", b"c"], "append_changed"),
            (1, vec![b"X"], "append_changed"),
        ] {
            let serving = Serving::start().await;
            let (mut raw, _) = Raw::open(&serving, "a").await;
            raw.send(0, &[b"a", b"b"]).await;
            raw.send(first, &entries).await;
            // What came before is acknowledged all the same.
            assert_eq!(raw.acknowledged().await.indices, [0, 1]);
            assert_eq!(raw.refused().await, expected);
            assert_eq!(serving.entries().len(), 2);
        }
    });
}

#[test]
fn a_client_that_begins_below_what_is_there_repeats() {
    run(async {
        let serving = Serving::start().await;
        let first = serving.client("a").await;
        for content in ["1", "2", "3"] {
            first.append(content).await.unwrap();
        }
        let again = |first| AppendOptions {
            first: Some(first),
            ..options(serving.owner("a"))
        };
        let second = AppendClient::connect(again(1)).await.unwrap();
        assert_eq!(second.append("2").await.unwrap().index, 1);
        assert_eq!(second.append("3").await.unwrap().index, 2);
        assert_eq!(second.append("4").await.unwrap().index, 3);
        assert!(AppendClient::connect(again(5)).await.is_err());
        assert_eq!(serving.entries().len(), 4);
    });
}

#[test]
fn a_producer_has_one_stream_and_the_last_one_opened_is_it() {
    run(async {
        let serving = Serving::start().await;
        let (mut old, _) = Raw::open(&serving, "a").await;
        old.send(0, &[b"x"]).await;
        old.acknowledged().await;
        let (mut new, opened) = Raw::open(&serving, "a").await;
        assert_eq!(opened.next, 1);
        assert_eq!(old.refused().await, "append_superseded");
        new.send(1, &[b"y"]).await;
        assert_eq!(new.acknowledged().await.indices, [1]);
        // Another producer's is not touched.
        let (mut other, _) = Raw::open(&serving, "b").await;
        other.send(0, &[b"z"]).await;
        assert_eq!(other.acknowledged().await.indices, [2]);
        new.send(2, &[b"w"]).await;
        assert_eq!(new.acknowledged().await.indices, [3]);
    });
}
