//! Snapshots and what they hold: they only go forward, and nothing that is revoked comes back.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chancery_identity::trust::PolicyQuorum;
use chancery_policy::{BundleSignature, SignedBundle};
use chancery_signer::StandingKeys;
use chancery_types::id::Id;

use super::*;

#[tokio::test]
async fn snapshots_only_go_forward() {
    let bench = Bench::new(&[]).await;
    let snapshot = |sequence, issued_at| {
        let snapshot = Snapshot {
            sequence,
            issued_at,
            trust_version: 1,
            trust_digest: Digest::of(b"t"),
            policy_digest: Digest::of(b"p"),
            epoch: 1,
            revoked: RevocationSet::default(),
        };
        SignSnapshot {
            snapshot: String::from_utf8(to_canonical(&snapshot).unwrap()).unwrap(),
            policy: Vec::new(),
        }
    };
    bench.client.snapshot(&snapshot(5, NOW)).await.unwrap();
    for sequence in [0, 4, 5] {
        let refused = reason(bench.client.snapshot(&snapshot(sequence, NOW)).await);
        assert_eq!(refused.unwrap_err(), "ratchet");
    }
    let late = snapshot(6, NOW.minus_seconds(120));
    assert_eq!(
        reason(bench.client.snapshot(&late).await).unwrap_err(),
        "clock_skew"
    );
    let spaced = SignSnapshot {
        snapshot: snapshot(6, NOW).snapshot.replacen('{', "{ ", 1),
        policy: Vec::new(),
    };
    assert_eq!(
        reason(bench.client.snapshot(&spaced).await).unwrap_err(),
        "snapshot"
    );
    let other = SignSnapshot {
        snapshot: "{}".into(),
        policy: Vec::new(),
    };
    assert_eq!(
        reason(bench.client.snapshot(&other).await).unwrap_err(),
        "snapshot"
    );
}

impl Bench {
    pub(super) async fn snapshot(
        &self,
        sequence: u64,
        epoch: u64,
        revoked: &[Revocation],
    ) -> Result<(), String> {
        let mut set = RevocationSet::default();
        for one in revoked {
            set.revoke(one).unwrap();
        }
        let snapshot = Snapshot {
            sequence,
            issued_at: NOW,
            trust_version: 1,
            trust_digest: Digest::of(b"t"),
            policy_digest: Digest::of(b"p"),
            epoch,
            revoked: set,
        };
        let snapshot = String::from_utf8(to_canonical(&snapshot).unwrap()).unwrap();
        let policy = Vec::new();
        let request = SignSnapshot { snapshot, policy };
        let signed = self.client.snapshot(&request).await;
        reason(signed).map(drop)
    }

    pub(super) fn lift(
        &self,
        revocation: &Revocation,
        domain: &str,
        key: &SigningKey,
    ) -> SignedLift {
        let lift = Lift {
            trust_domain: domain.to_owned(),
            revocation: revocation.clone(),
            lifted_at: NOW,
        };
        let signature = key.sign(&lift.signing_input().unwrap()).unwrap();
        let signatures = vec![TrustSignature {
            kid: key.public().kid(),
            signature: base64url::encode(signature),
        }];
        SignedLift { lift, signatures }
    }

    /// A signer of another process over the same folder.
    pub(super) async fn again(&self) -> SignerClient {
        let socket = tempfile::tempdir_in(self.folder.path()).unwrap().keep();
        let socket = socket.join("again.sock");
        let listener = OwnerListener::bind(&socket).unwrap();
        tokio::spawn(self.reopened().unwrap().serve(listener));
        SignerClient::new(socket)
    }

    /// The same, before it serves.
    pub(super) fn reopened(&self) -> std::io::Result<Arc<Signer>> {
        self.reopened_between(|| ())
    }

    /// The same; something happens once the keys are read.
    pub(super) fn reopened_between(&self, between: impl FnOnce()) -> std::io::Result<Arc<Signer>> {
        let keys = StandingKeys::open(self.folder.path()).unwrap();
        between();
        let origin = "example.org/log/server".parse().unwrap();
        let log = tempfile::tempdir_in(self.folder.path()).unwrap().keep();
        let log = LocalSigner::open_or_create(&log.join("log"), &origin).unwrap();
        Signer::new(keys, self.trust.clone(), log, self.folder.path(), now)
    }
}

#[tokio::test]
async fn a_server_can_neither_unrevoke_nor_lower_the_epoch() {
    let mut bench = Bench::new(&[]).await;
    let person = revocation(RevocationKind::Person, &person_id().to_string(), NOW);
    let token = revocation(RevocationKind::Token, "del_9", NOW);
    let both = [person.clone(), token.clone()];
    bench.snapshot(1, 3, &both).await.unwrap();
    let dropped = "revocation_dropped";
    let earlier = |one: &Revocation| Revocation {
        at: NOW.minus_seconds(1),
        ..one.clone()
    };
    for set in [
        vec![],
        vec![person.clone()],
        vec![token.clone()],
        vec![earlier(&person), token.clone()],
    ] {
        assert_eq!(bench.snapshot(2, 3, &set).await.unwrap_err(), dropped);
    }
    assert_eq!(bench.snapshot(2, 2, &both).await.unwrap_err(), "epoch_back");
    bench.client = bench.again().await;
    assert_eq!(bench.snapshot(2, 3, &[]).await.unwrap_err(), dropped);
    assert_eq!(bench.snapshot(2, 2, &both).await.unwrap_err(), "epoch_back");
    // A later epoch takes the place of what was revoked of the chains before it, and of nothing else.
    assert_eq!(bench.snapshot(2, 4, &[token]).await.unwrap_err(), dropped);
    bench
        .snapshot(2, 4, std::slice::from_ref(&person))
        .await
        .unwrap();
    assert_eq!(bench.snapshot(3, 3, &both).await.unwrap_err(), "epoch_back");
}

/// What a server can have signed leaves room for everything after it.
#[tokio::test]
async fn a_server_cannot_take_what_is_to_come() {
    let bench = Bench::new(&[]).await;
    let ahead = "snapshot_ahead";
    let micros = NOW.as_micros();
    let far = micros + 61_000_000;
    assert_eq!(bench.snapshot(far, 1, &[]).await.unwrap_err(), ahead);
    let last = (1 << 53) - 1;
    assert_eq!(bench.snapshot(last, 1, &[]).await.unwrap_err(), ahead);
    assert_eq!(bench.snapshot(1, last, &[]).await.unwrap_err(), ahead);
    assert_eq!(bench.snapshot(1, 1_001, &[]).await.unwrap_err(), ahead);
    let late = revocation(RevocationKind::Token, "del_9", NOW.plus_seconds(1));
    assert_eq!(bench.snapshot(1, 1, &[late]).await.unwrap_err(), ahead);
    bench.snapshot(1, 1_000, &[]).await.unwrap();
    bench.snapshot(micros, 1_001, &[]).await.unwrap();
}

#[tokio::test]
async fn what_cannot_matter_any_more_may_go() {
    let bench = Bench::new(&[]).await;
    let old = NOW.minus_seconds(3_900);
    let young = NOW.minus_seconds(3_899);
    let set = [
        revocation(RevocationKind::Token, "old", old),
        revocation(RevocationKind::Token, "young", young),
        revocation(
            RevocationKind::Agent,
            "spiffe://example.org/agent/clerk",
            old,
        ),
    ];
    bench.snapshot(1, 1, &set).await.unwrap();
    let dropped = "revocation_dropped";
    assert_eq!(bench.snapshot(2, 1, &set[..1]).await.unwrap_err(), dropped);
    assert_eq!(bench.snapshot(2, 1, &set[..2]).await.unwrap_err(), dropped);
    bench.snapshot(2, 1, &set[1..]).await.unwrap();
}

#[tokio::test]
async fn a_revocation_is_lifted_by_the_root_keys_alone() {
    let bench = Bench::new(&[]).await;
    let agent = revocation(
        RevocationKind::Agent,
        "spiffe://example.org/agent/clerk",
        NOW,
    );
    bench
        .snapshot(1, 1, std::slice::from_ref(&agent))
        .await
        .unwrap();
    let stranger = SigningKey::generate(Algorithm::Ed25519).unwrap();
    let mut altered = bench.lift(&agent, "example.org", &bench.root);
    altered.lift.lifted_at = NOW.plus_seconds(1);
    let mut unsigned = bench.lift(&agent, "example.org", &bench.root);
    unsigned.signatures.clear();
    for bad in [
        bench.lift(&agent, "example.org", &stranger),
        bench.lift(&agent, "example.com", &bench.root),
        altered,
        unsigned,
    ] {
        assert_eq!(reason(bench.client.lift(&bad).await).unwrap_err(), "lift");
    }
    let other = Revocation {
        at: NOW.minus_seconds(1),
        ..agent.clone()
    };
    let other = bench.lift(&other, "example.org", &bench.root);
    bench.client.lift(&other).await.unwrap();
    assert_eq!(
        bench.snapshot(2, 1, &[]).await.unwrap_err(),
        "revocation_dropped"
    );
    let good = bench.lift(&agent, "example.org", &bench.root);
    bench.client.lift(&good).await.unwrap();
    bench.snapshot(2, 1, &[]).await.unwrap();
}

#[tokio::test]
async fn nothing_is_signed_for_what_is_revoked() {
    let bench = Bench::new(&[Role::Principal]).await;
    let session = "ses_7zzzzzzzzzzzzzzzzzzzzzzzzz";
    let mut draft = bench.draft();
    draft.sid = session.to_owned();
    let id = person_id().to_string();
    let key = bench.holder.public().thumbprint().to_string();
    let mission = Digest::of(mission()).to_string();
    let agent = "spiffe://example.org/agent/clerk";
    let all = [
        (RevocationKind::Token, "del_1"),
        (RevocationKind::Session, session),
        (RevocationKind::Mission, &mission),
        (RevocationKind::Agent, agent),
        (RevocationKind::Instance, INSTANCE),
        (RevocationKind::Person, &id),
        (RevocationKind::Key, &key),
    ];
    for (at, (kind, id)) in (1..).zip(all) {
        let one = revocation(kind, id, NOW);
        bench
            .snapshot(at * 2, 1, std::slice::from_ref(&one))
            .await
            .unwrap();
        let consent = bench.consent(&draft);
        let refused = bench.root(&draft, consent).await.unwrap_err();
        assert_eq!(refused, "revoked", "{kind}");
        let svid = reason(bench.client.x509(&x509(INSTANCE)).await);
        let touched = matches!(kind, RevocationKind::Agent | RevocationKind::Instance);
        assert_eq!(svid.is_err(), touched, "{kind}");
        let wit = bench.wit(INSTANCE, 1_800_000_600);
        let touched = touched || kind == RevocationKind::Key;
        let signed = reason(bench.client.wit(&wit).await);
        let expected = touched.then(|| "revoked".to_owned());
        assert_eq!(signed.err(), expected, "{kind}");
        let lift = bench.lift(&one, "example.org", &bench.root);
        bench.client.lift(&lift).await.unwrap();
    }
    bench.snapshot(100, 1, &[]).await.unwrap();
    bench.root(&draft, bench.consent(&draft)).await.unwrap();
    bench.snapshot(101, 2, &[]).await.unwrap();
    let refused = bench.root(&draft, bench.consent(&draft)).await;
    assert_eq!(refused.unwrap_err(), "stale_epoch");
}

/// As much as may be revoked, by the longest names, is signed for; whoever asks for something else meanwhile does
/// not wait for it.
#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_of_the_longest_names_is_signed_and_stands_in_nobodys_way() {
    let bench = Arc::new(Bench::new(&[]).await);
    let longest = (0..MAX_REVOCATIONS).map(|number| {
        let id = format!("spiffe://example.org/agent/{number:0>2021}");
        assert_eq!(id.len(), 2_048);
        revocation(RevocationKind::Instance, &id, NOW)
    });
    let longest: Vec<_> = longest.collect();
    let signing = {
        let bench = Arc::clone(&bench);
        tokio::spawn(async move {
            let begun = Instant::now();
            bench.snapshot(1, 1, &longest).await.unwrap();
            begun.elapsed()
        })
    };
    let mut slowest = Duration::ZERO;
    while !signing.is_finished() {
        let begun = Instant::now();
        bench.client.x509(&x509(INSTANCE)).await.unwrap();
        slowest = slowest.max(begun.elapsed());
    }
    let all = signing.await.unwrap();
    assert!(slowest < all / 4, "{slowest:?} of {all:?}");
    let token = revocation(RevocationKind::Token, "one-more", NOW);
    let dropped = bench.snapshot(2, 1, &[token]).await.unwrap_err();
    assert_eq!(dropped, "revocation_dropped");
}

/// Where the trust document demands several people's signatures of a policy bundle, no snapshot names one
/// that fewer signed: whoever took the server over has no key for that.
#[tokio::test]
async fn a_snapshot_names_no_policy_that_too_few_people_signed() {
    let mut bench = Bench::new(&[]).await;
    let keys = [key(), key(), key()];
    let other: PersonId = Id::from_random([77; 16]);
    let whose = [person_id(), other, other];
    bench
        .install(|next| {
            next.people.push(Person {
                id: other,
                roles: Vec::new(),
                credentials: Vec::new(),
            });
            next.policy_signers = keys.iter().map(|key| *key.public()).collect();
            let signers = keys.iter().zip(whose);
            next.policy_quorum = Some(PolicyQuorum {
                people: 2,
                since: NOW,
                signers: signers
                    .map(|(key, person)| (key.public().kid(), person))
                    .collect(),
            });
        })
        .await;
    let policy = Digest::of(b"p");
    let sign = |key: &SigningKey, policy| BundleSignature {
        kid: key.public().kid(),
        signature: base64url::encode(key.sign(&SignedBundle::statement(policy)).unwrap()),
    };
    let ask = async |sequence, signatures: Vec<BundleSignature>| {
        let snapshot = Snapshot {
            sequence,
            issued_at: NOW,
            trust_version: 2,
            trust_digest: Digest::of(b"t"),
            policy_digest: policy,
            epoch: 1,
            revoked: RevocationSet::default(),
        };
        let request = SignSnapshot {
            snapshot: String::from_utf8(to_canonical(&snapshot).unwrap()).unwrap(),
            policy: signatures,
        };
        reason(bench.client.snapshot(&request).await).map(drop)
    };
    let [first, second, third] = &keys;
    let elsewhere = Digest::of(b"another bundle");
    for (signatures, refused) in [
        (vec![], "policy_signer"),
        (vec![sign(&key(), policy)], "policy_signer"),
        (vec![sign(first, policy)], "policy_quorum"),
        (
            vec![sign(first, policy), sign(first, policy)],
            "policy_quorum",
        ),
        (
            vec![sign(second, policy), sign(third, policy)],
            "policy_quorum",
        ),
        (
            vec![sign(first, policy), sign(second, elsewhere)],
            "policy_quorum",
        ),
    ] {
        assert_eq!(ask(7, signatures).await, Err(refused.to_owned()));
    }
    // What was refused used up no sequence.
    let both = vec![sign(first, policy), sign(third, policy)];
    ask(7, both).await.unwrap();
}

fn key() -> SigningKey {
    SigningKey::generate(Algorithm::Ed25519).unwrap()
}
