//! The C2SP formats.

use chancery_tlog::{
    Checkpoint, LogKeys, Note, NoteSignature, TilePath, TimestampedSignature, TlogProof,
    VerifierKey, decode_bundle, encode_entry, encode_tile, parse_tile, rebuild, tiles_for,
    verify_checkpoint, verify_checkpoint_exact,
};

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

/// Keys that are read are written the same.
pub(crate) fn vkey(input: &[u8]) -> bool {
    str::from_utf8(input).is_ok_and(|text| round_trips::<VerifierKey>(text).is_some())
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
