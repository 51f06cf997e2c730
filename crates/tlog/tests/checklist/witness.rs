//! What a witness judges by (C2SP tlog-witness): one reason and one status for each refusal, in the
//! order of the document. The server's own tests ask the same over HTTP.

use chancery_crypto::AwsLc;
use chancery_tlog::{
    AddCheckpoint, Admitted, Checkpoint, CheckpointTextError, MAX_NOTE_SIGNATURES, Note,
    NoteSignature, ProofError, SignatureKind, TreeHash, WitnessRefusal, judge, monitor_folder,
    prove_consistency,
};

use crate::world::{Log, ORIGIN, note, other_tree, tree};

struct Bench {
    log: Log,
    last: Option<Checkpoint>,
}

impl Bench {
    /// A witness that cosigned that many entries last; none before the first time.
    fn at(last: Option<u8>) -> Self {
        let log = Log::new(ORIGIN);
        let last = last.map(|size| log.checkpoint(&tree(size)));
        Self { log, last }
    }

    fn judge_note(
        &self,
        old: u64,
        proof: Vec<TreeHash>,
        note: Note,
    ) -> Result<Admitted, WitnessRefusal> {
        let request = AddCheckpoint::new(old, proof, note).unwrap();
        let known = self.log.known();
        judge(&request, &known, |_| self.last.clone(), &AwsLc)
    }

    fn judge(&self, old: u64, proof: Vec<TreeHash>, new: u8) -> Result<u64, WitnessRefusal> {
        let admitted = self.judge_note(old, proof, self.log.sign(&tree(new)))?;
        assert_eq!(admitted.note().signatures().len(), 2);
        Ok(admitted.checkpoint().size)
    }
}

fn proof(old: u64, new: u8) -> Vec<TreeHash> {
    prove_consistency(&tree(new), old, new.into()).unwrap()
}

#[test]
fn n1_a_checkpoint_that_continues_is_admitted() {
    let first = Bench::at(None);
    assert_eq!(first.judge(0, vec![], 7), Ok(7));
    assert_eq!(first.judge(0, vec![], 0), Ok(0));
    let empty = Bench::at(Some(0));
    assert_eq!(empty.judge(0, vec![], 7), Ok(7));
    assert_eq!(empty.judge(0, vec![], 0), Ok(0));
    let seven = Bench::at(Some(7));
    assert_eq!(seven.judge(7, proof(7, 20), 20), Ok(20));
    assert_eq!(seven.judge(7, vec![], 7), Ok(7));
}

#[test]
fn n1_either_known_key_is_enough_and_no_other() {
    let bench = Bench::at(None);
    let checkpoint = bench.log.checkpoint(&tree(7));
    let own = bench.log.lines(&checkpoint);
    for line in &own {
        let note = note(&checkpoint, std::slice::from_ref(line));
        let admitted = bench.judge_note(0, vec![], note).unwrap();
        assert_eq!(admitted.note().signatures(), std::slice::from_ref(line));
    }
    let twin = Log::new(ORIGIN);
    let found = bench.judge_note(0, vec![], twin.sign(&tree(7)));
    assert_eq!(found, Err(WitnessRefusal::NotSigned));
    assert_eq!(found.unwrap_err().status(), 403);
}

#[test]
fn n2_an_unknown_origin_is_404_before_anything_else() {
    let bench = Bench::at(Some(7));
    let other = Log::new("td.example/log/server");
    for old in [0, 7, 99] {
        let found = bench.judge_note(old, vec![], other.sign(&tree(9)));
        assert_eq!(found, Err(WitnessRefusal::UnknownOrigin));
        assert_eq!(found.unwrap_err().status(), 404);
    }
    // Signed by a known log under another name.
    let checkpoint = other.checkpoint(&tree(9));
    let lines = bench.log.lines(&checkpoint);
    let found = bench.judge_note(0, vec![], note(&checkpoint, &lines));
    assert_eq!(found, Err(WitnessRefusal::UnknownOrigin));
}

#[test]
fn n3_a_wrong_signature_is_403_before_sizes_are_looked_at() {
    let bench = Bench::at(Some(7));
    let checkpoint = bench.log.checkpoint(&tree(9));
    let own = bench.log.lines(&checkpoint);
    let wrong = bench.log.lines(&bench.log.checkpoint(&tree(8)));
    let stranger = NoteSignature::new("w".parse().unwrap(), [0; 4], vec![0; 64]);
    for (lines, error) in [
        (vec![stranger], WitnessRefusal::NotSigned),
        (
            vec![wrong[0].clone()],
            WitnessRefusal::WrongSignature(SignatureKind::Ed25519),
        ),
        (
            vec![wrong[1].clone()],
            WitnessRefusal::WrongSignature(SignatureKind::MlDsa44),
        ),
        (
            vec![own[0].clone(), wrong[1].clone()],
            WitnessRefusal::WrongSignature(SignatureKind::MlDsa44),
        ),
        (
            vec![own[0].clone(), own[1].clone(), wrong[0].clone()],
            WitnessRefusal::WrongSignature(SignatureKind::Ed25519),
        ),
    ] {
        for old in [0, 7, 99] {
            let found = bench.judge_note(old, vec![], note(&checkpoint, &lines));
            assert_eq!(found, Err(error));
            assert_eq!(found.unwrap_err().status(), 403);
        }
    }
}

#[test]
fn n4_an_old_size_above_the_checkpoint_is_400() {
    for last in [None, Some(7), Some(9)] {
        let bench = Bench::at(last);
        for old in [10, u64::MAX] {
            let found = bench.judge(old, vec![], 9);
            assert_eq!(found, Err(WitnessRefusal::OldAboveSize));
            assert_eq!(found.unwrap_err().status(), 400);
        }
    }
}

#[test]
fn n4_what_is_not_a_checkpoint_of_three_lines_is_400() {
    let bench = Bench::at(None);
    let text = bench.log.checkpoint(&tree(9)).to_string();
    let line = NoteSignature::new(ORIGIN.parse().unwrap(), [0; 4], vec![0; 64]);
    for (bad, error) in [
        (format!("{text}extension\n"), CheckpointTextError::Lines),
        (text.replace("\n9\n", "\n09\n"), CheckpointTextError::Size),
        (text.replace("\n9\n", "\n"), CheckpointTextError::Lines),
        (text.replace("=\n", "\n"), CheckpointTextError::Root),
        (format!("+{text}"), CheckpointTextError::Origin),
    ] {
        let note = Note::new(&bad, vec![line.clone()]).unwrap();
        let found = bench.judge_note(0, vec![], note);
        assert_eq!(found, Err(WitnessRefusal::Text(error)), "{bad}");
        assert_eq!(found.unwrap_err().status(), 400);
    }
}

#[test]
fn n5_another_old_size_is_409_with_the_recorded_one() {
    for (last, old, recorded) in [
        (None, 7, 0),
        (Some(7), 0, 7),
        (Some(7), 6, 7),
        (Some(7), 8, 7),
        (Some(12), 7, 12),
        (Some(12), 9, 12),
    ] {
        let bench = Bench::at(last);
        let found = bench.judge(old, vec![], 9);
        assert_eq!(found, Err(WitnessRefusal::Conflict(recorded)));
        let refusal = found.unwrap_err();
        assert_eq!(refusal.status(), 409);
        let body = refusal.recorded_size().map(|size| size.to_string());
        assert_eq!(body, Some(format!("{recorded}\n")));
    }
}

#[test]
fn n6_a_bad_proof_is_422() {
    let bench = Bench::at(Some(7));
    let good = proof(7, 9);
    let mut bent = good.clone();
    bent[0] = TreeHash::empty();
    for (proof, source) in [
        (vec![], ProofError::WrongLength),
        (good[1..].to_vec(), ProofError::WrongLength),
        ([&good[..], &good[..1]].concat(), ProofError::WrongLength),
        (bent, ProofError::OlderRootMismatch),
    ] {
        let found = bench.judge(7, proof, 9);
        assert_eq!(found, Err(WitnessRefusal::Inconsistent { old: 7, source }));
        let refusal = found.unwrap_err();
        assert_eq!((refusal.status(), refusal.recorded_size()), (422, None));
    }
    // A log that forked has a good proof of another past.
    let fork = other_tree(9);
    let forged = prove_consistency(&fork, 7, 9).unwrap();
    let found = bench.judge_note(7, forged, bench.log.sign(&fork));
    assert!(matches!(found, Err(WitnessRefusal::Inconsistent { .. })));
}

#[test]
fn n6_a_proof_from_nothing_is_422() {
    for last in [None, Some(0)] {
        let bench = Bench::at(last);
        for new in [0, 9] {
            let found = bench.judge(0, vec![TreeHash::empty()], new);
            assert_eq!(found, Err(WitnessRefusal::ProofFromNothing));
            assert_eq!(found.unwrap_err().status(), 422);
        }
    }
}

#[test]
fn n6_another_root_for_the_recorded_size_is_422() {
    let bench = Bench::at(Some(7));
    let found = bench.judge_note(7, vec![], bench.log.sign(&other_tree(7)));
    assert_eq!(found, Err(WitnessRefusal::Forked(7)));
    assert_eq!(found.unwrap_err().status(), 422);
    let found = bench.judge(7, vec![tree(7).root()], 7);
    assert!(matches!(found, Err(WitnessRefusal::Inconsistent { .. })));
}

#[test]
fn n6_size_zero_with_another_root_is_422() {
    let bench = Bench::at(None);
    let checkpoint = Checkpoint {
        root: tree(7).root(),
        ..bench.log.checkpoint(&tree(0))
    };
    let signed = note(&checkpoint, &bench.log.lines(&checkpoint));
    let found = bench.judge_note(0, vec![], signed.clone());
    assert_eq!(found, Err(WitnessRefusal::EmptyRoot));
    assert_eq!(found.unwrap_err().status(), 422);
    // Signatures come first, the recorded size second.
    let unsigned = NoteSignature::new("w".parse().unwrap(), [0; 4], vec![0; 64]);
    let found = bench.judge_note(0, vec![], note(&checkpoint, &[unsigned]));
    assert_eq!(found, Err(WitnessRefusal::NotSigned));
    let seven = Bench {
        last: Some(bench.log.checkpoint(&tree(7))),
        log: bench.log,
    };
    let found = seven.judge_note(0, vec![], signed);
    assert_eq!(found, Err(WitnessRefusal::Conflict(7)));
}

#[test]
fn n7_a_note_of_many_signatures_is_read_and_unknown_ones_are_ignored() {
    let bench = Bench::at(None);
    let checkpoint = bench.log.checkpoint(&tree(9));
    let own = bench.log.lines(&checkpoint);
    let stranger = |n: usize| {
        let name = format!("w{n}.example").parse().unwrap();
        NoteSignature::new(name, [n as u8; 4], vec![0; 2_428])
    };
    let same_name = NoteSignature::new(ORIGIN.parse().unwrap(), [9; 4], vec![0; 64]);
    let mut lines: Vec<_> = (0..MAX_NOTE_SIGNATURES - 3).map(stranger).collect();
    lines.insert(7, own[1].clone());
    lines.insert(20, own[0].clone());
    lines.push(same_name);
    assert!(lines.len() >= 16);
    let admitted = bench
        .judge_note(0, vec![], note(&checkpoint, &lines))
        .unwrap();
    let kept = [own[1].clone(), own[0].clone()];
    assert_eq!(admitted.note().signatures(), kept);
    // A log that repeats its own line leaves no room for a cosignature.
    let repeated = vec![own[0].clone(); MAX_NOTE_SIGNATURES];
    let found = bench.judge_note(0, vec![], note(&checkpoint, &repeated));
    assert_eq!(found, Err(WitnessRefusal::TooManySignatures));
}

#[test]
fn n8_monitors_ask_by_the_hash_of_the_origin() {
    let folder = monitor_folder(&"example.com/behind-the-sofa".parse().unwrap());
    assert_eq!(folder.len(), 64);
    assert!(folder.bytes().all(|byte| byte.is_ascii_hexdigit()));
    assert_eq!(folder, folder.to_ascii_lowercase());
    let other = monitor_folder(&"example.com/behind-the-sofa/".parse().unwrap());
    assert_ne!(folder, other);
}
