//! What a fetch believes, takes and refuses, each with its code.

use std::time::Duration;

use chancery_api::server::{AddFederation, FederationView};
use chancery_identity::{BundleDocument, JwtBundle};
use chancery_types::SvidKey;

use crate::domain::{Authority, DAY, Domain, now, spiffe, web};
use crate::instances::reason;
use crate::trap::{Trap, svid};
use crate::web::Web;

const ENDPOINT: &str = "/bundle";

/// A partner whose endpoint is a trap with an SVID of its own.
struct Partner {
    authority: Authority,
    trap: Trap,
}

impl Partner {
    async fn start() -> Self {
        let authority = Authority::new("partner.example");
        let trap = Trap::start(Some(svid(authority.leaf(ENDPOINT, now())))).await;
        Self { authority, trap }
    }

    fn url(&self) -> String {
        format!("https://{}/b?v=1", self.trap.at)
    }

    fn adding(&self) -> AddFederation {
        let endpoint = format!("spiffe://partner.example{ENDPOINT}");
        let first = Some(self.authority.bundle(5));
        spiffe(&self.authority.name, &self.url(), &endpoint, first)
    }

    /// A relation to it whose first fetch brought what was known.
    async fn federated(&self, own: &Domain) {
        self.trap.then_bundle(&self.authority.bundle(5));
        let view = own.client().add_federation(&self.adding()).await.unwrap();
        assert_eq!(problem(&view), None);
        self.trap.heard();
    }

    async fn refresh(&self, own: &Domain) -> Result<FederationView, String> {
        refresh(own, &self.authority).await
    }
}

async fn refresh(own: &Domain, authority: &Authority) -> Result<FederationView, String> {
    let refreshed = own.client().refresh_federation(&authority.name).await;
    refreshed.map_err(reason)
}

/// Why the last fetch took nothing.
pub(crate) fn problem(view: &FederationView) -> Option<String> {
    let last = view.last_fetch.as_ref().unwrap();
    last.problem.as_ref().map(|problem| problem.reason.clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn f_05_both_profiles_are_served_and_fetched() {
    let (own, partner) = (
        Domain::start("own.example").await,
        Domain::start("partner.example").await,
    );
    let served = partner.bundle().await;
    let name = &partner.authority.name;
    for adding in [partner.by_spiffe().await, partner.by_web()] {
        let view = own.client().add_federation(&adding).await.unwrap();
        assert_eq!(problem(&view), None);
        let bundle = view.bundle.unwrap();
        assert_eq!(bundle.document, served);
        assert_eq!((bundle.x509_authorities, bundle.jwt_authorities), (1, 1));
        own.client().remove_federation(name).await.unwrap();
    }
    // Both ways at once, each its own bundle.
    let back = partner
        .client()
        .add_federation(&own.by_web())
        .await
        .unwrap();
    own.client()
        .add_federation(&partner.by_spiffe().await)
        .await
        .unwrap();
    assert_eq!(back.bundle.unwrap().document, own.bundle().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_reaches_the_partner_who_asks_again() {
    let (own, mut partner) = (
        Domain::start("own.example").await,
        Domain::start("partner.example").await,
    );
    for adding in [partner.by_spiffe().await, partner.by_web()] {
        let before = own
            .client()
            .add_federation(&adding)
            .await
            .unwrap()
            .bundle
            .unwrap();
        partner.add_authority().await;
        let view = refresh(&own, &partner.authority).await.unwrap();
        let after = view.bundle.unwrap();
        assert_eq!(after.sequence, before.sequence.map(|sequence| sequence + 1));
        assert_eq!(after.x509_authorities, before.x509_authorities + 1);
        let again = refresh(&own, &partner.authority).await.unwrap();
        assert!(!again.last_fetch.unwrap().changed);
        own.client()
            .remove_federation(&partner.authority.name)
            .await
            .unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f_02_it_is_asked_again_as_the_bundle_says() {
    let (mut own, mut partner) = (
        Domain::start("own.example").await,
        Domain::start("partner.example").await,
    );
    let name = partner.authority.name.clone();
    let view = own
        .client()
        .add_federation(&partner.by_web())
        .await
        .unwrap();
    let seconds = |view: &FederationView| {
        let at = view.last_fetch.as_ref().unwrap().at;
        view.next_fetch.micros_since(at) / 1_000_000
    };
    assert_eq!(view.bundle.as_ref().unwrap().refresh_seconds, 120);
    assert_eq!(seconds(&view), 120);
    // A failure is followed by no sooner try, and takes nothing away.
    partner.stop().await;
    assert_eq!(
        refresh(&own, &partner.authority).await.unwrap_err(),
        "endpoint_unreachable"
    );
    let failed = own.relation(&name).await;
    assert_eq!(seconds(&failed), 120);
    assert_eq!(failed.bundle, view.bundle);
    // Whoever starts asks at once, without being told to.
    partner.restart().await;
    partner.add_authority().await;
    own.restart().await;
    for _ in 0..1_000 {
        if own
            .relation(&name)
            .await
            .last_fetch
            .is_some_and(|last| last.changed)
        {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("nothing is fetched");
}

#[tokio::test(flavor = "multi_thread")]
async fn f_04_an_older_bundle_is_refused_and_the_last_good_one_is_kept() {
    let mut own = Domain::start("own.example").await;
    let partner = Partner::start().await;
    partner.federated(&own).await;
    let good = own.relation(&partner.authority.name).await.bundle;
    let other = Authority::new("partner.example");
    for round in 0..2 {
        for (document, code) in [
            (partner.authority.bundle(4), "bundle_rollback"),
            (other.bundle(5), "bundle_same_sequence"),
            (
                partner
                    .authority
                    .bundle(6)
                    .replace("\"spiffe_sequence\":6", "\"other\":6"),
                "bundle_no_sequence",
            ),
            (
                Authority::new("else.example").bundle(6),
                "bundle_wrong_domain",
            ),
            ("{\"spiffe_sequence\":6}".to_owned(), "bundle_malformed"),
            (
                own.bundle()
                    .await
                    .replace("\"spiffe_sequence\":1", "\"spiffe_sequence\":6")
                    .replace("\"use\":\"x509-svid\"", "\"use\":\"unknown\""),
                "bundle_own_key",
            ),
            (" ".repeat((1 << 20) + 1), "bundle_too_long"),
        ] {
            partner.trap.then_bundle(&document);
            assert_eq!(partner.refresh(&own).await.unwrap_err(), code, "{round}");
            let view = own.relation(&partner.authority.name).await;
            assert_eq!(problem(&view).as_deref(), Some(code));
            assert_eq!(view.bundle, good, "{code}");
        }
        // What was known before a restart is known after it.
        own.restart().await;
        own.settled(&partner.authority.name).await;
    }
    partner.trap.then_bundle(&other.bundle(6));
    let view = partner.refresh(&own).await.unwrap();
    assert_eq!(view.bundle.unwrap().sequence, Some(6));
}

#[tokio::test(flavor = "multi_thread")]
async fn f_13_a_web_endpoint_is_verified_by_its_host_and_the_roots() {
    let own = Domain::start("own.example").await;
    let authority = Authority::new("partner.example");
    let good = Web::new(&["localhost", "127.0.0.1"], 0..DAY);
    let (named, expired) = (
        Web::new(&["other.example"], 0..DAY),
        Web::expired(&["localhost"]),
    );
    let early = Web::new(&["localhost"], 600..DAY);
    let stranger = Web::new(&["localhost"], 0..DAY);
    for (shown, roots, host, code) in [
        (&good, &good, "localhost", None),
        (&good, &good, "127.0.0.1", None),
        (
            &named,
            &named,
            "localhost",
            Some("endpoint_certificate_name"),
        ),
        (
            &expired,
            &expired,
            "localhost",
            Some("endpoint_certificate_time"),
        ),
        (
            &early,
            &early,
            "localhost",
            Some("endpoint_certificate_time"),
        ),
        (
            &stranger,
            &good,
            "localhost",
            Some("endpoint_certificate_untrusted"),
        ),
    ] {
        let trap = Trap::start(Some(shown.presented())).await;
        trap.then_bundle(&authority.bundle(1));
        let url = format!("https://{host}:{}/", trap.at.port());
        let adding = web(&authority.name, &url, roots);
        let view = own.client().add_federation(&adding).await.unwrap();
        assert_eq!(problem(&view).as_deref(), code, "{host}");
        assert_eq!(view.bundle.is_none(), code.is_some());
        own.client()
            .remove_federation(&authority.name)
            .await
            .unwrap();
    }
    // An X.509-SVID is no certificate of the Web's.
    let trap = Trap::start(Some(svid(authority.leaf(ENDPOINT, now())))).await;
    let url = format!("https://localhost:{}/", trap.at.port());
    let adding = web(&authority.name, &url, &good);
    let view = own.client().add_federation(&adding).await.unwrap();
    assert_eq!(
        problem(&view).as_deref(),
        Some("endpoint_certificate_untrusted")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn f_17_a_spiffe_endpoint_is_exactly_the_workload() {
    let own = Domain::start("own.example").await;
    let authority = Authority::new("partner.example");
    let long_ago = now().minus_seconds(2 * 3_600);
    let (stranger, web) = (
        Authority::new("partner.example"),
        Web::new(&["localhost"], 0..DAY),
    );
    for (presented, code) in [
        (svid(authority.leaf(ENDPOINT, now())), None),
        (
            svid(authority.leaf("/other", now())),
            Some("endpoint_workload"),
        ),
        (
            svid(authority.leaf(ENDPOINT, long_ago)),
            Some("endpoint_svid"),
        ),
        (svid(stranger.leaf(ENDPOINT, now())), Some("endpoint_svid")),
        (web.presented(), Some("endpoint_svid")),
    ] {
        let trap = Trap::start(Some(presented)).await;
        trap.then_bundle(&authority.bundle(5));
        let url = format!("https://{}/", trap.at);
        let endpoint = format!("spiffe://partner.example{ENDPOINT}");
        let adding = spiffe(&authority.name, &url, &endpoint, Some(authority.bundle(5)));
        let view = own.client().add_federation(&adding).await.unwrap();
        assert_eq!(problem(&view).as_deref(), code);
        own.client()
            .remove_federation(&authority.name)
            .await
            .unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_authority_verifies_nobody() {
    let own = Domain::start("own.example").await;
    let then = now().minus_seconds(2 * DAY);
    let expired = Authority::valid("partner.example", then, DAY);
    let trap = Trap::start(Some(svid(expired.leaf(ENDPOINT, then)))).await;
    let url = format!("https://{}/", trap.at);
    let endpoint = format!("spiffe://partner.example{ENDPOINT}");
    let adding = spiffe(&expired.name, &url, &endpoint, Some(expired.bundle(1)));
    let view = own.client().add_federation(&adding).await.unwrap();
    assert_eq!(problem(&view).as_deref(), Some("endpoint_svid"));
    assert!(trap.heard().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn f_14_a_redirection_is_an_endpoint_of_the_same_kind_and_is_forgotten() {
    let own = Domain::start("own.example").await;
    let partner = Partner::start().await;
    partner.federated(&own).await;
    let there = Trap::start(Some(svid(partner.authority.leaf(ENDPOINT, now())))).await;
    for status in [301, 302, 303, 307, 308] {
        partner
            .trap
            .then_redirect(status, &format!("https://{}/there", there.at));
        there.then_bundle(&partner.authority.bundle(5));
        partner.refresh(&own).await.unwrap();
        assert!(partner.trap.heard()[0].starts_with("GET /b?v=1 HTTP/1.1\r\n"));
        assert!(there.heard()[0].starts_with("GET /there HTTP/1.1\r\n"));
    }
    let plain = Trap::start(None).await;
    let other = Trap::start(Some(svid(partner.authority.leaf("/other", now())))).await;
    let web = Trap::start(Some(Web::new(&["localhost"], 0..DAY).presented())).await;
    for (location, code) in [
        (format!("http://{}/", plain.at), "endpoint_redirection"),
        ("/elsewhere".to_owned(), "endpoint_redirection"),
        (format!("//{}/", there.at), "endpoint_redirection"),
        (format!("https://a@{}/", there.at), "endpoint_redirection"),
        (format!("https://{}/", other.at), "endpoint_workload"),
        (format!("https://{}/", web.at), "endpoint_svid"),
        (format!("https://{}/", plain.at), "endpoint_tls"),
    ] {
        partner.trap.then_redirect(302, &location);
        assert_eq!(partner.refresh(&own).await.unwrap_err(), code, "{location}");
    }
    assert!(plain.heard().is_empty() && other.heard().is_empty() && web.heard().is_empty());
    for _ in 0..4 {
        partner.trap.then_redirect(302, &partner.url());
    }
    assert_eq!(
        partner.refresh(&own).await.unwrap_err(),
        "endpoint_redirections"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_answer_is_told_apart() {
    let own = Domain::start("own.example").await;
    let partner = Partner::start().await;
    partner.federated(&own).await;
    for (answer, code) in [
        ("404 None\r\ncontent-length: 0\r\n\r\n", "endpoint_status"),
        ("204 Nothing\r\n\r\n", "endpoint_status"),
        ("302 R\r\ncontent-length: 0\r\n\r\n", "endpoint_status"),
        ("200 OK\r\ncontent-length: 9\r\n\r\n{", "endpoint_http"),
        ("two hundred\r\n\r\n", "endpoint_http"),
    ] {
        partner.trap.then(answer.to_owned());
        assert_eq!(partner.refresh(&own).await.unwrap_err(), code, "{answer}");
    }
    // Plain HTTP where TLS is due.
    let plain = Trap::start(None).await;
    let name = Authority::new("plain.example").name;
    let roots = Web::new(&["localhost"], 0..DAY);
    let url = format!("https://localhost:{}/", plain.at.port());
    let adding = web(&name, &url, &roots);
    let view = own.client().add_federation(&adding).await.unwrap();
    assert_eq!(problem(&view).as_deref(), Some("endpoint_tls"));
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_a_partner_had_stored_the_server_starts_again() {
    let mut own = Domain::start("own.example").await;
    let partner = Partner::start().await;
    let name = &partner.authority.name;
    partner.federated(&own).await;
    // All keys are gone: it is no first bundle, and in force all the same.
    partner
        .trap
        .then_bundle(r#"{"keys":[],"spiffe_sequence":6}"#);
    let emptied = partner.refresh(&own).await.unwrap().bundle;
    own.restart().await;
    own.settled(name).await;
    let view = own.relation(name).await;
    assert_eq!(view.bundle, emptied);
    assert_eq!(emptied.unwrap().x509_authorities, 0);
    assert_eq!(problem(&view).as_deref(), Some("endpoint_svid"));
    // A bundle that cannot be read is none, and the relation stands.
    own.change_stored(|row| row.bundle = Some("{".to_owned()))
        .await;
    own.restart().await;
    own.settled(name).await;
    let view = own.relation(name).await;
    assert_eq!(view.bundle, None);
    assert_eq!(problem(&view).as_deref(), Some("endpoint_no_bundle"));
    // A relation that cannot be read is none, and can be added again.
    own.change_stored(|row| row.relationship = "{}".to_owned())
        .await;
    own.restart().await;
    let relations = own.client().federations().await.unwrap().relations;
    assert!(relations.is_empty());
    partner.federated(&own).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn web_roots_that_cannot_be_read_are_not_the_systems() {
    let (mut own, partner) = (
        Domain::start("own.example").await,
        Domain::start("partner.example").await,
    );
    let name = &partner.authority.name;
    let adding = partner.by_web();
    let known = own.client().add_federation(&adding).await.unwrap().bundle;
    own.change_stored(|row| row.web_roots = Some("none".to_owned()))
        .await;
    own.restart().await;
    own.settled(name).await;
    let view = own.relation(name).await;
    assert_eq!(
        problem(&view).as_deref(),
        Some("endpoint_certificate_untrusted")
    );
    assert_eq!(view.bundle, known);
}

#[tokio::test(flavor = "multi_thread")]
async fn f_04_a_bundle_with_a_key_that_becomes_ours_is_in_force_no_longer() {
    let mut own = Domain::start("own.example").await;
    let partner = Partner::start().await;
    let name = partner.authority.name.clone();
    partner.federated(&own).await;
    let next = Authority::new("own.example");
    let mut keys = partner.authority.keys();
    let taken = SvidKey::try_from(next.root.public()).unwrap();
    keys.jwt = JwtBundle::new(name.clone(), [taken]);
    let document = BundleDocument::new(name.clone(), keys, 6, 300);
    partner.trap.then_bundle(&document.to_json().unwrap());
    partner.refresh(&own).await.unwrap();
    own.trust_also(&next.certificate).await.unwrap();
    assert_eq!(own.relation(&name).await.bundle, None);
    own.restart().await;
    own.settled(&name).await;
    assert_eq!(own.relation(&name).await.bundle, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn f_20_what_an_ended_relation_fetches_is_not_its_successors() {
    let own = Domain::start("own.example").await;
    let partner = Partner::start().await;
    let name = &partner.authority.name;
    partner.federated(&own).await;
    let held = partner.trap.hold().await;
    partner.trap.then_bundle(&partner.authority.bundle(9));
    partner.trap.then_bundle(&partner.authority.bundle(5));
    let (client, asked) = (own.client(), name.clone());
    let fetching = tokio::spawn(async move { client.refresh_federation(&asked).await });
    while partner.trap.heard().is_empty() {
        tokio::task::yield_now().await;
    }
    own.client().remove_federation(name).await.unwrap();
    let (client, adding) = (own.client(), partner.adding());
    let adding = tokio::spawn(async move { client.add_federation(&adding).await });
    let relations = || async { own.client().federations().await.unwrap().relations };
    while relations().await.is_empty() {
        tokio::task::yield_now().await;
    }
    drop(held);
    let fetched = fetching.await.unwrap();
    assert_eq!(reason(fetched.unwrap_err()), "federation_unknown");
    let view = adding.await.unwrap().unwrap();
    assert_eq!(problem(&view), None);
    assert_eq!(view.bundle.unwrap().sequence, Some(5));
}

#[tokio::test(flavor = "multi_thread")]
async fn all_bundles_together_fit_into_one_answer() {
    let own = Domain::start("own.example").await;
    let partner = Partner::start().await;
    partner.federated(&own).await;
    // Each has a megabyte as it is handed on: quotation marks are escaped twice.
    let long = |authority: &Authority, sequence| {
        let kid = SvidKey::try_from(authority.jwt.public()).unwrap().kid();
        let document = authority.bundle(sequence);
        assert!(document.contains(&kid));
        document.replace(&kid, &"\\\"".repeat(250_000))
    };
    let roots = Web::new(&["localhost"], 0..DAY);
    let adding = |count: usize| {
        let authority = Authority::new(&format!("p{count}.example"));
        let bundle = Some(long(&authority, 1));
        AddFederation {
            bundle,
            ..web(&authority.name, "https://localhost:1/", &roots)
        }
    };
    for count in 0..8 {
        own.client().add_federation(&adding(count)).await.unwrap();
    }
    let refused = own.client().add_federation(&adding(8)).await;
    assert_eq!(reason(refused.unwrap_err()), "bundles_full");
    partner.trap.then_bundle(&long(&partner.authority, 6));
    assert_eq!(partner.refresh(&own).await.unwrap_err(), "bundles_full");
    let known = own.relation(&partner.authority.name).await.bundle.unwrap();
    assert_eq!(known.sequence, Some(5));
    let nothing = chancery_types::Digest::of("");
    let answer = own.client().foreign_bundles(nothing, 0).await.unwrap();
    assert_eq!(answer.bundles.len(), 9);
    // Room for one more.
    let gone = "p0.example".parse().unwrap();
    own.client().remove_federation(&gone).await.unwrap();
    partner.trap.then_bundle(&long(&partner.authority, 6));
    partner.refresh(&own).await.unwrap();
}
