use chancery_audit::Event;
use chancery_delegation::Verdict;
use chancery_types::RevocationKind;
use serde_json::json;

use super::missions::call;
use super::revoking::revoke;
use super::world::{World, count, reasons, tools};

#[tokio::test(flavor = "multi_thread")]
async fn an_approved_action_happens_once() {
    let world = World::start().await;
    let mut opened = world.open(&tools()).await;
    let (agent, chain) = (&opened.agent, &opened.chain);
    let amount = json!({"amount": 5});
    let asked = opened
        .connection
        .call(agent, chain, "pay", amount.clone())
        .await;
    assert_eq!(asked.reason(), "approval-pending");
    assert_eq!(world.forwarded(), Vec::<String>::new());
    let question = world.plane.question().await;
    assert_eq!(question.request.subject.arguments, r#"{"amount":5}"#);
    assert_eq!(question.request.subject.policies, ["ask-pay"]);
    world.plane.answer(&question, Verdict::Approve).await;
    // Other arguments are another action.
    let other = opened
        .connection
        .call(agent, chain, "pay", json!({"amount": 6}))
        .await;
    assert_eq!(other.reason(), "approval-pending");
    let paid = opened
        .connection
        .call(agent, chain, "pay", amount.clone())
        .await;
    assert_eq!(paid.reason(), "ok");
    assert_eq!(world.forwarded().len(), 1);
    let again = opened.connection.call(agent, chain, "pay", amount).await;
    assert_eq!(again.reason(), "approval-pending");
    assert_eq!(world.forwarded().len(), 1);
    let log = world.log().await;
    assert_eq!(reasons(&log), ["ask", "ask", "approved", "ask"]);
    let displayed = log.iter().find_map(|entry| match &entry.event {
        Event::ApprovalRequest(request) => Some(request.displayed),
        _ => None,
    });
    let bytes = chancery_types::to_canonical(&question.request.subject).unwrap();
    assert_eq!(displayed, Some(chancery_types::Digest::of(bytes)));
    assert_eq!(count(&log, "approval.grant"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_waits_goes_on_with_the_answer() {
    let world = World::start().await;
    let mut opened = world.open(&tools()).await;
    let amount = json!({"amount": 5});
    let asked = opened
        .connection
        .call(&opened.agent, &opened.chain, "pay", amount.clone())
        .await;
    assert_eq!(asked.reason(), "approval-pending");
    let question = world.plane.question().await;
    let (paid, ()) = tokio::join!(
        opened
            .connection
            .call(&opened.agent, &opened.chain, "pay", amount),
        async {
            tokio::time::sleep(std::time::Duration::from_secs(2)).await;
            world.plane.answer(&question, Verdict::Approve).await;
        }
    );
    assert_eq!(paid.reason(), "ok");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denied_action_stays_denied() {
    let world = World::start().await;
    let mut opened = world.open(&tools()).await;
    let (agent, chain) = (&opened.agent, &opened.chain);
    let amount = json!({"amount": 5});
    let asked = opened
        .connection
        .call(agent, chain, "pay", amount.clone())
        .await;
    assert_eq!(asked.reason(), "approval-pending");
    let question = world.plane.question().await;
    world.plane.answer(&question, Verdict::Deny).await;
    for _ in 0..2 {
        let denied = opened
            .connection
            .call(agent, chain, "pay", amount.clone())
            .await;
        assert_eq!(denied.reason(), "approval_denied");
    }
    assert_eq!(world.forwarded(), Vec::<String>::new());
    let log = world.log().await;
    assert_eq!(reasons(&log), ["ask", "approval_denied", "approval_denied"]);
    assert_eq!(count(&log, "approval.grant"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_that_was_kept_falls_with_who_gave_it() {
    let world = World::start().await;
    let mut opened = world.open(&tools()).await;
    let pay = || ("pay", json!({"amount": 5}));
    let asked = call(&mut opened, pay(), Some("keep"), None).await;
    assert_eq!(asked.reason(), "approval-pending");
    let question = world.plane.question().await;
    world.plane.answer(&question, Verdict::Approve).await;
    // The answer is taken, and the call denied for something else.
    let against = Some(json!({"verdict": "deny"}));
    let denied = call(&mut opened, pay(), Some("keep"), against).await;
    assert_eq!(denied.reason(), "opinion");
    assert_eq!(count(&world.log().await, "approval.grant"), 1);
    let person = world.plane.approver.id.to_string();
    revoke(&world.plane, RevocationKind::Person, &person).await;
    while count(&world.log().await, "snapshot.adopt") < 2 {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let again = call(&mut opened, pay(), Some("keep"), None).await;
    assert_eq!(again.reason(), "approval-pending");
    assert_eq!(world.forwarded(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_asks_only_so_much_at_once() {
    let world = World::start().await;
    let mut opened = world.open(&tools()).await;
    for amount in 1..=33 {
        let pay = ("pay", json!({"amount": amount}));
        let asked = call(&mut opened, pay, Some("keep"), None).await;
        let expected = match amount {
            33 => "too_many_questions",
            _ => "approval-pending",
        };
        assert_eq!(asked.reason(), expected, "{amount}");
    }
    let waiting = world.plane.client().approvals().await.unwrap();
    assert_eq!(waiting.approvals.len(), 32);
    let read = ("read", json!({"path": "/a"}));
    let reply = call(&mut opened, read, Some("keep"), None).await;
    assert_eq!(reply.reason(), "ok");
}
