//! Which snapshots a gateway works by: signed ones, of its trust document, dated now, never older ones.

use std::time::Duration;

use chancery_api::server::Revoke;
use chancery_delegation::{Revocable, RevocationSet};
use chancery_gateway::Gateway;
use chancery_types::{Digest, RevocationKind, base64url};
use serde_json::json;
use tokio::sync::oneshot;

use super::intermediary::Intermediary;
use super::said;
use super::world::{Opened, World, tools};

const BACK: &str = "older than one that was seen, or dated in the future";
const ELSEWHERE: &str = "the snapshot names another trust document than is in force";
const UNSIGNED: &str = "no snapshot signer of the trust document signed this snapshot";
const FRESH: &str = "snapshots are fresh again";
const READY: &str = "gateway ready";

async fn read(opened: &mut Opened) -> String {
    let (agent, chain) = (&opened.agent, &opened.chain);
    let path = json!({"path": "/a"});
    let reply = opened.connection.call(agent, chain, "read", path).await;
    reply.reason().to_owned()
}

async fn revoke(world: &World, instance: &str) {
    let request = Revoke {
        what: Revocable::new(RevocationKind::Instance, instance).unwrap(),
        reason: "a test".to_owned(),
    };
    world.plane.client().revoke(&request).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_later_snapshot_of_this_trust_document_is_adopted() {
    said::listen();
    let (world, between) = World::behind_an_intermediary().await;
    let mut opened = world.open(&tools()).await;
    let before = between.truth().await;
    let mut worker = world.join(&opened, &tools()).await;
    assert_eq!(read(&mut worker).await, "ok");
    let name = worker.agent.spiffe_id.clone();
    let mark = said::mark();
    revoke(&world, &name).await;
    said::hear(
        mark,
        "another trust document, epoch or revocation list is in force",
    )
    .await;
    assert_ne!(read(&mut worker).await, "ok");

    // What was signed before the revocation, and that with its revocation taken out again.
    let mark = said::mark();
    between.tell(before);
    said::hear(mark, BACK).await;
    assert_ne!(read(&mut worker).await, "ok");
    between.be_honest();
    said::hear(mark, FRESH).await;
    let mark = said::mark();
    let mut emptied = between.truth().await;
    emptied.snapshot.sequence += 10_000_000;
    emptied.snapshot.revoked = RevocationSet::default();
    between.tell(emptied.clone());
    said::hear(mark, UNSIGNED).await;
    emptied.signature = base64url::encode([0; 64]);
    between.tell(emptied);
    assert_ne!(read(&mut worker).await, "ok");
    between.be_honest();
    said::hear(mark, FRESH).await;

    // The signer signs what is dated a little ahead; a gateway does not take it.
    let mark = said::mark();
    between.alter_snapshots(|snapshot| {
        snapshot.issued_at = snapshot.issued_at.plus_seconds(30);
    });
    said::hear(mark, BACK).await;
    between.be_honest();
    said::hear(mark, FRESH).await;
    let mark = said::mark();
    between.alter_snapshots(|snapshot| snapshot.trust_digest = Digest::of("another"));
    said::hear(mark, ELSEWHERE).await;
    between.be_honest();
    said::hear(mark, FRESH).await;
    assert_eq!(read(&mut opened).await, "ok");
    assert_ne!(read(&mut worker).await, "ok");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_adopted_before_a_restart_is_the_least() {
    said::listen();
    let mut world = World::plane().await;
    let between = Intermediary::start(world.folder.path());
    let old = between.truth().await;
    world.start_gateway(|_| {}).await;
    let opened = world.open(&tools()).await;
    revoke(&world, &opened.agent.spiffe_id).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    world.stop_gateway().await;

    between.tell(old);
    let mut config = world.config();
    config.server_socket = between.socket().to_owned();
    let gateway = Gateway::open(config).await.unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let start = said::mark();
    let serving = tokio::spawn(async move {
        let stop = async {
            let _ = stopped.await;
        };
        gateway.serve(stop).await.unwrap();
    });
    said::hear(start, BACK).await;
    assert!(!said::is_heard(start, READY));
    between.be_honest();
    said::hear(start, READY).await;
    drop(stop);
    serving.await.unwrap();
}
