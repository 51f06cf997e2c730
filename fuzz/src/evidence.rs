//! Evidence, as a relying party gets it.

use chancery_evidence::completeness::IndexChecker;
use chancery_evidence::trust_record::VerifiedTrustRecord;
use chancery_evidence::{Catalog, ErasedObjects, EvidenceIndex, Files, actions, verify, why};
use chancery_types::canonical::is_canonical;

use crate::sections::sections;
use crate::world::{Credulous, NOW, trust};

/// Any files have a report, the same each time, and without trust they prove nothing.
pub(crate) fn files(input: &[u8]) -> bool {
    let files: Files = sections(input).into_iter().collect();
    let told = |trust| format!("{:?}", verify(&files, trust, &Credulous, NOW));
    assert_eq!(told(trust()), told(trust()));
    let _ = told(None);
    let actions = actions(&files);
    for action in actions.iter().take(3) {
        let _ = why(&files, trust(), &Credulous, action.execution, NOW);
    }
    !actions.is_empty()
}

/// Evidence in one file that is read is what would be written.
pub(crate) fn archive(input: &[u8]) -> bool {
    let Ok(files) = Files::from_archive(input) else {
        return false;
    };
    assert_eq!(files.to_archive().ok().as_deref(), Some(input));
    let inside = |path: &str| path.split('/').all(|part| !matches!(part, "" | "." | ".."));
    assert!(files.paths().all(inside));
    true
}

/// A list of erased objects that is read is what would be written.
pub(crate) fn erased(input: &[u8]) -> bool {
    let Some(list) = ErasedObjects::parse(input) else {
        return false;
    };
    assert_eq!(list.to_bytes().ok().as_deref(), Some(input));
    true
}

/// An index that is read is what would be written.
pub(crate) fn index(input: &[u8]) -> bool {
    let Some(index) = EvidenceIndex::parse(input) else {
        return false;
    };
    assert_eq!(index.to_bytes().ok().as_deref(), Some(input));
    true
}

/// What a monitor remembered of an index is what would be written.
pub(crate) fn seen_index(input: &[u8]) -> bool {
    let text = str::from_utf8(input).ok();
    let Some(seen) = text.and_then(|text| text.parse::<IndexChecker>().ok()) else {
        return false;
    };
    assert_eq!(seen.to_string().as_bytes(), input);
    assert!(seen.covered() <= seen.size());
    true
}

/// A catalog that is read is canonical.
pub(crate) fn catalog(input: &[u8]) -> bool {
    let Some(catalog) = Catalog::parse(input) else {
        return false;
    };
    assert!(is_canonical(input));
    let _ = catalog.root();
    true
}

/// A record that verifies is what would be written.
pub(crate) fn trust_record(input: &[u8]) -> bool {
    let signers = trust().map_or(&[][..], |trust| &trust.record_signers);
    assert!(VerifiedTrustRecord::verify(input, &[], &Credulous).is_err());
    let Ok(record) = VerifiedTrustRecord::verify(input, signers, &Credulous) else {
        return false;
    };
    assert_eq!(record.to_bytes().ok().as_deref(), Some(input));
    true
}
