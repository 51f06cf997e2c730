//! A signing certificate whose own path was verified, so that its leaves cost one signature each.

use chancery_types::Timestamp;
use rustls_pki_types::{
    AlgorithmIdentifier, CertificateDer, InvalidSignature, SignatureVerificationAlgorithm,
};
use webpki::anchor_from_trusted_cert;

use super::{VerifiedX509Svid, X509SvidError, verify_with_path, verify_x509_svid};
use crate::{SpiffeId, X509Bundle};

/// What a leaf says of itself that is an X.509-SVID in everything but that nobody verified the signature on it:
/// whoever is presented it must. [`VerifiedIntermediate::claimed`] makes one; what was verified is claimed as well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimedX509Svid(VerifiedX509Svid);

impl From<VerifiedX509Svid> for ClaimedX509Svid {
    fn from(svid: VerifiedX509Svid) -> Self {
        Self(svid)
    }
}

impl ClaimedX509Svid {
    /// Whose SVID it says it is.
    pub const fn spiffe_id(&self) -> &SpiffeId {
        self.0.spiffe_id()
    }

    /// The first second of the leaf's validity.
    pub const fn not_before(&self) -> Timestamp {
        self.0.not_before()
    }

    /// The last second of the leaf's validity.
    pub const fn not_after(&self) -> Timestamp {
        self.0.not_after()
    }

    /// The public key as SubjectPublicKeyInfo in DER.
    pub fn spki_der(&self) -> &[u8] {
        self.0.spki_der()
    }
}

/// A certificate between the authorities of a bundle and leaves, by which a chain was verified with that
/// bundle; only [`VerifiedIntermediate::of`] makes one.
///
/// Of a chain of a leaf and just this certificate it accepts what [`verify_x509_svid`] accepts by way of this
/// certificate, and nothing else, without verifying the signature on it again. Everything that time or the bundle
/// may change is asked each time. What it refuses may have another path: ask for the whole one then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedIntermediate {
    bundle: X509Bundle,
    /// The certificate as the only authority.
    itself: X509Bundle,
}

impl VerifiedIntermediate {
    /// Verifies a chain as [`verify_x509_svid`] does, and keeps what the path led through. None where that is
    /// not one certificate, or where names are constrained: a constraint of an authority is judged with the
    /// whole path alone.
    pub fn of(
        chain: &[impl AsRef<[u8]>],
        bundle: &X509Bundle,
        now: Timestamp,
        algorithms: &[&dyn SignatureVerificationAlgorithm],
    ) -> Result<(VerifiedX509Svid, Option<Self>), X509SvidError> {
        let (svid, through) = verify_with_path(chain, bundle, now, algorithms)?;
        // INVARIANT: what the chain carries beside the path was verified by nobody.
        let kept = match through.as_slice() {
            [through] => Self::kept(through, bundle),
            _ => None,
        };
        Ok((svid, kept))
    }

    fn kept(through: &CertificateDer<'_>, bundle: &X509Bundle) -> Option<Self> {
        let itself = X509Bundle::new(bundle.trust_domain().clone(), [through.to_vec()]).ok()?;
        let unconstrained = |der: &CertificateDer<'_>| {
            let anchor = anchor_from_trusted_cert(der);
            anchor.is_ok_and(|anchor| anchor.name_constraints.is_none())
        };
        let mut all = bundle.authorities().iter().chain(itself.authorities());
        all.all(|one| unconstrained(one.der())).then(|| Self {
            bundle: bundle.clone(),
            itself,
        })
    }

    /// Verifies a chain of a leaf and this certificate. None where it does not speak of the chain: it has other
    /// certificates, the bundle is another one, or an authority of the bundle is not valid now; and where it
    /// refuses.
    pub fn verify(
        &self,
        chain: &[impl AsRef<[u8]>],
        bundle: &X509Bundle,
        now: Timestamp,
        algorithms: &[&dyn SignatureVerificationAlgorithm],
    ) -> Option<VerifiedX509Svid> {
        let ([leaf, above], [own]) = (chain, self.itself.authorities()) else {
            return None;
        };
        let speaks = own.der().as_ref() == above.as_ref()
            && *bundle == self.bundle
            && bundle.authorities().iter().all(|one| one.is_valid_at(now))
            // Whether it is over or not begun yet is said by the whole path.
            && own.is_valid_at(now);
        if !speaks {
            return None;
        }
        let verified = verify_x509_svid(&[leaf], &self.itself, now, algorithms).ok()?;
        // A path leads through no key twice.
        (verified.spki_der() != own.spki_der()).then_some(verified)
    }

    /// Judges a chain of a leaf and this certificate as [`VerifiedIntermediate::verify`] does, but for the
    /// signature on the leaf: name, profile, issuer, key, validity. For whoever hands an SVID on to its holder;
    /// it proves nothing about who presents it.
    pub fn claimed(
        &self,
        chain: &[impl AsRef<[u8]>],
        bundle: &X509Bundle,
        now: Timestamp,
        algorithms: &[&dyn SignatureVerificationAlgorithm],
    ) -> Option<ClaimedX509Svid> {
        let unasked: Vec<_> = algorithms.iter().map(|one| Unasked(*one)).collect();
        let unasked: Vec<&dyn SignatureVerificationAlgorithm> =
            unasked.iter().map(|one| one as _).collect();
        let claimed = self.verify(chain, bundle, now, &unasked)?;
        Some(ClaimedX509Svid(claimed))
    }
}

/// An algorithm that is not asked about the signature.
#[derive(Debug)]
struct Unasked<'a>(&'a dyn SignatureVerificationAlgorithm);

impl SignatureVerificationAlgorithm for Unasked<'_> {
    fn verify_signature(&self, _: &[u8], _: &[u8], _: &[u8]) -> Result<(), InvalidSignature> {
        Ok(())
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        self.0.public_key_alg_id()
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        self.0.signature_alg_id()
    }
}

#[cfg(test)]
mod tests {
    use chancery_crypto::SVID_ALGORITHMS;

    use super::super::tests::{Authority, NOW, now, root, root_with, uri, validity};
    use super::*;

    fn known(root: &Authority, intermediate: &Authority) -> VerifiedIntermediate {
        let chain = [intermediate.leaf(|_| {}), intermediate.der.clone()];
        let verified = VerifiedIntermediate::of(&chain, &root.bundle(), now(), SVID_ALGORITHMS);
        verified.unwrap().1.unwrap()
    }

    fn at(
        known: &VerifiedIntermediate,
        chain: &[Vec<u8>],
        root: &Authority,
        now: Timestamp,
    ) -> Option<VerifiedX509Svid> {
        known.verify(chain, &root.bundle(), now, SVID_ALGORITHMS)
    }

    #[test]
    fn it_decides_as_the_whole_path_does() {
        let root = root();
        let intermediate = root.intermediate(|_| {});
        let known = known(&root, &intermediate);
        let above = &intermediate.der;
        let foreign = root.intermediate(|_| {}).leaf(|_| {});
        let leaves = [
            intermediate.leaf(|_| {}),
            // Another intermediate signed it.
            foreign,
            intermediate.leaf(|params| validity(params, NOW - 20, NOW - 10)),
            intermediate.leaf(|params| validity(params, NOW + 10, NOW + 20)),
            intermediate.leaf(|params| params.subject_alt_names.clear()),
            b"no certificate".to_vec(),
        ];
        for (number, leaf) in leaves.into_iter().enumerate() {
            let chain = [leaf, above.clone()];
            let whole = verify_x509_svid(&chain, &root.bundle(), now(), SVID_ALGORITHMS);
            assert_eq!(whole.is_ok(), number == 0);
            assert_eq!(at(&known, &chain, &root, now()), whole.ok(), "{number}");
        }
    }

    #[test]
    fn what_is_claimed_is_what_would_verify_were_it_signed() {
        let root = root();
        let intermediate = root.intermediate(|_| {});
        let known = known(&root, &intermediate);
        let claimed = |leaf: Vec<u8>| {
            let chain = [leaf, intermediate.der.clone()];
            known.claimed(&chain, &root.bundle(), now(), SVID_ALGORITHMS)
        };
        let leaf = intermediate.leaf(|_| {});
        let said = claimed(leaf.clone()).unwrap();
        let chain = [leaf.clone(), intermediate.der.clone()];
        assert_eq!(Some(said.0), at(&known, &chain, &root, now()));
        // Another signature is seen by whoever verifies it, and by nobody here.
        let mut forged = leaf;
        *forged.last_mut().unwrap() ^= 1;
        let chain = [forged.clone(), intermediate.der.clone()];
        assert_eq!(at(&known, &chain, &root, now()), None);
        assert!(claimed(forged).is_some());
        let renamed = root.intermediate(|params| {
            let other = rcgen::DistinguishedName::new();
            params.distinguished_name = other;
        });
        for wrong in [
            renamed.leaf(|_| {}),
            intermediate.leaf(|params| validity(params, NOW - 20, NOW - 10)),
            intermediate.leaf(|params| validity(params, NOW + 10, NOW + 20)),
            intermediate.leaf(|params| params.subject_alt_names.clear()),
            intermediate.leaf(|params| params.subject_alt_names = vec![uri("spiffe://other/a")]),
            intermediate.leaf(|params| {
                params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained)
            }),
            b"no certificate".to_vec(),
        ] {
            assert_eq!(claimed(wrong), None);
        }
        let chain = [intermediate.leaf(|_| {}), root.intermediate(|_| {}).der];
        let elsewhere = known.claimed(&chain, &root.bundle(), now(), SVID_ALGORITHMS);
        assert_eq!(elsewhere, None);
    }

    #[test]
    fn of_other_certificates_bundles_and_times_it_says_nothing() {
        let root = root();
        let intermediate = root.intermediate(|params| validity(params, NOW - 1_000, NOW + 50));
        let known = known(&root, &intermediate);
        let chain = [intermediate.leaf(|_| {}), intermediate.der.clone()];
        assert!(at(&known, &chain, &root, now()).is_some());
        let other = root.intermediate(|_| {});
        let others = [chain[0].clone(), other.der.clone()];
        assert_eq!(at(&known, &others, &root, now()), None);
        assert_eq!(at(&known, &chain[..1], &root, now()), None);
        let longer = [chain[0].clone(), chain[1].clone(), root.der.clone()];
        assert_eq!(at(&known, &longer, &root, now()), None);
        // A root that left the bundle, or is over, or an intermediate that is.
        assert_eq!(at(&known, &chain, &root_with(|_| {}), now()), None);
        for seconds in [NOW + 60, NOW + 2_000] {
            let then = Timestamp::from_seconds(seconds);
            assert_eq!(at(&known, &chain, &root, then), None, "{seconds}");
        }
        let before = Timestamp::from_seconds(NOW - 2_000);
        assert_eq!(at(&known, &chain, &root, before), None);
        // One that outlives its root.
        let short = root_with(|params| validity(params, NOW - 1_000, NOW + 50));
        let intermediate = short.intermediate(|params| validity(params, NOW - 1_000, NOW + 1_000));
        let known = self::known(&short, &intermediate);
        let leaf = intermediate.leaf(|params| validity(params, NOW - 10, NOW + 500));
        let chain = [leaf, intermediate.der.clone()];
        assert!(at(&known, &chain, &short, now()).is_some());
        let then = Timestamp::from_seconds(NOW + 60);
        assert_eq!(at(&known, &chain, &short, then), None);
    }

    #[test]
    fn a_leaf_that_has_its_issuers_key_is_left_to_the_whole_path() {
        let root = root();
        let intermediate = root.intermediate(|_| {});
        let known = known(&root, &intermediate);
        let mut params = rcgen::CertificateParams::default();
        params.distinguished_name = intermediate.params.distinguished_name.clone();
        params.subject_alt_names = vec![uri("spiffe://td/agent/a")];
        params.is_ca = rcgen::IsCa::ExplicitNoCa;
        params.key_usages = vec![rcgen::KeyUsagePurpose::DigitalSignature];
        validity(&mut params, NOW - 10, NOW + 100);
        let leaf = intermediate.sign(&params, &intermediate.key);
        let chain = [leaf, intermediate.der.clone()];
        assert!(verify_x509_svid(&chain, &root.bundle(), now(), SVID_ALGORITHMS).is_err());
        assert_eq!(at(&known, &chain, &root, now()), None);
    }

    #[test]
    fn nothing_is_kept_of_what_does_not_verify_or_is_constrained() {
        let (one, two) = (root(), root());
        let intermediate = one.intermediate(|_| {});
        let chain = [intermediate.leaf(|_| {}), intermediate.der.clone()];
        let wrong = VerifiedIntermediate::of(&chain, &two.bundle(), now(), SVID_ALGORITHMS);
        assert_eq!(wrong.unwrap_err(), X509SvidError::Untrusted);
        // A leaf straight below the root: what is carried along beside it is in no path.
        let carried = [two.der.clone(), two.intermediate(|_| {}).der];
        for more in [&[], &carried[..1], &carried[1..]] {
            let chain = [&[one.leaf(|_| {})], more].concat();
            let verified = VerifiedIntermediate::of(&chain, &one.bundle(), now(), SVID_ALGORITHMS);
            assert_eq!(verified.unwrap().1, None, "{}", more.len());
        }
        // Nor is it where the path leads through another one.
        let chain = [chain.to_vec(), carried[1..].to_vec()].concat();
        let verified = VerifiedIntermediate::of(&chain, &one.bundle(), now(), SVID_ALGORITHMS);
        let kept = verified.unwrap().1.unwrap();
        let evil = [two.intermediate(|_| {}).leaf(|_| {}), carried[1].clone()];
        assert_eq!(at(&kept, &evil, &one, now()), None);
        let constrained = root_with(|params| {
            params.name_constraints = Some(rcgen::NameConstraints {
                permitted_subtrees: vec![rcgen::GeneralSubtree::DnsName("example".to_owned())],
                excluded_subtrees: Vec::new(),
            });
        });
        let names = constrained.params.name_constraints.clone();
        let free = root();
        let below = [
            (&constrained, constrained.intermediate(|_| {})),
            (
                &free,
                free.intermediate(|params| params.name_constraints = names),
            ),
        ];
        for (root, below) in below {
            let chain = [below.leaf(|_| {}), below.der.clone()];
            let verified = VerifiedIntermediate::of(&chain, &root.bundle(), now(), SVID_ALGORITHMS);
            assert_eq!(verified.unwrap().1, None);
        }
    }
}
