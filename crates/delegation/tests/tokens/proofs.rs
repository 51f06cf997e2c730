use chancery_crypto::{AwsLc, KeyError};
use chancery_delegation::{
    BoundedReplayMemory, Call, ProofContext, ProofDraft, Reason, ReplayMemory, Target,
    VerifiedChain, VerifiedProof, arguments_digest, verify_proof,
};
use chancery_identity::SpiffeId;
use chancery_types::id::ExecutionId;
use chancery_types::{Digest, Timestamp};
use serde_json::{Map, Value, json};

use crate::support::*;

struct Desk {
    chain: VerifiedChain,
    args: Map<String, Value>,
    peer: SpiffeId,
    replay: BoundedReplayMemory,
}

impl Desk {
    fn new() -> Self {
        Self {
            chain: verify(&chain(1)).unwrap(),
            args: json!({"path": "/src/a", "depth": 1.5})
                .as_object()
                .unwrap()
                .clone(),
            peer: subject(1).parse().unwrap(),
            replay: BoundedReplayMemory::new(3, 3),
        }
    }

    fn call(&self) -> Call<'_> {
        Call {
            server: "fs",
            target: Target::Tool("read_file"),
            args: &self.args,
        }
    }

    fn draft(&self) -> ProofDraft<'_> {
        ProofDraft {
            audience: GATEWAY,
            issued_at: NOW,
            jti: "p1",
            chain: self.chain.digest(),
            call: self.call(),
            execution: Some(ExecutionId::from_random([1; 16])),
            step: Some("plan/1"),
        }
    }

    fn verify_with<'a>(
        &'a mut self,
        token: Option<&str>,
        change: impl FnOnce(&mut ProofContext<'a>),
    ) -> Result<VerifiedProof, Reason> {
        let mut context = ProofContext {
            now: NOW,
            audience: GATEWAY,
            verifier: &AwsLc,
            started_at: NOW.minus_seconds(3_600),
            peer: &self.peer,
            call: Call {
                server: "fs",
                target: Target::Tool("read_file"),
                args: &self.args,
            },
        };
        change(&mut context);
        verify_proof(token, &self.chain, &context, &mut self.replay)
            .map_err(|refusal| refusal.reason)
    }

    fn verify(&mut self, token: &str) -> Result<VerifiedProof, Reason> {
        self.verify_with(Some(token), |_| {})
    }
}

fn sign(draft: &ProofDraft<'_>) -> String {
    let key = holder(1);
    draft
        .sign::<KeyError>(key.public(), &|message| key.sign(message))
        .unwrap()
}

#[test]
fn a_proof_is_taken_once() {
    let mut desk = Desk::new();
    let token = sign(&desk.draft());
    let proof = desk.verify(&token).unwrap();
    assert_eq!((proof.jti(), proof.step()), ("p1", Some("plan/1")));
    assert_eq!(proof.execution(), Some(ExecutionId::from_random([1; 16])));
    assert_eq!(proof.issued_at(), NOW);
    assert_eq!(proof.digest(), Digest::of(&token));
    assert_eq!(desk.verify(&token), Err(Reason::Replay));
}

#[test]
fn a_proof_is_for_one_call_of_one_chain_at_one_gateway() {
    let mut desk = Desk::new();
    let other_args = json!({"path": "/src/b"}).as_object().unwrap().clone();
    let other_call = |server, target| Call {
        server,
        target,
        args: &other_args,
    };
    let tool = Target::Tool("read_file");
    let drafts = [
        ProofDraft {
            audience: "spiffe://acme.example/other",
            ..desk.draft()
        },
        ProofDraft {
            chain: Digest::of("other"),
            ..desk.draft()
        },
        ProofDraft {
            call: other_call("fs", tool),
            ..desk.draft()
        },
    ];
    let mut tokens: Vec<_> = drafts.iter().map(sign).collect();
    for (server, target) in [
        ("fs2", tool),
        ("fs", Target::Tool("write_file")),
        ("fs", Target::Prompt("read_file")),
        ("fs", Target::Resource("read_file")),
    ] {
        let call = Call {
            server,
            target,
            args: &desk.args,
        };
        tokens.push(sign(&ProofDraft {
            call,
            ..desk.draft()
        }));
    }
    for token in tokens {
        assert_eq!(desk.verify(&token), Err(Reason::PopMismatch));
    }
    // None of them used the identifier up.
    let token = sign(&desk.draft());
    assert!(desk.verify(&token).is_ok());
}

#[test]
fn a_proof_for_a_resource_is_none_for_a_tool_of_its_name() {
    let mut desk = Desk::new();
    let call = Call {
        server: "fs",
        target: Target::Resource("file:///a"),
        args: &desk.args,
    };
    let token = sign(&ProofDraft {
        call,
        ..desk.draft()
    });
    let args = desk.args.clone();
    let resource = desk.verify_with(Some(&token), |context| {
        context.call = Call {
            server: "fs",
            target: Target::Resource("file:///a"),
            args: &args,
        };
    });
    assert!(resource.is_ok());
    let tool = desk.verify_with(Some(&token), |context| {
        context.call = Call {
            server: "fs",
            target: Target::Tool("file:///a"),
            args: &args,
        };
    });
    assert_eq!(tool, Err(Reason::PopMismatch));
}

#[test]
fn the_window_and_the_start_are_kept() {
    let mut desk = Desk::new();
    for (issued_at, expected) in [
        (NOW.minus_seconds(61), Err(Reason::PopStale)),
        (NOW.minus_seconds(60), Ok(())),
        (NOW.plus_seconds(5), Ok(())),
        (NOW.plus_seconds(6), Err(Reason::PopStale)),
    ] {
        let jti = issued_at.to_string();
        let token = sign(&ProofDraft {
            issued_at,
            jti: &jti,
            ..desk.draft()
        });
        assert_eq!(desk.verify(&token).map(drop), expected, "{issued_at}");
    }
    let token = sign(&ProofDraft {
        jti: "p2",
        ..desk.draft()
    });
    let restarted = desk.verify_with(Some(&token), |context| {
        context.started_at = Timestamp::from_micros(NOW.as_micros() + 1);
    });
    assert_eq!(restarted, Err(Reason::PopStale));
}

#[test]
fn a_stolen_chain_is_worth_nothing() {
    let mut desk = Desk::new();
    assert_eq!(desk.verify_with(None, |_| {}), Err(Reason::PopMissing));
    let thief = holder(0);
    let draft = desk.draft();
    let token = draft.sign::<KeyError>(thief.public(), &|message| thief.sign(message));
    let token = token.unwrap();
    assert_eq!(desk.verify(&token), Err(Reason::PopBadSignature));
    let token = sign(&desk.draft());
    let other: SpiffeId = subject(0).parse().unwrap();
    let through_another = desk.verify_with(Some(&token), |context| context.peer = &other);
    assert_eq!(through_another, Err(Reason::HolderMismatch));
    // Nobody but the holder used the proof up.
    assert!(desk.verify(&token).is_ok());
}

#[test]
fn a_full_memory_denies() {
    let mut desk = Desk::new();
    let holder = Digest::of(desk.chain.leaf_subject().as_str());
    for jti in ["a", "b", "c"] {
        let until = NOW.plus_seconds(60);
        desk.replay.remember(&holder, jti, until, NOW).unwrap();
    }
    let token = sign(&desk.draft());
    assert_eq!(desk.verify(&token), Err(Reason::Replay));
}

/// A delegator can make links to one instance for as many keys as it likes.
#[test]
fn an_instance_with_many_keys_fills_its_own_part_only() {
    let mut desk = Desk::new();
    desk.replay = BoundedReplayMemory::new(2, 2);
    let root = chain(0);
    let prove = |desk: &mut Desk, at: usize, key: usize, jti: &str| {
        let mut link = terms(at, vec![entry(read_src())]);
        link.key = *holder(key).public();
        let made = make_link(&root, link).unwrap();
        desk.chain = verify(&[root[0].clone(), made]).unwrap();
        desk.peer = subject(at).parse().unwrap();
        let draft = ProofDraft {
            jti,
            ..desk.draft()
        };
        let key = holder(key);
        let sign = |message: &[u8]| key.sign(message);
        let token = draft.sign::<KeyError>(key.public(), &sign).unwrap();
        desk.verify(&token).map(drop)
    };
    for key in [3, 4] {
        assert_eq!(prove(&mut desk, 5, key, &format!("{key}")), Ok(()));
    }
    for key in [6, 7] {
        assert_eq!(prove(&mut desk, 5, key, "more"), Err(Reason::Replay));
    }
    assert_eq!(prove(&mut desk, 1, 1, "another"), Ok(()));
}

#[test]
fn a_proof_has_exactly_its_claims() {
    let mut desk = Desk::new();
    let good = claims(&sign(&desk.draft()));
    for name in ["aud", "iat", "jti", "cth", "tool", "ah"] {
        let mut members = good.clone();
        members.remove(name);
        let token = forge(holder(1), "adt-pop+jwt", &members);
        assert_eq!(
            desk.verify(&token),
            Err(Reason::Malformed),
            "without {name}"
        );
    }
    for (name, value, reason) in [
        ("nonce", json!("a"), Reason::Malformed),
        ("iat", json!(1.8e9), Reason::Malformed),
        ("iat", json!("1800000000"), Reason::Malformed),
        ("jti", json!(""), Reason::Malformed),
        ("jti", json!("j".repeat(129)), Reason::Malformed),
        ("aud", json!([GATEWAY]), Reason::Malformed),
        ("tool", json!("fs"), Reason::Malformed),
        ("tool", json!(["fs"]), Reason::PopMismatch),
        (
            "tool",
            json!(["fs", "read_file", "mcp_tool"]),
            Reason::PopMismatch,
        ),
        ("ah", json!("AA"), Reason::Malformed),
        ("exec", json!("execution"), Reason::Malformed),
        ("step", json!(1), Reason::Malformed),
    ] {
        let mut members = good.clone();
        members.insert(name.to_owned(), value.clone());
        let token = forge(holder(1), "adt-pop+jwt", &members);
        assert_eq!(desk.verify(&token), Err(reason), "{name} {value}");
    }
    for name in ["exec", "step"] {
        let mut members = good.clone();
        members.remove(name);
        members.insert("jti".to_owned(), json!(format!("without-{name}")));
        assert!(
            desk.verify(&forge(holder(1), "adt-pop+jwt", &members))
                .is_ok()
        );
    }
    assert_eq!(
        desk.verify(&forge(holder(1), "adt+jwt", &good)),
        Err(Reason::WrongTyp)
    );
    assert_eq!(desk.verify("a.b.c"), Err(Reason::Malformed));
    assert_eq!(desk.verify(&"a".repeat(16_385)), Err(Reason::TooLong));
}

#[test]
fn arguments_that_would_share_a_digest_have_none() {
    let digest = |args: Value| arguments_digest(args.as_object().unwrap());
    let args = json!({"b": [1.5, null, true, "x"], "a": -9_007_199_254_740_991_i64});
    assert_eq!(
        digest(args),
        Ok(Digest::of(
            r#"{"a":-9007199254740991,"b":[1.5,null,true,"x"]}"#
        ))
    );
    for unsafe_integer in [
        json!(9_007_199_254_740_992_i64),
        json!(-9_007_199_254_740_992_i64),
        json!(i64::MIN),
        json!(u64::MAX),
    ] {
        for args in [
            json!({"a": unsafe_integer}),
            json!({"a": [{"b": unsafe_integer}]}),
        ] {
            assert_eq!(digest(args.clone()), Err(Reason::Malformed), "{args}");
        }
    }
}

#[test]
fn a_holder_that_drops_its_own_link_proves_nothing() {
    let mut desk = Desk::new();
    // The chain up to the parent verifies, as it did for the parent.
    desk.chain = verify(&chain(1)[..1]).unwrap();
    let token = sign(&desk.draft());
    assert_eq!(desk.verify(&token), Err(Reason::PopBadSignature));
    // Not even with the parent's own proof, which would have to be stolen as well.
    let parent = holder(0);
    let draft = ProofDraft {
        jti: "p2",
        ..desk.draft()
    };
    let token = draft.sign::<KeyError>(parent.public(), &|message| parent.sign(message));
    assert_eq!(desk.verify(&token.unwrap()), Err(Reason::HolderMismatch));
}
