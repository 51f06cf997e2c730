//! Whoever answers in a peer's place, and whoever stands between two.

use std::sync::Arc;

use chancery_agent::handshake::{Peer, Wire};
use chancery_api::tls::{TlsIdentity, client_config, server_config};
use rustls::pki_types::ServerName;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::{Taker, client, grant, planner, read};
use crate::domain::{Domain, instance};

#[tokio::test]
async fn the_one_who_answers_is_the_one_who_was_meant() {
    let domain = Domain::new().unwrap();
    let taker = Taker::start(&domain, "reader").await;
    let planner = planner(&domain);
    let delegating = client(&domain, &planner, Wire::Json);
    let other = Peer {
        spiffe_id: instance("reader").unwrap(),
        ..taker.peer.clone()
    };
    let error = delegating
        .delegate(&planner.2, &other, grant(read()))
        .await
        .unwrap_err();
    assert_eq!(error.reason(), "peer_not_recognised");
    // Of another trust domain of the same name: other authorities.
    let foreign = Domain::new().unwrap();
    let stranger = self::planner(&foreign);
    let delegating = client(&foreign, &stranger, Wire::Json);
    let error = delegating
        .delegate(&stranger.2, &taker.peer, grant(read()))
        .await
        .unwrap_err();
    assert_eq!(error.reason(), "peer_not_recognised");
}

/// Ends TLS on both sides and passes the bytes between on: a server with one SVID, a client with
/// another. Returns where it listens.
pub(super) async fn between(
    near: &TlsIdentity,
    far: &TlsIdentity,
    to: &Peer,
) -> std::net::SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(server_config(near).unwrap()));
    let connector = client_config(far, to.spiffe_id.clone()).unwrap();
    let connector = TlsConnector::from(Arc::new(connector));
    let target = to.address;
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let (acceptor, connector) = (acceptor.clone(), connector.clone());
            tokio::spawn(async move {
                let Ok(mut near) = acceptor.accept(stream).await else {
                    return;
                };
                let stream = TcpStream::connect(target).await.unwrap();
                let name = ServerName::IpAddress(target.ip().into());
                let mut far = connector.connect(name, stream).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
            });
        }
    });
    address
}

#[tokio::test]
async fn a_man_in_the_middle_is_refused() {
    let domain = Domain::new().unwrap();
    let taker = Taker::start(&domain, "reader").await;
    let planner = planner(&domain);
    let planner_name = planner.2.tip().grant().subject.clone();
    let mallory_name = instance("mallory").unwrap();
    let mallory = domain.svid(&mallory_name).unwrap();
    // By SVIDs of his own he is Mallory on either side.
    let address = between(&mallory, &mallory, &taker.peer).await;
    let delegating = client(&domain, &planner, Wire::Json);
    let meant = Peer {
        address,
        ..taker.peer.clone()
    };
    let error = delegating.delegate(&planner.2, &meant, grant(read())).await;
    assert_eq!(error.unwrap_err().reason(), "peer_not_recognised");
    // The planner's peer is Mallory indeed, who passes all on to the reader under his own name.
    let as_mallory = Peer {
        address,
        spiffe_id: mallory_name,
    };
    let error = delegating
        .delegate(&planner.2, &as_mallory, grant(read()))
        .await;
    assert_eq!(error.unwrap_err().reason(), "http_holder_mismatch");
    // With stolen TLS keys of both he is whom each expects; every message passes but for the channel.
    let (near, far) = (
        domain.svid(&taker.peer.spiffe_id).unwrap(),
        domain.svid(&planner_name).unwrap(),
    );
    let address = between(&near, &far, &taker.peer).await;
    for wire in [Wire::Json, Wire::A2a] {
        let delegating = client(&domain, &planner, wire);
        let meant = Peer {
            address,
            ..taker.peer.clone()
        };
        let error = delegating.delegate(&planner.2, &meant, grant(read())).await;
        assert_eq!(error.unwrap_err().reason(), "handshake_wrong_channel");
    }
    assert!(taker.held().await.is_none());
}
