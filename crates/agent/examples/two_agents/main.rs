//! Two agents that have never met shake hands and one delegates a part of its authority to the
//! other: `cargo run -p chancery-agent --example two_agents`.
//!
//! The planner holds a person's delegation. The reader serves handshakes. Nothing is configured
//! between them but the trust domain: who the other is comes from its X.509-SVID and from the
//! credential of its agent key.

mod domain;

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use chancery_agent::handshake::{
    AgentCard, HandshakeClient, HandshakeGrant, HandshakeServer, HandshakeService, Peer, Wire,
};
use chancery_agent::{AgentKey, GatewayClient, Instance, OwnSvid};
use chancery_crypto::AwsLc;
use chancery_delegation::{ChainContext, RevocationSet, TrustAnchor, verify_chain};
use chancery_identity::SpiffeId;

use domain::{Domain, Made, entry, gateway, instance, now};

/// An instance, and the SVID that it connects with.
fn agent(domain: &Arc<Domain>, name: &SpiffeId) -> Made<(Arc<Instance>, OwnSvid)> {
    let svid = OwnSvid::new(domain.svid(name)?);
    let client = GatewayClient::new(gateway()?, svid.clone());
    let instance = Instance::new(AgentKey::generate()?, domain.node(name), client);
    Ok((Arc::new(instance), svid))
}

#[tokio::main]
async fn main() -> Made<()> {
    let mut out = std::io::stdout();
    let domain = Domain::new()?;

    // The reader takes offers to read, and no others.
    let reader_name = instance("reader")?;
    let (reader, svid) = agent(&domain, &reader_name)?;
    let readable = entry("read")?;
    let card = AgentCard {
        name: "reader".to_owned(),
        description: "reads reports".to_owned(),
        url: "https://127.0.0.1/a2a".to_owned(),
        version: "1".to_owned(),
    };
    let service = HandshakeService::new(
        Arc::clone(&reader),
        domain.trust(),
        card,
        Arc::new(move |offer, _chain| {
            let entries = &offer.offer().terms.entries;
            entries.iter().all(|entry| readable.subsumes(entry))
        }),
    );
    let server = HandshakeServer::bind(([127, 0, 0, 1], 0).into(), svid, Arc::new(service)).await?;
    let address = server.address()?;
    tokio::spawn(server.serve(std::future::pending()));
    writeln!(out, "{reader_name} serves handshakes at {address}")?;
    // Proofs of the second in which a service starts are refused.
    tokio::time::sleep(Duration::from_millis(1_100)).await;

    // The planner holds what a person delegated to it.
    let planner_name = instance("planner")?;
    let (planner, svid) = agent(&domain, &planner_name)?;
    let entries = vec![entry("read")?, entry("write")?];
    let held = domain.root(&planner_name, planner.key().public(), entries)?;
    planner.hold(held.clone())?;

    let peer = Peer {
        address,
        spiffe_id: reader_name,
    };
    for (wire, tool) in [
        (Wire::Json, "write"),
        (Wire::Json, "read"),
        (Wire::A2a, "read"),
    ] {
        let client = HandshakeClient::new(Arc::clone(&planner), svid.clone(), domain.trust(), wire);
        let grant = HandshakeGrant {
            entries: vec![entry(tool)?],
            forbid: Vec::new(),
            ask: Vec::new(),
            lifetime_seconds: Some(120),
            may_delegate: false,
        };
        match client.delegate(&held, &peer, grant).await {
            Ok(delegated) => {
                writeln!(
                    out,
                    "{wire:?}: delegated files/{tool}, chain {}",
                    delegated.chain
                )?;
            }
            Err(error) => writeln!(out, "{wire:?}: files/{tool} refused: {}", error.reason())?,
        }
    }

    // What the reader took verifies from the trust document alone.
    let taken = reader.held(Duration::ZERO).await?;
    let links: Vec<_> = taken.chain().iter().map(String::as_str).collect();
    let anchors: Vec<_> = domain
        .document()
        .delegation_authorities
        .iter()
        .map(TrustAnchor::from)
        .collect();
    let home = gateway()?;
    let context = ChainContext {
        now: now(),
        audience: home.spiffe_id.as_str(),
        anchors: &anchors,
        epoch: 1,
        revoked: RevocationSet::none(),
        verifier: &AwsLc,
    };
    let chain = verify_chain(&links, &context)?;
    for link in chain.links() {
        writeln!(
            out,
            "verified: {} -> {}",
            link.grant().issuer,
            link.subject()
        )?;
    }
    Ok(())
}
