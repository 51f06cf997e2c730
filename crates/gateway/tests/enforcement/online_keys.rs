//! Whoever has every key that is online, of the signer, the server and the gateway, and the server's
//! place besides, makes credentials that verify, and no gateway admit a call: what is missing is held
//! by people and among the offline keys.

use chancery_api::server::{DraftRoot, IssuedRoot, TrustText};
use chancery_api::{ClientError, gateway::Presentation};
use chancery_crypto::{AwsLc, SigningKey};
use chancery_delegation::{Assertion, ConsentArtefact, RootDraft, SoftwareAuthenticator};
use chancery_identity::trust::{SignedTrust, TrustDocument, TrustSignature};
use chancery_policy::{SignedBundle, bundle_digest};
use chancery_signer::SignerKeys;
use chancery_types::{Algorithm, Digest, base64url};
use serde_json::json;

use super::agent::{Agent, MISSION};
use super::said;
use super::world::{World, count, reasons, tools};

const LATER: &str = "the later trust document is refused";
const NO_SIGNER: &str = "no policy signer of the trust document signed the policy bundle";

/// The claims that the server drafts for `honest`, made for `agent`.
async fn draft(world: &World, honest: &Agent, agent: &Agent) -> RootDraft {
    let request = DraftRoot {
        instance_id: honest.id,
        person_id: world.plane.principal.id,
        mission: base64url::encode(MISSION),
        authorization_details: tools(),
        lifetime_seconds: Some(600),
        max_depth: 3,
        gateway: None,
    };
    let drafted = world.plane.client().draft_root(&request).await.unwrap();
    let mut draft = RootDraft::from_claims(drafted.claims.as_bytes()).unwrap();
    draft.terms.subject = agent.spiffe_id.parse().unwrap();
    draft.terms.key = *agent.key.public();
    draft.terms.jti = "del_minted".to_owned();
    draft
}

/// A root by that key, over that consent.
fn root(
    draft: &RootDraft,
    consent: ConsentArtefact,
    key: &SigningKey,
    honest: &IssuedRoot,
) -> IssuedRoot {
    let artefact = Digest::of(consent.to_bytes().unwrap());
    let root = draft.sign(artefact, key.public(), &AwsLc, &|input| key.sign(input));
    IssuedRoot {
        root: root.unwrap(),
        consent,
        ..honest.clone()
    }
}

/// An assertion by a passkey of the attacker's own, under that credential id.
fn asserted(draft: &RootDraft, credential: &str) -> Assertion {
    let key = SigningKey::generate(Algorithm::Es256).unwrap();
    let mut passkey = SoftwareAuthenticator::new(credential, "localhost", "https://localhost", 0);
    let challenge = draft.challenge().unwrap();
    passkey
        .assert(&challenge, |message| key.sign_der(message))
        .unwrap()
}

fn assertion(consent: &ConsentArtefact) -> Assertion {
    match consent {
        ConsentArtefact::Root(assertion) => assertion.clone(),
        ConsentArtefact::Standing(signed) => signed.assertion.clone(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_session_is_opened_and_no_call_admitted_by_online_keys_alone() {
    let world = World::start().await;
    let keys = SignerKeys::open(&world.plane.data.join("signer")).unwrap();
    let honest = Agent::launch(&world.plane).await;
    let granted = honest.root(&world.plane, &tools(), 600).await;
    let minted = Agent::minted(&world.plane, &keys, &honest);
    // Its credentials verify: the handshake is made.
    let mut connection = minted.connect(world.address).await;
    let draft = draft(&world, &honest, &minted).await;
    let person = assertion(&granted.consent).credential_id;
    let own = base64url::encode("per_attacker");
    let by_delegation =
        |consent: ConsentArtefact| root(&draft, consent, &keys.delegation, &granted);
    let cases: Vec<(&str, IssuedRoot, &str)> = vec![
        (
            "the chain of somebody else",
            granted.clone(),
            "holder_mismatch",
        ),
        (
            "the consent to another root",
            by_delegation(granted.consent.clone()),
            "consent_invalid",
        ),
        (
            "a passkey in the person's name",
            by_delegation(asserted(&draft, &person).into()),
            "consent_invalid",
        ),
        (
            "a passkey that nobody enrolled",
            by_delegation(asserted(&draft, &own).into()),
            "consent_invalid",
        ),
        (
            "the key of snapshots",
            root(&draft, granted.consent.clone(), &keys.snapshot, &granted),
            "untrusted_root",
        ),
        (
            "the key of tokens",
            root(&draft, granted.consent.clone(), &keys.token, &granted),
            "untrusted_root",
        ),
    ];
    let mut expected = Vec::new();
    for (name, root, reason) in &cases {
        let chain = vec![root.root.clone()];
        let nonce = connection.nonce().await;
        let presentation: Presentation = minted.presentation(root, &chain, &nonce);
        let reply = connection.open(&presentation).await;
        assert_eq!(reply.reason(), *reason, "{name}");
        expected.push(*reason);
    }
    let log = world.log().await;
    assert_eq!(reasons(&log), expected);
    assert_eq!(count(&log, "session.open"), 0);
    for (name, root, _) in &cases {
        let chain = vec![root.root.clone()];
        let read = json!({"path": "/a"});
        let called = connection.call(&minted, &chain, "read", read).await;
        assert_ne!(called.reason(), "ok", "{name}");
    }
    assert!(world.forwarded().is_empty());
    // What is missing is the person: with it the same way is open.
    let opened = world.open_by(honest, granted).await;
    drop(opened);
}

#[tokio::test(flavor = "multi_thread")]
async fn online_keys_make_no_trust_document_and_no_policy() {
    said::listen();
    let (world, between) = World::behind_an_intermediary().await;
    let keys = SignerKeys::open(&world.plane.data.join("signer")).unwrap();
    let record = std::fs::read(world.plane.data.join("gateway/record.key")).unwrap();
    let record =
        SigningKey::from_pkcs8(Algorithm::Ed25519, chancery_types::Secret::new(record)).unwrap();
    let stranger = SigningKey::generate(Algorithm::Ed25519).unwrap();
    let online = [&keys.delegation, &keys.snapshot, &record, &stranger];
    let current = &world.plane.trust;
    let genuine = current.signed().signatures[0].clone();
    let forged = |change: &dyn Fn(&mut TrustDocument), signers: &[&SigningKey]| {
        let mut trust = current.signed().trust.clone();
        trust.version = current.version + 1;
        trust.previous = Some(current.digest());
        change(&mut trust);
        let input = SignedTrust::signing_input(&trust).unwrap();
        let signature = |key: &&SigningKey| TrustSignature {
            kid: key.public().kid(),
            signature: base64url::encode(key.sign(&input).unwrap()),
        };
        let mut signatures: Vec<_> = signers.iter().map(signature).collect();
        // In the root's name, and the root's own signature of the document before.
        signatures.push(TrustSignature {
            kid: genuine.kid.clone(),
            signature: base64url::encode(stranger.sign(&input).unwrap()),
        });
        signatures.push(genuine.clone());
        let signed = SignedTrust { signatures, trust };
        String::from_utf8(signed.to_bytes().unwrap()).unwrap()
    };
    let documents = [
        forged(&|_| {}, &online),
        forged(&|trust| trust.roots = vec![*stranger.public()], &online),
        forged(
            &|trust| trust.roots.extend(online.iter().map(|key| *key.public())),
            &online,
        ),
        forged(
            &|trust| trust.policy_signers.push(*keys.snapshot.public()),
            &online,
        ),
        forged(
            &|trust| trust.people[0].credentials[0].key = *keys.token.public(),
            &[],
        ),
        forged(&|trust| trust.version += 1_000, &online),
    ];
    for (case, document) in documents.into_iter().enumerate() {
        let version = SignedTrust::parse(document.as_bytes())
            .unwrap()
            .trust
            .version;
        let request = TrustText {
            document: document.clone(),
        };
        match world.plane.client().install_trust(&request).await {
            Err(ClientError::Refused(problem)) => assert_eq!(problem.reason, "trust", "{case}"),
            other => panic!("{case}: {other:?}"),
        }
        // What one gateway refuses takes it some seconds.
        if ![1, 3].contains(&case) {
            continue;
        }
        let mark = said::mark();
        between.tell_trust(document, version);
        said::hear(mark, LATER).await;
        between.be_honest();
        said::hear(mark, "snapshots are fresh again").await;
    }
    let mut bundle = world
        .plane
        .bundle(2, "@id(\"all\") permit(principal, action, resource);");
    let digest = bundle_digest(&bundle.to_files()).unwrap();
    bundle.kid = keys.snapshot.public().kid();
    let statement = SignedBundle::statement(digest);
    bundle.signature = base64url::encode(keys.snapshot.sign(&statement).unwrap());
    let mark = said::mark();
    between.impose(digest, bundle);
    said::hear(mark, NO_SIGNER).await;
    between.be_honest();
    let mut opened = world.open(&tools()).await;
    assert_eq!(
        opened.call("wipe", json!({})).await.reason(),
        "policy_forbid"
    );
    assert_eq!(
        opened.call("read", json!({"path": "/a"})).await.reason(),
        "ok"
    );
}
