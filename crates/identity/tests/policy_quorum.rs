//! How many people must sign a policy bundle, and who counts.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use chancery_crypto::{AwsLc, SigningKey};
use chancery_identity::trust::{
    Person, PolicyQuorum, PolicySignersError, SignedTrust, TrustDocument, TrustError, TrustFormat,
    TrustSignature,
};
use chancery_types::id::{Id, PersonId};
use chancery_types::{Algorithm, Jwk, Timestamp, base64url};

const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

fn person(number: u8) -> PersonId {
    Id::from_random([number; 16])
}

fn key() -> SigningKey {
    SigningKey::generate(Algorithm::Ed25519).unwrap()
}

/// Three signers: the first two of one person, the third of another.
struct Desk {
    root: SigningKey,
    keys: Vec<SigningKey>,
}

impl Desk {
    fn new() -> Self {
        Self {
            root: key(),
            keys: (0..3).map(|_| key()).collect(),
        }
    }

    fn public(&self, place: usize) -> &Jwk {
        self.keys[place].public()
    }

    fn document(&self, people: Option<u32>) -> TrustDocument {
        let named = |number| Person {
            id: person(number),
            roles: Vec::new(),
            credentials: Vec::new(),
        };
        let whose = [person(1), person(1), person(2)];
        let signers = self.keys.iter().zip(whose);
        let signers: BTreeMap<_, _> = signers
            .map(|(key, person)| (key.public().kid(), person))
            .collect();
        TrustDocument {
            format: TrustFormat::V1,
            version: 1,
            trust_domain: "example.org".to_owned(),
            issued_at: NOW,
            previous: None,
            threshold: 1,
            roots: vec![*self.root.public()],
            x509_authorities: Vec::new(),
            token_authorities: Vec::new(),
            jwt_authorities: Vec::new(),
            delegation_authorities: Vec::new(),
            access_token_authorities: Vec::new(),
            manifest_issuers: Vec::new(),
            people: vec![named(1), named(2)],
            policy_signers: self.keys.iter().map(|key| *key.public()).collect(),
            policy_quorum: people.map(|people| PolicyQuorum {
                people,
                since: NOW,
                signers,
            }),
            snapshot_signers: Vec::new(),
            record_signers: Vec::new(),
            log_origins: Vec::new(),
            witnesses: None,
        }
    }

    fn verify(&self, trust: TrustDocument) -> Result<(), TrustError> {
        let input = SignedTrust::signing_input(&trust).unwrap();
        let signatures = vec![TrustSignature {
            kid: self.root.public().kid(),
            signature: base64url::encode(self.root.sign(&input).unwrap()),
        }];
        let signed = SignedTrust { signatures, trust };
        let bytes = signed.to_bytes().unwrap();
        SignedTrust::parse(&bytes).unwrap().verify(&AwsLc).map(drop)
    }
}

#[test]
fn without_a_quorum_one_signer_suffices_and_nobody_else() {
    let desk = Desk::new();
    let document = desk.document(None);
    desk.verify(document.clone()).unwrap();
    let text = serde_json::to_string(&document).unwrap();
    assert!(
        !text.contains("policy_quorum"),
        "old documents keep their bytes"
    );
    assert_eq!(document.check_policy_signers([desk.public(0)]), Ok(()));
    let stranger = key();
    for nobody in [vec![], vec![stranger.public()]] {
        let refused = document.check_policy_signers(nobody).unwrap_err();
        assert_eq!(refused, PolicySignersError::Nobody);
    }
}

#[test]
fn a_quorum_counts_people_and_not_keys() {
    let desk = Desk::new();
    let document = desk.document(Some(2));
    desk.verify(document.clone()).unwrap();
    let stranger = key();
    let few = |signed| PolicySignersError::TooFew { signed, needed: 2 };
    for (signed, expected) in [
        (vec![desk.public(0), desk.public(2)], Ok(())),
        (vec![desk.public(2), desk.public(1)], Ok(())),
        // Two keys of one person, one key twice, a stranger beside one.
        (vec![desk.public(0), desk.public(1)], Err(few(1))),
        (vec![desk.public(2), desk.public(2)], Err(few(1))),
        (vec![desk.public(2), stranger.public()], Err(few(1))),
        (vec![stranger.public()], Err(PolicySignersError::Nobody)),
        (vec![], Err(PolicySignersError::Nobody)),
    ] {
        assert_eq!(document.check_policy_signers(signed), expected);
    }
    // A key that nobody is named for, and one of somebody whom the document names no more.
    let mut unnamed = document.clone();
    let quorum = unnamed.policy_quorum.as_mut().unwrap();
    quorum.signers.remove(&desk.public(2).kid());
    let both = [desk.public(0), desk.public(2)];
    assert_eq!(unnamed.check_policy_signers(both), Err(few(1)));
    let mut gone = document.clone();
    gone.people.remove(1);
    assert_eq!(gone.check_policy_signers(both), Err(few(1)));
    // A key that the quorum names and the list of signers does not.
    let mut unlisted = document;
    unlisted.policy_signers.remove(2);
    assert_eq!(unlisted.check_policy_signers(both), Err(few(1)));
}

#[test]
fn a_quorum_that_cannot_be_met_or_is_put_off_makes_no_trust_document() {
    let desk = Desk::new();
    for people in [0, 3, u32::MAX] {
        let refused = desk.verify(desk.document(Some(people))).unwrap_err();
        assert!(
            matches!(refused, TrustError::PolicyQuorum { able: 2, .. }),
            "{refused}"
        );
    }
    let mut gone = desk.document(Some(2));
    gone.people.remove(1);
    let refused = desk.verify(gone).unwrap_err();
    assert!(
        matches!(refused, TrustError::PolicyQuorum { able: 1, .. }),
        "{refused}"
    );
    let mut late = desk.document(Some(2));
    late.policy_quorum.as_mut().unwrap().since = NOW.plus_seconds(1);
    let refused = desk.verify(late).unwrap_err();
    assert!(
        matches!(refused, TrustError::PolicyQuorumSince),
        "{refused}"
    );
    for bad in [
        r#"{"people":2}"#,
        r#"{"people":2,"since":0}"#,
        r#"{"people":-1,"since":0,"signers":{}}"#,
        r#"{"people":1,"since":0,"signers":{"k":"x"}}"#,
        r#"{"people":1,"since":0,"signers":{},"more":1}"#,
        "2",
    ] {
        assert!(serde_json::from_str::<PolicyQuorum>(bad).is_err(), "{bad}");
    }
}
