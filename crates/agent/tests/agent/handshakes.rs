//! Handshakes over real TLS: two agents that have never met, and what a stranger, a thief of TLS
//! keys and a peer that cheats meet.

mod a2a;
mod between;
mod cheating;
mod stranger;

use std::sync::Arc;
use std::time::Duration;

use chancery_agent::handshake::{
    AgentCard, HandshakeClient, HandshakeError, HandshakeGrant, HandshakeServer, HandshakeService,
    Peer, Wire,
};
use chancery_agent::{AgentKey, GatewayClient, Held, Instance, OwnSvid};
use chancery_crypto::AwsLc;
use chancery_delegation::{ChainContext, Entry, TrustAnchor};
use chancery_identity::SpiffeId;
use http::StatusCode;

use crate::domain::{Domain, entry, gateway, instance, now};
use stranger::{CONCLUSION, Stranger};

/// An agent that serves handshakes.
struct Taker {
    instance: Arc<Instance>,
    peer: Peer,
    task: tokio::task::JoinHandle<Result<(), HandshakeError>>,
}

impl Drop for Taker {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn card() -> AgentCard {
    AgentCard {
        name: "reader".to_owned(),
        description: "reads".to_owned(),
        url: "https://127.0.0.1/a2a".to_owned(),
        version: "1".to_owned(),
    }
}

fn agent(domain: &Arc<Domain>, name: &SpiffeId) -> (Arc<Instance>, OwnSvid) {
    let svid = OwnSvid::new(domain.svid(name).unwrap());
    let client = GatewayClient::new(gateway().unwrap(), svid.clone());
    let key = AgentKey::generate().unwrap();
    (
        Arc::new(Instance::new(key, domain.node(name), client)),
        svid,
    )
}

impl Taker {
    /// Takes everything but what writes.
    async fn start(domain: &Arc<Domain>, agent_name: &str) -> Self {
        let name = instance(agent_name).unwrap();
        let (instance, svid) = agent(domain, &name);
        let write = entry("write").unwrap();
        let service = HandshakeService::new(
            Arc::clone(&instance),
            domain.trust(),
            card(),
            Arc::new(move |offer, _| !offer.offer().terms.entries.contains(&write)),
        );
        let any = ([127, 0, 0, 1], 0).into();
        let server = HandshakeServer::bind(any, svid, Arc::new(service))
            .await
            .unwrap();
        let address = server.address().unwrap();
        let task = tokio::spawn(server.serve(std::future::pending()));
        // Proofs of the second of the start are refused.
        tokio::time::sleep(Duration::from_millis(1_050)).await;
        Self {
            instance,
            peer: Peer {
                address,
                spiffe_id: name,
            },
            task,
        }
    }

    async fn held(&self) -> Option<Arc<Held>> {
        self.instance.held(Duration::ZERO).await.ok()
    }
}

fn grant(entries: Vec<Entry>) -> HandshakeGrant {
    HandshakeGrant {
        entries,
        forbid: Vec::new(),
        ask: Vec::new(),
        lifetime_seconds: Some(60),
        may_delegate: true,
    }
}

fn read() -> Vec<Entry> {
    vec![entry("read").unwrap()]
}

/// An agent with a person's delegation.
fn planner(domain: &Arc<Domain>) -> (Arc<Instance>, OwnSvid, Held) {
    let name = instance("planner").unwrap();
    let (instance, svid) = agent(domain, &name);
    let entries = vec![entry("read").unwrap(), entry("write").unwrap()];
    let held = domain
        .root(&name, instance.key().public(), entries)
        .unwrap();
    (instance, svid, held)
}

fn client(domain: &Domain, of: &(Arc<Instance>, OwnSvid, Held), wire: Wire) -> HandshakeClient {
    HandshakeClient::new(Arc::clone(&of.0), of.1.clone(), domain.trust(), wire)
}

#[tokio::test]
async fn two_agents_that_never_met_pass_authority_on() {
    let domain = Domain::new().unwrap();
    for wire in [Wire::Json, Wire::A2a] {
        let taker = Taker::start(&domain, "reader").await;
        let planner = planner(&domain);
        let delegating = client(&domain, &planner, wire);
        let delegated = delegating.delegate(&planner.2, &taker.peer, grant(read()));
        let delegated = delegated.await.unwrap();
        let held = taker.held().await.unwrap();
        assert_eq!(held.digest(), delegated.chain);
        assert_eq!(delegated.peer, taker.peer.spiffe_id);
        assert_eq!(held.session(), planner.2.session());
        assert_eq!(held.mission(), planner.2.mission());
        assert_eq!(held.tip().grant().jti, delegated.jti);
        assert_eq!(held.tip().grant().entries, read());
        assert!(held.is_for(taker.instance.key().public()));
    }
}

/// What the offer and the end go over is one connection; so do many handshakes of one peer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_handshakes_in_a_row_none_breaks_off() {
    let domain = Domain::new().unwrap();
    let taker = Taker::start(&domain, "reader").await;
    let planner = planner(&domain);
    for number in 0..24 {
        let wire = if number % 2 == 0 {
            Wire::Json
        } else {
            Wire::A2a
        };
        let delegating = client(&domain, &planner, wire);
        let delegated = delegating.delegate(&planner.2, &taker.peer, grant(read()));
        let delegated = delegated.await.unwrap();
        let held = taker.held().await.unwrap();
        assert_eq!(held.digest(), delegated.chain, "handshake {number}");
    }
    let other = Taker::start(&domain, "helper").await;
    let mut stranger = Stranger::connect(&domain, &other.peer).await;
    for number in 0..24 {
        let agreed = stranger.agree(&domain, &other.peer).await;
        let end = stranger.conclusion(agreed);
        let (status, answer) = stranger.say(CONCLUSION, &end).await;
        assert_eq!(status, StatusCode::OK, "handshake {number}: {answer}");
    }
}

#[tokio::test]
async fn who_took_may_pass_on_in_turn() {
    let domain = Domain::new().unwrap();
    let (first, second) = tokio::join!(
        Taker::start(&domain, "reader"),
        Taker::start(&domain, "helper")
    );
    let planner = planner(&domain);
    let delegating = client(&domain, &planner, Wire::Json);
    delegating
        .delegate(&planner.2, &first.peer, grant(read()))
        .await
        .unwrap();
    let held = first.held().await.unwrap();
    let svid = OwnSvid::new(domain.svid(&first.peer.spiffe_id).unwrap());
    let middle = (Arc::clone(&first.instance), svid, (*held).clone());
    let delegating = client(&domain, &middle, Wire::A2a);
    let wider = delegating.delegate(&held, &second.peer, grant(vec![entry("list").unwrap()]));
    // The link is refused before it is signed.
    assert_eq!(wider.await.unwrap_err().reason(), "agent_key");
    assert!(second.held().await.is_none());
    let delegated = delegating.delegate(&held, &second.peer, grant(read()));
    delegated.await.unwrap();
    assert_eq!(second.held().await.unwrap().chain().len(), 3);
}

#[tokio::test]
async fn an_offer_that_is_not_admitted_is_not_answered() {
    let domain = Domain::new().unwrap();
    let taker = Taker::start(&domain, "reader").await;
    let planner = planner(&domain);
    for wire in [Wire::Json, Wire::A2a] {
        let delegating = client(&domain, &planner, wire);
        let write = grant(vec![entry("write").unwrap()]);
        let error = delegating
            .delegate(&planner.2, &taker.peer, write)
            .await
            .unwrap_err();
        assert_eq!(error.reason(), "offer_not_admitted");
    }
    assert!(taker.held().await.is_none());
}

#[tokio::test]
async fn an_agent_at_work_is_not_put_into_another_session() {
    let domain = Domain::new().unwrap();
    let taker = Taker::start(&domain, "reader").await;
    let (first, second) = (planner(&domain), planner(&domain));
    let delegating = client(&domain, &first, Wire::Json);
    let delegated = delegating.delegate(&first.2, &taker.peer, grant(read()));
    delegated.await.unwrap();
    let held = taker.held().await.unwrap();
    for wire in [Wire::Json, Wire::A2a] {
        let delegating = client(&domain, &second, wire);
        let error = delegating
            .delegate(&second.2, &taker.peer, grant(read()))
            .await
            .unwrap_err();
        assert_eq!(error.reason(), "other_session");
    }
    assert_eq!(taker.held().await.unwrap().digest(), held.digest());
    // Two that were answered before either ended: the first end counts.
    let other = Taker::start(&domain, "reader").await;
    let to = other.peer.clone();
    let mut one = Stranger::connect(&domain, &to).await;
    let mut two = Stranger::connect(&domain, &to).await;
    let (agreed, late) = (one.agree(&domain, &to).await, two.agree(&domain, &to).await);
    let (end, later) = (one.conclusion(agreed), two.conclusion(late));
    assert_eq!(one.say(CONCLUSION, &end).await.0, StatusCode::OK);
    assert_eq!(two.refused(CONCLUSION, &later).await, "other_session");
}

/// Whoever reads the chain that was taken elsewhere comes to the same.
#[tokio::test]
async fn what_was_taken_verifies_from_the_trust_document_alone() {
    let domain = Domain::new().unwrap();
    let taker = Taker::start(&domain, "reader").await;
    let planner = planner(&domain);
    let delegating = client(&domain, &planner, Wire::Json);
    delegating
        .delegate(&planner.2, &taker.peer, grant(read()))
        .await
        .unwrap();
    let held = taker.held().await.unwrap();
    let links: Vec<_> = held.chain().iter().map(String::as_str).collect();
    let anchors = domain.document().delegation_authorities.iter();
    let anchors: Vec<_> = anchors.map(TrustAnchor::from).collect();
    let audience = gateway().unwrap().spiffe_id;
    let context = ChainContext {
        now: now(),
        audience: audience.as_str(),
        anchors: &anchors,
        epoch: 1,
        revoked: chancery_delegation::RevocationSet::none(),
        verifier: &AwsLc,
    };
    let chain = chancery_delegation::verify_chain(&links, &context).unwrap();
    assert_eq!(chain.leaf_subject(), &taker.peer.spiffe_id);
}
