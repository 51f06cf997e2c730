//! What an issuer answers is judged before a workload has it, many in a second as well.

use chancery_crypto::SigningKey;
use chancery_identity::{ClaimedX509Svid, SpiffeId, X509SvidError, spki_der};
use chancery_types::{Algorithm, Timestamp};

use super::issuer::TestIssuer;
use crate::clock::now;
use crate::paths::Paths;

fn forged(mut chain: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    *chain[0].last_mut().unwrap() ^= 1;
    chain
}

fn said(leaf: &ClaimedX509Svid) -> (&SpiffeId, &[u8], Timestamp, Timestamp) {
    let (from, until) = (leaf.not_before(), leaf.not_after());
    (leaf.spiffe_id(), leaf.spki_der(), from, until)
}

#[test]
fn an_issuer_that_signs_wrongly_is_found_and_then_believed_by_the_signature_alone() {
    let (issuer, other) = (TestIssuer::of("td"), TestIssuer::of("td"));
    let bundle = issuer.bundle.borrow().clone().unwrap();
    let id: SpiffeId = "spiffe://td/agent/a".parse().unwrap();
    let key = SigningKey::generate(Algorithm::Es256).unwrap();
    let chain = || issuer.chain_named(&id, &[], &spki_der(key.public()));
    let paths = Paths::default();
    // One second, whatever the clock does.
    let now = Timestamp::from_seconds(now().as_seconds());
    let judge = |chain: &[Vec<u8>]| paths.judge(chain, &bundle, now);
    for _ in 0..64 {
        let leaf = judge(&chain()).unwrap();
        assert_eq!(*leaf.spiffe_id(), id);
        assert_eq!(leaf.spki_der(), spki_der(key.public()));
    }
    // Some are not asked for their signature now, and for everything else as before.
    let wrong = forged(chain());
    let (unsigned, signed) = (judge(&wrong).unwrap(), judge(&chain()).unwrap());
    assert_eq!(said(&unsigned), said(&signed));
    let elsewhere = other.chain_named(&id, &[], &spki_der(key.public()));
    assert_eq!(judge(&elsewhere), Err(X509SvidError::Untrusted));
    assert_eq!(judge(&[]), Err(X509SvidError::EmptyChain));
    judge(&chain()).unwrap();
    // One of sixteen is asked, and from the first that is wrong on each, until one is right.
    let refused = (0..15).find(|_| judge(&wrong).is_err());
    assert!(refused.is_some());
    for _ in 0..40 {
        assert_eq!(judge(&wrong), Err(X509SvidError::Untrusted));
    }
    judge(&chain()).unwrap();
}
