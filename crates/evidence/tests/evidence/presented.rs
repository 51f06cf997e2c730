//! Presentations: what holds, and what each exchanged, forged, replayed or withheld part comes to.

use std::collections::BTreeSet;

use chancery_attestation::{Evidence, ProcessEvidence};
use chancery_audit::{
    Assurance, CredentialForm, DelegationRoot, Entry, Event, IdentityIssue, Isolation, Label,
    SessionJoin, SessionOpen,
};
use chancery_crypto::{AwsLc, SigningKey};
use chancery_delegation::{
    Entry as Grantable, PersonDraft, Revocable, Revocation, RevocationSet, RootDraft, StandingUse,
    Terms,
};
use chancery_evidence::ObjectKind;
use chancery_evidence::presentation::{
    Challenge, Checkpoints, Enrolled, HolderError, MAX_PRESENTATION_BYTES, Parts, Policy,
    Presentation, PresentationContext, PresentationRefusal, Shown, VerifiedPresentation,
    sign_presentation, verify_presentation,
};
use chancery_evidence::snapshot::{SignedSnapshot, Snapshot};
use chancery_identity::trust::{TrustDocument, UnwitnessedRule, VerifiedTrust, WitnessRule};
use chancery_identity::{AttestationLevel, Confirmation, SpiffeId, WitClaims};
use chancery_tlog::{LeafHash, MemoryTree, prove_inclusion};
use chancery_types::id::InstanceKind;
use chancery_types::jws::{self, Compact};
use chancery_types::limits::MAX_REVOCATIONS;
use chancery_types::{
    Algorithm, Digest, RevocationKind, Timestamp, base64url, parse_strict, to_canonical,
};
use serde_json::{Value, json};

use crate::log_writer::{Log, LogSigner};
use crate::scene::{
    AUTHORITY, GATEWAY, Scene, at, attested, catalog, id, key, manifest_that, person,
};

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
fn an_entry_is_the_one_that_its_part_asks_for() {
    let stand = Stand::new();
    let (server, gateway) = (&stand.scene.server, &stand.scene.gateway);
    let registered = enrolled(server, |it| matches!(it, Event::ManifestRegister(_)));
    let decided = enrolled(gateway, |it| matches!(it, Event::Decision(_)));
    stand.refused("wrong_entry", |parts| parts.issued = registered.clone());
    stand.refused("wrong_entry", |parts| parts.rooted = registered.clone());
    stand.refused("wrong_entry", |parts| parts.opened = decided.clone());
    stand.refused("wrong_entry", |parts| parts.joined = decided.clone());
    stand.refused("wrong_entry", |parts| parts.joined = parts.opened.clone());
    // The certificate's entry enrols no token.
    let certificate = enrolled(server, |it| {
        matches!(it, Event::IdentityIssue(issue)
            if issue.credentials[0].key == Digest::of("spki"))
    });
    stand.refused("part_differs", |parts| parts.issued = certificate.clone());
    let change: [fn(&mut Enrolled); 4] = [
        |at| at.index += 1,
        |at| drop(at.path.pop()),
        |at| at.path.push(at.path[0].clone()),
        |at| at.path.swap(0, 1),
    ];
    for change in change {
        stand.refused("not_enrolled", |parts| change(&mut parts.issued));
        stand.refused("not_enrolled", |parts| change(&mut parts.rooted));
        stand.refused("not_enrolled", |parts| change(&mut parts.joined));
    }
    stand.refused("part_malformed", |parts| parts.joined.path[0] = "x".into());
    stand.refused("part_malformed", |parts| parts.joined.entry = "+".into());
    stand.refused("part_malformed", |parts| parts.evidence = "e30".into());
    stand.refused("part_malformed", |parts| parts.consent = "e30".into());
}

#[test]
fn a_log_of_somebody_else_enrols_nothing() {
    let stand = Stand::new();
    // The same entries under keys of somebody else, who calls the log alike.
    let forged = LogSigner::new("example.org/log/server");
    stand.refused("checkpoint_refused", |parts| {
        parts.checkpoints.server = stand.scene.server.checkpoint(&forged);
    });
    let foreign = LogSigner::new("example.org/log/gateway/other");
    stand.refused("checkpoint_refused", |parts| {
        parts.checkpoints.gateway = stand.scene.gateway.checkpoint(&foreign);
    });
    // The gateway's entries do not stand in the server's log, whoever signs it.
    let mut log = Log::new("example.org/log/gateway");
    log.entries = stand.scene.server.entries.clone();
    let signed = log.checkpoint(&stand.scene.signers.gateway);
    stand.refused("wrong_entry", |parts| {
        parts.checkpoints.gateway = signed;
        parts.opened = parts.issued.clone();
    });
}

#[test]
fn what_is_withheld_without_witnesses_is_refused_without_them() {
    let stand = Stand::new();
    let witness = key(Algorithm::Ed25519);
    let public = witness.public().to_public_bytes();
    let name = "witness.example".parse().unwrap();
    let verifier = chancery_tlog::VerifierKey::cosignature(name, &public).unwrap();
    let with = |unwitnessed| {
        stand.scene.trust_with(|document| {
            document.snapshot_signers = vec![*stand.snapshots.public()];
            document.witnesses = Some(WitnessRule {
                policy: format!("witness W {verifier}\nquorum W\n"),
                unwitnessed,
            });
        })
    };
    for (rule, refused) in [
        (UnwitnessedRule::Publish, false),
        (UnwitnessedRule::Withhold, true),
    ] {
        let trust = with(rule);
        let mut parts = stand.parts.clone();
        parts.snapshot = snapshot(&stand.scene, &trust, &stand.snapshots, |_| {});
        let verdict = verify(&stand.signed(parts), &trust, challenge(), now());
        let reason = verdict.err().map(|error| error.code());
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
fn trust_is_the_relying_partys_own() {
    let stand = Stand::new();
    let bytes = stand.signed(stand.parts.clone());
    let stranger = Stand::new();
    let error = verify(&bytes, &stranger.trust, challenge(), now()).unwrap_err();
    assert_eq!(error.code(), "credential_refused");
    // A person who is nobody here, and one who may not consent.
    let without: [fn(&mut chancery_identity::trust::TrustDocument); 2] = [
        |document| document.people.retain(|known| known.id != person()),
        |document| document.people[0].roles.clear(),
    ];
    for change in without {
        let trust = stand.scene.trust_with(|document| {
            document.snapshot_signers = vec![*stand.snapshots.public()];
            change(document);
        });
        let mut parts = stand.parts.clone();
        parts.snapshot = snapshot(&stand.scene, &trust, &stand.snapshots, |_| {});
        let error = verify(&stand.signed(parts), &trust, challenge(), now()).unwrap_err();
        assert_eq!(error.code(), "consent_unknown");
    }
}

fn document(bytes: &[u8]) -> Value {
    parse_strict(bytes).unwrap()
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

fn issue(entry: &mut Entry) -> &mut IdentityIssue {
    match &mut entry.event {
        Event::IdentityIssue(issue) => issue,
        other => panic!("{other:?}"),
    }
}

fn root(entry: &mut Entry) -> &mut DelegationRoot {
    match &mut entry.event {
        Event::DelegationRoot(root) => root,
        other => panic!("{other:?}"),
    }
}

fn open(entry: &mut Entry) -> &mut SessionOpen {
    match &mut entry.event {
        Event::SessionOpen(open) => open,
        other => panic!("{other:?}"),
    }
}

fn join(entry: &mut Entry) -> &mut SessionJoin {
    match &mut entry.event {
        Event::SessionJoin(join) => join,
        other => panic!("{other:?}"),
    }
}

type Lie<'a> = (&'a str, &'a dyn Fn(&mut Entry));

impl Stand {
    /// The parts as they would be if the logs said something else in these entries, and signed it.
    fn lying(&self, lies: &[Lie<'_>]) -> Parts {
        let (mut server, mut gateway) = (self.scene.server.clone(), self.scene.gateway.clone());
        let mut parts = self.parts.clone();
        for (part, lie) in lies {
            let (log, at) = match *part {
                "issued" => (&mut server, &parts.issued),
                "rooted" => (&mut server, &parts.rooted),
                "opened" => (&mut gateway, &parts.opened),
                _ => (&mut gateway, &parts.joined),
            };
            let mut entry = Entry::parse(&log.entries[at.index as usize]).unwrap();
            let before = entry.clone();
            lie(&mut entry);
            assert_ne!(entry, before, "{part}");
            log.entries[at.index as usize] = entry.to_bytes().unwrap();
        }
        for at in [&mut parts.issued, &mut parts.rooted] {
            *at = enrolled_at(&server, at.index as usize);
        }
        for at in [&mut parts.opened, &mut parts.joined] {
            *at = enrolled_at(&gateway, at.index as usize);
        }
        parts.checkpoints = Checkpoints {
            server: server.checkpoint(&self.scene.signers.server),
            gateway: gateway.checkpoint(&self.scene.signers.gateway),
        };
        parts
    }

    #[track_caller]
    fn noticed(&self, code: &str, said: &str, (part, lie): Lie<'_>) {
        let parts = self.lying(&[(part, lie)]);
        let error = self.verify(&self.signed(parts)).unwrap_err();
        let text = error.to_string();
        assert!(error.code() == code && text.starts_with(said), "{text}");
    }
}

#[test]
fn each_thing_that_an_entry_says_is_held_against_the_others() {
    let stand = Stand::new();
    stand.verify(&stand.signed(stand.lying(&[]))).unwrap();
    let other = || Label::or_digest("other");
    let differs = |part: &str, said: &str, lie: &dyn Fn(&mut Entry)| {
        stand.noticed("part_differs", said, (part, lie));
    };
    let issued = |lie: fn(&mut IdentityIssue)| {
        differs("issued", "issued: ", &|entry| lie(issue(entry)));
    };
    issued(|it| it.credentials[0].id = id(99));
    issued(|it| it.credentials[0].key = Digest::of("k"));
    issued(|it| it.credentials[0].form = CredentialForm::WitSvid);
    issued(|it| it.credentials[0].expires = at(2_999));
    issued(|it| it.credentials.clear());
    issued(|it| it.instance = Label::or_digest("other"));
    issued(|it| it.manifest = Digest::of("m"));
    issued(|it| it.attestation_level = Label::or_digest("tpm"));
    issued(|it| it.isolation = Isolation::Unisolated);
    issued(|it| it.evidence = Digest::of("e"));
    issued(|it| it.executable = Digest::of("x"));
    issued(|it| it.launch = None);
    let rooted = |lie: fn(&mut DelegationRoot)| {
        differs("rooted", "rooted: ", &|entry| lie(root(entry)));
    };
    rooted(|it| it.delegation = Label::or_digest("other"));
    rooted(|it| it.link = Digest::of("l"));
    rooted(|it| it.session = id(99));
    rooted(|it| it.delegate = Label::or_digest("other"));
    rooted(|it| it.mission = Digest::of("m"));
    rooted(|it| it.assurance = Assurance::Asserted);
    rooted(|it| it.consent = Digest::of("c"));
    rooted(|it| it.epoch = 2);
    rooted(|it| it.expires = at(1));
    rooted(|it| it.standing = Some(id(8)));
    rooted(|it| it.standing_use = Some(1));
    let joined = |lie: fn(&mut SessionJoin)| {
        differs("joined", "joined: ", &|entry| lie(join(entry)));
    };
    joined(|it| it.session = id(99));
    joined(|it| it.instance = Label::or_digest("other"));
    joined(|it| it.agent_key = Digest::of("k"));
    joined(|it| it.manifest = Digest::of("m"));
    joined(|it| it.attestation_level = Label::or_digest("tpm"));
    joined(|it| it.isolation = Isolation::Unisolated);
    let chain = "chain: ";
    differs("joined", chain, &|entry| {
        join(entry).chain = Digest::of("c")
    });
    differs("opened", chain, &|entry| open(entry).root = other());
    differs("opened", chain, &|entry| {
        open(entry).mission = Digest::of("m")
    });
    differs("opened", "joined: ", &|entry| open(entry).session = id(99));
    differs("opened", "opened: ", &|entry| open(entry).gateway = other());
    differs("opened", "opened: ", &|entry| open(entry).expires = now());
    differs("opened", "rooted: ", &|entry| {
        open(entry).assurance = Assurance::Standing;
    });
    let policy: &dyn Fn(&mut Entry) = &|entry| open(entry).policy = Digest::of("p");
    stand.noticed("policy_mismatch", "another policy", ("opened", policy));
    for part in ["issued", "rooted", "opened", "joined"] {
        let said = format!("{part}: ");
        let late: &dyn Fn(&mut Entry) = &|entry| entry.at = now().plus_seconds(6);
        stand.noticed("wrong_entry", &said, (part, late));
        // The name of the other log, and of one that nobody knows.
        let logs = match part {
            "issued" | "rooted" => ["example.org/log/gateway", "example.org/log/none"],
            _ => ["example.org/log/server", "example.org/log/none"],
        };
        for log in logs {
            let moved: &dyn Fn(&mut Entry) = &|entry| entry.origin = log.parse().unwrap();
            stand.noticed("wrong_entry", &said, (part, moved));
        }
    }
}

#[test]
fn an_instance_joins_after_the_session_was_opened() {
    let stand = Stand::new();
    let mut gateway = stand.scene.gateway.clone();
    let (opened, joined) = (stand.parts.opened.index, stand.parts.joined.index);
    gateway.entries.swap(opened as usize, joined as usize);
    let why = stand.refused("part_differs", |parts| {
        parts.opened = enrolled_at(&gateway, joined as usize);
        parts.joined = enrolled_at(&gateway, opened as usize);
        parts.checkpoints.gateway = gateway.checkpoint(&stand.scene.signers.gateway);
    });
    assert!(why.starts_with("joined: "), "{why}");
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
        let trust = stand.scene.trust_with(|document| {
            document.snapshot_signers = vec![*stand.snapshots.public()];
            document.log_origins.push(later);
        });
        let mut parts = stand.parts.clone();
        parts.snapshot = snapshot(&stand.scene, &trust, &stand.snapshots, |_| {});
        let error = verify(&stand.signed(parts), &trust, challenge(), now()).unwrap_err();
        assert_eq!(error.code(), "checkpoint_refused", "{error}");
    }
}

#[test]
fn a_newer_trust_document_is_verified_with_and_another_persons_consent_is_none() {
    let stand = Stand::new();
    let with = |change: fn(&mut TrustDocument)| {
        stand.scene.trust_with(|document| {
            document.snapshot_signers = vec![*stand.snapshots.public()];
            change(document);
        })
    };
    let bytes = stand.signed(stand.parts.clone());
    let newer = with(|document| document.version = 2);
    verify(&bytes, &newer, challenge(), now()).unwrap();
    // The credential is another principal's.
    let moved = with(|document| {
        document.version = 2;
        document.people[0].id = id(77);
    });
    let error = verify(&bytes, &moved, challenge(), now()).unwrap_err();
    assert_eq!(error.code(), "consent_unknown");
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

/// What somebody presents who has every key of the deployment, an agent's manifest, what a person once
/// signed, and a key of their own.
fn minted(stand: &Stand, standing: Option<StandingUse>) -> Result<Shown, PresentationRefusal> {
    let (scene, own) = (&stand.scene, key(Algorithm::Ed25519));
    let signers = &scene.signers;
    let name = format!(
        "spiffe://example.org/agent/clerk/instance/{}",
        id::<InstanceKind>(5)
    );
    let name: SpiffeId = name.parse().unwrap();
    let manifest =
        Compact::parse(&stand.parts.credential).unwrap().claims["manifest_digest"].clone();
    let claims = WitClaims {
        sub: name.clone(),
        cnf: Confirmation { jwk: *own.public() },
        iat: at(0).as_seconds(),
        exp: at(3_000).as_seconds(),
        jti: id(55),
        manifest_digest: serde_json::from_value(manifest).unwrap(),
        attestation_level: AttestationLevel::Launch,
        isolation: chancery_identity::Isolation::Isolated,
    };
    let input = claims.signing_input(signers.tokens.public()).unwrap();
    let token = jws::assemble(&input, &signers.tokens.sign(input.as_bytes()).unwrap());
    let consent = Digest::of(base64url::decode(&stand.parts.consent).unwrap());
    let mut opened = Entry::parse(&base64url::decode(&stand.parts.opened.entry).unwrap()).unwrap();
    let grants = ["pay", "list"].map(|tool| {
        let grant = json!({"type": "mcp_tool", "server": "bank", "tool": tool, "limits": {}});
        Grantable::parse(&grant).unwrap()
    });
    let draft = RootDraft {
        issuer: AUTHORITY.to_owned(),
        terms: Terms {
            subject: name.clone(),
            key: *own.public(),
            audience: Some(vec![GATEWAY.to_owned()]),
            issued_at: at(0),
            not_before: at(0),
            expires_at: at(2_000),
            jti: "root-9".to_owned(),
            max_depth: 3,
            entries: grants.to_vec(),
            forbid: Vec::new(),
            ask: Vec::new(),
        },
        sid: open(&mut opened).session.to_string(),
        epoch: 1,
        person: PersonDraft {
            issuer: AUTHORITY.to_owned(),
            subject: person().to_string(),
            acr: "passkey".to_owned(),
            authenticated_at: at(0),
            standing,
        },
        mission: open(&mut opened).mission,
    };
    let authority = &signers.authority;
    let sign = |bytes: &[u8]| authority.sign(bytes);
    let link = draft
        .sign(consent, authority.public(), &AwsLc, &sign)
        .unwrap();
    let (label, thumbprint) = (Label::or_digest(name.as_str()), own.public().thumbprint());
    let mut parts = stand.lying(&[
        ("issued", &|entry| {
            issue(entry).instance = label.clone();
            issue(entry).credentials[0].id = id(55);
            issue(entry).credentials[0].key = thumbprint;
        }),
        ("rooted", &|entry| {
            root(entry).delegation = Label::or_digest("root-9");
            root(entry).link = Digest::of(&link);
            root(entry).delegate = label.clone();
            root(entry).standing_use = standing.map(|used| used.number);
        }),
        ("opened", &|entry| {
            open(entry).root = Label::or_digest("root-9")
        }),
        ("joined", &|entry| {
            join(entry).instance = label.clone();
            join(entry).agent_key = thumbprint;
            join(entry).chain = Digest::of(&link);
        }),
    ]);
    parts.credential = token;
    parts.chain = vec![link.clone()];
    stand
        .verify(&stand.signed_by(&own, parts))
        .map(|it| Shown::from(&it))
}

#[test]
fn every_key_of_the_deployment_does_not_make_a_persons_consent() {
    let refused = minted(&Stand::new(), None).unwrap_err();
    assert_eq!(refused.code(), "consent_refused", "{refused}");
}

/// A standing consent names an agent and no key: said where it is shown, and in the documentation.
#[test]
fn with_a_standing_consent_it_is_said_that_it_binds_no_key() {
    let stand = Stand::of(Scene::with_standing(|_| {}, |_, _| {}));
    let again = StandingUse {
        consent: id(8),
        number: 2,
    };
    let shown = minted(&stand, Some(again)).unwrap();
    assert!(
        shown
            .notes
            .iter()
            .any(|note| note.starts_with("standing: ")),
        "{shown}"
    );
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
