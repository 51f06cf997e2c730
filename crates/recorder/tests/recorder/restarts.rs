use std::fs;

use chancery_api::append::{AppendClient, AppendError};
use chancery_recorder::{MemoryError, Recorder, RecorderError};

use crate::support::{Raw, Serving, now, options, reopened, run};

#[test]
fn what_was_sent_before_a_restart_is_known_after_it() {
    run(async {
        let serving = Serving::start().await;
        let client = serving.client("a").await;
        client.append("1").await.unwrap();
        client.append("2").await.unwrap();
        drop(client);
        let serving = serving.restart().await;
        let (mut raw, opened) = Raw::open(&serving, "a").await;
        assert_eq!(opened.next, 2);
        raw.send(0, &[b"1", b"2", b"3"]).await;
        assert_eq!(raw.acknowledged().await.indices, [0, 1, 2]);
        raw.send(1, &[b"X"]).await;
        assert_eq!(raw.refused().await, "append_changed");
    });
}

#[test]
fn a_client_goes_on_after_a_restart() {
    run(async {
        let serving = Serving::start().await;
        let client = serving.client("a").await;
        client.append("1").await.unwrap();
        let serving = serving.restart().await;
        assert_eq!(client.append("2").await.unwrap().index, 1);
        assert_eq!(serving.entries().len(), 2);
    });
}

/// What is remembered beside the log is a shortcut: without it the log itself says the same.
#[test]
fn without_its_memory_the_log_is_read() {
    run(async {
        let serving = Serving::start().await;
        let client = serving.client("a").await;
        for content in ["1", "2", "3"] {
            client.append(content).await.unwrap();
        }
        drop(client);
        let serving = serving.restart().await;
        let folder = serving.end().await;
        let memory = folder.path().join("producers");
        let kept = fs::read(&memory).unwrap();
        fs::remove_file(&memory).unwrap();
        let recorder =
            Recorder::open(reopened(folder.path()).await, folder.path(), false, now).unwrap();
        recorder.close().await.unwrap();
        let made: serde_json::Value = serde_json::from_slice(&fs::read(&memory).unwrap()).unwrap();
        let kept: serde_json::Value = serde_json::from_slice(&kept).unwrap();
        assert_eq!(made, kept);
    });
}

/// A memory that is not of this log, or of less than it, is not gone by.
#[test]
fn a_memory_that_is_not_the_logs_is_refused() {
    run(async {
        let serving = Serving::start().await;
        let client = serving.client("a").await;
        for content in ["1", "2", "3"] {
            client.append(content).await.unwrap();
        }
        drop(client);
        let serving = serving.restart().await;
        let folder = serving.end().await;
        let memory = folder.path().join("producers");
        let kept = fs::read_to_string(&memory).unwrap();
        let replaced = |from: &str, to: &str| {
            assert!(kept.contains(from), "{from}");
            kept.replace(from, to)
        };
        for (written, rolled_back) in [
            (replaced("\"size\":3", "\"size\":4"), true),
            (replaced("\"size\":3", "\"size\":2"), false),
            (replaced("\"next\":3", "\"next\":2"), false),
            (replaced("\"v\":1", "\"v\":2"), false),
            (replaced("td.example", "other.example"), false),
            (replaced("\"last\":\"sha256:", "\"last\":\"sha256:0"), false),
            (replaced("\"recent\":\"AAAA", "\"recent\":\"AAAB"), false),
            (kept.replacen('{', "{\"more\":1,", 1), false),
            (kept.get(..kept.len() / 2).unwrap().to_owned(), false),
            (String::new(), false),
        ] {
            fs::write(&memory, &written).unwrap();
            let opened = Recorder::open(reopened(folder.path()).await, folder.path(), false, now);
            let Err(RecorderError::Memory(error)) = opened else {
                assert!(opened.is_err(), "taken: {written}");
                continue;
            };
            match error {
                MemoryError::RolledBack { .. } => assert!(rolled_back, "{written}"),
                error => assert!(
                    !rolled_back && matches!(error, MemoryError::Malformed { .. }),
                    "{error}: {written}"
                ),
            }
        }
    });
}

#[test]
fn a_log_of_something_else_is_refused() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let other = reopened(folder.path()).await;
        other.append(b"something else".to_vec()).await.unwrap();
        let opened = Recorder::open(other, folder.path(), false, now);
        let error = opened.err().unwrap();
        assert!(
            matches!(
                error,
                RecorderError::Memory(MemoryError::Foreign { index: 0, .. })
            ),
            "{error}"
        );
    });
}

#[test]
fn a_log_that_is_closed_takes_nothing() {
    run(async {
        let serving = Serving::start().await;
        let mut options = options(serving.owner("a"));
        options.patience = std::time::Duration::from_millis(300);
        let client = AppendClient::connect(options).await.unwrap();
        client.append("1").await.unwrap();
        serving.recorder.close().await.unwrap();
        // It may be another process in a moment: the client tries again, until its patience ends.
        let error = client.append("2").await.unwrap_err();
        assert!(matches!(error, AppendError::Unreachable { .. }), "{error}");
        let (mut raw, opened) = Raw::open(&serving, "a").await;
        assert_eq!(opened.next, 1);
        assert_eq!(raw.refused().await, "append_closed");
        assert_eq!(serving.entries().len(), 1);
    });
}
