//! What a journal promises while nothing fails, and what it refuses.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use chancery_crypto::AwsLc;
use chancery_journal::{
    AppendError, CheckpointSigner, Config, Journal, JournalError, LocalSigner, LocalSignerError,
    PublishError, Reader, SignError,
};
use chancery_tlog::{
    Checkpoint, NoteSignature, Origin, RatchetError, TreeHash, tiles_for, verify_checkpoint_exact,
};

const ORIGIN: &str = "td.example/log/gateway";

fn origin() -> Origin {
    ORIGIN.parse().unwrap()
}

fn signer(dir: &Path) -> Arc<LocalSigner> {
    Arc::new(LocalSigner::open_or_create(&dir.join("signer"), &origin()).unwrap())
}

/// Publishes only when told.
fn config(dir: &Path) -> Config {
    let mut config = Config::new(dir.join("log"), origin());
    config.publish_interval = Duration::from_secs(3_600);
    config.segment_bytes = 1 << 17;
    config
}

fn open(dir: &Path, signer: &Arc<LocalSigner>) -> Journal {
    Journal::open(config(dir), Arc::clone(signer) as Arc<dyn CheckpointSigner>).unwrap()
}

fn entry(index: u64) -> Vec<u8> {
    format!("entry {index} {}", "y".repeat(index as usize % 300)).into_bytes()
}

async fn fill(journal: &Journal, range: std::ops::Range<u64>) {
    let entries = range.clone().map(entry).collect();
    let indices = journal.append_all(entries).await.unwrap();
    assert!(indices.into_iter().eq(range));
}

#[tokio::test]
async fn what_is_submitted_together_stands_together_and_all_or_none_is_taken() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path(), &signer(dir.path()));
    assert!(journal.submit_all(Vec::new()).await.unwrap().is_empty());
    let large = vec![entry(0), vec![0; 1 << 17], entry(1)];
    let large = journal.submit_all(large).await;
    assert!(matches!(large, Err(AppendError::TooLarge(_))));
    // More than wait at once.
    let count = 20_000;
    let (one, two) = tokio::join!(
        journal.submit_all((0..count).map(entry).collect()),
        journal.submit_all(vec![entry(7); 3])
    );
    for (number, one) in (0..).zip(one.unwrap()) {
        let index = one.durable().await.unwrap();
        assert_eq!(journal.read_entry(index).unwrap(), entry(number));
    }
    let mut indices = Vec::new();
    for one in two.unwrap() {
        indices.push(one.durable().await.unwrap());
    }
    assert!(
        indices.is_sorted_by(|one, next| one + 1 == *next),
        "{indices:?}"
    );
    assert_eq!(journal.size(), count + 3);
}

#[tokio::test]
async fn what_is_submitted_stands_in_its_order_whoever_waits_first() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path(), &signer(dir.path()));
    let mut waiting = Vec::new();
    for index in 0..300 {
        waiting.push(journal.submit(entry(index)).await.unwrap());
    }
    // Nobody waits for the first one, and the last one is waited for first.
    drop(waiting.remove(0));
    for (index, one) in (1_u32..300).zip(waiting).rev() {
        assert_eq!(one.durable().await.unwrap(), u64::from(index));
    }
    for index in 0..300 {
        assert_eq!(journal.read_entry(index).unwrap(), entry(index));
    }
    let large = journal.submit(vec![0; 1 << 17]).await;
    assert!(matches!(large, Err(AppendError::TooLarge(_))));
    assert_eq!(journal.append(entry(300)).await.unwrap(), 300);
}

#[tokio::test]
async fn appends_publishes_and_proves() {
    let folder = tempfile::tempdir().unwrap();
    let signer = signer(folder.path());
    let journal = open(folder.path(), &signer);
    assert_eq!(journal.published().unwrap().checkpoint.size, 0);
    assert_eq!(journal.append(entry(0)).await, Ok(0));
    fill(&journal, 1..700).await;
    assert_eq!(journal.size(), 700);
    assert_eq!(journal.published().unwrap().checkpoint.size, 0);
    let published = journal.publish().await.unwrap();
    assert_eq!(journal.publish().await.unwrap(), published);
    let verified = verify_checkpoint_exact(published.note.as_bytes(), signer.keys(), &AwsLc);
    assert_eq!(verified.as_ref().unwrap().size(), 700);
    assert!(verified.unwrap().timestamp().is_some());
    for index in [0, 255, 256, 511, 512, 699] {
        let proof = journal.reader().proof_file(index).unwrap();
        let read = chancery_tlog::TlogProof::parse(proof.to_string().as_bytes()).unwrap();
        let proved = read.verify(&entry(index), signer.keys(), &AwsLc).unwrap();
        assert_eq!(proved.index(), index);
    }
    assert!(matches!(
        journal.reader().proof_file(700),
        Err(JournalError::OutOfRange {
            asked: 700,
            size: 700
        })
    ));
}

#[tokio::test]
async fn a_receipt_comes_with_the_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let signer = signer(folder.path());
    let journal = open(folder.path(), &signer);
    fill(&journal, 0..4).await;
    let receipt = journal.receipt(3);
    tokio::pin!(receipt);
    // Durable is not published: nothing comes before a checkpoint does.
    let early = tokio::time::timeout(Duration::from_millis(50), &mut receipt).await;
    assert!(early.is_err(), "{early:?}");
    let published = journal.publish().await.unwrap();
    let proof = receipt.await.unwrap();
    assert_eq!((proof.index, &proof.checkpoint), (3, &published.note));
    let proved = proof.verify(&entry(3), signer.keys(), &AwsLc);
    assert_eq!(proved.unwrap().index(), 3);
    assert!(proof.verify(&entry(4), signer.keys(), &AwsLc).is_err());
    // One that is covered already is there at once; one that nobody appended is not.
    assert_eq!(journal.receipt(0).await.unwrap().index, 0);
    let never = tokio::time::timeout(Duration::from_millis(50), journal.receipt(4)).await;
    assert!(never.is_err());
}

#[tokio::test]
async fn receipts_come_with_the_interval() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path());
    config.publish_interval = Duration::from_millis(20);
    let journal = Journal::open(config, signer(folder.path())).unwrap();
    fill(&journal, 0..2).await;
    let (first, second) = tokio::join!(journal.receipt(0), journal.receipt(1));
    assert_eq!((first.unwrap().index, second.unwrap().index), (0, 1));
}

#[tokio::test]
async fn reads_across_tiles_and_memory() {
    let folder = tempfile::tempdir().unwrap();
    let signer = signer(folder.path());
    let journal = open(folder.path(), &signer);
    for (tiled, all) in [(0, 3), (3, 300), (300, 513), (513, 700)] {
        assert_eq!(journal.publish().await.unwrap().checkpoint.size, tiled);
        fill(&journal, tiled..all).await;
        let range = |range| {
            let found: Result<Vec<_>, _> = journal.entries(range).collect();
            found.unwrap()
        };
        let expected: Vec<_> = (0..all).map(|index| (index, entry(index))).collect();
        assert_eq!(range(0..u64::MAX), expected);
        for start in [
            0,
            1,
            tiled.saturating_sub(1),
            tiled,
            tiled + 1,
            all - 1,
            all,
        ] {
            let tail: Vec<_> = (start..all).map(|index| (index, entry(index))).collect();
            assert_eq!(range(start..all), tail, "{start}..{all}");
        }
        assert!(range(all..all + 9).is_empty());
        assert!(range(all + 5..all + 9).is_empty());
        assert_eq!(range(1..2), [(1, entry(1))]);
        assert_eq!(journal.read_entry(all - 1).unwrap(), entry(all - 1));
        assert!(matches!(
            journal.read_entry(all),
            Err(JournalError::OutOfRange { .. })
        ));
    }
    let reader = Reader::open(&folder.path().join("log")).unwrap();
    assert_eq!(reader.read_entry(512).unwrap(), entry(512));
    assert!(reader.read_entry(513).is_err());
    assert_eq!(reader.entries(510..u64::MAX).unwrap().count(), 3);
}

#[tokio::test]
async fn the_directory_is_a_tiled_log() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(folder.path(), &signer(folder.path()));
    fill(&journal, 0..100).await;
    journal.publish().await.unwrap();
    fill(&journal, 100..200).await;
    journal.publish().await.unwrap();
    let log = folder.path().join("log");
    for size in [100, 200] {
        for path in tiles_for(size) {
            assert!(log.join(path.to_string()).exists(), "{path} at {size}");
        }
    }
    fill(&journal, 200..600).await;
    journal.publish().await.unwrap();
    for path in tiles_for(600) {
        assert!(log.join(path.to_string()).exists(), "{path}");
    }
    assert!(!log.join("tile/0/000.p").exists());
    assert!(!log.join("tile/entries/000.p").exists());
    let reader = journal.reader();
    for path in tiles_for(100) {
        assert!(!reader.resource(&path).unwrap().is_empty(), "{path}");
    }
    assert_eq!(reader.audit().unwrap().unwrap().size, 600);
}

#[tokio::test]
async fn publishes_by_itself_and_frees_segments() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path());
    config.publish_interval = Duration::from_millis(10);
    let journal = Journal::open(config, signer(folder.path())).unwrap();
    for _ in 0..12 {
        let entries = (0..40).map(|byte| vec![byte; 5_000]).collect();
        journal.append_all(entries).await.unwrap();
    }
    for _ in 0..500 {
        tokio::time::sleep(Duration::from_millis(10)).await;
        if journal
            .published()
            .is_some_and(|p| p.checkpoint.size == 480)
        {
            break;
        }
    }
    assert_eq!(journal.published().unwrap().checkpoint.size, 480);
    let names = || {
        let items = std::fs::read_dir(folder.path().join("log/wal")).unwrap();
        let names = items.map(|item| item.unwrap().file_name().into_string().unwrap());
        names.collect::<Vec<_>>()
    };
    // The segment that the log began with is free, and those after it are used again.
    assert!(
        !names().iter().any(|name| name.ends_with(".wal")),
        "{:?}",
        names()
    );
    let before = names().len();
    assert!(before > 2, "{:?}", names());
    for _ in 0..4 {
        let entries = (0..40).map(|byte| vec![byte; 5_000]).collect();
        journal.append_all(entries).await.unwrap();
    }
    journal.publish().await.unwrap();
    assert!(names().len() <= before + 1, "{:?}", names());
}

#[tokio::test]
async fn waits_where_memory_is_short() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path());
    config.max_pending_bytes = 10_000;
    let journal = Journal::open(config, signer(folder.path())).unwrap();
    for _ in 0..20 {
        journal.append(vec![7; 4_000]).await.unwrap();
    }
    assert_eq!(journal.size(), 20);
    assert_eq!(journal.entries(0..20).count(), 20);
}

#[tokio::test]
async fn refuses_what_is_too_large_before_it_gets_an_index() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(folder.path(), &signer(folder.path()));
    assert!(matches!(
        journal.append(vec![0; 65_536]).await,
        Err(AppendError::TooLarge(_))
    ));
    assert!(matches!(
        journal.append_all(vec![vec![], vec![0; 65_536]]).await,
        Err(AppendError::TooLarge(_))
    ));
    assert_eq!(journal.size(), 0);
    assert_eq!(journal.append(vec![7; 65_535]).await, Ok(0));
    assert_eq!(journal.append(Vec::new()).await, Ok(1));
    journal.publish().await.unwrap();
    assert_eq!(journal.read_entry(0).unwrap(), vec![7; 65_535]);
    assert_eq!(journal.read_entry(1).unwrap(), b"");
}

#[tokio::test]
async fn one_writer_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let signer = signer(folder.path());
    let journal = open(folder.path(), &signer);
    let second = Journal::open(config(folder.path()), Arc::clone(&signer) as _).unwrap_err();
    assert!(matches!(second, JournalError::Locked { .. }));
    assert!(second.to_string().contains("another process"), "{second}");
    let second = LocalSigner::open_or_create(&folder.path().join("signer"), &origin());
    assert!(matches!(
        second,
        Err(LocalSignerError::Directory(JournalError::Locked { .. }))
    ));
    drop(journal);
    drop(open(folder.path(), &signer));
}

#[test]
fn settings_are_checked() {
    let folder = tempfile::tempdir().unwrap();
    let signer = signer(folder.path());
    let open = |config| Journal::open(config, Arc::clone(&signer) as _);
    for bytes in [0, 4_096, 69_632, 73_729] {
        let mut config = config(folder.path());
        config.segment_bytes = bytes;
        assert!(
            matches!(open(config), Err(JournalError::Config(_))),
            "{bytes}"
        );
    }
    let mut smallest = config(folder.path());
    smallest.segment_bytes = 73_728;
    let journal = open(smallest).unwrap();
    journal.append_blocking(vec![1; 65_535]).unwrap();
    journal.append_blocking(vec![2; 65_535]).unwrap();
    assert_eq!(journal.size(), 2);
    let mut never = config(folder.path());
    never.publish_interval = Duration::ZERO;
    assert!(matches!(open(never), Err(JournalError::Config(_))));
    let mut other = config(folder.path());
    other.origin = "other".parse().unwrap();
    assert!(matches!(open(other), Err(JournalError::Config(_))));
    assert!(Config::of_existing(folder.path()).is_err());
    let found = Config::of_existing(&folder.path().join("log")).unwrap();
    assert_eq!(found.origin, origin());
}

#[tokio::test]
async fn exports_exactly_what_a_size_needs() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(folder.path(), &signer(folder.path()));
    fill(&journal, 0..300).await;
    let note = journal.publish().await.unwrap().note;
    fill(&journal, 300..800).await;
    journal.publish().await.unwrap();
    let target = folder.path().join("evidence");
    let exported = journal.reader().export(&note, &target).unwrap();
    assert_eq!(exported.checkpoint.size, 300);
    assert_eq!(exported.files, tiles_for(300).count() as u64 + 1);
    let mut found = Vec::new();
    list(&target, &target, &mut found);
    found.sort();
    let mut expected: Vec<_> = tiles_for(300).map(|path| path.to_string()).collect();
    expected.push("checkpoint".to_owned());
    expected.sort();
    assert_eq!(found, expected);
    assert!(journal.reader().export(&note, &target).is_err());
    let other = note.replace("gateway", "server");
    let target = folder.path().join("other");
    assert!(journal.reader().export(&other, &target).is_err());
    let forged = note.replace("\n300\n", "\n301\n");
    assert!(journal.reader().export(&forged, &target).is_err());
    assert!(!target.exists());
}

fn list(root: &Path, folder: &Path, found: &mut Vec<String>) {
    for item in std::fs::read_dir(folder).unwrap() {
        let path = item.unwrap().path();
        if path.is_dir() {
            list(root, &path, found);
        } else {
            let name = path.strip_prefix(root).unwrap();
            found.push(name.to_str().unwrap().to_owned());
        }
    }
}

/// A signer that cannot be reached.
struct Away(Origin);

impl CheckpointSigner for Away {
    fn origin(&self) -> &Origin {
        &self.0
    }

    fn last_signed(&self) -> Result<Option<Checkpoint>, SignError> {
        Err(SignError::Unavailable("no answer".into()))
    }

    fn sign(&self, _: &str, _: &[TreeHash]) -> Result<Vec<NoteSignature>, SignError> {
        Err(SignError::Unavailable("no answer".into()))
    }
}

#[tokio::test]
async fn a_signer_that_is_away_delays_checkpoints_only() {
    let folder = tempfile::tempdir().unwrap();
    for start in [0, 400, 800] {
        let journal = Journal::open(config(folder.path()), Arc::new(Away(origin()))).unwrap();
        assert_eq!(journal.size(), start);
        fill(&journal, start..start + 200).await;
        let refusal = journal.publish().await.unwrap_err();
        assert!(matches!(
            refusal,
            PublishError::Sign(SignError::Unavailable(_))
        ));
        fill(&journal, start + 200..start + 400).await;
        assert_eq!(journal.entries(0..u64::MAX).count() as u64, start + 400);
    }
    let journal = open(folder.path(), &signer(folder.path()));
    assert_eq!(journal.published().unwrap().checkpoint.size, 1_200);
    assert_eq!(journal.reader().audit().unwrap().unwrap().size, 1_200);
}

#[tokio::test]
async fn the_ratchet_holds_across_restarts() {
    let folder = tempfile::tempdir().unwrap();
    let first = signer(folder.path());
    let journal = open(folder.path(), &first);
    fill(&journal, 0..10).await;
    let ten = journal.publish().await.unwrap().checkpoint;
    fill(&journal, 10..20).await;
    let twenty = journal.publish().await.unwrap().checkpoint;
    let growth = journal.reader().prove_consistency(10, 20).unwrap();
    drop(journal);
    drop(first);
    let again = signer(folder.path());
    assert_eq!(again.last_signed().unwrap(), Some(twenty.clone()));
    assert!(again.sign(&twenty.to_string(), &[]).is_ok());
    let refused = |checkpoint: &Checkpoint, proof: &[TreeHash]| match again
        .sign(&checkpoint.to_string(), proof)
        .unwrap_err()
    {
        SignError::Refused(refusal) => refusal,
        other => panic!("{other}"),
    };
    assert!(matches!(
        refused(&ten, &growth),
        RatchetError::Smaller {
            signed: 20,
            offered: 10
        }
    ));
    let fork = Checkpoint {
        root: ten.root,
        ..twenty.clone()
    };
    assert_eq!(refused(&fork, &[]), RatchetError::Forked(20));
    let grown = Checkpoint {
        size: 21,
        ..twenty.clone()
    };
    assert!(matches!(
        refused(&grown, &growth),
        RatchetError::Inconsistent { signed: 20, .. }
    ));
    let other = Checkpoint {
        origin: "other".parse().unwrap(),
        ..twenty.clone()
    };
    assert_eq!(refused(&other, &[]), RatchetError::Origin);
    assert!(matches!(
        again.sign("no checkpoint\n", &[]),
        Err(SignError::Text(_))
    ));
    assert_eq!(again.last_signed().unwrap(), Some(twenty));
}

#[test]
fn a_signer_needs_all_its_files() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("signer");
    drop(signer(folder.path()));
    let open = || LocalSigner::open_or_create(&dir, &origin());
    drop(open().unwrap());
    let ratchet = std::fs::read(dir.join("ratchet")).unwrap();
    let mut changed = ratchet.clone();
    if let Some(byte) = changed.get_mut(30) {
        *byte ^= 1;
    }
    std::fs::write(dir.join("ratchet"), changed).unwrap();
    assert!(matches!(open(), Err(LocalSignerError::Ratchet { .. })));
    std::fs::remove_file(dir.join("ratchet")).unwrap();
    let refusal = open().unwrap_err();
    assert!(matches!(refusal, LocalSignerError::RatchetMissing { .. }));
    assert!(refusal.to_string().contains("restore it"), "{refusal}");
    std::fs::write(dir.join("ratchet"), ratchet).unwrap();
    std::fs::write(dir.join("ml-dsa-44.seed"), [1; 32]).unwrap();
    assert!(matches!(open(), Err(LocalSignerError::Ratchet { .. })));
    std::fs::remove_file(dir.join("ml-dsa-44.seed")).unwrap();
    assert!(matches!(open(), Err(LocalSignerError::KeyFile(_))));
}
