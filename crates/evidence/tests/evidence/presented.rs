//! Presentations: what holds, and what each exchanged, forged, replayed or withheld part comes to.

use std::collections::BTreeSet;

use chancery_attestation::{Evidence, ProcessEvidence};
use chancery_audit::Event;
use chancery_crypto::{AwsLc, SigningKey};
use chancery_delegation::RevocationSet;
use chancery_evidence::ObjectKind;
use chancery_evidence::presentation::{
    Challenge, Checkpoints, Enrolled, MAX_PRESENTATION_BYTES, Parts, Policy, Presentation,
    PresentationContext, PresentationRefusal, Shown, VerifiedPresentation, sign_presentation,
    verify_presentation,
};
use chancery_evidence::snapshot::{SignedSnapshot, Snapshot};
use chancery_identity::trust::VerifiedTrust;
use chancery_tlog::{LeafHash, MemoryTree, prove_inclusion};
use chancery_types::{Algorithm, Digest, Timestamp, base64url, parse_strict, to_canonical};
use serde_json::{Value, json};

use crate::log_writer::Log;
use crate::scene::{GATEWAY, Scene, at, attested, catalog, key, manifest_that, person};

mod entries;
mod trusted;

const RELYING_PARTY: &str = "https://relying.example.org";

/// A session that is under way, and what its second instance presents.
struct Stand {
    scene: Scene,
    trust: VerifiedTrust,
    snapshots: SigningKey,
    parts: Parts,
}

fn now() -> Timestamp {
    at(24)
}

fn challenge() -> Challenge {
    Challenge::new(RELYING_PARTY, [7; 32], now()).unwrap()
}

/// The policy that the session was opened under.
fn policy(scene: &Scene) -> Digest {
    let mut entries = scene.gateway.parsed().into_iter();
    let opened = entries.find_map(|entry| match entry.event {
        Event::SessionOpen(open) => Some(open.policy),
        _ => None,
    });
    opened.unwrap()
}

fn place(log: &Log, wanted: impl Fn(&Event) -> bool) -> usize {
    let mut entries = log.parsed().into_iter();
    entries.position(|entry| wanted(&entry.event)).unwrap()
}

fn enrolled(log: &Log, wanted: impl Fn(&Event) -> bool) -> Enrolled {
    enrolled_at(log, place(log, wanted))
}

fn enrolled_at(log: &Log, index: usize) -> Enrolled {
    let tree: MemoryTree = log.entries.iter().map(LeafHash::of).collect();
    let path = prove_inclusion(&tree, index as u64, tree.size()).unwrap();
    Enrolled {
        entry: base64url::encode(&log.entries[index]),
        index: index as u64,
        path: path.iter().map(ToString::to_string).collect(),
    }
}

impl Stand {
    fn new() -> Self {
        Self::of(Scene::new())
    }

    fn of(scene: Scene) -> Self {
        let snapshots = key(Algorithm::Ed25519);
        let trust = scene.trust_with(|document| {
            document.snapshot_signers = vec![*snapshots.public()];
        });
        let snapshot = snapshot(&scene, &trust, &snapshots, |_| {});
        let parts = parts(&scene, 1, snapshot);
        Self {
            scene,
            trust,
            snapshots,
            parts,
        }
    }

    /// Signed by the second instance.
    fn signed(&self, parts: Parts) -> Vec<u8> {
        self.signed_by(&self.scene.keys[1], parts)
    }

    fn signed_by(&self, key: &SigningKey, parts: Parts) -> Vec<u8> {
        let made = sign_presentation(parts, &challenge(), now(), key.public(), &|bytes| {
            key.sign(bytes)
        });
        made.unwrap().to_bytes().unwrap()
    }

    fn verify(&self, bytes: &[u8]) -> Result<VerifiedPresentation, PresentationRefusal> {
        verify(bytes, &self.trust, challenge(), now())
    }

    /// What the second instance's parts come to, changed before it signs them.
    #[track_caller]
    fn refused(&self, reason: &str, change: impl FnOnce(&mut Parts)) -> String {
        let mut parts = self.parts.clone();
        change(&mut parts);
        assert_ne!(parts, self.parts, "{reason}");
        let error = self.verify(&self.signed(parts)).unwrap_err();
        assert_eq!(error.code(), reason, "{error}");
        error.to_string()
    }

    fn snapshot(&self, change: impl FnOnce(&mut Snapshot)) -> SignedSnapshot {
        snapshot(&self.scene, &self.trust, &self.snapshots, change)
    }
}

fn verify(
    bytes: &[u8],
    trust: &VerifiedTrust,
    challenge: Challenge,
    now: Timestamp,
) -> Result<VerifiedPresentation, PresentationRefusal> {
    let context = PresentationContext {
        trust,
        now,
        policy: Policy {
            max_snapshot_age: 60,
        },
        verifier: &AwsLc,
    };
    verify_presentation(bytes, challenge, &context)
}

fn snapshot(
    scene: &Scene,
    trust: &VerifiedTrust,
    key: &SigningKey,
    change: impl FnOnce(&mut Snapshot),
) -> SignedSnapshot {
    let mut snapshot = Snapshot {
        sequence: 4,
        issued_at: at(20),
        trust_version: trust.version,
        trust_digest: trust.digest(),
        policy_digest: policy(scene),
        epoch: 1,
        revoked: RevocationSet::none().clone(),
    };
    change(&mut snapshot);
    let signature = key.sign(&snapshot.signing_input().unwrap()).unwrap();
    SignedSnapshot {
        kid: key.public().kid(),
        signature: base64url::encode(signature),
        snapshot,
    }
}

/// What an instance of the scene presents.
fn parts(scene: &Scene, holder: usize, snapshot: SignedSnapshot) -> Parts {
    let thumbprint = scene.keys[holder].public().thumbprint();
    let of_kind = |kind: ObjectKind| {
        let objects = scene.objects.values();
        let of_kind = objects.filter(move |(known, _)| *known == kind);
        of_kind.map(|(_, bytes)| bytes.clone())
    };
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let chain = of_kind(ObjectKind::Chain)
        .map(text)
        .find(|chain| chain.split(',').count() == holder + 1);
    let joined = enrolled(
        &scene.gateway,
        |event| matches!(event, Event::SessionJoin(join) if join.agent_key == thumbprint),
    );
    let credential = of_kind(ObjectKind::Wit).map(text).find(|token| {
        let claims = token.split('.').nth(1).unwrap();
        let claims = text(base64url::decode(claims).unwrap());
        claims.contains(&base64url::encode(
            scene.keys[holder].public().to_public_bytes(),
        ))
    });
    Parts {
        credential: credential.unwrap(),
        evidence: base64url::encode(attested(holder).to_bytes().unwrap()),
        issued: enrolled(&scene.server, |event| {
            matches!(event, Event::IdentityIssue(issue)
                if issue.credentials.iter().any(|known| known.key == thumbprint))
        }),
        manifest: base64url::encode(of_kind(ObjectKind::Manifest).next().unwrap()),
        chain: chain.unwrap().split(',').map(str::to_owned).collect(),
        consent: base64url::encode(of_kind(ObjectKind::Consent).next().unwrap()),
        rooted: enrolled(&scene.server, |event| {
            matches!(event, Event::DelegationRoot(_))
        }),
        snapshot,
        opened: enrolled(&scene.gateway, |event| {
            matches!(event, Event::SessionOpen(_))
        }),
        joined,
        checkpoints: Checkpoints {
            server: scene.server.checkpoint(&scene.signers.server),
            gateway: scene.gateway.checkpoint(&scene.signers.gateway),
        },
    }
}

fn document(bytes: &[u8]) -> Value {
    parse_strict(bytes).unwrap()
}

#[test]
fn one_object_binds_everything_to_one_key() {
    let stand = Stand::new();
    let verified = stand.verify(&stand.signed(stand.parts.clone())).unwrap();
    let key = stand.scene.keys[1].public();
    assert_eq!(verified.holder(), key.thumbprint());
    assert_eq!(verified.chain().leaf_key(), key);
    assert_eq!(verified.chain().principal().subject, person().to_string());
    assert_eq!(verified.session().gateway, *GATEWAY);
    assert_eq!(verified.evidence(), &attested(1));
    assert_eq!(verified.expires_at(), verified.chain().expires_at());
    let shown = Shown::from(&verified);
    let text = shown.to_string();
    for part in [
        "holder ",
        "instance ",
        "software-only/launch",
        "unwitnessed: example.org/log/gateway",
        "stand-in",
        "pay",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert_eq!((shown.links, shown.audience.as_str()), (2, RELYING_PARTY));
    // The one who holds the root presents it too.
    let first = parts(&stand.scene, 0, stand.parts.snapshot.clone());
    let first = stand.signed_by(&stand.scene.keys[0], first);
    assert_eq!(Shown::from(&stand.verify(&first).unwrap()).links, 1);
}

#[test]
fn a_use_of_a_standing_consent_is_presented_too() {
    let stand = Stand::of(Scene::with_standing(|_| {}, |_, _| {}));
    let verified = stand.verify(&stand.signed(stand.parts.clone())).unwrap();
    assert_eq!(Shown::from(&verified).assurance, "standing");
    assert!(verified.consent().standing().is_some());
}

#[test]
fn whoever_does_not_hold_the_key_presents_nothing() {
    let stand = Stand::new();
    // With every key of the deployment and none of the holder's.
    let signers = &stand.scene.signers;
    for other in [
        &stand.scene.keys[0],
        &signers.root,
        &signers.authority,
        &signers.tokens,
        &signers.issuer,
        &signers.person,
        &stand.snapshots,
    ] {
        let forged = stand.signed_by(other, stand.parts.clone());
        let error = stand.verify(&forged).unwrap_err();
        assert_eq!(error.code(), "holder_signature");
    }
}

#[test]
fn an_answer_is_for_one_challenge_of_one_relying_party() {
    let stand = Stand::new();
    let bytes = stand.signed(stand.parts.clone());
    let asked = |audience: &str, nonce: u8| Challenge::new(audience, [nonce; 32], now()).unwrap();
    let trust = &stand.trust;
    for (asked, at, reason) in [
        (
            asked("https://other.example.org", 7),
            now(),
            "wrong_audience",
        ),
        (asked(RELYING_PARTY, 8), now(), "wrong_challenge"),
        (challenge(), now().plus_seconds(61), "presentation_stale"),
        (challenge(), now().minus_seconds(6), "presentation_stale"),
    ] {
        let error = verify(&bytes, trust, asked, at).unwrap_err();
        assert_eq!(error.code(), reason);
    }
    // A challenge that is over.
    let early = now().minus_seconds(300);
    let over = Challenge::new(RELYING_PARTY, [7; 32], early).unwrap();
    let error = verify(&bytes, trust, over, now()).unwrap_err();
    assert_eq!(error.code(), "presentation_stale");
    // The first and the last moment.
    for later in [0, 60] {
        let mut stand = Stand::new();
        stand.parts.snapshot = stand.snapshot(|it| it.issued_at = now());
        let bytes = stand.signed(stand.parts.clone());
        verify(&bytes, &stand.trust, challenge(), now().plus_seconds(later)).unwrap();
    }
}

#[test]
fn every_member_that_is_exchanged_after_signing_is_noticed() {
    let stand = Stand::new();
    let other = Stand::new();
    let bytes = stand.signed(stand.parts.clone());
    let (own, foreign) = (
        document(&bytes),
        document(&other.signed(other.parts.clone())),
    );
    let mut seen = BTreeSet::new();
    for name in own["parts"].as_object().unwrap().keys() {
        let mut swapped = own.clone();
        swapped["parts"][name] = foreign["parts"][name].clone();
        if swapped == own {
            // What was attested is the same in both.
            assert_eq!(name, "evidence");
            continue;
        }
        let error = stand.verify(&to_canonical(&swapped).unwrap()).unwrap_err();
        let expected = match name.as_str() {
            "credential" => "credential_refused",
            _ => "parts_exchanged",
        };
        assert_eq!(error.code(), expected, "{name}");
        seen.insert(name.clone());
    }
    assert_eq!(seen.len(), 10);
}

#[test]
fn every_part_of_another_that_the_holder_signs_is_refused() {
    let stand = Stand::new();
    let first = parts(&stand.scene, 0, stand.parts.snapshot.clone());
    let other = Stand::new();
    stand.refused("credential_refused", |parts| {
        parts.credential = other.parts.credential.clone();
    });
    stand.refused("holder_signature", |parts| {
        parts.credential = first.credential.clone();
    });
    stand.refused("part_differs", |parts| {
        parts.evidence = first.evidence.clone();
    });
    stand.refused("part_differs", |parts| parts.issued = first.issued.clone());
    stand.refused("manifest_refused", |parts| {
        parts.manifest = other.parts.manifest.clone();
    });
    let why = stand.refused("part_differs", |parts| parts.chain = first.chain.clone());
    assert!(why.contains("leaf"), "{why}");
    stand.refused("chain_refused", |parts| {
        parts.chain = other.parts.chain.clone();
    });
    stand.refused("chain_refused", |parts| parts.chain.clear());
    stand.refused("chain_refused", |parts| {
        parts.chain = vec![parts.chain[0].clone(); 20];
    });
    stand.refused("consent_refused", |parts| {
        parts.consent = other.parts.consent.clone();
    });
    stand.refused("not_enrolled", |parts| {
        parts.rooted = other.parts.rooted.clone();
    });
    stand.refused("snapshot_refused", |parts| {
        parts.snapshot = other.parts.snapshot.clone();
    });
    let why = stand.refused("part_differs", |parts| parts.joined = first.joined.clone());
    assert!(why.contains("joined"), "{why}");
    stand.refused("not_enrolled", |parts| {
        parts.opened = other.parts.opened.clone();
    });
    stand.refused("checkpoint_refused", |parts| {
        parts.checkpoints = other.parts.checkpoints.clone();
    });
    stand.refused("checkpoint_refused", |parts| {
        std::mem::swap(
            &mut parts.checkpoints.server,
            &mut parts.checkpoints.gateway,
        );
    });
}

#[test]
fn everything_ends() {
    let stand = Stand::new();
    let parts = |now: Timestamp| {
        let mut parts = stand.parts.clone();
        parts.snapshot = stand.snapshot(|it| it.issued_at = now);
        parts
    };
    for (seconds, reason) in [(2_000, "part_differs"), (3_000, "credential_refused")] {
        let then = at(seconds);
        let asked = Challenge::new(RELYING_PARTY, [7; 32], then).unwrap();
        let key = &stand.scene.keys[1];
        let made = sign_presentation(parts(then), &asked, then, key.public(), &|bytes| {
            key.sign(bytes)
        });
        let bytes = made.unwrap().to_bytes().unwrap();
        let error = verify(&bytes, &stand.trust, asked, then).unwrap_err();
        assert_eq!(error.code(), reason, "{error}");
    }
}

#[test]
fn other_spellings_are_none() {
    let stand = Stand::new();
    let bytes = stand.signed(stand.parts.clone());
    let text = String::from_utf8(bytes.clone()).unwrap();
    Presentation::parse(&bytes).unwrap();
    for bad in [
        String::new(),
        "{}".to_owned(),
        format!("{text}\n"),
        text.replacen("\":", "\": ", 1),
        text.replace("presentation/v1", "presentation/v2"),
        text.replacen("{\"format\"", "{\"extra\":1,\"format\"", 1),
        text.replacen("\"credential\"", "\"credentials\"", 1),
    ] {
        let error = stand.verify(bad.as_bytes()).unwrap_err();
        assert_eq!(error.code(), "presentation_malformed", "{bad}");
    }
    let long = vec![b' '; MAX_PRESENTATION_BYTES + 1];
    assert_eq!(
        stand.verify(&long).unwrap_err().code(),
        "presentation_too_long"
    );
    // The holder's signature is of one type.
    let mut document = document(&bytes);
    for holder in ["", "a.b.c", &stand.parts.credential, &stand.parts.chain[0]] {
        document["holder"] = json!(holder);
        let error = stand.verify(&to_canonical(&document).unwrap()).unwrap_err();
        assert_eq!(error.code(), "holder_malformed", "{holder}");
    }
}

#[test]
fn challenges_have_one_form() {
    let made = challenge();
    let bytes = to_canonical(&made).unwrap();
    assert_eq!(Challenge::parse(&bytes).unwrap(), made);
    let text = String::from_utf8(bytes).unwrap();
    for bad in [
        String::new(),
        format!(" {text}"),
        text.replace("challenge/v1", "challenge/v2"),
        text.replace(&made.nonce, "AAAA"),
        text.replace(&made.nonce, "!"),
        text.replace(RELYING_PARTY, ""),
        text.replace(RELYING_PARTY, "a b"),
        text.replace(RELYING_PARTY, &"a".repeat(2_049)),
        text.replace("\"nonce\"", "\"nonces\""),
    ] {
        assert!(Challenge::parse(bad.as_bytes()).is_err(), "{bad}");
    }
    assert!(Challenge::new("", [1; 32], now()).is_err());
}

#[test]
fn the_manifest_is_the_one_that_the_credential_names() {
    let stand = Stand::new();
    let (signers, policy) = (&stand.scene.signers, policy(&stand.scene));
    let other = manifest_that(signers, policy, &catalog(), "does something else");
    stand.refused("manifest_differs", |parts| {
        parts.manifest = base64url::encode(other);
    });
}

#[test]
fn evidence_is_of_the_level_that_the_credential_says() {
    let stand = Stand::new();
    let process = Evidence::Process(ProcessEvidence {
        executable: attested(1).executable(),
        uid: 1_000,
    });
    let why = stand.refused("part_differs", |parts| {
        parts.evidence = base64url::encode(process.to_bytes().unwrap());
    });
    assert!(why.starts_with("evidence: "), "{why}");
}

#[test]
fn the_holders_claims_are_exactly_these() {
    let stand = Stand::new();
    let key = &stand.scene.keys[1];
    let asked = challenge();
    let claims = json!({
        "aud": asked.audience, "iat": now().as_seconds(), "nonce": asked.nonce,
        "parts": stand.parts.digest().unwrap(),
    });
    let signed = |header: Value, claims: &Value| {
        let part = |value: &Value| base64url::encode(to_canonical(value).unwrap());
        let input = format!("{}.{}", part(&header), part(claims));
        let signature = base64url::encode(key.sign(input.as_bytes()).unwrap());
        let bytes = stand.signed(stand.parts.clone());
        let mut document = document(&bytes);
        document["holder"] = json!(format!("{input}.{signature}"));
        stand.verify(&to_canonical(&document).unwrap())
    };
    let header = json!({"alg": "Ed25519", "typ": "chancery-presentation+jwt"});
    signed(header.clone(), &claims).unwrap();
    let mut named = header.clone();
    named["kid"] = json!(key.public().kid());
    let mut other = header.clone();
    other["typ"] = json!("adt-pop+jwt");
    for header in [named, other] {
        assert_eq!(
            signed(header, &claims).unwrap_err().code(),
            "holder_malformed"
        );
    }
    let mut more = claims.clone();
    more["exp"] = json!(1);
    assert_eq!(
        signed(header.clone(), &more).unwrap_err().code(),
        "holder_malformed"
    );
    let mut less = claims;
    less.as_object_mut().unwrap().remove("parts");
    assert_eq!(
        signed(header, &less).unwrap_err().code(),
        "holder_malformed"
    );
}
