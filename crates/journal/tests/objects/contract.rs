//! What a log promises, wherever it is kept.

use std::sync::Arc;
use std::time::Duration;

use chancery_journal::JournalError;
use object_store::memory::InMemory;

use crate::place::{Keys, Place};
use crate::server::S3Server;

type Contract = fn(&dyn Fn() -> Place);

const CONTRACTS: [(&str, Contract); 4] = [
    ("acknowledged", what_is_acknowledged_is_there_again),
    ("second", a_second_writer_is_refused),
    ("another", another_log_is_refused),
    ("restarts", restarts_go_on_and_on),
];

fn entry(number: usize) -> Vec<u8> {
    format!("{number} {}", "x".repeat(number * 37 % 1_500)).into_bytes()
}

fn what_is_acknowledged_is_there_again(place: &dyn Fn() -> Place) {
    let keys = Keys::new();
    let journal = place().open(&keys).unwrap();
    // More than a tile, and more than a segment of the write-ahead log.
    for number in 0..300 {
        assert_eq!(
            journal.append_blocking(entry(number)).unwrap(),
            number as u64
        );
    }
    drop(journal);
    let again = place();
    let journal = again.open(&keys).unwrap();
    assert_eq!(journal.size(), 300);
    for number in (0..300).step_by(13) {
        assert_eq!(journal.read_entry(number as u64).unwrap(), entry(number));
    }
    let reader = place().reader();
    let checkpoint = keys.verify(&reader);
    assert_eq!(checkpoint.size(), 300);
    assert_eq!(
        reader.audit().unwrap().as_ref(),
        Some(checkpoint.checkpoint())
    );
    assert_eq!(reader.durable_size().unwrap(), 300);
    let proof = reader.prove_inclusion(0, 300).unwrap();
    checkpoint.verify_inclusion(0, &entry(0), &proof).unwrap();
}

fn a_second_writer_is_refused(place: &dyn Fn() -> Place) {
    let keys = Keys::new();
    let first = place().open(&keys).unwrap();
    let second = place().open(&keys);
    assert!(
        matches!(second, Err(JournalError::Locked { .. })),
        "{second:?}"
    );
    first.append_blocking(entry(1)).unwrap();
    drop(first);
    assert_eq!(place().open(&keys).unwrap().size(), 1);
}

fn another_log_is_refused(place: &dyn Fn() -> Place) {
    let keys = Keys::new();
    drop(place().open(&keys).unwrap());
    let mut other = chancery_journal::Config::new(
        format!("{}/log", place().dir),
        "td.example/log/other".parse().unwrap(),
    );
    other.storage = place().storage;
    let folder = tempfile::tempdir().unwrap();
    let signer =
        chancery_journal::LocalSigner::open_or_create(folder.path(), &other.origin).unwrap();
    let opened = chancery_journal::Journal::open(other, Arc::new(signer));
    assert!(
        matches!(opened, Err(JournalError::Origin { .. })),
        "{opened:?}"
    );
}

fn restarts_go_on_and_on(place: &dyn Fn() -> Place) {
    let keys = Keys::new();
    let mut older = None;
    for round in 0..3 {
        let here = place();
        let journal = here
            .publishing_every(&keys, Duration::from_millis(20))
            .unwrap();
        assert_eq!(journal.size(), round * 40);
        for number in 0..40 {
            let index = journal.append_blocking(entry(number)).unwrap();
            assert_eq!(index, round * 40 + number as u64);
        }
        journal.publish_blocking().unwrap();
        let reader = journal.reader();
        let newer = keys.verify(reader);
        assert_eq!(newer.size(), (round + 1) * 40);
        if let Some(older) = older {
            let proof = reader.prove_consistency(round * 40, newer.size()).unwrap();
            newer.verify_consistency(&older, &proof).unwrap();
        }
        older = Some(newer);
    }
}

#[test]
fn on_a_local_disk() {
    for (_, contract) in CONTRACTS {
        let folder = tempfile::tempdir().unwrap();
        contract(&|| Place::local(folder.path()));
    }
}

#[test]
fn in_memory() {
    for (name, contract) in CONTRACTS {
        let store = Arc::new(InMemory::new());
        contract(&|| Place::objects(store.clone(), name));
    }
}

#[test]
fn in_a_real_s3_server() {
    let Some(server) = S3Server::start() else {
        return;
    };
    for (name, contract) in CONTRACTS {
        contract(&|| Place::objects(server.store(), name));
    }
}
