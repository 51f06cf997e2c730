//! What the server asks of a broker, whatever its node says.

use chancery_api::ClientError;
use chancery_api::server::{AllowBroker, IssueJwt, IssueX509, RemoveBroker};
use chancery_crypto::SigningKey;
use chancery_identity::SpiffeId;
use chancery_identity::broker::{BrokerRule, ReferenceKind};
use chancery_types::{Algorithm, base64url};

use super::agent::Agent;
use super::world::World;

fn id(text: &str) -> SpiffeId {
    text.parse().unwrap()
}

fn refused<T: std::fmt::Debug>(outcome: Result<T, ClientError>) -> String {
    match outcome {
        Err(ClientError::Refused(problem)) => problem.reason,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_asks_again_who_is_a_broker_and_for_whom() {
    let world = World::start().await;
    let workload = Agent::launch(&world.plane).await;
    let other = Agent::launch(&world.plane).await;
    let server = world.plane.client();
    let key = SigningKey::generate(Algorithm::Es256).unwrap();
    let spki = base64url::encode(chancery_identity::spki_der(key.public()));
    let x509 = |of: &Agent, broker: &str| IssueX509 {
        instance_id: of.id,
        spki: spki.clone(),
        broker: Some(id(broker)),
    };
    let jwt = |broker: &str| IssueJwt {
        instance_id: workload.id,
        audience: vec!["reports".parse().unwrap()],
        broker: Some(id(broker)),
    };
    let mesh = id(&workload.spiffe_id).trust_domain().to_spiffe_id();
    let mesh = format!("{mesh}/broker/mesh");
    assert_eq!(
        refused(server.issue_x509(&x509(&workload, &mesh)).await),
        "broker_denied"
    );
    let allow = |broker: &str, within: &str| AllowBroker {
        rule: BrokerRule::new(id(broker), [ReferenceKind::Pid], [id(within)]).unwrap(),
    };
    let admitted = allow(&mesh, &workload.spiffe_id);
    let first = server.allow_broker(&admitted).await.unwrap();
    server.issue_x509(&x509(&workload, &mesh)).await.unwrap();
    // Past the question who may: this trust document names nobody who signs them.
    assert_eq!(
        refused(server.issue_jwt(&jwt(&mesh)).await),
        "jwt_authority"
    );
    assert_eq!(
        refused(server.issue_x509(&x509(&other, &mesh)).await),
        "broker_denied"
    );
    // A broker that is an instance runs itself.
    let domain = id(&mesh).trust_domain().to_spiffe_id();
    let ended = format!("{domain}/agent/x/instance/ins_00000000000000000000000000");
    server
        .allow_broker(&allow(&ended, &workload.spiffe_id))
        .await
        .unwrap();
    let unknown = refused(server.issue_x509(&x509(&workload, &ended)).await);
    assert_eq!(unknown, "instance_unknown");
    let foreign = allow(
        "spiffe://foreign.example/mesh",
        "spiffe://foreign.example/a",
    );
    assert_eq!(refused(server.allow_broker(&foreign).await), "broker");

    let known = server.brokers().await.unwrap();
    assert_eq!((known.rules.iter().len(), known.served), (2, true));
    // The rules outlive the server.
    world.plane.stop_server().await;
    world.plane.start_server().await;
    assert_eq!(server.brokers().await.unwrap(), known);
    let remove = RemoveBroker { broker: id(&mesh) };
    let removed = server.remove_broker(&remove).await.unwrap();
    assert!(removed.log_index > first.log_index);
    assert_eq!(
        refused(server.remove_broker(&remove).await),
        "broker_unknown"
    );
    assert_eq!(
        refused(server.issue_jwt(&jwt(&mesh)).await),
        "broker_denied"
    );
    let after = server.brokers_after(known.state, 30).await.unwrap();
    assert_ne!(after.state, known.state);
}
