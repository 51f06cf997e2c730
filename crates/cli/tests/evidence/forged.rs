//! Evidence that was made again and signed again.

use chancery_audit::{Entry, Event, OutcomeStatus};
use chancery_crypto::{AwsLc, MlDsa44Key, SigningKey};
use chancery_evidence::trust_record::{Confirmation, ConfirmationKey, TrustRecord};
use chancery_evidence::{Files, Report, TRUST_RECORD_PATH, verify};
use chancery_identity::trust::{LogOrigin, SignedTrust, TrustDocument, TrustSignature};
use chancery_tlog::Origin;
use chancery_types::{Algorithm, base64url};

use crate::forger::{Forger, entries};
use crate::rng::Rng;
use crate::scene::{Scene, now, with};

/// What somebody else's trust document says otherwise.
type Edit<'a> = &'a dyn Fn(&mut TrustDocument);

/// The logs by the folder that they stand in.
const LOGS: [&str; 2] = ["gateway", "server"];

/// Which key ids stand in the signature lines.
#[derive(Debug, Clone, Copy)]
enum Ids {
    /// Those of the keys that signed.
    Own,
    /// Those of the keys that the trust document names.
    Claimed,
}

/// What is done to a log.
#[derive(Debug, Clone, Copy)]
enum Change {
    Omit,
    Substitute,
    Alter,
    Append,
}

const CHANGES: [Change; 4] = [
    Change::Omit,
    Change::Substitute,
    Change::Alter,
    Change::Append,
];

/// Changes each log in each way and signs it with keys that the trust document does not name, as
/// themselves and under the names of those it does; and the gateway's with the gateway's own keys.
pub(crate) fn logs_of_other_keys_are_refused(scene: &Scene, rng: &mut Rng) -> usize {
    let mut forged = 0;
    for log in LOGS {
        let entries = entries(&scene.files, log);
        for change in CHANGES {
            let changed = change.of(&entries, rng);
            let forger = fresh(scene, log);
            for ids in [Ids::Own, Ids::Claimed] {
                let report = scene.verify(&written(&forger, scene, log, &changed, ids));
                let checkpoint = format!("log/{log}/checkpoint");
                let what = format!("{change:?} in the {log}'s log, ids {ids:?}");
                refused(&report, &what, &checkpoint, "checkpoint_refused");
                forged += 1;
            }
            if log == "gateway" {
                let own = insider(scene);
                let report = scene.verify(&written(&own, scene, log, &changed, Ids::Own));
                assert!(!report.is_verified(), "{change:?} by the gateway itself");
                forged += 1;
            }
        }
        let same = written(&fresh(scene, log), scene, log, &entries, Ids::Own);
        assert!(!scene.verify(&same).is_verified(), "signed again: {log}");
        forged += 1;
    }
    forged
}

/// Signs the Trust Record with a fresh key, that names itself or the one of the trust document.
pub(crate) fn trust_records_of_other_keys_are_refused(scene: &Scene) -> usize {
    let bytes = scene.files.get(TRUST_RECORD_PATH).unwrap();
    let record: TrustRecord = serde_json::from_slice(bytes).unwrap();
    let fresh = SigningKey::generate(Algorithm::Ed25519).unwrap();
    let own = Confirmation {
        jwk: ConfirmationKey::of(fresh.public()).unwrap(),
    };
    let altered = TrustRecord {
        data_class: "public".to_owned(),
        ..record.clone()
    };
    let variants = [
        (record.clone(), own.clone(), true),
        (altered.clone(), own, true),
        (altered.clone(), record.cnf.clone(), true),
        (altered, record.cnf.clone(), false),
    ];
    for (record, cnf, signed_again) in &variants {
        let mut forged = TrustRecord {
            cnf: cnf.clone(),
            ..record.clone()
        };
        if *signed_again {
            let signature = fresh.sign(&forged.signing_input().unwrap()).unwrap();
            forged.signature = Some(base64url::encode(signature));
        }
        let bytes = forged.to_bytes().unwrap();
        let report = scene.verify(&with(&scene.files, TRUST_RECORD_PATH, Some(bytes)));
        refused(
            &report,
            "a Trust Record signed again",
            TRUST_RECORD_PATH,
            "record_refused",
        );
    }
    variants.len()
}

/// Verifies against trust documents that are properly signed and not this deployment's.
pub(crate) fn foreign_trust_documents_verify_nothing(scene: &Scene) -> usize {
    let trust = &scene.trust.signed().trust;
    let other_keys = |trust: &mut TrustDocument| {
        for log in LOGS {
            let forger = fresh(scene, log);
            let named = trust
                .log_origins
                .iter_mut()
                .find(|known| known.origin == forger.origin.to_string());
            let named = named.unwrap();
            *named = LogOrigin {
                ed25519: forger.keys().0.to_string(),
                ml_dsa_44: forger.keys().1.to_string(),
                ..named.clone()
            };
        }
    };
    let foreign: [(&str, Edit<'_>); 6] = [
        ("of other roots, with the same keys", &|_| {}),
        ("with other log keys", &other_keys),
        ("without people", &|trust| trust.people.clear()),
        ("with another record signer", &|trust| {
            let fresh = SigningKey::generate(Algorithm::Ed25519).unwrap();
            trust.record_signers = vec![*fresh.public()];
        }),
        ("with another delegation authority", &|trust| {
            let fresh = SigningKey::generate(trust.delegation_authorities[0].key.algorithm());
            trust.delegation_authorities[0].key = *fresh.unwrap().public();
        }),
        ("of another trust domain", &|trust| {
            "other.example".clone_into(&mut trust.trust_domain);
        }),
    ];
    for (what, change) in &foreign {
        let mut document = trust.clone();
        change(&mut document);
        let root = SigningKey::generate(Algorithm::Ed25519).unwrap();
        document.roots = vec![*root.public()];
        let input = SignedTrust::signing_input(&document).unwrap();
        let signature = TrustSignature {
            kid: root.public().kid(),
            signature: base64url::encode(root.sign(&input).unwrap()),
        };
        let signed = SignedTrust {
            signatures: vec![signature],
            trust: document,
        };
        let Ok(verified) = signed.verify(&AwsLc) else {
            panic!("the trust document {what} is not well made");
        };
        let report = verify(&scene.files, Some(&verified), &AwsLc, now());
        assert!(!report.is_verified(), "a trust document {what}");
        assert!(!report.findings.is_empty(), "a trust document {what}");
    }
    foreign.len()
}

/// With keys of nobody.
fn fresh(scene: &Scene, log: &str) -> Forger {
    Forger {
        origin: origin(scene, log),
        ed25519: SigningKey::generate(Algorithm::Ed25519).unwrap(),
        ml_dsa_44: MlDsa44Key::generate().unwrap(),
    }
}

/// The gateway's operator, who has its keys and ignores its ratchet.
fn insider(scene: &Scene) -> Forger {
    let data = scene.evidence.parent().unwrap().join("data");
    Forger::insider(origin(scene, "gateway"), &data)
}

/// The evidence with this log in place of the right one.
fn written(forger: &Forger, scene: &Scene, log: &str, entries: &[Vec<u8>], ids: Ids) -> Files {
    let ids = match ids {
        Ids::Own => forger.keys(),
        Ids::Claimed => {
            let known = scene.trust.log_origin(&forger.origin.to_string()).unwrap();
            let ed25519 = known.ed25519.parse().unwrap();
            (ed25519, known.ml_dsa_44.parse().unwrap())
        }
    };
    forger.write(&scene.files, log, entries, &ids, now())
}

impl Change {
    /// The entries after the change of a random one.
    fn of(self, entries: &[Vec<u8>], rng: &mut Rng) -> Vec<Vec<u8>> {
        let mut changed = entries.to_vec();
        let place = rng.below(entries.len() - 1);
        match self {
            Self::Omit => drop(changed.remove(place)),
            Self::Substitute => changed[place] = entries[place + 1].clone(),
            Self::Alter => altered(&mut changed, place),
            Self::Append => changed.push(entries[place].clone()),
        }
        assert_ne!(changed, entries);
        changed
    }
}

/// Alters the first entry from `place` on: an outcome where there is one, otherwise a time.
fn altered(entries: &mut [Vec<u8>], place: usize) {
    let parsed = entries.iter().map(|bytes| Entry::parse(bytes).unwrap());
    let mut parsed: Vec<_> = parsed.collect();
    let outcome = (place..parsed.len())
        .find(|index| matches!(parsed[*index].event, Event::Outcome(_)))
        .unwrap_or(place);
    let entry = &mut parsed[outcome];
    match &mut entry.event {
        Event::Outcome(end) => end.status = OutcomeStatus::TimedOut,
        _ => entry.at = entry.at.plus_seconds(1),
    }
    entries[outcome] = entry.to_bytes().unwrap();
}

fn origin(scene: &Scene, log: &str) -> Origin {
    let origin = format!("{}/log/{log}", scene.trust.trust_domain);
    origin.parse().unwrap()
}

fn refused(report: &Report, what: &str, path: &str, reason: &str) {
    assert!(!report.is_verified(), "{what} was not noticed");
    assert!(
        report
            .findings
            .iter()
            .any(|finding| finding.place.to_string() == path && finding.reason == reason),
        "{what}: {:?}",
        report.findings
    );
}
