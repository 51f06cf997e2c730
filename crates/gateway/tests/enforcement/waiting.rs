//! A call that waits for a person is decided by what is in force when the person has answered.

use std::time::Duration;

use chancery_api::server::{ApprovalState, RaiseEpoch, Revoke};
use chancery_audit::{Event, Ruling};
use chancery_delegation::{Revocable, Verdict};
use chancery_types::RevocationKind;
use chancery_types::jws::Compact;
use serde_json::json;

use super::agent::Reply;
use super::world::{Opened, World, count, reasons, tool, tools};

/// Longer than a gateway takes to ask for the next snapshot.
const NEXT_SNAPSHOT: Duration = Duration::from_millis(2_800);

const FORBIDS: &str = r#"
@id("use")
permit(principal, action, resource);
@id("no-more-pay")
forbid(principal, action == Chancery::Action::"fs/pay", resource);
"#;
const ASKS_ANEW: &str = r#"
@id("use")
permit(principal, action, resource);
@id("ask-pay-anew")
@effect("ask")
permit(principal, action == Chancery::Action::"fs/pay", resource);
"#;

/// Has a payment wait for a person, changes something meanwhile, has the payment approved after
/// that, and gives its answer.
async fn approved_after(
    world: &World,
    payer: &mut Opened,
    change: impl Future<Output = ()>,
) -> Reply {
    let amount = json!({"amount": 5});
    let question = world.asked(payer, &amount).await;
    let meanwhile = async {
        // By now the repeated call waits in the gateway.
        tokio::time::sleep(Duration::from_millis(500)).await;
        change.await;
        tokio::time::sleep(NEXT_SNAPSHOT).await;
        world.plane.answer(&question, Verdict::Approve).await;
    };
    let waiting = payer.call("pay", amount);
    let (reply, ()) = tokio::join!(waiting, meanwhile);
    reply
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_changes_meanwhile_decides() {
    let world = World::start().await;
    let mut payer = world.open(&tools()).await;
    let published = async {
        world.plane.publish(2, ASKS_ANEW).await;
    };
    // The person answered what another policy asked; this one asks for itself.
    let reply = approved_after(&world, &mut payer, published).await;
    assert_eq!(reply.reason(), "approval-pending", "{reply:?}");
    let again = world.plane.question().await;
    assert_eq!(again.request.subject.policies, ["ask-pay-anew"]);
    world.plane.answer(&again, Verdict::Approve).await;
    let paid = payer.call("pay", json!({"amount": 5})).await;
    assert_eq!(paid.reason(), "ok");
    assert_eq!(world.forwarded().len(), 1);

    let mut forbidding = None;
    let published = async {
        forbidding = Some(world.plane.publish(3, FORBIDS).await);
    };
    let reply = approved_after(&world, &mut payer, published).await;
    assert_eq!(reply.reason(), "policy_forbid", "{reply:?}");
    assert_eq!(world.forwarded().len(), 1);
    let log = world.log().await;
    let expected = ["ask", "ask", "approved", "ask", "policy_forbid"];
    assert_eq!(reasons(&log), expected);
    // Each answer was taken, and the last one did not help.
    assert_eq!(count(&log, "approval.grant"), 3);
    let last = log.iter().rev().find_map(|entry| match &entry.event {
        Event::Decision(decision) => Some((decision.policy, decision.outcome)),
        _ => None,
    });
    assert_eq!(last, forbidding.map(|policy| (policy, Ruling::Deny)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trust_document_that_changes_meanwhile_decides() {
    let (world, between) = World::behind_an_intermediary().await;
    let mut payer = world.open(&tools()).await;
    let amount = json!({"amount": 7});
    let question = world.asked(&mut payer, &amount).await;
    // The approver answers, and is an approver no more when the answer arrives.
    between.keep_answers(true);
    let meanwhile = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        world.plane.answer(&question, Verdict::Approve).await;
        let approver = world.plane.approver.id;
        world
            .plane
            .change_trust(|trust| {
                for person in trust.people.iter_mut().filter(|one| one.id == approver) {
                    person.roles.clear();
                }
            })
            .await;
        tokio::time::sleep(NEXT_SNAPSHOT).await;
        between.keep_answers(false);
    };
    let waiting = payer.call("pay", amount);
    let (reply, ()) = tokio::join!(waiting, meanwhile);
    assert_eq!(reply.reason(), "approval_invalid", "{reply:?}");
    assert_eq!(world.forwarded(), Vec::<String>::new());
    assert_eq!(count(&world.log().await, "approval.grant"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_principal_who_is_taken_out_meanwhile_grants_nothing() {
    let world = World::start().await;
    let mut payer = world.open(&tools()).await;
    let taken_out = world.plane.change_trust(|trust| {
        let principal = world.plane.principal.id;
        trust.people.retain(|person| person.id != principal);
    });
    let reply = approved_after(&world, &mut payer, taken_out).await;
    assert_eq!(reply.reason(), "consent_invalid", "{reply:?}");
    assert_eq!(world.forwarded(), Vec::<String>::new());
    let log = world.log().await;
    assert_eq!(reasons(&log), ["ask", "consent_invalid"]);
    assert_eq!(count(&log, "approval.grant"), 1);
}

/// Has a payment wait for a person, withdraws its authority meanwhile, and gives its answer, which
/// comes at once.
async fn withdrawn_meanwhile(
    world: &World,
    payer: &mut Opened,
    change: impl Future<Output = ()>,
) -> Reply {
    let amount = json!({"amount": 5});
    let question = world.asked(payer, &amount).await.request.approval_id;
    let meanwhile = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        change.await;
    };
    let waiting = payer.call("pay", amount);
    let begun = std::time::Instant::now();
    let (reply, ()) = tokio::join!(waiting, meanwhile);
    assert!(begun.elapsed() < Duration::from_secs(5));
    let asked = world.plane.client().approval(question, 0).await.unwrap();
    assert_eq!(asked.state, ApprovalState::Withdrawn);
    reply
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_is_revoked_meanwhile_and_a_new_epoch_deny() {
    let world = World::start().await;
    let opened = world.open(&tools()).await;
    let mut payer = world.join(&opened, &[tool("pay")]).await;
    let leaf = Compact::parse(payer.chain.last().unwrap()).unwrap();
    let leaf = leaf.claims["jti"].as_str().unwrap().to_owned();
    let reason = || "meanwhile".to_owned();
    let revoked = async {
        let what = Revocable::new(RevocationKind::Token, &leaf).unwrap();
        let reason = reason();
        let revoke = Revoke { what, reason };
        world.plane.client().revoke(&revoke).await.unwrap();
    };
    let reply = withdrawn_meanwhile(&world, &mut payer, revoked).await;
    assert_eq!(reply.reason(), "revoked", "{reply:?}");

    let mut other = world.join(&opened, &[tool("pay")]).await;
    let next_epoch = async {
        let raise = RaiseEpoch { reason: reason() };
        world.plane.client().raise_epoch(&raise).await.unwrap();
    };
    let reply = withdrawn_meanwhile(&world, &mut other, next_epoch).await;
    assert_eq!(reply.reason(), "stale_epoch", "{reply:?}");
    assert_eq!(world.forwarded(), Vec::<String>::new());
    let log = world.log().await;
    assert_eq!(reasons(&log), ["ask", "revoked", "ask", "stale_epoch"]);
    assert_eq!(count(&log, "approval.grant"), 0);
}
