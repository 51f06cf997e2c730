use std::time::Duration;

use chancery_agent::handover::{
    Delegator, Given, Grant, HandoverError, HandoverListener, give, receive, receive_from,
};
use chancery_agent::{AgentKey, Credential, Held};
use chancery_crypto::{AwsLc, SigningKey};
use chancery_delegation::{ChainContext, Entry, RevocationSet, verify_chain};
use chancery_identity::SpiffeId;
use chancery_types::{Algorithm, jws};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, DuplexStream, duplex};

use crate::support::world::{GATEWAY, World, entry, instance, now};

struct Family {
    world: World,
    key: AgentKey,
    name: SpiffeId,
    held: Held,
    child_key: AgentKey,
    child: Credential,
}

fn grant(entries: Vec<Entry>) -> Grant {
    Grant {
        agent: "spiffe://td/agent/worker"
            .parse::<SpiffeId>()
            .unwrap()
            .try_into()
            .unwrap(),
        entries,
        lifetime_seconds: Some(60),
        may_delegate: false,
    }
}

impl Family {
    fn new() -> Self {
        let world = World::new();
        let (key, child_key) = (AgentKey::generate().unwrap(), AgentKey::generate().unwrap());
        let name = instance("boss", 1);
        let held = world.held(&name, &key);
        let child = world.credential(&instance("worker", 2), child_key.public());
        Self {
            world,
            key,
            name,
            held,
            child_key,
            child,
        }
    }

    async fn give(&self, stream: DuplexStream, grant: &Grant) -> Result<Given, HandoverError> {
        let wits = self.world.wits();
        let delegator = Delegator {
            key: &self.key,
            spiffe_id: &self.name,
            held: &self.held,
            wits: &wits,
        };
        give(stream, &delegator, grant).await
    }

    /// Parent and child as they are, with this credential, key and parent's name for the child.
    async fn both(
        &self,
        grant: &Grant,
        key: &AgentKey,
        credential: &Credential,
        parent: &SpiffeId,
    ) -> (Result<Given, HandoverError>, Result<Held, HandoverError>) {
        let (near, far) = duplex(1 << 20);
        tokio::join!(
            self.give(near, grant),
            receive(far, key, credential, parent)
        )
    }

    /// A parent and a child that sends what `lines` makes of the offer.
    async fn against(&self, lines: impl Fn(&Value) -> Vec<String>) -> HandoverError {
        let (near, far) = duplex(1 << 20);
        let child = async {
            let (reader, mut writer) = tokio::io::split(far);
            let mut reader = BufReader::new(reader);
            let mut offer = Value::Null;
            loop {
                for line in lines(&offer) {
                    if writer
                        .write_all(format!("{line}\n").as_bytes())
                        .await
                        .is_err()
                    {
                        return offer;
                    }
                }
                let mut line = String::new();
                if reader.read_line(&mut line).await.unwrap_or(0) == 0 {
                    return offer;
                }
                offer = serde_json::from_str(&line).unwrap();
                if offer.get("refused").is_some() || offer.get("link").is_some() {
                    return offer;
                }
            }
        };
        let grant = grant(vec![entry("read")]);
        let (given, last) = tokio::join!(self.give(near, &grant), child);
        let error = given.unwrap_err();
        assert_eq!(last["refused"]["reason"], error.reason());
        error
    }
}

fn hello(wit: &str) -> String {
    json!({"hello": {"wit": wit}}).to_string()
}

fn accept(key: &SigningKey, header: Value, claims: &Value) -> String {
    let part = |value: &Value| chancery_types::base64url::encode(value.to_string());
    let input = format!("{}.{}", part(&header), part(claims));
    let proof = jws::assemble(&input, &key.sign(input.as_bytes()).unwrap());
    json!({"accept": {"proof": proof}}).to_string()
}

fn header() -> Value {
    json!({"alg": "Ed25519", "typ": "agent-accept+jwt"})
}

#[tokio::test]
async fn authority_is_narrowed_for_a_child_that_proved_its_key() {
    let family = Family::new();
    let grant = grant(vec![entry("read")]);
    let (given, held) = family
        .both(&grant, &family.child_key, &family.child, &family.name)
        .await;
    let (given, held) = (given.unwrap(), held.unwrap());
    assert_eq!(given.chain, held.digest());
    assert_eq!(held.mission(), family.held.mission());
    assert!(!held.is_root());
    let links: Vec<&str> = held.chain().iter().map(String::as_str).collect();
    let context = ChainContext {
        now: now(),
        audience: GATEWAY,
        anchors: &family.world.anchors(),
        epoch: 1,
        revoked: RevocationSet::none(),
        verifier: &AwsLc,
    };
    let chain = verify_chain(&links, &context).unwrap();
    assert_eq!(*chain.leaf_subject(), family.child.spiffe_id);
    assert_eq!(chain.leaf().jti(), given.jti);
    assert_eq!(chain.leaf().entries(), [entry("read")]);
    assert!(chain.expires_at() <= now().plus_seconds(61));
}

#[tokio::test]
async fn nothing_is_given_that_the_parent_does_not_have() {
    let family = Family::new();
    for entries in [vec![entry("delete")], vec![entry("read"), entry("delete")]] {
        let (given, held) = family
            .both(
                &grant(entries),
                &family.child_key,
                &family.child,
                &family.name,
            )
            .await;
        assert_eq!(given.unwrap_err().reason(), "link_refused");
        let refusal = held.unwrap_err();
        assert!(matches!(refusal, HandoverError::Refused { reason } if reason == "link_refused"));
    }
    let over = Grant {
        lifetime_seconds: Some(0),
        ..grant(vec![entry("read")])
    };
    let (given, _) = family
        .both(&over, &family.child_key, &family.child, &family.name)
        .await;
    assert_eq!(given.unwrap_err().reason(), "expired");
}

#[tokio::test]
async fn a_childs_credential_must_stand() {
    let family = Family::new();
    let stranger = World::new();
    let worker = instance("worker", 2);
    let key = family.child_key.public();
    let agent: SpiffeId = "spiffe://td/agent/worker".parse().unwrap();
    for (wit, reason) in [
        (stranger.wit(&worker, key, 300), "bad_credential"),
        (family.world.wit(&worker, key, 5), "bad_credential"),
        ("a.b.c".to_owned(), "bad_credential"),
        (
            family.world.wit(&instance("other", 2), key, 300),
            "wrong_agent",
        ),
        (family.world.wit(&agent, key, 300), "wrong_agent"),
    ] {
        let error = family.against(|_| vec![hello(&wit)]).await;
        assert_eq!(error.reason(), reason);
    }
}

#[tokio::test]
async fn an_acceptance_must_be_the_childs_own_answer_to_this_offer() {
    let family = Family::new();
    let key = SigningKey::generate(Algorithm::Ed25519).unwrap();
    let foreign = SigningKey::generate(Algorithm::Ed25519).unwrap();
    let wit = family.world.wit(&instance("worker", 2), key.public(), 300);
    let cth = family.held.digest().to_base64url();
    let parent = family.name.to_string();
    type Made<'a> = Box<dyn Fn(&str) -> String + 'a>;
    let claims = |nonce: &str| json!({"aud": parent, "cth": cth, "nonce": nonce});
    let with = |nonce: &str, name: &str, value: Value| {
        let mut claims = claims(nonce);
        claims[name] = value;
        accept(&key, header(), &claims)
    };
    let cases: Vec<(&str, Made<'_>)> = vec![
        (
            "bad_signature",
            Box::new(|nonce| accept(&foreign, header(), &claims(nonce))),
        ),
        (
            "wrong_nonce",
            Box::new(|_| accept(&key, header(), &claims("an older one"))),
        ),
        (
            "wrong_chain",
            Box::new(|nonce| with(nonce, "cth", json!("x"))),
        ),
        (
            "wrong_audience",
            Box::new(|nonce| with(nonce, "aud", json!("spiffe://td/agent/x"))),
        ),
        ("malformed", Box::new(|nonce| with(nonce, "exp", json!(1)))),
        (
            "malformed",
            Box::new(|nonce| with(nonce, "nonce", json!(1))),
        ),
        (
            "malformed",
            Box::new(|nonce| {
                accept(
                    &key,
                    json!({"alg": "Ed25519", "typ": "adt-pop+jwt"}),
                    &claims(nonce),
                )
            }),
        ),
        (
            "malformed",
            Box::new(|nonce| {
                let header = json!({"alg": "Ed25519", "kid": "k", "typ": "agent-accept+jwt"});
                accept(&key, header, &claims(nonce))
            }),
        ),
        (
            "malformed",
            Box::new(|_| json!({"accept": {"proof": "a"}}).to_string()),
        ),
        ("malformed", Box::new(|_| json!({"accept": {}}).to_string())),
        ("malformed", Box::new(|_| hello(&wit))),
    ];
    for (reason, made) in cases {
        let error = family
            .against(|offer| match offer["offer"]["nonce"].as_str() {
                None => vec![hello(&wit)],
                Some(nonce) => vec![made(nonce)],
            })
            .await;
        assert_eq!(error.reason(), reason);
    }
}

#[tokio::test]
async fn an_acceptance_is_good_once() {
    let family = Family::new();
    let key = SigningKey::generate(Algorithm::Ed25519).unwrap();
    let wit = family.world.wit(&instance("worker", 2), key.public(), 300);
    let cth = family.held.digest().to_base64url();
    let parent = family.name.to_string();
    let kept = std::sync::Mutex::new(None);
    let (near, far) = duplex(1 << 20);
    let child = async {
        let (reader, mut writer) = tokio::io::split(far);
        let mut reader = BufReader::new(reader);
        let mut line = String::new();
        writer
            .write_all(format!("{}\n", hello(&wit)).as_bytes())
            .await
            .unwrap();
        reader.read_line(&mut line).await.unwrap();
        let offer: Value = serde_json::from_str(&line).unwrap();
        let claims = json!({"aud": parent, "cth": cth, "nonce": offer["offer"]["nonce"]});
        let made = accept(&key, header(), &claims);
        writer
            .write_all(format!("{made}\n").as_bytes())
            .await
            .unwrap();
        *kept.lock().unwrap() = Some(made);
        line.clear();
        reader.read_line(&mut line).await.unwrap();
    };
    let grant = grant(vec![entry("read")]);
    let (given, ()) = tokio::join!(family.give(near, &grant), child);
    given.unwrap();
    let replayed = kept.lock().unwrap().clone().unwrap();
    let error = family
        .against(|offer| {
            if offer.is_null() {
                vec![hello(&wit)]
            } else {
                vec![replayed.clone()]
            }
        })
        .await;
    assert_eq!(error.reason(), "wrong_nonce");
}

#[tokio::test]
async fn lines_are_read_strictly() {
    let family = Family::new();
    let large = hello(&"a".repeat(64 << 10));
    for (line, reason) in [
        ("x", "malformed"),
        ("{}", "malformed"),
        (r#"{"hello":{"wit":"a","x":1}}"#, "malformed"),
        (
            r#"{"hello":{"wit":"a"},"accept":{"proof":"b"}}"#,
            "malformed",
        ),
        (r#"{"hello":{"wit":"a","wit":"b"}}"#, "malformed"),
        (r#"{"accept":{"proof":"b"}}"#, "malformed"),
        (r#"{"offer":{"nonce":"b","cth":"c"}}"#, "malformed"),
        (&large, "too_long"),
    ] {
        let error = family.against(|_| vec![line.to_owned()]).await;
        assert_eq!(error.reason(), reason, "{line:.60}");
    }
    let (near, far) = duplex(64);
    drop(far);
    let error = family.give(near, &grant(Vec::new())).await.unwrap_err();
    assert_eq!(error.reason(), "closed");
}

#[tokio::test]
async fn a_child_accepts_for_its_own_parent_only() {
    let family = Family::new();
    let grant = grant(vec![entry("read")]);
    let other = instance("boss", 9);
    let (given, held) = family
        .both(&grant, &family.child_key, &family.child, &other)
        .await;
    assert_eq!(given.unwrap_err().reason(), "wrong_audience");
    assert_eq!(held.unwrap_err().reason(), "refused");
    let another = AgentKey::generate().unwrap();
    let (given, _) = family
        .both(&grant, &another, &family.child, &family.name)
        .await;
    assert_eq!(given.unwrap_err().reason(), "bad_signature");
}

#[tokio::test]
async fn a_child_takes_only_what_was_offered_to_it() {
    let family = Family::new();
    let grant_ = grant(vec![entry("read")]);
    let (_, good) = family
        .both(&grant_, &family.child_key, &family.child, &family.name)
        .await;
    let good = good.unwrap();
    let other = Family::new();
    let (_, foreign) = other
        .both(&grant_, &other.child_key, &other.child, &other.name)
        .await;
    let foreign = foreign.unwrap();
    let link = |held: &Held, chain: &[String]| {
        json!({"link": {
            "chain": chain,
            "consent": held.consent(),
            "mission": chancery_types::base64url::encode(held.mission().as_bytes()),
            "principal": held.principal(),
        }})
    };
    let cth = family.held.digest().to_base64url();
    let offer = json!({"offer": {"nonce": "n", "cth": cth}});
    let mut forged = good.chain().to_vec();
    let end = forged[1].rfind('.').unwrap();
    let signature = foreign.chain()[1].rsplit('.').next().unwrap().to_owned();
    forged[1].replace_range(end + 1.., &signature);
    let mut extra = link(&good, good.chain());
    extra["link"]["x"] = json!(1);
    for (second, reason) in [
        (link(&family.held, family.held.chain()), "other_chain"),
        (link(&foreign, foreign.chain()), "other_chain"),
        (link(&good, &forged), "other_chain"),
        (link(&good, &good.chain()[1..]), "bad_link"),
        (link(&good, &[]), "bad_link"),
        (extra, "malformed"),
        (offer.clone(), "malformed"),
        (json!({"refused": {"reason": "wrong_agent"}}), "refused"),
    ] {
        let (near, far) = duplex(1 << 20);
        let parent = async {
            let (reader, mut writer) = tokio::io::split(near);
            let mut reader = BufReader::new(reader);
            for said in [&offer, &second] {
                let mut line = String::new();
                reader.read_line(&mut line).await.unwrap();
                writer
                    .write_all(format!("{said}\n").as_bytes())
                    .await
                    .unwrap();
            }
        };
        let taking = receive(far, &family.child_key, &family.child, &family.name);
        let (held, ()) = tokio::join!(taking, parent);
        let error = held.unwrap_err();
        assert_eq!(error.reason(), reason, "{second:.200}");
    }
    let stranger = AgentKey::generate().unwrap();
    let (near, far) = duplex(1 << 20);
    let parent = async {
        let (reader, mut writer) = tokio::io::split(near);
        let mut reader = BufReader::new(reader);
        for said in [&offer, &link(&good, good.chain())] {
            let mut line = String::new();
            reader.read_line(&mut line).await.unwrap();
            writer
                .write_all(format!("{said}\n").as_bytes())
                .await
                .unwrap();
        }
    };
    let taking = receive(far, &stranger, &family.child, &family.name);
    let (held, ()) = tokio::join!(taking, parent);
    assert_eq!(held.unwrap_err().reason(), "other_holder");
}

#[tokio::test]
async fn only_the_started_process_is_heard() {
    let family = Family::new();
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("parent.sock");
    let wits = family.world.wits();
    let delegator = Delegator {
        key: &family.key,
        spiffe_id: &family.name,
        held: &family.held,
        wits: &wits,
    };
    let own = i32::try_from(std::process::id()).unwrap();
    let grant = grant(vec![entry("read")]);
    for (child, taken) in [(own, true), (1, false)] {
        let listener = HandoverListener::bind(&socket, None).unwrap();
        assert!(HandoverListener::bind(&socket, None).is_err());
        let giving = listener.give(child, &delegator, &grant, Duration::from_millis(500));
        let taking = receive_from(&socket, &family.child_key, &family.child, &family.name);
        let (given, held) = tokio::join!(giving, taking);
        assert_eq!(given.is_ok(), taken);
        assert_eq!(held.is_ok(), taken);
        if !taken {
            assert_eq!(given.unwrap_err().reason(), "timeout");
        }
    }
}
