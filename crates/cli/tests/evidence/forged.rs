//! Evidence that was made again and signed again.

use std::path::Path;

use chancery_audit::{Entry, Event, OutcomeStatus};
use chancery_crypto::{AwsLc, MlDsa44Key, SigningKey, read_private_file};
use chancery_evidence::trust_record::{Confirmation, ConfirmationKey, TrustRecord};
use chancery_evidence::{Files, Report, TRUST_RECORD_PATH, verify};
use chancery_identity::trust::{LogOrigin, SignedTrust, TrustDocument, TrustSignature};
use chancery_tlog::{
    Checkpoint, LogEdge, Note, NoteSignature, Origin, Subtree, TimestampedSignature, VerifierKey,
    cosigned_message, decode_bundle, tiles_for,
};
use chancery_types::{Algorithm, base64url};

use crate::rng::Rng;
use crate::scene::{Scene, now, with};

/// What somebody else's trust document says otherwise.
type Edit<'a> = &'a dyn Fn(&mut TrustDocument);

/// The logs by the folder that they stand in.
const LOGS: [&str; 2] = ["gateway", "server"];

/// Somebody who signs checkpoints.
struct Forger {
    origin: Origin,
    ed25519: SigningKey,
    ml_dsa_44: MlDsa44Key,
}

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
            let fresh = Forger::fresh(scene, log);
            for ids in [Ids::Own, Ids::Claimed] {
                let report = scene.verify(&fresh.write(scene, log, &changed, ids));
                let checkpoint = format!("log/{log}/checkpoint");
                let what = format!("{change:?} in the {log}'s log, ids {ids:?}");
                refused(&report, &what, &checkpoint, "checkpoint_refused");
                forged += 1;
            }
            if log == "gateway" {
                let own = Forger::insider(scene);
                let report = scene.verify(&own.write(scene, log, &changed, Ids::Own));
                assert!(!report.is_verified(), "{change:?} by the gateway itself");
                forged += 1;
            }
        }
        let same = Forger::fresh(scene, log).write(scene, log, &entries, Ids::Own);
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
            let fresh = Forger::fresh(scene, log);
            let named = trust
                .log_origins
                .iter_mut()
                .find(|known| known.origin == fresh.origin.to_string());
            let named = named.unwrap();
            *named = LogOrigin {
                ed25519: fresh.keys().0.to_string(),
                ml_dsa_44: fresh.keys().1.to_string(),
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

impl Forger {
    fn fresh(scene: &Scene, log: &str) -> Self {
        Self {
            origin: origin(scene, log),
            ed25519: SigningKey::generate(Algorithm::Ed25519).unwrap(),
            ml_dsa_44: MlDsa44Key::generate().unwrap(),
        }
    }

    /// The gateway's operator, who has its keys and ignores its ratchet.
    fn insider(scene: &Scene) -> Self {
        let data = scene.evidence.parent().unwrap().join("data");
        let folder = data.join("gateway/log-key");
        let read = |name: &str| read_private_file(&folder.join(Path::new(name))).unwrap();
        let ed25519 = SigningKey::from_pkcs8(Algorithm::Ed25519, read("ed25519.pk8"));
        Self {
            origin: origin(scene, "gateway"),
            ed25519: ed25519.unwrap(),
            ml_dsa_44: MlDsa44Key::from_seed(read("ml-dsa-44.seed")).unwrap(),
        }
    }

    fn keys(&self) -> (VerifierKey, VerifierKey) {
        let name = self.origin.key_name();
        let ed25519 = self.ed25519.public().to_public_bytes();
        (
            VerifierKey::ed25519(name.clone(), &ed25519).unwrap(),
            VerifierKey::ml_dsa_44(name.clone(), &self.ml_dsa_44.public()).unwrap(),
        )
    }

    /// The evidence with this log in place of the right one.
    fn write(&self, scene: &Scene, log: &str, entries: &[Vec<u8>], ids: Ids) -> Files {
        let folder = format!("log/{log}/");
        let others = scene
            .files
            .iter()
            .filter(|(path, _)| !path.starts_with(&folder));
        let mut files: Files = others
            .map(|(path, bytes)| (path.to_owned(), bytes.to_vec()))
            .collect();
        let (mut edge, mut resources) = (LogEdge::new(), Vec::new());
        for entry in entries {
            edge.push(entry, &mut resources).unwrap();
        }
        resources.extend(edge.partials());
        for resource in resources {
            files.insert(format!("{folder}{}", resource.path), resource.bytes);
        }
        let note = self.checkpoint(scene, &edge, ids);
        files.insert(format!("{folder}checkpoint"), note.into_bytes());
        files
    }

    fn checkpoint(&self, scene: &Scene, edge: &LogEdge, ids: Ids) -> String {
        let checkpoint = Checkpoint {
            origin: self.origin.clone(),
            size: edge.size(),
            root: edge.root(),
        };
        let (name, seconds) = (self.origin.key_name(), now().as_seconds());
        let text = checkpoint.to_string();
        let whole = Subtree::new(0, edge.size()).unwrap();
        let message = cosigned_message(name, seconds, &self.origin, whole, &edge.root()).unwrap();
        let signed = self.ml_dsa_44.sign(&message).unwrap();
        let signed = TimestampedSignature::new(seconds, signed).unwrap();
        let plain = self.ed25519.sign(text.as_bytes()).unwrap();
        let (ed25519, ml_dsa_44) = match ids {
            Ids::Own => self.keys(),
            Ids::Claimed => {
                let known = scene.trust.log_origin(&self.origin.to_string()).unwrap();
                let ed25519 = known.ed25519.parse().unwrap();
                (ed25519, known.ml_dsa_44.parse().unwrap())
            }
        };
        let lines = vec![
            NoteSignature::new(name.clone(), ed25519.key_id(), plain),
            NoteSignature::new(name.clone(), ml_dsa_44.key_id(), signed.to_bytes()),
        ];
        Note::new(&text, lines).unwrap().to_string()
    }
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

/// The entries of a log as they stand in evidence.
fn entries(files: &Files, log: &str) -> Vec<Vec<u8>> {
    let read = |path: &str| files.get(&format!("log/{log}/{path}")).unwrap();
    let note = Note::parse(read("checkpoint")).unwrap();
    let checkpoint: Checkpoint = note.text().parse().unwrap();
    let bundles =
        tiles_for(checkpoint.size).filter(|path| path.to_string().contains("tile/entries"));
    let mut entries = Vec::new();
    for path in bundles {
        let decoded = decode_bundle(read(&path.to_string()), path.width()).unwrap();
        entries.extend(decoded.into_iter().map(<[u8]>::to_vec));
    }
    assert_eq!(entries.len() as u64, checkpoint.size);
    entries
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
