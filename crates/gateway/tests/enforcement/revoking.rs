use std::time::{Duration, Instant};

use chancery_api::lift::{Lift, SignedLift};
use chancery_api::server::{
    ApprovalState, DraftRoot, EndInstance, Introspect, IssueX509, LiftRevocation, OpenInstance,
    RaiseEpoch, RevocationDone, Revoke,
};
use chancery_audit::{EndReason, Entry, Event, LeaveReason, SessionEnd};
use chancery_crypto::SigningKey;
use chancery_delegation::{Revocable, Revocation};
use chancery_identity::trust::TrustSignature;
use chancery_types::{Algorithm, Digest, RevocationKind, base64url};
use http::StatusCode;
use serde_json::json;

use super::agent::{Agent, Connection, MISSION, Reply, evidence};
use super::plane::{AGENT, DOMAIN, Plane, now};
use super::world::{Opened, World, count, reasons, tool, tools};

pub(crate) async fn revoke(plane: &Plane, kind: RevocationKind, id: &str) -> RevocationDone {
    let request = Revoke {
        what: Revocable::new(kind, id).unwrap(),
        reason: "a test".to_owned(),
    };
    let done = plane.client().revoke(&request).await.unwrap();
    assert!(done.sequence.is_some() || done.before);
    done
}

async fn read(opened: &mut Opened) -> String {
    let reply = opened.call("read", json!({"path": "/a"})).await;
    reply.reason().to_owned()
}

/// Calls until the gateway refuses; says how and how long after the acknowledgement that was.
async fn refused(opened: &mut Opened) -> (String, Duration) {
    let begin = Instant::now();
    loop {
        let reason = read(opened).await;
        if reason != "ok" || begin.elapsed() > Duration::from_secs(5) {
            return (reason, begin.elapsed());
        }
    }
}

fn ends(log: &[Entry]) -> Vec<&SessionEnd> {
    log.iter()
        .filter_map(|entry| match &entry.event {
            Event::SessionEnd(end) => Some(end),
            _ => None,
        })
        .collect()
}

/// What ends a whole session, by its root.
async fn ends_the_session(kind: RevocationKind, id: impl Fn(&Opened) -> String) {
    let world = World::start().await;
    let mut opened = world.open(&tools()).await;
    let mut other = world.join(&opened, &[tool("read")]).await;
    assert_eq!(read(&mut opened).await, "ok");
    let done = revoke(&world.plane, kind, &id(&opened)).await;
    assert!(!done.unknown, "{kind}");
    let (reason, took) = refused(&mut other).await;
    let said = ["revoked", "session_ending", "session_ended", "not_joined"];
    assert!(said.contains(&reason.as_str()), "{reason}");
    assert!(took < Duration::from_secs(1), "{kind}: {took:?}");
    let (reason, _) = refused(&mut opened).await;
    assert!(said.contains(&reason.as_str()), "{reason}");
    let log = world.log().await;
    let ends = ends(&log);
    assert_eq!(ends.len(), 1, "{kind}");
    assert_eq!(ends[0].reason, EndReason::Revoked);
    assert_eq!(ends[0].cause.as_ref().unwrap(), &kind.name());
    // The entry that another snapshot governs stands before the denial that rests on it.
    let at = |name: &str| {
        log.iter()
            .rposition(|entry| entry.event.type_name() == name)
    };
    assert!(at("snapshot.adopt") < at("session.end"));
    assert_eq!(count(&log, "snapshot.adopt"), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_root_ends_its_session() {
    let jti = |opened: &Opened| {
        let links: Vec<_> = opened.chain.iter().map(String::as_str).collect();
        let tip = chancery_delegation::ChainTip::read(&links[..1]).unwrap();
        tip.grant().jti.clone()
    };
    ends_the_session(RevocationKind::Token, jti).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_session_or_mission_ends() {
    ends_the_session(RevocationKind::Session, |opened| opened.session.clone()).await;
    let mission =
        |opened: &Opened| Digest::of(base64url::decode(&opened.root.mission).unwrap()).to_string();
    ends_the_session(RevocationKind::Mission, mission).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_holder_of_the_root_ends_the_session() {
    let key = |opened: &Opened| opened.agent.key.public().thumbprint().to_string();
    ends_the_session(RevocationKind::Key, key).await;
    ends_the_session(RevocationKind::Instance, |opened| {
        opened.agent.spiffe_id.clone()
    })
    .await;
    ends_the_session(RevocationKind::Agent, |_| AGENT.to_owned()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_departed_person_leaves_nothing_behind() {
    let world = World::start().await;
    let mut opened = world.open(&tools()).await;
    let question = world.asked(&mut opened, &json!({"amount": 5})).await;
    let client = world.plane.client();
    let person = world.plane.principal.id;
    let listed = client.person(person).await.unwrap();
    assert!(listed.enrolled && listed.revoked_at.is_none());
    assert_eq!(listed.roots.len(), 1);
    assert_eq!(listed.roots[0].standing, "stands");
    assert_eq!(listed.approvals, [question.request.approval_id]);
    revoke(&world.plane, RevocationKind::Person, &person.to_string()).await;
    let (reason, _) = refused(&mut opened).await;
    assert_ne!(reason, "ok");
    let log = world.log().await;
    let ends = ends(&log);
    assert_eq!(ends.len(), 1);
    assert_eq!(ends[0].cause.as_ref().unwrap(), &"person");
    // Nobody is asked any more, and nothing new is rooted in the person.
    let id = question.request.approval_id;
    let withdrawn = client.approval(id, 0).await.unwrap();
    assert_eq!(withdrawn.state, ApprovalState::Withdrawn);
    let listed = client.person(person).await.unwrap();
    assert!(listed.revoked_at.is_some() && listed.approvals.is_empty());
    assert_eq!(listed.roots[0].standing, "revoked");
    let late = Agent::launch(&world.plane).await;
    let request = DraftRoot {
        instance_id: late.id,
        person_id: person,
        mission: base64url::encode(MISSION),
        authorization_details: tools(),
        lifetime_seconds: Some(600),
        max_depth: 1,
        gateway: None,
    };
    let refused = client.draft_root(&request).await.unwrap_err();
    assert!(refused.to_string().contains("revoked"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_worker_leaves_and_the_others_go_on() {
    let world = World::start().await;
    let mut opened = world.open(&tools()).await;
    let mut worker = world.join(&opened, &[tool("read")]).await;
    let mut other = world.join(&opened, &[tool("read")]).await;
    for one in [&mut opened, &mut worker, &mut other] {
        assert_eq!(read(one).await, "ok");
    }
    let name = worker.agent.spiffe_id.clone();
    revoke(&world.plane, RevocationKind::Instance, &name).await;
    let (reason, took) = refused(&mut worker).await;
    assert!(
        ["revoked", "not_joined"].contains(&reason.as_str()),
        "{reason}"
    );
    assert!(took < Duration::from_secs(1), "{took:?}");
    assert_eq!(read(&mut opened).await, "ok");
    assert_eq!(read(&mut other).await, "ok");
    let log = world.log().await;
    assert!(ends(&log).is_empty());
    let left: Vec<_> = log
        .iter()
        .filter_map(|entry| match &entry.event {
            Event::SessionLeave(leave) => Some((leave.instance.as_str(), leave.reason)),
            _ => None,
        })
        .collect();
    assert_eq!(left, [(name.as_str(), LeaveReason::Revoked)]);
    // It is given nothing new, not even its own credentials again.
    let client = world.plane.client();
    let request = IssueX509 {
        instance_id: worker.agent.id,
        spki: base64url::encode(b"any"),
        broker: None,
    };
    let refused = client.issue_x509(&request).await.unwrap_err().to_string();
    assert!(
        refused.contains("ended") || refused.contains("revoked"),
        "{refused}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_higher_epoch_ends_everything_before_it_and_nothing_after() {
    let world = World::start().await;
    let mut opened = world.open(&tools()).await;
    let reason = "all of it".to_owned();
    let raised = world
        .plane
        .client()
        .raise_epoch(&RaiseEpoch { reason })
        .await;
    assert_eq!(raised.unwrap().epoch, 2);
    let (reason, took) = refused(&mut opened).await;
    let said = [
        "stale_epoch",
        "session_ending",
        "session_ended",
        "not_joined",
    ];
    assert!(said.contains(&reason.as_str()), "{reason}");
    assert!(took < Duration::from_secs(1), "{took:?}");
    let mut next = world.open(&tools()).await;
    assert_eq!(read(&mut next).await, "ok");
    let log = world.log().await;
    let ends = ends(&log);
    assert_eq!(ends.len(), 1);
    assert_eq!(ends[0].cause.as_ref().unwrap(), &"epoch");
    assert_eq!(ends[0].session.to_string(), opened.session);
}

fn lift(plane: &Plane, revocation: Revocation, key: &SigningKey) -> LiftRevocation {
    let lift = Lift {
        trust_domain: plane.trust.trust_domain.clone(),
        revocation,
        lifted_at: now(),
    };
    let signature = TrustSignature {
        kid: key.public().kid(),
        signature: base64url::encode(key.sign(&lift.signing_input().unwrap()).unwrap()),
    };
    LiftRevocation {
        signed: SignedLift {
            lift,
            signatures: vec![signature],
        },
        reason: "back".to_owned(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_root_keys_lift_a_revocation() {
    let world = World::start().await;
    let client = world.plane.client();
    let first = revoke(&world.plane, RevocationKind::Agent, AGENT).await;
    assert!(!first.unknown);
    let again = revoke(&world.plane, RevocationKind::Agent, AGENT).await;
    assert!(again.before && again.at == first.at && again.log_index == first.log_index);
    let request = OpenInstance {
        parent: None,
        terms: Default::default(),
        agent_id: AGENT.to_owned(),
        evidence: evidence(),
    };
    let refused = client.open_instance(&request).await.unwrap_err();
    assert!(refused.to_string().contains("revoked"), "{refused}");
    let what = Revocable::new(RevocationKind::Agent, AGENT).unwrap();
    let revocation = Revocation { what, at: first.at };
    let stranger = SigningKey::generate(Algorithm::Ed25519);
    let forged = lift(&world.plane, revocation.clone(), &stranger.unwrap());
    assert!(client.lift_revocation(&forged).await.is_err());
    let earlier = Revocation {
        at: first.at.minus_seconds(1),
        ..revocation.clone()
    };
    let other = lift(&world.plane, earlier, &world.plane.root);
    assert!(client.lift_revocation(&other).await.is_err());
    assert_eq!(client.revocations().await.unwrap().revocations.len(), 1);
    let good = lift(&world.plane, revocation, &world.plane.root);
    client.lift_revocation(&good).await.unwrap();
    assert!(client.revocations().await.unwrap().revocations.is_empty());
    // It names the very revocation: it does not lift the next one.
    revoke(&world.plane, RevocationKind::Agent, AGENT).await;
    assert!(client.lift_revocation(&good).await.is_err());
    let known = client.revocations().await.unwrap().revocations;
    let next = lift(&world.plane, known[0].revocation.clone(), &world.plane.root);
    assert_eq!((known[0].reason.as_str(), known[0].stays), ("a test", true));
    client.lift_revocation(&next).await.unwrap();
    let mut opened = world.open(&tools()).await;
    assert_eq!(read(&mut opened).await, "ok");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_waits_for_a_snapshot_is_told_at_once() {
    const LONG: u64 = 20;
    let world = World::plane().await;
    let client = world.plane.client();
    let first = client.snapshot_after(0, 0).await.unwrap().snapshot;
    assert!(first.revoked.is_empty());
    // Nothing has changed: it is waited for as long as was asked, and not longer.
    let begin = Instant::now();
    let same = client.snapshot_after(first.sequence, 1).await.unwrap();
    assert!(begin.elapsed() >= Duration::from_secs(1) && same.snapshot.revoked.is_empty());
    let known = same.snapshot.sequence;
    let revoked = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        revoke(&world.plane, RevocationKind::Agent, AGENT).await;
        Instant::now()
    };
    let told = async {
        let told = client.snapshot_after(known, LONG).await.unwrap();
        (told.snapshot, Instant::now())
    };
    let (acknowledged, (snapshot, heard)) = tokio::join!(revoked, told);
    assert!(snapshot.revoked.has_agent(AGENT));
    let took = heard.saturating_duration_since(acknowledged);
    assert!(took < Duration::from_secs(1), "{took:?}");
    // Who knows what stood before, or what another server told, does not wait.
    for known in [known, first.sequence, 0, u64::MAX] {
        let begin = Instant::now();
        let told = client.snapshot_after(known, LONG).await.unwrap();
        assert!(told.snapshot.revoked.has_agent(AGENT));
        assert!(begin.elapsed() < Duration::from_secs(5), "{known}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_revoked_outlives_a_restart_of_the_server() {
    let world = World::start().await;
    let mut opened = world.open(&tools()).await;
    let key = opened.agent.key.public().thumbprint().to_string();
    revoke(&world.plane, RevocationKind::Key, &key).await;
    world.plane.stop_server().await;
    world.plane.start_server().await;
    let known = world.plane.client().revocations().await.unwrap();
    assert_eq!(known.revocations.len(), 1);
    assert_eq!(known.revocations[0].revocation.what.id(), key);
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_ne!(read(&mut opened).await, "ok");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_evidence_of_a_revoked_session_convinces_a_stranger() {
    let world = World::start().await;
    let mut opened = world.open(&tools()).await;
    let mut worker = world.join(&opened, &[tool("read")]).await;
    assert_eq!(read(&mut worker).await, "ok");
    let name = worker.agent.spiffe_id.clone();
    revoke(&world.plane, RevocationKind::Instance, &name).await;
    refused(&mut worker).await;
    assert_eq!(read(&mut opened).await, "ok");
    revoke(&world.plane, RevocationKind::Session, &opened.session).await;
    let (reason, _) = refused(&mut opened).await;
    assert_ne!(reason, "ok");
    let report = world.report(&opened.session).await;
    assert!(report.is_verified(), "{:#?}", report.findings);
    // What is revoked later is in both logs as well.
    revoke(&world.plane, RevocationKind::Agent, AGENT).await;
    let report = world.report(&opened.session).await;
    assert!(report.is_verified(), "{:#?}", report.findings);
    assert!(reasons(&world.log().await).contains(&"permit"));
    assert_eq!(world.plane.trust.trust_domain, DOMAIN);
}

async fn introspected(connection: &mut Connection, chain: &[String]) -> Reply {
    let body = json!({"token": chain.join(",")}).to_string();
    connection.send("POST", "/v1/introspect", &[], body).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_is_told_to_those_in_it_where_it_stands() {
    let world = World::start().await;
    let mut opened = world.open(&tools()).await;
    let mut worker = world.join(&opened, &[tool("read")]).await;
    let mut stranger = world.join(&opened, &[tool("read")]).await;
    let chain = worker.chain.clone();
    for connection in [&mut worker.connection, &mut opened.connection] {
        let told = introspected(connection, &chain).await;
        assert_eq!(told.body["active"], true, "{told:?}");
        assert_eq!(told.body["session"], opened.session);
        assert_eq!(told.body["links"][1]["standing"], "stands");
    }
    let told = introspected(&mut stranger.connection, &chain).await;
    assert_eq!(
        (told.status, told.reason()),
        (StatusCode::NOT_FOUND, "chain_not_yours")
    );
    let told = introspected(&mut worker.connection, &["x.y.z".to_owned()]).await;
    assert_eq!(told.reason(), "malformed");
    let name = worker.agent.spiffe_id.clone();
    revoke(&world.plane, RevocationKind::Instance, &name).await;
    let server = world.plane.client();
    let token = chain.join(",");
    let at_server = server.introspect(&Introspect { token }).await.unwrap();
    assert_eq!(at_server.cause.as_deref(), Some("revoked"));
    refused(&mut worker).await;
    let told = introspected(&mut opened.connection, &chain).await;
    assert_eq!(told.body["active"], false);
    assert_eq!(told.body["cause"], "revoked");
    assert_eq!(
        (&told.body["link"], &told.body["revoked"]),
        (&json!(1), &json!("instance"))
    );
    assert_eq!(told.body["links"][0]["standing"], "stands");
    let own = opened.chain.clone();
    let ended = opened
        .connection
        .control("POST", &opened.session, "/end")
        .await;
    assert_eq!(ended.reason(), "ok");
    let told = introspected(&mut opened.connection, &own).await;
    assert_eq!(told.body["cause"], "session_ended");
    // The server knows of the end by the record, and of the instance by its node.
    let token = own.join(",");
    let told = server.introspect(&Introspect { token }).await.unwrap();
    assert_eq!(
        (told.active, told.cause.as_deref()),
        (false, Some("session_ended"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_tells_what_lies_outside_of_a_chain() {
    let world = World::start().await;
    let opened = world.open(&tools()).await;
    let server = world.plane.client();
    let told = async |chain: &[String]| {
        let token = chain.join(",");
        server.introspect(&Introspect { token }).await.unwrap()
    };
    let stands = told(&opened.chain).await;
    assert!(stands.active && stands.cause.is_none());
    let forged = vec![opened.chain[0].replace("eyJ", "eyK")];
    assert!(!told(&forged).await.active);
    world
        .plane
        .publish(2, "@id(\"x\") permit(principal, action, resource);")
        .await;
    assert_eq!(
        told(&opened.chain).await.cause.as_deref(),
        Some("policy_changed")
    );
    let reason = "done".to_owned();
    let end = EndInstance { reason };
    server.end_instance(opened.agent.id, &end).await.unwrap();
    assert_eq!(
        told(&opened.chain).await.cause.as_deref(),
        Some("attestation_lapsed")
    );
}
