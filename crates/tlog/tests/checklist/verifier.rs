//! V2 to V10 and V12.

use chancery_crypto::AwsLc;
use chancery_tlog::{
    CheckpointError, CosignatureError, CosignedError, CosignerError, LeafHash, LogEdge, LogPolicy,
    NoteSignature, PolicyRefusal, ProofError, RatchetError, SignatureKind, TileKind, TimeWindow,
    TlogProof, TreeHash, VerifierKey, VerifyEntryError, advance, prove_consistency,
    prove_inclusion, rebuild, verify_checkpoint, verify_checkpoint_any, verify_checkpoint_cosigned,
    verify_consistency, verify_cosignature, verify_inclusion,
};

use crate::world::{Cosigner, Log, ORIGIN, TIME, note, other_tree, tree};

fn policy(text: &str) -> LogPolicy {
    text.parse().unwrap()
}

/// A log, three witnesses, and the policy that asks for two of them.
struct Field {
    log: Log,
    witnesses: [Cosigner; 3],
    policy: LogPolicy,
}

impl Field {
    fn new() -> Self {
        let log = Log::new(ORIGIN);
        let witnesses = ["w1.example", "w2.example", "w3.example"].map(Cosigner::new);
        let [a, b, c] = &witnesses;
        let text = format!(
            "log {}\n{}{}{}group g 2 A B C\nquorum g\n",
            log.keys.ed25519(),
            a.line("A"),
            b.line("B"),
            c.line("C")
        );
        Self {
            policy: policy(&text),
            log,
            witnesses,
        }
    }

    /// The log's note with more lines.
    fn with(&self, more: &[NoteSignature]) -> String {
        let note = self.log.sign(&tree(7)).with(more).unwrap();
        note.to_string()
    }

    fn cosign(&self, witness: usize, time: u64) -> NoteSignature {
        let checkpoint = self.log.checkpoint(&tree(7));
        self.witnesses[witness].cosign(&checkpoint, time)
    }

    fn verify(&self, lines: &[NoteSignature]) -> Result<Vec<(usize, u64)>, PolicyRefusal> {
        let note = self.with(lines);
        let verified = self.policy.verify(note.as_bytes(), None, &AwsLc)?;
        assert_eq!(verified.checkpoint(), &self.log.checkpoint(&tree(7)));
        Ok(verified.cosigned().by().to_vec())
    }
}

#[test]
fn v2_unknown_signatures_are_ignored() {
    let field = Field::new();
    let (a, b) = (field.cosign(0, TIME), field.cosign(1, TIME));
    let stranger = Cosigner::new("w1.example").cosign(&field.log.checkpoint(&tree(7)), TIME);
    let junk = NoteSignature::new("w1.example".parse().unwrap(), [7; 4], vec![0; 3]);
    let other_name = NoteSignature::new("w9".parse().unwrap(), a.key_id(), a.signature().to_vec());
    let lines = [stranger, a.clone(), junk, other_name, b.clone()];
    assert_eq!(field.verify(&lines), Ok(vec![(0, TIME), (1, TIME)]));
    let missing = [lines[0].clone(), lines[2].clone(), lines[3].clone(), b];
    assert_eq!(field.verify(&missing), Err(PolicyRefusal::Quorum));
}

#[test]
fn v2_a_wrong_line_of_a_known_witness_refuses_the_note() {
    let field = Field::new();
    let (a, b) = (field.cosign(0, TIME), field.cosign(1, TIME));
    let c = &field.witnesses[2];
    let other = c.cosign(&field.log.checkpoint(&tree(8)), TIME);
    let mut shifted = field.cosign(2, TIME).signature().to_vec();
    shifted[7] ^= 1;
    let shifted = NoteSignature::new(other.name().clone(), other.key_id(), shifted);
    let short = NoteSignature::new(other.name().clone(), other.key_id(), vec![0; 71]);
    let late = NoteSignature::new(other.name().clone(), other.key_id(), vec![0xff; 72]);
    for (wrong, source) in [
        (other, CosignerError::Wrong),
        (shifted, CosignerError::Wrong),
        (short, CosignerError::Malformed(CosignatureError::Length)),
        (late, CosignerError::Malformed(CosignatureError::Timestamp)),
    ] {
        let witness = "w3.example".parse().unwrap();
        assert_eq!(
            field.verify(&[a.clone(), b.clone(), wrong.clone()]),
            Err(PolicyRefusal::Cosignature { witness, source })
        );
        let note = field.with(&[a.clone(), b.clone(), wrong]);
        let cosigned = verify_checkpoint_cosigned(
            note.as_bytes(),
            &field.log.keys,
            Some(&field.policy),
            &AwsLc,
        );
        assert!(matches!(cosigned, Err(CosignedError::Witness(_))));
    }
}

#[test]
fn v2_a_wrong_line_of_the_log_refuses_the_note() {
    let field = Field::new();
    let checkpoint = field.log.checkpoint(&tree(7));
    let wrong = field.log.lines(&field.log.checkpoint(&tree(8)));
    let [a, b] = [field.cosign(0, TIME), field.cosign(1, TIME)];
    let lines = [wrong[0].clone(), a.clone(), b.clone()];
    let found = field.policy.verify(
        note(&checkpoint, &lines).to_string().as_bytes(),
        None,
        &AwsLc,
    );
    assert_eq!(
        found,
        Err(PolicyRefusal::LogSignature(SignatureKind::Ed25519))
    );
    // The policy does not know the log's other key: its line is a stranger's.
    let good = field.log.lines(&checkpoint);
    let lines = [good[0].clone(), wrong[1].clone(), a.clone(), b.clone()];
    let note_text = note(&checkpoint, &lines).to_string();
    assert!(
        field
            .policy
            .verify(note_text.as_bytes(), None, &AwsLc)
            .is_ok()
    );
    assert_eq!(
        verify_checkpoint(note_text.as_bytes(), &field.log.keys, &AwsLc),
        Err(CheckpointError::Signature(SignatureKind::MlDsa44))
    );
    let found = verify_checkpoint_any(note_text.as_bytes(), &field.log.known(), &AwsLc);
    assert_eq!(
        found,
        Err(PolicyRefusal::LogSignature(SignatureKind::MlDsa44))
    );
    let found = field.policy.verify(
        note(&checkpoint, &[a, b]).to_string().as_bytes(),
        None,
        &AwsLc,
    );
    assert_eq!(found, Err(PolicyRefusal::NotSigned));
}

#[test]
fn v2_a_cosigned_note_begins_with_the_log_s_own_lines() {
    let field = Field::new();
    let checkpoint = field.log.checkpoint(&tree(7));
    let verify = |lines: &[NoteSignature], policy: Option<&LogPolicy>| {
        let note = note(&checkpoint, lines).to_string();
        verify_checkpoint_cosigned(note.as_bytes(), &field.log.keys, policy, &AwsLc)
    };
    let own = field.log.lines(&checkpoint);
    let [a, b] = [field.cosign(0, TIME), field.cosign(1, TIME)];
    let policy = Some(&field.policy);
    let (verified, cosigned) =
        verify(&[own[0].clone(), own[1].clone(), a.clone(), b], policy).unwrap();
    assert_eq!(verified.size(), 7);
    assert!(cosigned.is_met());
    let (_, cosigned) = verify(&[own[0].clone(), own[1].clone(), a.clone()], policy).unwrap();
    assert!(!cosigned.is_met());
    assert_eq!(cosigned.by(), [(0, TIME)]);
    let (_, cosigned) = verify(&own, None).unwrap();
    assert!(!cosigned.is_met());
    // Without a policy every line of others is a stranger's, and nobody has cosigned.
    let (verified, cosigned) = verify(&[own[0].clone(), own[1].clone(), a.clone()], None).unwrap();
    assert_eq!(verified.size(), 7);
    assert!(!cosigned.is_met() && cosigned.by().is_empty());
    let namesake = NoteSignature::new(ORIGIN.parse().unwrap(), [1; 4], vec![0; 64]);
    for (lines, policy) in [
        (vec![a.clone(), own[0].clone(), own[1].clone()], None),
        (vec![own[0].clone(), a.clone(), own[1].clone()], None),
        (vec![own[0].clone(), a.clone()], None),
        (vec![own[1].clone(), own[0].clone()], None),
        (vec![own[1].clone(), own[0].clone()], policy),
        (vec![a.clone(), own[0].clone(), own[1].clone()], policy),
        (vec![own[0].clone(), a.clone(), own[1].clone()], policy),
        (vec![own[0].clone()], policy),
        (vec![a], policy),
        (vec![own[0].clone(), own[1].clone(), own[1].clone()], policy),
        (vec![own[0].clone(), own[1].clone(), namesake], policy),
    ] {
        let found = verify(&lines, policy).map(|_| ());
        assert_eq!(found, Err(CosignedError::Log(CheckpointError::NotExact)));
    }
}

#[test]
fn v3_one_key_under_two_types_is_two_identities() {
    let field = Field::new();
    let (a, checkpoint) = (&field.witnesses[0], field.log.checkpoint(&tree(7)));
    let classical = a.cosign(&checkpoint, TIME);
    let post_quantum = a.cosign_post_quantum(&checkpoint, TIME);
    assert_ne!(classical.key_id(), post_quantum.key_id());
    for (key, other) in [(&a.classical, &post_quantum), (&a.post_quantum, &classical)] {
        assert!(!key.is_named_by(other));
        let body = NoteSignature::new(key.name().clone(), key.key_id(), other.signature().to_vec());
        assert!(verify_cosignature(key, &checkpoint, &body, &AwsLc).is_err());
    }
    // A log's Ed25519 signature is nobody's cosignature, and its key cosigns nothing.
    let text = &field.log.lines(&checkpoint)[0];
    let log_key = field.log.keys.ed25519();
    assert_eq!(
        verify_cosignature(log_key, &checkpoint, text, &AwsLc),
        Err(CosignerError::Kind)
    );
    let [a, b] = [field.cosign(0, TIME), field.cosign(1, TIME)];
    let as_witness =
        VerifierKey::cosignature(log_key.name().clone(), &[&[9][..], &[9; 31]].concat());
    assert_ne!(as_witness.unwrap().key_id(), log_key.key_id());
    assert_eq!(
        field.verify(&[a.clone(), post_quantum]),
        Err(PolicyRefusal::Quorum)
    );
    assert!(field.verify(&[a, b]).is_ok());
}

#[test]
fn v4_the_origin_must_be_the_expected_one() {
    let field = Field::new();
    let other = Log::new("td.example/log/server");
    let checkpoint = other.checkpoint(&tree(7));
    let own = other.sign(&tree(7));
    assert_eq!(
        field
            .policy
            .verify(own.to_string().as_bytes(), None, &AwsLc),
        Err(PolicyRefusal::Origin)
    );
    assert_eq!(
        verify_checkpoint(own.to_string().as_bytes(), &field.log.keys, &AwsLc),
        Err(CheckpointError::Origin)
    );
    // Our log's signature under a text of another origin.
    let lines = field.log.lines(&checkpoint);
    let found = verify_checkpoint_any(
        note(&checkpoint, &lines).to_string().as_bytes(),
        &field.log.known(),
        &AwsLc,
    );
    assert_eq!(found, Err(PolicyRefusal::Origin));
    // Cosignatures of another log's checkpoint of the same size and root.
    let lines = [0, 1].map(|it| field.witnesses[it].cosign(&checkpoint, TIME));
    assert!(matches!(
        field.verify(&lines),
        Err(PolicyRefusal::Cosignature { .. })
    ));
}

#[test]
fn v5_inclusion_takes_the_exact_path() {
    for size in 1..=20 {
        let tree = tree(size);
        let (size, root) = (u64::from(size), tree.root());
        for index in 0..size {
            let leaf = LeafHash::of([index as u8]);
            let path = prove_inclusion(&tree, index, size).unwrap();
            let verify = |index, size, leaf, path: &[TreeHash]| {
                verify_inclusion(index, size, leaf, path, &root)
            };
            assert_eq!(verify(index, size, leaf, &path), Ok(()));
            let longer = [&path[..], &[root]].concat();
            assert_eq!(
                verify(index, size, leaf, &longer),
                Err(ProofError::WrongLength)
            );
            if let Some((_, shorter)) = path.split_last() {
                assert_eq!(
                    verify(index, size, leaf, shorter),
                    Err(ProofError::WrongLength)
                );
            }
            let other = LeafHash::of([99]);
            assert!(verify(index, size, other, &path).is_err());
            for at in 0..path.len() {
                let mut bent = path.clone();
                bent[at] = TreeHash::empty();
                assert!(verify(index, size, leaf, &bent).is_err());
            }
            let elsewhere = (index + 1) % size;
            assert!(size == 1 || verify(elsewhere, size, leaf, &path).is_err());
        }
        for beyond in [size, size + 1, u64::MAX] {
            assert_eq!(
                verify_inclusion(beyond, size, LeafHash::of([0]), &[], &root),
                Err(ProofError::IndexOutOfRange)
            );
        }
    }
    let nothing = verify_inclusion(0, 0, LeafHash::of([0]), &[], &TreeHash::empty());
    assert_eq!(nothing, Err(ProofError::IndexOutOfRange));
}

#[test]
fn v6_consistency_takes_the_exact_proof() {
    for new in 1..=20_u8 {
        for old in 1..=new {
            let proof = prove_consistency(&tree(new), old.into(), new.into()).unwrap();
            let (old_root, new_root) = (tree(old).root(), tree(new).root());
            let verify = |proof: &[TreeHash], old_root: &TreeHash, new_root: &TreeHash| {
                verify_consistency(old.into(), new.into(), proof, old_root, new_root)
            };
            assert_eq!(verify(&proof, &old_root, &new_root), Ok(()));
            assert_eq!(proof.is_empty(), old == new, "{old} to {new}");
            let longer = [&proof[..], &[new_root]].concat();
            assert_eq!(
                verify(&longer, &old_root, &new_root),
                Err(ProofError::WrongLength)
            );
            if let Some((_, shorter)) = proof.split_last() {
                assert_eq!(
                    verify(shorter, &old_root, &new_root),
                    Err(ProofError::WrongLength)
                );
            }
            assert!(verify(&proof, &other_tree(old).root(), &new_root).is_err());
            assert!(verify(&proof, &old_root, &other_tree(new).root()).is_err());
        }
    }
}

#[test]
fn v6_consistency_with_nothing_and_backwards_is_refused() {
    let (seven, empty) = (tree(7).root(), TreeHash::empty());
    assert_eq!(
        verify_consistency(0, 7, &[], &empty, &seven),
        Err(ProofError::OlderTreeEmpty)
    );
    assert_eq!(
        verify_consistency(0, 0, &[], &empty, &empty),
        Err(ProofError::OlderTreeEmpty)
    );
    assert_eq!(
        verify_consistency(8, 7, &[], &tree(8).root(), &seven),
        Err(ProofError::SizesReversed)
    );
    // A power of two is its own first hash: the proof does not repeat it.
    let proof = prove_consistency(&tree(12), 8, 12).unwrap();
    let root = tree(8).root();
    assert_eq!(
        verify_consistency(8, 12, &proof, &root, &tree(12).root()),
        Ok(())
    );
    let repeated = [&[root][..], &proof].concat();
    assert_eq!(
        verify_consistency(8, 12, &repeated, &root, &tree(12).root()),
        Err(ProofError::WrongLength)
    );
}

#[test]
fn v7_a_witness_counts_once() {
    let field = Field::new();
    let [a, b] = [field.cosign(0, TIME), field.cosign(1, TIME + 5)];
    let again = field.cosign(0, TIME + 9);
    assert_eq!(
        field.verify(&[a.clone(), a.clone(), a.clone()]),
        Err(PolicyRefusal::Quorum)
    );
    assert_eq!(
        field.verify(&[a.clone(), again.clone()]),
        Err(PolicyRefusal::Quorum)
    );
    assert_eq!(
        field.verify(std::slice::from_ref(&a)),
        Err(PolicyRefusal::Quorum)
    );
    assert_eq!(field.verify(&[]), Err(PolicyRefusal::Quorum));
    // In the order of the policy, with the latest time of each.
    assert_eq!(
        field.verify(&[b, again, a]),
        Ok(vec![(0, TIME + 9), (1, TIME + 5)])
    );
}

#[test]
fn v7_both_keys_of_one_witness_are_two_only_where_the_policy_says_so() {
    let log = Log::new(ORIGIN);
    let witness = Cosigner::new("w1.example");
    let checkpoint = log.checkpoint(&tree(7));
    let lines = [
        witness.cosign(&checkpoint, TIME),
        witness.cosign_post_quantum(&checkpoint, TIME),
    ];
    let note = log.sign(&tree(7)).with(&lines).unwrap().to_string();
    let head = format!(
        "log {}\nwitness Q {}\n",
        log.keys.ed25519(),
        witness.post_quantum
    );
    let one = policy(&format!("{head}quorum Q\n"));
    assert!(one.verify(note.as_bytes(), None, &AwsLc).is_ok());
    let both = policy(&format!(
        "{head}{}group g all Q C\nquorum g\n",
        witness.line("C")
    ));
    assert!(both.verify(note.as_bytes(), None, &AwsLc).is_ok());
    let alone = log.sign(&tree(7)).with(&lines[..1]).unwrap().to_string();
    assert_eq!(
        both.verify(alone.as_bytes(), None, &AwsLc),
        Err(PolicyRefusal::Quorum)
    );
}

#[test]
fn v8_extra_says_nothing() {
    let log = Log::new(ORIGIN);
    let mut proof = TlogProof {
        extra: None,
        index: 11,
        path: prove_inclusion(&tree(20), 11, 20).unwrap(),
        checkpoint: log.sign(&tree(20)).to_string(),
    };
    for extra in [None, Some(b"index 12".to_vec()), Some(vec![0xff; 300])] {
        proof.extra = extra;
        let read = TlogProof::parse(proof.to_string().as_bytes()).unwrap();
        let entry = read.verify(&[11], &log.keys, &AwsLc).unwrap();
        assert_eq!(entry.index(), 11);
        assert!(read.verify(&[12], &log.keys, &AwsLc).is_err());
    }
}

#[test]
fn v9_the_leaf_is_computed_from_the_entry() {
    let log = Log::new(ORIGIN);
    let proof = TlogProof {
        extra: None,
        index: 11,
        path: prove_inclusion(&tree(20), 11, 20).unwrap(),
        checkpoint: log.sign(&tree(20)).to_string(),
    };
    assert!(proof.verify(&[11], &log.keys, &AwsLc).is_ok());
    let leaf = LeafHash::of([11]);
    let sibling = proof.path[0];
    let node = [&[1][..], sibling.as_bytes(), leaf.as_bytes()].concat();
    for claimed in [leaf.as_bytes().to_vec(), node, vec![0, 11], vec![]] {
        assert_eq!(
            proof.verify(&claimed, &log.keys, &AwsLc),
            Err(VerifyEntryError::Proof(ProofError::RootMismatch))
        );
    }
}

#[test]
fn v10_a_monitor_recomputes_every_tile() {
    let entries: Vec<[u8; 2]> = (0..700_u16).map(u16::to_be_bytes).collect();
    let (mut edge, mut files) = (LogEdge::default(), Vec::new());
    for entry in &entries {
        edge.push(entry, &mut files).unwrap();
    }
    files.extend(edge.partials());
    let (entries, tiles): (Vec<_>, Vec<_>) = files
        .iter()
        .partition(|file| file.path.kind() == TileKind::Entries);
    let bundles: Vec<_> = entries.iter().map(|file| &file.bytes).collect();
    let rebuilt = rebuild(700, bundles.iter().copied()).unwrap();
    assert_eq!(rebuilt.root, edge.root());
    assert_eq!(rebuilt.tiles.len(), tiles.len());
    assert!(tiles.iter().all(|tile| rebuilt.tiles.contains(tile)));
    // One bit of one entry, and the tiles that were served are others than those it makes.
    let mut bent: Vec<Vec<u8>> = bundles.iter().map(|bytes| (*bytes).clone()).collect();
    let last = bent[1].len() - 1;
    bent[1][last] ^= 1;
    let other = rebuild(700, bent.iter()).unwrap();
    assert_ne!(other.root, edge.root());
    assert!(tiles.iter().any(|tile| !other.tiles.contains(tile)));
    // An entry less, a bundle less, a bundle more.
    assert!(rebuild(699, bundles.iter().copied()).is_err());
    assert!(rebuild(700, bundles[..2].iter().copied()).is_err());
    assert!(rebuild(512, bundles.iter().copied()).is_err());
}

#[test]
fn v10_a_monitor_refuses_a_log_that_shrinks_or_forks() {
    let log = Log::new(ORIGIN);
    let [seven, nine] = [7, 9].map(|size| log.checkpoint(&tree(size)));
    let proof = prove_consistency(&tree(9), 7, 9).unwrap();
    assert_eq!(advance(&seven, &nine, &proof), Ok(()));
    assert!(matches!(
        advance(&nine, &seven, &proof),
        Err(RatchetError::Smaller { .. })
    ));
    let fork = log.checkpoint(&other_tree(9));
    assert_eq!(advance(&nine, &fork, &[]), Err(RatchetError::Forked(9)));
    assert!(matches!(
        advance(&seven, &fork, &proof),
        Err(RatchetError::Inconsistent { .. })
    ));
}

#[test]
fn v12_cosignatures_count_within_the_window_alone() {
    let field = Field::new();
    let note = field.with(&[field.cosign(0, TIME), field.cosign(1, TIME + 60)]);
    let within = |from, to| {
        let window = Some(TimeWindow { from, to });
        field
            .policy
            .verify(note.as_bytes(), window, &AwsLc)
            .map(drop)
    };
    assert_eq!(within(TIME, TIME + 60), Ok(()));
    assert_eq!(within(0, u64::MAX), Ok(()));
    for (from, to) in [
        (TIME + 1, TIME + 60),
        (TIME, TIME + 59),
        (TIME + 61, u64::MAX),
        (0, TIME - 1),
        (TIME + 60, TIME),
    ] {
        assert_eq!(within(from, to), Err(PolicyRefusal::Quorum), "{from} {to}");
    }
}

#[test]
fn v12_a_cosignature_without_a_time_counts_in_no_window() {
    let field = Field::new();
    let note = field.with(&[field.cosign(0, 0), field.cosign(1, 0)]);
    assert!(field.policy.verify(note.as_bytes(), None, &AwsLc).is_ok());
    let window = Some(TimeWindow {
        from: 0,
        to: u64::MAX,
    });
    assert_eq!(
        field
            .policy
            .verify(note.as_bytes(), window, &AwsLc)
            .map(drop),
        Err(PolicyRefusal::Quorum)
    );
}

#[test]
fn v12_times_above_63_bits_are_refused() {
    let field = Field::new();
    let latest = i64::MAX as u64;
    let lines = [field.cosign(0, latest), field.cosign(1, latest)];
    assert!(field.verify(&lines).is_ok());
    let key = &field.witnesses[0].classical;
    let mut body = lines[0].signature().to_vec();
    body[0] = 0x80;
    let beyond = NoteSignature::new(key.name().clone(), key.key_id(), body);
    assert!(matches!(
        field.verify(&[beyond, lines[1].clone()]),
        Err(PolicyRefusal::Cosignature {
            source: CosignerError::Malformed(CosignatureError::Timestamp),
            ..
        })
    ));
}
