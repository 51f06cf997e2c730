//! The C2SP formats.

use chancery_tlog::{
    Checkpoint, LeafHash, LogKeys, Note, NoteSignature, TilePath, TimestampedSignature, TlogProof,
    VerifierKey, decode_bundle, encode_entry, encode_tile, parse_tile, rebuild, tiles_for,
    verify_checkpoint, verify_checkpoint_exact,
};

use crate::types::round_trips;
use crate::world::{Credulous, trust};

/// Notes that are read are written the same.
pub(crate) fn note(input: &[u8]) {
    if let Ok(note) = Note::parse(input) {
        assert_eq!(note.to_string().as_bytes(), input);
        for signature in note.signatures() {
            let written = signature.to_string();
            assert_eq!(written.parse::<NoteSignature>().as_ref(), Ok(signature));
            if let Ok(timestamped) = TimestampedSignature::parse(signature.signature()) {
                assert_eq!(timestamped.to_bytes(), signature.signature());
            }
        }
    }
}

/// What exact verification takes, verification takes.
pub(crate) fn checkpoint(input: &[u8]) {
    if let Ok(text) = str::from_utf8(input) {
        round_trips::<Checkpoint>(text);
    }
    for keys in log_keys() {
        let exact = verify_checkpoint_exact(input, &keys, &Credulous);
        let verified = verify_checkpoint(input, &keys, &Credulous);
        if let Ok(exact) = &exact {
            assert_eq!(verified.as_ref(), Ok(exact));
        }
        if let Ok(verified) = verified {
            assert_eq!(verified.origin(), keys.origin());
            // A size is a claim: nothing may be done for each entry before there are entries.
            assert!(tiles_for(verified.size()).take(1_000).count() <= 1_000);
        }
    }
}

/// Paths that are read are written the same.
pub(crate) fn tile_path(input: &[u8]) {
    if let Ok(text) = str::from_utf8(input) {
        for line in text.lines() {
            round_trips::<TilePath>(line);
        }
    }
}

/// The first byte is the width. What is read is written the same, and makes a tree.
pub(crate) fn bundle(input: &[u8]) {
    let Some((width, bytes)) = input.split_first() else {
        return;
    };
    let width = u16::from(*width) + 1;
    if let Ok(entries) = decode_bundle(bytes, width) {
        assert_eq!(entries.len(), usize::from(width));
        let mut again = Vec::new();
        for entry in &entries {
            assert!(encode_entry(entry, &mut again).is_ok());
        }
        assert_eq!(again, bytes);
        assert!(rebuild(width.into(), [bytes].iter()).is_ok());
        assert!(rebuild(u64::from(width) + 1, [bytes].iter()).is_err());
        let hashes: Vec<_> = entries.iter().map(LeafHash::of).collect();
        assert_eq!(hashes.len(), entries.len());
    }
    if let Ok(hashes) = parse_tile(bytes, width) {
        assert_eq!(encode_tile(&hashes), bytes);
    }
}

/// Proof files that are read are written the same.
pub(crate) fn proof(input: &[u8]) {
    let Ok(proof) = TlogProof::parse(input) else {
        return;
    };
    assert_eq!(proof.to_string().as_bytes(), input);
    for keys in log_keys() {
        // Nobody finds an entry of this hash.
        assert!(proof.verify(b"no entry", &keys, &Credulous).is_err());
    }
}

/// Keys that are read are written the same.
pub(crate) fn vkey(input: &[u8]) {
    if let Ok(text) = str::from_utf8(input) {
        round_trips::<VerifierKey>(text);
    }
}

/// The keys of the logs that the trust document names.
fn log_keys() -> Vec<LogKeys> {
    let origins = trust().into_iter().flat_map(|trust| &trust.log_origins);
    let keys = origins.filter_map(|known| {
        LogKeys::new(
            known.origin.parse().ok()?,
            known.ed25519.parse().ok()?,
            known.ml_dsa_44.parse().ok()?,
        )
        .ok()
    });
    keys.collect()
}
