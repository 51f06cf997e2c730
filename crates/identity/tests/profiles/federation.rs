//! Which bundles are taken, and when they are asked for again.

use chancery_crypto::SVID_ALGORITHMS;
use chancery_identity::bundle::MAX_BUNDLE_BYTES;
use chancery_identity::federation::{
    Change, EndpointProfile, EndpointRefusal, FederateError, FetchRefusal, MAX_REFRESH_SECONDS,
    MIN_REFRESH_SECONDS,
};
use chancery_identity::{
    BundleDocument, BundleDocumentError, Federation, Incubating, Relationship, TrustDomain,
    VerifiedX509Svid, X509SvidError,
};
use chancery_types::Timestamp;
use serde_json::{Value, json};

use crate::support::{Domain, judge_jwt, now, with};

pub(crate) fn web(domain: &TrustDomain) -> Relationship {
    let url = format!("https://{domain}/bundle").parse().unwrap();
    Relationship::new(domain.clone(), url, EndpointProfile::HttpsWeb).unwrap()
}

pub(crate) struct World {
    pub(crate) own: Domain,
    pub(crate) partner: Domain,
    pub(crate) federation: Federation,
}

impl World {
    pub(crate) fn new() -> Self {
        let (own, partner) = (Domain::new("own"), Domain::new("partner"));
        let federation = Federation::new(own.document(1), Incubating::NONE);
        Self {
            own,
            partner,
            federation,
        }
    }

    pub(crate) fn federated() -> Self {
        let mut world = Self::new();
        let relationship = web(&world.partner.name);
        world.federation.begin(relationship, None, now()).unwrap();
        world
    }

    pub(crate) fn fetch(&mut self, body: &Value) -> Result<Change, FetchRefusal> {
        self.fetch_at(body, now())
    }

    fn fetch_at(&mut self, body: &Value, at: Timestamp) -> Result<Change, FetchRefusal> {
        let body = body.to_string();
        let outcome = self
            .federation
            .fetched(&self.partner.name, body.as_bytes(), at);
        outcome.unwrap()
    }

    fn next_after(&self) -> u64 {
        let foreign = self.federation.of(&self.partner.name).unwrap();
        foreign.next_fetch().micros_since(now()) / 1_000_000
    }

    /// Whether an SVID of the partner is verified.
    fn trusts_partner(&self) -> bool {
        let leaf = self.partner.root.leaf("spiffe://partner/a", |_| {});
        let bundles = self.federation.x509_bundles();
        let bundle = bundles.of(&"spiffe://partner/a".parse().unwrap());
        let x509 = bundle.is_some_and(|bundle| {
            chancery_identity::verify_x509_svid(&[leaf], bundle, now(), SVID_ALGORITHMS).is_ok()
        });
        let token = self
            .partner
            .jwt_svid(&self.partner.jwt_header(), &self.partner.jwt_claims());
        let jwt = judge_jwt(&token, &self.federation.jwt_bundles(), 0).is_ok();
        assert_eq!(x509, jwt);
        x509
    }

    pub(crate) fn authenticate(
        &self,
        chain: &[Vec<u8>],
    ) -> Result<VerifiedX509Svid, EndpointRefusal> {
        let name = &self.partner.name;
        self.federation
            .authenticate_endpoint(name, chain, now(), SVID_ALGORITHMS)
    }
}

#[test]
fn f_02_asked_again_as_the_bundle_says_and_no_sooner_for_a_failure() {
    let mut world = World::federated();
    let served = world.partner.served(1);
    assert_eq!(world.federation.due(now()).count(), 1);
    let hinted = |hint: Option<u64>| with(&served, "spiffe_refresh_hint", hint.map(Value::from));
    for (hint, expected) in [
        (None, 300),
        (Some(90), 90),
        (Some(0), MIN_REFRESH_SECONDS),
        (Some(59), MIN_REFRESH_SECONDS),
        (Some(2_419_200), MAX_REFRESH_SECONDS),
        (Some(u64::MAX), MAX_REFRESH_SECONDS),
    ] {
        world.fetch(&hinted(hint)).unwrap();
        assert_eq!(world.next_after(), expected, "{hint:?}");
        assert_eq!(
            world
                .federation
                .due(now().plus_seconds(expected - 1))
                .count(),
            0
        );
        assert_eq!(
            world.federation.due(now().plus_seconds(expected)).count(),
            1
        );
    }
    world.fetch(&hinted(Some(90))).unwrap();
    world.federation.failed(&world.partner.name, now());
    assert_eq!(world.next_after(), 90);
    assert!(world.fetch(&json!({"error": "overloaded"})).is_err());
    assert_eq!(world.next_after(), 90);
    assert!(world.trusts_partner(), "what was known stays");
    // A clock that was put back far does not stop the asking.
    let long_ago = now().minus_seconds(2 * MAX_REFRESH_SECONDS);
    assert_eq!(world.federation.due(long_ago).count(), 1);
}

#[test]
fn b_10_without_a_hint_every_five_minutes() {
    let mut world = World::federated();
    world.federation.failed(&world.partner.name, now());
    assert_eq!(world.next_after(), 300, "nothing is known yet");
    let hintless = with(&world.partner.served(1), "spiffe_refresh_hint", None);
    world.fetch(&hintless).unwrap();
    assert_eq!(world.next_after(), 300);
}

#[test]
fn f_03_bundles_are_never_merged() {
    let mut world = World::federated();
    world.fetch(&world.partner.served(1)).unwrap();
    assert!(world.trusts_partner());
    let bundles = world.federation.x509_bundles();
    assert_eq!(bundles.iter().count(), 2);
    for bundle in bundles.iter() {
        assert_eq!(bundle.authorities().len(), 1);
    }
    // The partner's authority signs nothing of ours, nor the other way round.
    for (signer, id) in [
        (&world.partner, "spiffe://own/a"),
        (&world.own, "spiffe://partner/a"),
    ] {
        let leaf = signer.root.leaf(id, |_| {});
        let bundle = bundles.of(&id.parse().unwrap()).unwrap();
        let judged = chancery_identity::verify_x509_svid(&[leaf], bundle, now(), SVID_ALGORITHMS);
        assert_eq!(judged, Err(X509SvidError::Untrusted), "{id}");
    }
    // Nor does what the partner serves about anybody else: the name is ours to say.
    let claims = with(
        &world.partner.jwt_claims(),
        "sub",
        Some(json!("spiffe://own/a")),
    );
    let token = world.partner.jwt_svid(&world.partner.jwt_header(), &claims);
    assert!(judge_jwt(&token, &world.federation.jwt_bundles(), 0).is_err());
}

#[test]
fn f_04_an_older_bundle_is_not_taken() {
    let mut world = World::federated();
    let partner = &world.partner;
    let (old, new) = (partner.served(7), partner.served(8));
    let emptied = json!({"keys": [], "spiffe_sequence": 9});
    let other = Domain::new("partner").served(9);
    assert_eq!(world.fetch(&new).unwrap(), Change::Keys);
    assert_eq!(world.fetch(&new).unwrap(), Change::None);
    let refused = world.fetch(&old).unwrap_err();
    assert!(matches!(
        refused,
        FetchRefusal::Rollback {
            known: 8,
            fetched: 7
        }
    ));
    let unnumbered = with(&old, "spiffe_sequence", None);
    let refused = world.fetch(&unnumbered).unwrap_err();
    assert!(matches!(refused, FetchRefusal::NoSequence(8)));
    let same = with(&other, "spiffe_sequence", Some(json!(8)));
    let refused = world.fetch(&same).unwrap_err();
    assert!(matches!(refused, FetchRefusal::SameSequence(8)));
    assert!(world.trusts_partner());
    assert_eq!(world.fetch(&emptied).unwrap(), Change::Emptied);
    assert!(!world.trusts_partner());
    let refused = world.fetch(&new).unwrap_err();
    assert!(matches!(
        refused,
        FetchRefusal::Rollback {
            known: 9,
            fetched: 8
        }
    ));
    assert!(
        !world.trusts_partner(),
        "what was taken back stays taken back"
    );
}

#[test]
fn f_04_without_numbers_the_last_fetched_is_the_latest() {
    let mut world = World::federated();
    let unnumbered = |domain: &Domain| with(&domain.served(1), "spiffe_sequence", None);
    let other = Domain::new("partner");
    assert_eq!(world.fetch(&unnumbered(&other)).unwrap(), Change::Keys);
    assert!(!world.trusts_partner());
    assert_eq!(
        world.fetch(&unnumbered(&world.partner)).unwrap(),
        Change::Keys
    );
    assert!(world.trusts_partner());
}

#[test]
fn f_04_a_stored_bundle_is_known_again() {
    let mut world = World::federated();
    world.fetch(&world.partner.served(8)).unwrap();
    let stored = world
        .federation
        .of(&world.partner.name)
        .unwrap()
        .latest()
        .unwrap();
    let text = stored.to_json().unwrap();
    let name = world.partner.name.clone();
    let stored = BundleDocument::parse(name.clone(), text.as_bytes(), Incubating::NONE).unwrap();
    let mut again = World::new();
    std::mem::swap(&mut again.partner, &mut world.partner);
    again
        .federation
        .begin(web(&name), Some(stored), now())
        .unwrap();
    assert!(again.trusts_partner());
    let refused = again.fetch(&again.partner.served(7)).unwrap_err();
    assert!(matches!(
        refused,
        FetchRefusal::Rollback {
            known: 8,
            fetched: 7
        }
    ));
}

#[test]
fn f_04_what_could_not_be_read_again_is_not_taken() {
    let mut world = World::federated();
    let mut body = world.partner.served(8);
    let keys = body["keys"].as_array_mut().unwrap();
    keys.retain(|key| key["use"] == "x509-svid" || key["use"] == "jwt-svid");
    for key in keys.iter_mut().filter(|key| key["use"] == "x509-svid") {
        let key = key.as_object_mut().unwrap();
        key.retain(|name, _| ["kty", "use", "x5c"].contains(&name.as_str()));
    }
    let token = keys.iter().position(|key| key["use"] == "jwt-svid");
    let padded = |count: usize| {
        let mut body = body.clone();
        body["keys"][token.unwrap()]["kid"] = "k".repeat(count).into();
        body
    };
    let room = MAX_BUNDLE_BYTES - padded(0).to_string().len();
    let longest = padded(room);
    assert_eq!(longest.to_string().len(), MAX_BUNDLE_BYTES);
    let refused = world.fetch(&longest).unwrap_err();
    assert!(matches!(
        refused,
        FetchRefusal::Document(BundleDocumentError::TooLong)
    ));
    assert_eq!(refused.code(), "bundle_too_long");
    let known = world.federation.of(&world.partner.name).unwrap();
    assert_eq!(known.latest(), None);
    world.fetch(&padded(room - 1_000)).unwrap();
}

#[test]
fn f_04_a_relationship_is_taken_up_whatever_its_bundle_holds() {
    let name = Domain::new("partner").name;
    let World {
        own,
        mut federation,
        ..
    } = World::new();
    let empty = BundleDocument::new(
        name.clone(),
        chancery_identity::BundleKeys::none(&name),
        9,
        300,
    );
    federation
        .resume(web(&name), Some(empty.clone()), now())
        .unwrap();
    assert_eq!(federation.of(&name).unwrap().latest(), Some(&empty));
    let again = federation.resume(web(&name), None, now()).unwrap_err();
    assert_eq!(again.code(), "federation_exists");
    federation.end(&name);
    let ours = BundleDocument::new(name.clone(), own.keys(), 9, 300);
    let shared = federation
        .resume(web(&name), Some(ours), now())
        .unwrap_err();
    assert_eq!(shared.code(), "bundle_own_key");
    assert_eq!(federation.of(&name).unwrap().latest(), None);
    federation.end(&name);
    let elses = Domain::new("else").document(1);
    let another = federation
        .resume(web(&name), Some(elses), now())
        .unwrap_err();
    assert_eq!(another.code(), "bundle_wrong_domain");
    assert_eq!(federation.of(&name).unwrap().latest(), None);
    let oneself = federation.resume(web(&own.name), None, now()).unwrap_err();
    assert_eq!(oneself.code(), "federation_own_domain");
    assert_eq!(federation.foreign().count(), 1);
}

#[test]
fn f_07_no_relationship_comes_of_another_and_none_with_oneself() {
    let mut world = World::federated();
    let name = world.partner.name.clone();
    let again = world.federation.begin(web(&name), None, now());
    assert!(matches!(again, Err(FederateError::Exists(_))));
    let own = world.federation.begin(web(&world.own.name), None, now());
    assert!(matches!(own, Err(FederateError::OwnTrustDomain)));
    let third: TrustDomain = "third".parse().unwrap();
    let body = Domain::new("third").served(1).to_string();
    assert!(
        world
            .federation
            .fetched(&third, body.as_bytes(), now())
            .is_none()
    );
    assert_eq!(world.federation.x509_bundles().iter().count(), 1);
}

#[test]
fn f_08_the_name_goes_with_the_bundle() {
    let mut world = World::federated();
    world.fetch(&world.partner.served(3)).unwrap();
    let map = world.federation.to_map();
    assert_eq!(map.of(&world.partner.name).unwrap().sequence(), Some(3));
    assert_eq!(map.of(&world.own.name).unwrap().keys(), &world.own.keys());
    let text = map.to_json().unwrap();
    let value: Value = serde_json::from_str(&text).unwrap();
    let names: Vec<_> = value["trust_domains"].as_object().unwrap().keys().collect();
    assert_eq!(names, ["own", "partner"]);
}

#[test]
fn f_19_the_name_is_known_before_anything_is_fetched() {
    let mut world = World::federated();
    // What the document says of whose it is says nothing.
    let claimed = with(&world.partner.served(1), "trust_domain", Some(json!("own")));
    world.fetch(&claimed).unwrap();
    let latest = world.federation.of(&world.partner.name).unwrap().latest();
    assert_eq!(latest.unwrap().trust_domain(), &world.partner.name);
    // Somebody else's bundle is not the partner's, nor is one with an authority of somebody else:
    // what is known stays.
    let known = latest.cloned();
    let elses = Domain::new("else").served(2);
    let mut mixed = world.partner.served(2);
    let one = elses["keys"].as_array().unwrap();
    let one = one.iter().find(|key| key["use"] == "x509-svid").unwrap();
    mixed["keys"].as_array_mut().unwrap().push(one.clone());
    for served in [elses.clone(), mixed] {
        let refused = world.fetch(&served).unwrap_err();
        assert!(matches!(refused, FetchRefusal::WrongTrustDomain));
        let latest = world.federation.of(&world.partner.name).unwrap().latest();
        assert_eq!(latest, known.as_ref());
    }
    assert!(world.trusts_partner());
}

#[test]
fn f_20_the_end_takes_the_bundle_along() {
    let mut world = World::federated();
    world.fetch(&world.partner.served(1)).unwrap();
    assert!(world.trusts_partner());
    let name = world.partner.name.clone();
    assert!(world.federation.end(&name).is_some());
    assert!(!world.trusts_partner());
    assert_eq!(
        world.federation.due(now().plus_seconds(1_000_000)).count(),
        0
    );
    assert!(world.federation.to_map().of(&name).is_none());
    assert!(world.federation.end(&name).is_none());
    // What was under way when it ended is not taken.
    let body = world.partner.served(2).to_string();
    assert!(
        world
            .federation
            .fetched(&name, body.as_bytes(), now())
            .is_none()
    );
    assert!(!world.trusts_partner());
    // A new one starts anew, without what was known.
    world.federation.begin(web(&name), None, now()).unwrap();
    assert_eq!(world.fetch(&world.partner.served(1)).unwrap(), Change::Keys);
}
