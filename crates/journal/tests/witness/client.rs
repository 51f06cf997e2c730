//! C1 to C5: what a log does with what its witnesses answer.

use std::os::unix::fs::PermissionsExt as _;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use chancery_crypto::AwsLc;
use chancery_journal::{
    AcknowledgeError, Acknowledgement, CheckpointSigner as _, Journal, JournalError, LogAlarm,
    PublishError, Unwitnessed, Witness, WitnessSetupError,
};
use chancery_tlog::{
    AddCheckpoint, LogPolicy, MAX_NOTE_SIGNATURES, MAX_PROOF_HASHES, Note, NoteSignature,
    verify_checkpoint_cosigned, verify_checkpoint_exact,
};
use serde_json::Value;

use crate::scripted::{Reply, Request, Scripted, conflict, text};
use crate::world::{Place, Served, fill, forged, now, policy, witness};

/// A real witness, its answers made by hand.
struct Hand {
    _folder: tempfile::TempDir,
    witness: Arc<Witness>,
}

impl Hand {
    fn new(place: &Place) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self {
            witness: witness(&folder.path().join("w"), place.known()),
            _folder: folder,
        }
    }

    /// What the witness itself would answer.
    fn answer(witness: &Witness, request: &Request) -> Reply {
        if !request.is_add() {
            return text(404, "");
        }
        match witness.add_checkpoint(request.body.as_bytes(), now()) {
            Ok(lines) => text(200, lines.to_string()),
            Err(refusal) if refusal.status() == 409 => {
                let size = refusal.to_string();
                conflict(format!("{}\n", size.rsplit(' ').next().unwrap()))
            }
            Err(refusal) => text(refusal.status(), refusal.to_string()),
        }
    }

    /// A scripted witness that answers like this one, unless `first` has another answer.
    fn scripted(
        &self,
        first: impl Fn(&Request) -> Option<Reply> + Send + Sync + 'static,
    ) -> Scripted {
        let witness = Arc::clone(&self.witness);
        Scripted::start(move |request| {
            first(request).unwrap_or_else(|| Self::answer(&witness, request))
        })
    }

    /// One that cosigns while it is `there`, and is away otherwise.
    fn scripted_while(&self, there: &Arc<AtomicBool>) -> Scripted {
        let there = Arc::clone(there);
        self.scripted(move |request| {
            let away = request.is_add() && !there.load(Ordering::SeqCst);
            away.then(|| text(503, "away"))
        })
    }

    fn policy(&self, scripted: &Scripted) -> String {
        policy(&self.witness, scripted.address)
    }
}

fn lines_of(note: &str) -> usize {
    note.matches('\u{2014}').count()
}

#[test]
fn c1_the_last_cosigned_size_is_kept_for_each_witness() {
    let place = Place::new();
    let hand = Hand::new(&place);
    let scripted = hand.scripted(|_| None);
    let journal = place.open(&hand.policy(&scripted));
    for count in [7, 13, 300] {
        fill(&journal, count);
        assert!(journal.publish_blocking().unwrap().is_witnessed);
    }
    let old: Vec<_> = scripted
        .adds()
        .iter()
        .map(|it| it.old().to_owned())
        .collect();
    // The empty log is cosigned first: its size is the one that the second request begins with.
    assert_eq!(old, ["old 0", "old 0", "old 7", "old 20"]);
}

#[test]
fn c1_what_is_witnessed_is_not_asked_for_again() {
    let place = Place::new();
    let hand = Hand::new(&place);
    let scripted = hand.scripted(|_| None);
    let journal = place.open(&hand.policy(&scripted));
    fill(&journal, 7);
    let published = journal.publish_blocking().unwrap();
    let asked = scripted.adds().len();
    for _ in 0..3 {
        assert_eq!(journal.publish_blocking().unwrap(), published);
    }
    assert_eq!(scripted.adds().len(), asked);
}

#[test]
fn c2_a_conflict_is_adopted_and_asked_once_more_with_a_fresh_proof() {
    let place = Place::new();
    let hand = Hand::new(&place);
    let plain = place.try_open(None).unwrap();
    fill(&plain, 7);
    let seven = plain.publish_blocking().unwrap();
    drop(plain);
    let body = format!("old 0\n\n{}", seven.note);
    hand.witness.add_checkpoint(body.as_bytes(), now()).unwrap();
    // It shows nothing to monitors, so that the log learns of the size from the conflict alone.
    let scripted = hand.scripted(|_| None);
    let journal = place.open(&hand.policy(&scripted));
    fill(&journal, 13);
    assert!(journal.publish_blocking().unwrap().is_witnessed);
    let adds = scripted.adds();
    let old: Vec<_> = adds.iter().map(Request::old).collect();
    assert_eq!(old, ["old 0", "old 7", "old 7"]);
    let proofs: Vec<_> = adds
        .iter()
        .map(|it| {
            AddCheckpoint::parse(it.body.as_bytes())
                .unwrap()
                .consistency()
                .len()
        })
        .collect();
    assert!(proofs[0] == 0 && proofs[2] > 0, "{proofs:?}");
}

#[test]
fn c2_a_second_conflict_is_not_followed() {
    let place = Place::new();
    let hand = Hand::new(&place);
    let sizes = AtomicU64::new(0);
    let scripted = hand.scripted(move |request| {
        let next = || sizes.fetch_add(1, Ordering::SeqCst) % 5 + 1;
        request.is_add().then(|| conflict(format!("{}\n", next())))
    });
    let plain = place.try_open(None).unwrap();
    fill(&plain, 20);
    plain.publish_blocking().unwrap();
    drop(plain);
    let journal = place.open(&hand.policy(&scripted));
    let before = scripted.adds().len();
    let published = journal.publish_blocking().unwrap();
    assert!(!published.is_witnessed);
    assert_eq!(scripted.adds().len(), before + 2);
}

/// A witness that answers what it is told, to the log and to monitors, and else like its hand.
#[derive(Clone, Default)]
struct Told {
    add: Arc<Mutex<Option<Reply>>>,
    shows: Arc<Mutex<Option<Reply>>>,
}

impl Told {
    fn scripted(&self, hand: &Hand) -> Scripted {
        let told = self.clone();
        hand.scripted(move |request| match request.is_add() {
            true => told.add.lock().unwrap().clone(),
            false => told.shows.lock().unwrap().clone(),
        })
    }

    fn add(&self, reply: Option<Reply>) {
        *self.add.lock().unwrap() = reply;
    }

    fn shows(&self, reply: Option<Reply>) {
        *self.shows.lock().unwrap() = reply;
    }
}

fn alarm_file(place: &Place) -> std::path::PathBuf {
    place.log().join("alarm")
}

#[test]
fn c2_a_size_above_ours_that_nobody_signed_is_no_alarm() {
    let (place, other) = (Place::new(), Place::new());
    let (hand, told) = (Hand::new(&place), Told::default());
    let scripted = told.scripted(&hand);
    let journal = place.open(&hand.policy(&scripted));
    fill(&journal, 7);
    let seven = journal.publish_blocking().unwrap();
    assert!(seven.is_witnessed);
    let unsigned = forged(&place, 9_999);
    let wrong = Note::new(
        &unsigned.text().replace("9999", "21"),
        unsigned.signatures().to_vec(),
    );
    for shown in [
        text(404, "never cosigned\n"),
        text(500, ""),
        text(200, ""),
        text(200, "21\n"),
        text(200, forged(&other, 21).to_string()),
        text(200, wrong.unwrap().to_string()),
        text(200, seven.note.clone()),
        text(200, seven.cosigned.clone()),
    ] {
        for answer in [conflict("9999\n"), text(422, "another log\n")] {
            told.add(Some(answer.clone()));
            told.shows(Some(shown.clone()));
            fill(&journal, 1);
            let published = journal.publish_blocking().unwrap();
            assert!(!published.is_witnessed, "{answer:?} {shown:?}");
            assert_eq!(published.checkpoint.size, journal.size());
            assert!(!alarm_file(&place).exists());
        }
    }
    // It is a witness that does not cosign, until it does.
    told.add(None);
    assert!(journal.publish_blocking().unwrap().is_witnessed);
    drop(journal);
    told.shows(None);
    assert!(place.open_withholding(&hand.policy(&scripted)).is_ok());
}

#[test]
fn c2_what_a_witness_says_alone_withholds_and_does_not_stop() {
    let place = Place::new();
    let (hand, told) = (Hand::new(&place), Told::default());
    let scripted = told.scripted(&hand);
    let journal = place.open_withholding(&hand.policy(&scripted)).unwrap();
    told.add(Some(conflict("21\n")));
    fill(&journal, 7);
    let refusal = journal.publish_blocking().unwrap_err();
    assert!(matches!(refusal, PublishError::Withheld), "{refusal}");
    told.add(None);
    assert!(journal.publish_blocking().unwrap().is_witnessed);
}

/// Nothing is signed after this alarm: not now, not after the witness took it back, not after a
/// restart, with it or without it.
fn assert_stopped(place: &Place, told: &Told, policy: &str, journal: Journal, alarm: &LogAlarm) {
    let (visible, signed) = (place.visible(), place.signer.last_signed().unwrap());
    told.add(None);
    told.shows(None);
    let size = journal.size();
    fill(&journal, 10);
    for _ in 0..2 {
        let refusal = journal.publish_blocking().unwrap_err();
        assert!(matches!(refusal, PublishError::Alarm(again) if again == *alarm));
    }
    // What was appended is durable.
    assert_eq!(journal.size(), size + 10);
    drop(journal);
    for witnesses in [None, Some(place.witnesses(policy))] {
        let refusal = place.try_open(witnesses).map(drop).unwrap_err();
        let said = refusal.to_string();
        let JournalError::Alarm { path, alarm: again } = refusal else {
            panic!("{said}");
        };
        assert_eq!((path, again.code()), (alarm_file(place), alarm.code()));
        assert!(
            said.contains(alarm.code()) && said.contains(alarm.remedy()),
            "{said}"
        );
    }
    assert_eq!(place.signer.last_signed().unwrap(), signed);
    assert_eq!(place.visible(), visible);
    let file = std::fs::metadata(alarm_file(place)).unwrap();
    assert_eq!(file.permissions().mode() & 0o777, 0o600);
}

#[test]
fn c2_a_larger_checkpoint_of_our_key_is_an_alarm_and_nothing_is_signed_any_more() {
    let place = Place::new();
    let (hand, told) = (Hand::new(&place), Told::default());
    let scripted = told.scripted(&hand);
    let policy = hand.policy(&scripted);
    let journal = place.open(&policy);
    fill(&journal, 20);
    let shown = forged(&place, 47);
    told.add(Some(conflict("47\n")));
    told.shows(Some(text(200, shown.to_string())));
    let refusal = journal.publish_blocking().unwrap_err();
    let PublishError::Alarm(alarm) = refusal else {
        panic!("{refusal}");
    };
    let expected = LogAlarm::RolledBack {
        shown_by: "witness W".to_owned(),
        recorded: 47,
        size: 20,
    };
    assert_eq!(alarm, expected);
    let kept: Value = serde_json::from_slice(&std::fs::read(alarm_file(&place)).unwrap()).unwrap();
    assert_eq!(kept["shown"], shown.to_string());
    assert!(kept["own"].as_str().unwrap().contains("\n20\n"));
    assert_stopped(&place, &told, &policy, journal, &alarm);
}

#[test]
fn c2_a_fork_that_is_seen_while_the_log_runs_is_an_alarm() {
    for size in [1, 19, 20] {
        for answer in [conflict("21\n"), text(422, "another log\n")] {
            let place = Place::new();
            let (hand, told) = (Hand::new(&place), Told::default());
            let scripted = told.scripted(&hand);
            let policy = hand.policy(&scripted);
            let journal = place.open(&policy);
            fill(&journal, 20);
            let shown = forged(&place, size);
            told.add(Some(answer));
            told.shows(Some(text(200, shown.to_string())));
            let refusal = journal.publish_blocking().unwrap_err();
            let PublishError::Alarm(alarm) = refusal else {
                panic!("{refusal}");
            };
            let expected = LogAlarm::Forked {
                shown_by: "witness W".to_owned(),
                recorded: size,
            };
            assert_eq!(alarm, expected);
            let kept = std::fs::read(alarm_file(&place)).unwrap();
            let kept: Value = serde_json::from_slice(&kept).unwrap();
            assert_eq!(kept["shown"], shown.to_string());
            assert!(kept["own"].as_str().unwrap().contains("\n20\n"));
            assert_stopped(&place, &told, &policy, journal, &alarm);
        }
    }
}

/// A machine that was set back while its witness was away signs on, and is stopped by the witness
/// that is back: by a real one, which refuses and shows what it cosigned.
#[test]
fn c2_a_log_that_went_another_way_while_its_witness_was_away_is_stopped_when_it_is_back() {
    for count in [3, 20, 40] {
        let place = Place::new();
        let hand = Hand::new(&place);
        let there = Arc::new(AtomicBool::new(true));
        let (answers, shows) = (Arc::clone(&there), Arc::clone(&hand.witness));
        let scripted = hand.scripted(move |request| {
            if !answers.load(Ordering::SeqCst) {
                return Some(text(503, "away"));
            }
            let folder = request
                .path
                .strip_prefix('/')?
                .strip_suffix("/checkpoint")?;
            Some(
                shows
                    .latest(folder)
                    .map_or_else(|| text(404, ""), |note| text(200, note)),
            )
        });
        let policy = hand.policy(&scripted);
        let journal = place.open(&policy);
        fill(&journal, 20);
        assert!(journal.publish_blocking().unwrap().is_witnessed);
        drop(journal);
        let place = Place::with_keys_of(place);
        there.store(false, Ordering::SeqCst);
        let journal = place.open(&policy);
        for number in 0..count {
            journal.append_blocking(vec![number]).unwrap();
        }
        assert!(!journal.publish_blocking().unwrap().is_witnessed);
        there.store(true, Ordering::SeqCst);
        let refusal = journal.publish_blocking().unwrap_err();
        let PublishError::Alarm(alarm) = refusal else {
            panic!("{refusal}");
        };
        let code = if count < 20 {
            "log_rolled_back"
        } else {
            "log_forked"
        };
        assert_eq!(alarm.code(), code);
        drop(journal);
        there.store(false, Ordering::SeqCst);
        assert!(place.try_open(Some(place.witnesses(&policy))).is_err());
    }
}

/// Eighteen witnesses with two keys each, nine at an address.
struct Crowd {
    hands: Vec<Hand>,
    _scripted: Vec<Scripted>,
    /// `witness` lines, called W0 to W35.
    lines: String,
}

impl Crowd {
    fn new(place: &Place) -> Self {
        let hands: Vec<Hand> = (0..18).map(|_| Hand::new(place)).collect();
        let (mut scripted, mut lines) = (Vec::new(), String::new());
        for nine in hands.chunks(9) {
            let witnesses: Vec<_> = nine.iter().map(|hand| Arc::clone(&hand.witness)).collect();
            let served = Scripted::start(move |request| {
                let cosigned = witnesses
                    .iter()
                    .map(|witness| Hand::answer(witness, request));
                let mut all = String::new();
                for answer in cosigned {
                    match answer {
                        Some((200, _, lines)) => all += &lines,
                        other => return other,
                    }
                }
                text(200, all)
            });
            for key in nine.iter().flat_map(|hand| hand.witness.keys().verifiers()) {
                let number = lines.lines().count();
                lines += &format!("witness W{number} {key} http://{}\n", served.address);
            }
            scripted.push(served);
        }
        Self {
            hands,
            _scripted: scripted,
            lines,
        }
    }
}

#[test]
fn c4_of_more_cosignatures_than_a_note_takes_the_quorum_s_are_kept() {
    let place = Place::new();
    let crowd = Crowd::new(&place);
    assert_eq!(crowd.hands.len(), 18);
    let names = |numbers: std::ops::Range<usize>| {
        let names = numbers.map(|number| format!(" W{number}"));
        names.collect::<String>()
    };
    for (quorum, size) in [
        ("group g all W34 W35\nquorum g\n".to_owned(), 7),
        (format!("group g 30{}\nquorum g\n", names(0..36)), 8),
        (format!("group g all{}\nquorum g\n", names(6..36)), 9),
    ] {
        let policy = format!("{}{quorum}", crowd.lines);
        let mut witnesses = place.witnesses(&policy);
        witnesses.unwitnessed = Unwitnessed::Withhold;
        witnesses.patience = Duration::from_secs(60);
        let journal = place.try_open(Some(witnesses)).unwrap();
        fill(&journal, size - journal.size());
        let published = journal.publish_blocking().unwrap();
        assert!(published.is_witnessed, "{quorum}");
        assert_eq!(lines_of(&published.cosigned), MAX_NOTE_SIGNATURES);
        let (policy, note) = (policy.parse().unwrap(), published.cosigned.as_bytes());
        let keys = place.signer.keys();
        let verified = verify_checkpoint_cosigned(note, keys, Some(&policy), &AwsLc);
        assert!(verified.unwrap().1.is_met());
    }
    let many = format!("{}group g all{}\nquorum g\n", crowd.lines, names(5..36));
    assert!(matches!(
        place.try_open(Some(place.witnesses(&many))).map(drop),
        Err(JournalError::Witnesses(WitnessSetupError::TooMany(31)))
    ));
}

#[test]
fn c2_a_conflict_that_names_no_size_is_no_alarm() {
    let place = Place::new();
    let hand = Hand::new(&place);
    let answers: Arc<Mutex<Reply>> = Arc::default();
    let told = Arc::clone(&answers);
    let scripted =
        hand.scripted(move |request| request.is_add().then(|| told.lock().unwrap().clone()));
    *answers.lock().unwrap() = text(409, "99\n");
    let journal = place.open(&hand.policy(&scripted));
    for reply in [
        text(409, "99\n"),
        Some((409, "text/x.tlog.size; charset=utf-8", "99\n".to_owned())),
        conflict("99"),
        conflict("099\n"),
        conflict("99\n\n"),
        conflict("+99\n"),
        conflict(""),
        conflict("18446744073709551616\n"),
        text(200, "99\n"),
        text(404, "99\n"),
        text(500, "99\n"),
    ] {
        *answers.lock().unwrap() = reply.clone();
        fill(&journal, 1);
        let published = journal.publish_blocking().unwrap();
        assert!(!published.is_witnessed, "{reply:?}");
    }
}

#[test]
fn c3_a_cosignature_stands_under_the_log_s_own_lines() {
    let place = Place::new();
    let hand = Hand::new(&place);
    let scripted = hand.scripted(|_| None);
    let policy: LogPolicy = hand.policy(&scripted).parse().unwrap();
    let journal = place.open(&hand.policy(&scripted));
    fill(&journal, 7);
    let published = journal.publish_blocking().unwrap();
    assert_eq!(place.visible(), published.cosigned);
    // The witness has two keys, the policy names one.
    assert_eq!(lines_of(&published.note), 2);
    assert_eq!(lines_of(&published.cosigned), 3);
    let keys = place.signer.keys();
    let own = verify_checkpoint_exact(published.note.as_bytes(), keys, &AwsLc).unwrap();
    let note = published.cosigned.as_bytes();
    let (verified, cosigned) =
        verify_checkpoint_cosigned(note, keys, Some(&policy), &AwsLc).unwrap();
    assert_eq!(verified, own);
    assert!(cosigned.is_met());
    let proof = journal.reader().proof_file(3).unwrap();
    assert_eq!(proof.checkpoint, published.cosigned);
}

#[test]
fn c3_unknown_and_wrong_lines_never_reach_the_checkpoint() {
    let place = Place::new();
    let (hand, stranger) = (Hand::new(&place), Hand::new(&place));
    let mode = Arc::new(AtomicU64::new(0));
    let told = Arc::clone(&mode);
    let (own, other) = (Arc::clone(&hand.witness), Arc::clone(&stranger.witness));
    let scripted = hand.scripted(move |request| {
        if !request.is_add() {
            return None;
        }
        let lines = |witness: &Witness| {
            let lines = witness.add_checkpoint(request.body.as_bytes(), now());
            lines.map_or(String::new(), |lines| lines.to_string())
        };
        let [classical, _] = own.keys().verifiers();
        let wrong = NoteSignature::new(classical.name().clone(), classical.key_id(), vec![1; 72]);
        let short = NoteSignature::new(classical.name().clone(), classical.key_id(), vec![1; 71]);
        let [foreign, _] = other.keys().verifiers();
        let foreign = NoteSignature::new(foreign.name().clone(), foreign.key_id(), vec![1; 72]);
        Some(match told.load(Ordering::SeqCst) {
            0 => text(200, lines(&other)),
            1 => text(200, format!("{wrong}\n")),
            2 => text(200, format!("{short}\n")),
            3 => text(200, ""),
            4 => text(200, "not a signature line\n"),
            5 => text(200, foreign.to_string()),
            6 => text(200, format!("{foreign}\n").repeat(40)),
            _ => text(200, format!("{foreign}\n{}", lines(&own))),
        })
    });
    let journal = place.open(&hand.policy(&scripted));
    for number in 0..=6 {
        mode.store(number, Ordering::SeqCst);
        fill(&journal, 1);
        let published = journal.publish_blocking().unwrap();
        assert!(!published.is_witnessed, "{number}");
        assert_eq!(published.cosigned, published.note, "{number}");
        assert_eq!(place.visible(), published.note, "{number}");
    }
    mode.store(7, Ordering::SeqCst);
    let published = journal.publish_blocking().unwrap();
    assert!(published.is_witnessed);
    assert_eq!(lines_of(&published.cosigned), 3);
}

#[test]
fn c4_a_silent_witness_costs_its_time_and_no_more() {
    let place = Place::new();
    let hand = Hand::new(&place);
    let silent = hand.scripted(|_| Some(None));
    let mut witnesses = place.witnesses(&hand.policy(&silent));
    witnesses.patience = Duration::from_millis(300);
    let journal = place.try_open(Some(witnesses)).unwrap();
    fill(&journal, 7);
    let start = Instant::now();
    let published = journal.publish_blocking().unwrap();
    assert!(
        start.elapsed() < Duration::from_secs(5),
        "{:?}",
        start.elapsed()
    );
    assert!(!published.is_witnessed);
    assert_eq!(published.checkpoint.size, 7);
}

#[test]
fn c4_published_unwitnessed_it_is_cosigned_once_the_witness_is_there() {
    let place = Place::new();
    let hand = Hand::new(&place);
    let there = Arc::new(AtomicBool::new(false));
    let scripted = hand.scripted_while(&there);
    let journal = place.open(&hand.policy(&scripted));
    fill(&journal, 7);
    let first = journal.publish_blocking().unwrap();
    assert!(!first.is_witnessed);
    assert_eq!(place.visible(), first.note);
    there.store(true, Ordering::SeqCst);
    let second = journal.publish_blocking().unwrap();
    assert!(second.is_witnessed);
    assert_eq!(second.note, first.note);
    assert_eq!(place.visible(), second.cosigned);
}

#[test]
fn c4_withheld_it_is_not_visible_before_the_quorum() {
    let place = Place::new();
    let hand = Hand::new(&place);
    let there = Arc::new(AtomicBool::new(true));
    let scripted = hand.scripted_while(&there);
    let journal = place.open_withholding(&hand.policy(&scripted)).unwrap();
    fill(&journal, 7);
    journal.publish_blocking().unwrap();
    let seven = place.visible();
    there.store(false, Ordering::SeqCst);
    fill(&journal, 13);
    for _ in 0..2 {
        let refusal = journal.publish_blocking().unwrap_err();
        assert!(matches!(refusal, PublishError::Withheld), "{refusal}");
        assert_eq!(place.visible(), seven);
    }
    assert_eq!(journal.published().unwrap().checkpoint.size, 7);
    // Entries stay durable, and a log with a withheld checkpoint grows on.
    fill(&journal, 600);
    there.store(true, Ordering::SeqCst);
    let published = journal.publish_blocking().unwrap();
    assert_eq!(
        (published.checkpoint.size, published.is_witnessed),
        (620, true)
    );
    assert_eq!(place.visible(), published.cosigned);
    assert_eq!(journal.reader().audit().unwrap().unwrap().size, 620);
}

#[test]
fn c4_the_quorum_decides_not_the_number_of_answers() {
    let place = Place::new();
    let hands = [0, 1, 2].map(|_| Hand::new(&place));
    let served: Vec<_> = hands.iter().map(|hand| hand.scripted(|_| None)).collect();
    let lines: String = hands
        .iter()
        .zip(&served)
        .zip(["A", "B", "C"])
        .map(|((hand, served), name)| {
            let [classical, _] = hand.witness.keys().verifiers();
            format!("witness {name} {classical} http://{}\n", served.address)
        })
        .collect();
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let closed = nobody.local_addr().unwrap();
    drop(nobody);
    let lines = lines.replace(&served[2].address.to_string(), &closed.to_string());
    let two = format!("{lines}group g 2 A B C\nquorum g\n");
    let journal = place.open_withholding(&two).unwrap();
    fill(&journal, 7);
    let published = journal.publish_blocking().unwrap();
    assert!(published.is_witnessed);
    assert_eq!(lines_of(&published.cosigned), 4);
    drop(journal);
    let all = format!("{lines}group g all A B C\nquorum g\n");
    let journal = place.try_open(Some(place.witnesses(&all))).unwrap();
    assert!(!journal.publish_blocking().unwrap().is_witnessed);
    drop(journal);
    let refusal = place.open_withholding(&all).unwrap_err();
    assert!(matches!(refusal, JournalError::WitnessesSilent));
}

#[tokio::test]
async fn c4_acknowledgement_levels_say_what_they_mean() {
    let place = Place::new();
    let hand = Hand::new(&place);
    let there = Arc::new(AtomicBool::new(true));
    let scripted = hand.scripted_while(&there);
    let text_of = hand.policy(&scripted);
    let journal = place.open(&text_of);
    let entry = || b"an entry".to_vec();
    let durable = journal
        .append_until(entry(), Acknowledgement::Durable)
        .await;
    let durable = durable.unwrap();
    assert_eq!((durable.index, durable.published), (0, None));
    let witnessed = journal
        .append_until(entry(), Acknowledgement::Witnessed)
        .await;
    let witnessed = witnessed.unwrap().published.unwrap();
    assert!(witnessed.is_witnessed && witnessed.checkpoint.size == 2);
    there.store(false, Ordering::SeqCst);
    let published = journal
        .append_until(entry(), Acknowledgement::Published)
        .await;
    assert!(!published.unwrap().published.unwrap().is_witnessed);
    let refusal = journal
        .append_until(entry(), Acknowledgement::Witnessed)
        .await;
    assert!(matches!(
        refusal.unwrap_err(),
        AcknowledgeError::Unwitnessed { index: 3 }
    ));
    let large = vec![0; 70_000];
    let refusal = journal
        .append_until(large, Acknowledgement::Witnessed)
        .await;
    assert!(matches!(refusal.unwrap_err(), AcknowledgeError::Append(_)));
    drop(journal);
    there.store(true, Ordering::SeqCst);
    let journal = place.open_withholding(&text_of).unwrap();
    there.store(false, Ordering::SeqCst);
    let refusal = journal
        .append_until(entry(), Acknowledgement::Witnessed)
        .await;
    assert!(matches!(
        refusal.unwrap_err(),
        AcknowledgeError::Publish {
            index: 4,
            source: PublishError::Withheld
        }
    ));
    assert_eq!(journal.read_entry(4).unwrap(), entry());
}

#[test]
fn c4_a_quorum_that_cannot_be_asked_is_refused_at_start() {
    let place = Place::new();
    let hand = Hand::new(&place);
    let [classical, post_quantum] = hand.witness.keys().verifiers();
    let open = |text: &str| place.try_open(Some(place.witnesses(text))).map(drop);
    let silent = format!("witness W {classical}\nquorum W\n");
    assert!(matches!(
        open(&silent).unwrap_err(),
        JournalError::Witnesses(WitnessSetupError::Quorum)
    ));
    for url in ["https://w.example", "w.example:80", "http://", "http://a@b"] {
        let bad = format!("witness W {classical} {url}\nquorum W\n");
        assert!(matches!(
            open(&bad).unwrap_err(),
            JournalError::Witnesses(WitnessSetupError::Address { .. })
        ));
    }
    let mut witnesses = place.witnesses(&format!(
        "witness W {classical} http://127.0.0.1:1\nwitness V {post_quantum}\nquorum W\n"
    ));
    witnesses.patience = Duration::ZERO;
    assert!(matches!(
        place.try_open(Some(witnesses.clone())).unwrap_err(),
        JournalError::Witnesses(WitnessSetupError::Patience)
    ));
    witnesses.patience = Duration::from_secs(1);
    witnesses.keys = Place::new().signer.keys().clone();
    // The same origin under other keys is found out by what is signed, not here.
    assert!(place.try_open(Some(witnesses.clone())).is_ok());
    assert_eq!(witnesses.unwitnessed, Unwitnessed::Publish);
    assert!(open("quorum none\n").is_ok());
}

#[test]
fn c5_one_connection_serves_one_publication_after_the_other() {
    let place = Place::new();
    let hand = Hand::new(&place);
    let scripted = hand.scripted(|_| None);
    let journal = place.open(&hand.policy(&scripted));
    for _ in 0..6 {
        fill(&journal, 40);
        assert!(journal.publish_blocking().unwrap().is_witnessed);
    }
    assert_eq!(scripted.connections(), 1);
    for request in scripted.adds() {
        let request = AddCheckpoint::parse(request.body.as_bytes()).unwrap();
        assert!(request.consistency().len() <= MAX_PROOF_HASHES);
    }
}

#[test]
fn c5_a_connection_that_the_witness_closed_is_opened_again() {
    let place = Place::new();
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("w");
    let served = Served::start(&dir, place.known());
    let text = served.policy();
    let journal = place.open(&text);
    fill(&journal, 7);
    assert!(journal.publish_blocking().unwrap().is_witnessed);
    drop(served);
    fill(&journal, 7);
    assert!(!journal.publish_blocking().unwrap().is_witnessed);
    let again = Served::start(&dir, place.known());
    drop(journal);
    let journal = place.open(&again.policy());
    assert!(journal.published().unwrap().is_witnessed);
    assert_eq!(journal.published().unwrap().checkpoint.size, 14);
}
