//! Evidence, as a relying party gets it.

use chancery_evidence::trust_record::VerifiedTrustRecord;
use chancery_evidence::{Catalog, EvidenceIndex, Files, actions, verify, why};
use chancery_types::canonical::is_canonical;

use crate::sections::sections;
use crate::world::{Credulous, NOW, trust};

/// Any files have a report, the same each time, and without trust they prove nothing.
pub(crate) fn files(input: &[u8]) {
    let files: Files = sections(input).into_iter().collect();
    let told = |trust| format!("{:?}", verify(&files, trust, &Credulous, NOW));
    assert_eq!(told(trust()), told(trust()));
    let _ = told(None);
    for action in actions(&files).into_iter().take(3) {
        let _ = why(&files, trust(), &Credulous, NOW, action.execution);
    }
}

/// An index that is read is what would be written.
pub(crate) fn index(input: &[u8]) {
    if let Some(index) = EvidenceIndex::parse(input) {
        assert_eq!(index.to_bytes().ok().as_deref(), Some(input));
    }
}

/// A catalog that is read is canonical.
pub(crate) fn catalog(input: &[u8]) {
    if let Some(catalog) = Catalog::parse(input) {
        assert!(is_canonical(input));
        let _ = catalog.root();
    }
}

/// A record that verifies is what would be written.
pub(crate) fn trust_record(input: &[u8]) {
    let signers = trust().map_or(&[][..], |trust| &trust.record_signers);
    if let Ok(record) = VerifiedTrustRecord::verify(input, signers, &Credulous) {
        assert_eq!(record.to_bytes().ok().as_deref(), Some(input));
    }
    assert!(VerifiedTrustRecord::verify(input, &[], &Credulous).is_err());
}
