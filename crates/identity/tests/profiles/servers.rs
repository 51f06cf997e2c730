//! Whose server is believed, and who publishes whose keys.

use chancery_identity::federation::{
    EndpointProfile, EndpointRefusal, FederateError, FetchRefusal, StartError,
};
use chancery_identity::{
    BundleDocument, BundleKeys, JwtBundle, Relationship, TrustDomain, X509SvidError,
};

use crate::federation::{World, web};
use crate::support::{Domain, now, svid_key, validity};

fn by_spiffe(domain: &TrustDomain, endpoint: &str) -> Relationship {
    let url = "https://10.0.0.1:8443/".parse().unwrap();
    let profile = EndpointProfile::HttpsSpiffe {
        endpoint: endpoint.parse().unwrap(),
    };
    Relationship::new(domain.clone(), url, profile).unwrap()
}

#[test]
fn f_15_a_self_serving_endpoint_begins_with_a_bundle() {
    let mut world = World::new();
    let relationship = by_spiffe(&world.partner.name, "spiffe://partner/bundle");
    let begin =
        |world: &mut World, known| world.federation.begin(relationship.clone(), known, now());
    for known in [
        None,
        Some(BundleDocument::new(
            world.partner.name.clone(),
            BundleKeys::none(&world.partner.name),
            1,
            300,
        )),
    ] {
        let refused = begin(&mut world, known).unwrap_err();
        assert!(matches!(
            refused,
            FederateError::Start(StartError::NoFirstBundle)
        ));
    }
    let elses = Domain::new("else").document(1);
    let refused = begin(&mut world, Some(elses)).unwrap_err();
    assert!(matches!(
        refused,
        FederateError::Start(StartError::WrongTrustDomain)
    ));
    let first = world.partner.document(1);
    begin(&mut world, Some(first)).unwrap();
    let endpoint = world.partner.root.leaf("spiffe://partner/bundle", |_| {});
    assert!(world.authenticate(&[endpoint]).is_ok());
}

#[test]
fn f_16_another_trust_domains_endpoint_needs_that_trust_domain() {
    let mut world = World::new();
    let hosting = Domain::new("hosting");
    let relationship = by_spiffe(&world.partner.name, "spiffe://hosting/bundle");
    world.federation.begin(relationship, None, now()).unwrap();
    let endpoint = [hosting.root.leaf("spiffe://hosting/bundle", |_| {})];
    assert_eq!(
        world.authenticate(&endpoint),
        Err(EndpointRefusal::NoBundle)
    );
    let relationship = web(&hosting.name);
    world.federation.begin(relationship, None, now()).unwrap();
    assert_eq!(
        world.authenticate(&endpoint),
        Err(EndpointRefusal::NoBundle)
    );
    let body = hosting.served(1).to_string();
    let fetched = world
        .federation
        .fetched(&hosting.name, body.as_bytes(), now());
    fetched.unwrap().unwrap();
    assert!(world.authenticate(&endpoint).is_ok());
    // The partner's own bundle says nothing about who serves it.
    world.fetch(&world.partner.served(1)).unwrap();
    let own = world.partner.root.leaf("spiffe://partner/bundle", |_| {});
    let refused = world.authenticate(&[own]);
    assert!(matches!(
        refused,
        Err(EndpointRefusal::Svid(X509SvidError::WrongTrustDomain))
    ));
}

#[test]
fn f_17_the_server_is_exactly_the_configured_workload() {
    let mut world = World::new();
    let relationship = by_spiffe(&world.partner.name, "spiffe://partner/bundle");
    let first = world.partner.document(1);
    world
        .federation
        .begin(relationship, Some(first), now())
        .unwrap();
    let root = &world.partner.root;
    for other in [
        "spiffe://partner/bundle/x",
        "spiffe://partner/Bundle",
        "spiffe://partner/a",
    ] {
        let refused = world.authenticate(&[root.leaf(other, |_| {})]);
        assert_eq!(refused, Err(EndpointRefusal::OtherWorkload), "{other}");
    }
    let stranger = Domain::new("partner")
        .root
        .leaf("spiffe://partner/bundle", |_| {});
    let refused = world.authenticate(&[stranger]);
    assert_eq!(
        refused,
        Err(EndpointRefusal::Svid(X509SvidError::Untrusted))
    );
    let refused = world.authenticate(&[]);
    assert_eq!(
        refused,
        Err(EndpointRefusal::Svid(X509SvidError::EmptyChain))
    );
    let expired = root.leaf("spiffe://partner/bundle", |params| {
        validity(params, 1_700_000_000, 1_700_000_100);
    });
    let refused = world.authenticate(&[expired]);
    assert_eq!(refused, Err(EndpointRefusal::Svid(X509SvidError::Expired)));
}

#[test]
fn f_07_one_profile_is_no_substitute_for_the_other() {
    let world = World::federated();
    let endpoint = world.partner.root.leaf("spiffe://partner/bundle", |_| {});
    let refused = world.authenticate(&[endpoint]);
    assert_eq!(refused, Err(EndpointRefusal::OtherProfile));
    let nobody = World::new();
    assert_eq!(
        nobody.authenticate(&[]),
        Err(EndpointRefusal::NoRelationship)
    );
}

#[test]
fn f_18_a_self_serving_endpoint_is_held_to_the_latest_bundle() {
    let mut world = World::new();
    let relationship = by_spiffe(&world.partner.name, "spiffe://partner/bundle");
    let first = world.partner.document(1);
    world
        .federation
        .begin(relationship, Some(first), now())
        .unwrap();
    let old = [world.partner.root.leaf("spiffe://partner/bundle", |_| {})];
    assert!(world.authenticate(&old).is_ok());
    let rotated = Domain::new("partner");
    world.fetch(&rotated.served(2)).unwrap();
    let refused = world.authenticate(&old);
    assert_eq!(
        refused,
        Err(EndpointRefusal::Svid(X509SvidError::Untrusted))
    );
    let new = [rotated.root.leaf("spiffe://partner/bundle", |_| {})];
    assert!(world.authenticate(&new).is_ok());
}

#[test]
fn b_09_nobody_else_publishes_a_key_of_ours() {
    let mut world = World::federated();
    let mut keys = world.partner.keys();
    keys.jwt = JwtBundle::new(world.partner.name.clone(), [svid_key(&world.own.jwt)]);
    let stolen = BundleDocument::new(world.partner.name.clone(), keys, 1, 300);
    let stolen_text = serde_json::from_str(&stolen.to_json().unwrap()).unwrap();
    let refused = world.fetch(&stolen_text).unwrap_err();
    assert!(matches!(refused, FetchRefusal::OwnKey));
    assert!(
        world
            .federation
            .of(&world.partner.name)
            .unwrap()
            .latest()
            .is_none()
    );
    let mut other = World::new();
    other.federation.replace_own(world.own.document(2));
    let refused = other
        .federation
        .begin(web(&world.partner.name), Some(stolen), now());
    assert!(matches!(refused, Err(FederateError::OwnKey)));
}
