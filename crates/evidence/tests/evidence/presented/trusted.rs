//! What a presentation is held against: trust, snapshots, revocations, witnesses and policy.

use chancery_audit::Entry;
use chancery_delegation::{Revocable, Revocation};
use chancery_evidence::presentation::HolderError;
use chancery_identity::trust::{TrustDocument, UnwitnessedRule, WitnessRule};
use chancery_types::RevocationKind;
use chancery_types::limits::MAX_REVOCATIONS;

use super::*;
use crate::log_writer::LogSigner;
use crate::scene::id;

impl Stand {
    /// The deployment's trust document, changed, with the same signer of snapshots.
    fn trust_with(&self, change: impl FnOnce(&mut TrustDocument)) -> VerifiedTrust {
        self.scene.trust_with(|document| {
            document.snapshot_signers = vec![*self.snapshots.public()];
            change(document);
        })
    }

    /// What the second instance's parts come to under that trust, with a snapshot of it.
    fn verify_under(
        &self,
        trust: &VerifiedTrust,
    ) -> Result<VerifiedPresentation, PresentationRefusal> {
        let mut parts = self.parts.clone();
        parts.snapshot = snapshot(&self.scene, trust, &self.snapshots, |_| {});
        verify(&self.signed(parts), trust, challenge(), now())
    }
}

#[test]
fn what_is_withheld_without_witnesses_is_refused_without_them() {
    let stand = Stand::new();
    let witness = key(Algorithm::Ed25519);
    let public = witness.public().to_public_bytes();
    let name = "witness.example".parse().unwrap();
    let verifier = chancery_tlog::VerifierKey::cosignature(name, &public).unwrap();
    for (unwitnessed, refused) in [
        (UnwitnessedRule::Publish, false),
        (UnwitnessedRule::Withhold, true),
    ] {
        let trust = stand.trust_with(|document| {
            document.witnesses = Some(WitnessRule {
                policy: format!("witness W {verifier}\nquorum W\n"),
                unwitnessed,
            });
        });
        let reason = stand.verify_under(&trust).err().map(|error| error.code());
        assert_eq!(reason, refused.then_some("unwitnessed"));
    }
}

#[test]
fn a_snapshot_is_of_this_trust_and_not_old() {
    let stand = Stand::new();
    for (reason, snapshot) in [
        (
            "snapshot_stale",
            stand.snapshot(|it| it.issued_at = now().minus_seconds(61)),
        ),
        (
            "snapshot_stale",
            stand.snapshot(|it| it.issued_at = now().plus_seconds(6)),
        ),
        (
            "trust_superseded",
            stand.snapshot(|it| it.trust_version = 2),
        ),
        (
            "part_differs",
            stand.snapshot(|it| it.trust_digest = Digest::of("x")),
        ),
        ("chain_refused", stand.snapshot(|it| it.epoch = 2)),
    ] {
        stand.refused(reason, |parts| parts.snapshot = snapshot);
    }
    let altered = |change: fn(&mut SignedSnapshot)| {
        stand.refused("snapshot_refused", |parts| change(&mut parts.snapshot))
    };
    altered(|it| it.snapshot.epoch = 0);
    altered(|it| it.kid = "x".to_owned());
    altered(|it| it.signature = base64url::encode([0; 64]));
}

#[test]
fn what_is_revoked_presents_nothing() {
    let stand = Stand::new();
    let key = stand.scene.keys[1].public().thumbprint();
    let join = Entry::parse(&base64url::decode(&stand.parts.joined.entry).unwrap()).unwrap();
    let Event::SessionJoin(join) = join.event else {
        panic!();
    };
    for (kind, id) in [
        (RevocationKind::Instance, join.instance.to_string()),
        (RevocationKind::Session, join.session.to_string()),
        (RevocationKind::Person, person().to_string()),
        (RevocationKind::Token, "root-1".to_owned()),
        (RevocationKind::Token, "link-1".to_owned()),
        (RevocationKind::Key, key.to_string()),
    ] {
        let mut revoked = RevocationSet::none().clone();
        let what = Revocable::new(kind, &id).unwrap();
        revoked.revoke(&Revocation { what, at: at(10) }).unwrap();
        let snapshot = stand.snapshot(|it| it.revoked = revoked);
        stand.refused("chain_revoked", |parts| parts.snapshot = snapshot);
    }
    let mut revoked = RevocationSet::none().clone();
    let what = Revocable::new(RevocationKind::Agent, join.agent.as_str()).unwrap();
    revoked.revoke(&Revocation { what, at: at(10) }).unwrap();
    let snapshot = stand.snapshot(|it| it.revoked = revoked);
    stand.refused("manifest_refused", |parts| parts.snapshot = snapshot);
}

#[test]
fn trust_is_the_relying_partys_own() {
    let stand = Stand::new();
    let bytes = stand.signed(stand.parts.clone());
    let stranger = Stand::new();
    let error = verify(&bytes, &stranger.trust, challenge(), now()).unwrap_err();
    assert_eq!(error.code(), "credential_refused");
    // A person who is nobody here, and one who may not consent.
    let without: [fn(&mut TrustDocument); 2] = [
        |document| document.people.retain(|known| known.id != person()),
        |document| document.people[0].roles.clear(),
    ];
    for change in without {
        let trust = stand.trust_with(change);
        let error = stand.verify_under(&trust).unwrap_err();
        assert_eq!(error.code(), "consent_unknown");
    }
}

#[test]
fn there_is_one_policy() {
    let stand = Stand::new();
    let newer = stand.snapshot(|it| it.policy_digest = Digest::of("another bundle"));
    stand.refused("policy_mismatch", |parts| parts.snapshot = newer);
}

#[test]
fn a_log_that_another_one_goes_on_from_proves_nothing_any_more() {
    let stand = Stand::new();
    for (origin, writer) in [
        (
            "example.org/log/server.2",
            "spiffe://example.org/service/server",
        ),
        ("example.org/log/gateway.2", GATEWAY),
    ] {
        let later = LogSigner::new(origin).to_origin(writer);
        let trust = stand.trust_with(|document| document.log_origins.push(later));
        let error = stand.verify_under(&trust).unwrap_err();
        assert_eq!(error.code(), "checkpoint_refused", "{error}");
    }
}

#[test]
fn a_newer_trust_document_is_verified_with_and_another_persons_consent_is_none() {
    let stand = Stand::new();
    let bytes = stand.signed(stand.parts.clone());
    let newer = stand.trust_with(|document| document.version = 2);
    verify(&bytes, &newer, challenge(), now()).unwrap();
    // The credential is another principal's.
    let moved = stand.trust_with(|document| {
        document.version = 2;
        document.people[0].id = id(77);
    });
    let error = verify(&bytes, &moved, challenge(), now()).unwrap_err();
    assert_eq!(error.code(), "consent_unknown");
}

#[test]
fn as_many_revocations_as_there_may_be_are_presented_too() {
    let mut stand = Stand::new();
    let mut revoked = RevocationSet::none().clone();
    for number in 0..MAX_REVOCATIONS {
        let long = format!(
            "spiffe://example.org/agent/{}/{number:026}",
            "a".repeat(120)
        );
        let what = Revocable::new(RevocationKind::Agent, &long).unwrap();
        revoked.revoke(&Revocation { what, at: at(10) }).unwrap();
    }
    stand.parts.snapshot = stand.snapshot(|it| it.revoked = revoked);
    let bytes = stand.signed(stand.parts.clone());
    assert!(bytes.len() > 1_000_000, "{}", bytes.len());
    stand.verify(&bytes).unwrap();
    // What nobody would read is not made.
    let key = &stand.scene.keys[1];
    stand.parts.manifest = "A".repeat(MAX_PRESENTATION_BYTES);
    let made = sign_presentation(stand.parts, &challenge(), now(), key.public(), &|bytes| {
        key.sign(bytes)
    });
    assert!(matches!(made, Err(HolderError::TooLong)));
}
