//! The C2SP formats.

use std::collections::BTreeMap;
use std::convert::Infallible;

use chancery_tlog::{
    AddCheckpoint, Checkpoint, CosignatureLines, IndexKey, IndexProof, LogEdge, LogKeys, LogPolicy,
    MAX_PROOF_HASHES, Note, NoteSignature, RecordedSize, SeenLog, TileEdge, TilePath,
    TimestampedSignature, TlogProof, TreeHash, VerifierKey, WitnessRefusal, decode_bundle,
    encode_entry, encode_tile, judge, parse_tile, rebuild, recompute, tiles_for, verify_checkpoint,
    verify_checkpoint_cosigned, verify_checkpoint_exact,
};

use crate::sections::sections;
use crate::types::round_trips;
use crate::world::{Credulous, trust};

/// Notes that are read are written the same.
pub(crate) fn note(input: &[u8]) -> bool {
    let Ok(note) = Note::parse(input) else {
        return false;
    };
    assert_eq!(note.to_string().as_bytes(), input);
    for signature in note.signatures() {
        let written = signature.to_string();
        assert_eq!(written.parse::<NoteSignature>().as_ref(), Ok(signature));
        if let Ok(timestamped) = TimestampedSignature::parse(signature.signature()) {
            assert_eq!(timestamped.to_bytes(), signature.signature());
        }
    }
    true
}

/// What exact verification takes, verification takes.
pub(crate) fn checkpoint(input: &[u8]) -> bool {
    if let Ok(text) = str::from_utf8(input) {
        round_trips::<Checkpoint>(text);
    }
    let mut taken = false;
    for keys in log_keys() {
        let exact = verify_checkpoint_exact(input, &keys, &Credulous);
        let verified = verify_checkpoint(input, &keys, &Credulous);
        if let Ok(exact) = &exact {
            assert_eq!(verified.as_ref(), Ok(exact));
        }
        if let Ok(verified) = verified {
            assert_eq!(verified.origin(), keys.origin());
            // A size is a claim: its tiles are named one by one, as they are asked for.
            let first = tiles_for(verified.size()).next();
            assert_eq!(first.is_none(), verified.size() == 0);
            taken = true;
        }
    }
    taken
}

/// Paths that are read are written the same.
pub(crate) fn tile_path(input: &[u8]) -> bool {
    let lines = str::from_utf8(input).into_iter().flat_map(str::lines);
    lines.filter_map(round_trips::<TilePath>).count() > 0
}

/// The first byte is the width. What is read is written the same, and makes a tree.
pub(crate) fn bundle(input: &[u8]) -> bool {
    let Some((width, bytes)) = input.split_first() else {
        return false;
    };
    let width = u16::from(*width) + 1;
    if let Ok(hashes) = parse_tile(bytes, width) {
        assert_eq!(encode_tile(&hashes), bytes);
    }
    let Ok(entries) = decode_bundle(bytes, width) else {
        assert!(rebuild(width.into(), [bytes].iter()).is_err());
        return false;
    };
    assert_eq!(entries.len(), usize::from(width));
    let mut again = Vec::new();
    for entry in &entries {
        assert!(encode_entry(entry, &mut again).is_ok());
    }
    assert_eq!(again, bytes);
    assert!(rebuild(width.into(), [bytes].iter()).is_ok());
    assert!(rebuild(u64::from(width) + 1, [bytes].iter()).is_err());
    true
}

/// Proof files that are read are written the same.
pub(crate) fn proof(input: &[u8]) -> bool {
    let Ok(proof) = TlogProof::parse(input) else {
        return false;
    };
    assert_eq!(proof.to_string().as_bytes(), input);
    for keys in log_keys() {
        // Nobody finds a path from the hash of this entry.
        assert!(proof.verify(b"no entry", &keys, &Credulous).is_err());
    }
    true
}

/// Proofs of instances that are read are written the same, and prove nothing under a root that
/// nobody made.
pub(crate) fn index_proof(input: &[u8]) -> bool {
    let Ok(proof) = IndexProof::parse(input) else {
        return false;
    };
    assert_eq!(proof.to_string().as_bytes(), input);
    let root = TreeHash::from_bytes([7; 32]);
    let key = IndexKey::of(proof.name());
    assert!(proof.path().verify(&key, &root).is_err());
    true
}

/// Keys that are read are written the same.
pub(crate) fn vkey(input: &[u8]) -> bool {
    str::from_utf8(input).is_ok_and(|text| round_trips::<VerifierKey>(text).is_some())
}

/// A policy that is read can be met by all of its witnesses; who meets it keeps meeting it with
/// more of them.
pub(crate) fn policy(input: &[u8]) -> bool {
    let Ok(policy) = LogPolicy::parse(input) else {
        return false;
    };
    assert!(policy.is_met(|_| true));
    assert_eq!(policy.is_met(|_| false), !policy.asks_for_witnesses());
    let count = policy.witnesses().len();
    let mut met = false;
    for many in 0..=count {
        let now = policy.is_met(|place| place < many);
        assert!(now || !met);
        met = now;
    }
    for witness in policy.witnesses() {
        assert!(policy.logs().iter().all(|log| log.key() != witness.key()));
    }
    for keys in log_keys() {
        let _ = verify_checkpoint_cosigned(input, &keys, Some(&policy), &Credulous);
    }
    true
}

/// Requests that are read are written the same. What is admitted continues what was cosigned.
pub(crate) fn add_checkpoint(input: &[u8]) -> bool {
    let Ok(request) = AddCheckpoint::parse(input) else {
        return false;
    };
    assert_eq!(request.to_string().as_bytes(), input);
    assert!(request.consistency().len() <= MAX_PROOF_HASHES);
    for keys in log_keys() {
        let known = [keys.ed25519().clone(), keys.ml_dsa_44().clone()];
        match judge(&request, &known, |_| None, &Credulous) {
            Ok(admitted) => {
                assert_eq!(request.old_size(), 0);
                assert_eq!(&admitted.checkpoint().origin, keys.origin());
                assert!(
                    admitted.note().signatures().len() <= request.checkpoint().signatures().len()
                );
            }
            Err(refusal) => {
                assert!(matches!(refusal.status(), 400 | 403 | 404 | 409 | 422));
                let conflict = matches!(refusal, WitnessRefusal::Conflict(_));
                assert_eq!(refusal.recorded_size().is_some(), conflict);
            }
        }
    }
    true
}

/// What a witness answers: cosignatures or a size. What is read is written the same.
pub(crate) fn witness_answer(input: &[u8]) -> bool {
    if let Ok(lines) = CosignatureLines::parse(input) {
        assert_eq!(lines.to_string().as_bytes(), input);
        for line in lines.lines() {
            if let Ok(body) = TimestampedSignature::parse_ed25519(line.signature()) {
                assert_eq!(body.to_bytes(), line.signature());
            }
        }
        return true;
    }
    let size = str::from_utf8(input).ok();
    let size = size.and_then(|text| text.parse::<RecordedSize>().ok());
    if let Some(size) = size {
        assert_eq!(size.to_string().as_bytes(), input);
    }
    size.is_some()
}

/// What a monitor remembered is written the same, and its tiles make the root of its checkpoint.
pub(crate) fn seen_log(input: &[u8]) -> bool {
    let Ok(seen) = SeenLog::parse(input) else {
        return false;
    };
    assert_eq!(seen.to_string().as_bytes(), input);
    assert_eq!(seen.edge().size(), seen.checkpoint().size);
    assert_eq!(seen.edge().root(), seen.checkpoint().root);
    true
}

/// The input has files, as sections, in place of those of a log: exactly what differs from them is
/// found.
pub(crate) fn served(input: &[u8]) -> bool {
    const SIZE: u64 = 300;
    let (mut edge, mut resources) = (LogEdge::new(), Vec::new());
    for index in 0..SIZE {
        let pushed = edge.push(&index.to_be_bytes(), &mut resources);
        assert!(pushed.is_ok());
    }
    resources.extend(edge.partials());
    let made = resources.into_iter().map(|file| (file.path, file.bytes));
    let made: BTreeMap<TilePath, Vec<u8>> = made.collect();
    let mut files = made.clone();
    let (mut taken, mut differs) = (false, false);
    for (name, bytes) in sections(input) {
        let Ok(path) = name.parse::<TilePath>() else {
            continue;
        };
        taken |= made.contains_key(&path);
        files.insert(path, bytes);
    }
    for (path, bytes) in &made {
        differs |= files.get(path) != Some(bytes);
    }
    let Ok(origin) = "acme.example/log/gateway".parse() else {
        return false;
    };
    let root = edge.root();
    let checkpoint = Checkpoint {
        origin,
        size: SIZE,
        root,
    };
    let mut read = |path: &TilePath| Ok::<_, Infallible>(files.get(path).cloned());
    let Ok(passed) = recompute(
        &checkpoint,
        &TileEdge::new(),
        true,
        &mut read,
        &mut |_, _| {},
    );
    assert_eq!(!passed.findings.is_empty(), differs);
    assert!(differs || passed.edge.root() == root);
    taken
}

/// The keys of the logs that the trust document names.
fn log_keys() -> Vec<LogKeys> {
    let origins = trust().into_iter().flat_map(|trust| &trust.log_origins);
    let keys = origins.filter_map(|known| {
        let (ed25519, ml_dsa_44) = (known.ed25519.parse().ok()?, known.ml_dsa_44.parse().ok()?);
        LogKeys::new(known.origin.parse().ok()?, ed25519, ml_dsa_44).ok()
    });
    keys.collect()
}
