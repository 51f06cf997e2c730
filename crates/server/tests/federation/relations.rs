//! Relations begin and end while a server runs, and survive its end.

use std::io::Write;
use std::sync::{Arc, Mutex};

use chancery_api::server::AddFederation;
use chancery_identity::{BundleDocument, Incubating};
use chancery_types::Digest;
use tracing_subscriber::fmt::MakeWriter;

use crate::domain::{Authority, Domain, spiffe};
use crate::fetching::problem;
use crate::instances::reason;

async fn refused(own: &Domain, adding: &AddFederation) -> String {
    reason(own.client().add_federation(adding).await.unwrap_err())
}

#[tokio::test(flavor = "multi_thread")]
async fn f_07_a_relation_begins_by_its_own_parameters_or_not_at_all() {
    let (own, partner) = (
        Domain::start("own.example").await,
        Domain::start("partner.example").await,
    );
    let good = partner.by_spiffe().await;
    let change = |change: &dyn Fn(&mut AddFederation)| {
        let mut adding = good.clone();
        change(&mut adding);
        adding
    };
    let elses = Authority::new("else.example").bundle(1);
    let keys = own.bundle().await;
    for (adding, code) in [
        (own.by_spiffe().await, "federation_own_domain"),
        (change(&|one| one.bundle = None), "federation_no_bundle"),
        (
            change(&|one| one.bundle = Some("{}".to_owned())),
            "bundle_malformed",
        ),
        (
            change(&|one| one.bundle = Some(r#"{"keys":[]}"#.to_owned())),
            "federation_no_bundle",
        ),
        // Its authorities are named like another trust domain.
        (
            change(&|one| one.bundle = Some(elses.clone())),
            "bundle_wrong_domain",
        ),
        (
            change(&|one| one.web_roots = Some("x".to_owned())),
            "federation_roots",
        ),
        (
            AddFederation {
                web_roots: Some(String::new()),
                ..partner.by_web()
            },
            "federation_roots",
        ),
        (
            AddFederation {
                bundle: Some(keys.replace("\"use\":\"x509-svid\"", "\"use\":\"unknown\"")),
                ..partner.by_web()
            },
            "bundle_own_key",
        ),
    ] {
        assert_eq!(refused(&own, &adding).await, code);
    }
    assert!(
        own.client()
            .federations()
            .await
            .unwrap()
            .relations
            .is_empty()
    );
    own.client().add_federation(&good).await.unwrap();
    assert_eq!(refused(&own, &good).await, "federation_exists");
    assert_eq!(refused(&own, &partner.by_web()).await, "federation_exists");
}

#[tokio::test(flavor = "multi_thread")]
async fn f_16_an_endpoint_of_a_third_trust_domain_needs_that_one() {
    let own = Domain::start("own.example").await;
    let (partner, hosting) = (
        Domain::start("partner.example").await,
        Authority::new("hosting.example"),
    );
    let url = format!("https://{}/", partner.spiffe_at);
    let adding = spiffe(
        &hosting.name,
        &url,
        "spiffe://partner.example/service/server",
        None,
    );
    let view = own.client().add_federation(&adding).await.unwrap();
    assert_eq!(problem(&view).as_deref(), Some("endpoint_no_bundle"));
    own.client()
        .add_federation(&partner.by_web())
        .await
        .unwrap();
    let refreshed = own.client().refresh_federation(&hosting.name).await;
    // The server is believed now; what it serves is another trust domain's bundle.
    assert_eq!(reason(refreshed.unwrap_err()), "bundle_wrong_domain");
}

#[tokio::test(flavor = "multi_thread")]
async fn f_20_the_end_takes_the_bundle_along_at_once() {
    let (mut own, partner) = (
        Domain::start("own.example").await,
        Domain::start("partner.example").await,
    );
    let name = &partner.authority.name;
    let nothing = own
        .client()
        .foreign_bundles(Digest::of(""), 0)
        .await
        .unwrap();
    assert!(nothing.bundles.is_empty());
    // Whoever waits hears of the beginning and of the end.
    let client = own.client();
    let waiting = tokio::spawn(async move { client.foreign_bundles(nothing.state, 60).await });
    own.client()
        .add_federation(&partner.by_web())
        .await
        .unwrap();
    waiting.await.unwrap().unwrap();
    let there = own
        .client()
        .foreign_bundles(Digest::of(""), 0)
        .await
        .unwrap();
    assert_eq!(there.bundles[name], partner.bundle().await);
    let client = own.client();
    let waiting = tokio::spawn(async move { client.foreign_bundles(there.state, 60).await });
    own.client().remove_federation(name).await.unwrap();
    let gone = waiting.await.unwrap().unwrap();
    assert!(gone.bundles.is_empty());
    for _ in 0..2 {
        for ended in [
            own.client().remove_federation(name).await.map(drop),
            own.client().refresh_federation(name).await.map(drop),
        ] {
            assert_eq!(reason(ended.unwrap_err()), "federation_unknown");
        }
        own.restart().await;
        assert!(
            own.client()
                .federations()
                .await
                .unwrap()
                .relations
                .is_empty()
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn b_02_the_own_sequence_goes_on_after_a_restart() {
    let mut own = Domain::start("own.example").await;
    let first = own.client().federations().await.unwrap().own;
    assert_eq!(first.sequence, Some(1));
    own.restart().await;
    assert_eq!(own.client().federations().await.unwrap().own, first);
    own.add_authority().await;
    let second = own.client().federations().await.unwrap().own;
    assert_eq!((second.sequence, second.x509_authorities), (Some(2), 2));
    own.restart().await;
    assert_eq!(own.client().federations().await.unwrap().own, second);
}

#[tokio::test(flavor = "multi_thread")]
async fn w_17_keys_of_wit_svids_are_published_by_who_opted_in() {
    let mut own = Domain::start("own.example").await;
    let mut sequences = Vec::new();
    for (incubating, keys) in [
        (Incubating::NONE, 0),
        (Incubating::WIT_SVID, 1),
        (Incubating::NONE, 0),
    ] {
        own.incubating = incubating;
        own.restart().await;
        let text = own.bundle().await;
        let name = own.authority.name.clone();
        let document = BundleDocument::parse(name, text.as_bytes(), Incubating::WIT_SVID).unwrap();
        assert_eq!(document.keys().wit.keys().len(), keys, "{text}");
        assert_eq!(text.matches("\"wit-svid\"").count(), keys);
        sequences.push(document.sequence());
    }
    assert_eq!(sequences, [Some(1), Some(2), Some(3)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trust_document_whose_authorities_are_none_is_in_force_nowhere() {
    let mut own = Domain::start("own.example").await;
    let before = own.client().federations().await.unwrap().own;
    let elses = Authority::new("else.example").certificate;
    for certificate in [b"none".to_vec(), elses] {
        let refused = own.trust_also(&certificate).await;
        assert_eq!(reason(refused.unwrap_err()), "trust");
    }
    assert_eq!(own.client().federations().await.unwrap().own, before);
    // The signer does not know them either: its next version is the second.
    own.add_authority().await;
    let after = own.client().federations().await.unwrap().own;
    assert_eq!((after.sequence, after.x509_authorities), (Some(2), 2));
    own.restart().await;
    assert_eq!(own.client().federations().await.unwrap().own, after);
}

/// What was logged.
#[derive(Debug, Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f_21_each_fetch_is_told() {
    let lines = Lines::default();
    tracing_subscriber::fmt()
        .with_writer(lines.clone())
        .with_ansi(false)
        .init();
    let (own, mut partner) = (
        Domain::start("own.example").await,
        Domain::start("partner.example").await,
    );
    let name = partner.authority.name.clone();
    own.client()
        .add_federation(&partner.by_web())
        .await
        .unwrap();
    own.client().refresh_federation(&name).await.unwrap();
    partner.stop().await;
    own.client().refresh_federation(&name).await.unwrap_err();
    let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    let of_partner = |what: &str| {
        let lines = text
            .lines()
            .filter(|line| line.contains(what) && line.contains("domain=partner.example"));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    let fetched = of_partner("bundle fetched");
    assert!(
        fetched.len() >= 2 && fetched[0].contains("changed=true"),
        "{text}"
    );
    assert!(
        fetched.iter().any(|line| line.contains("changed=false")),
        "{text}"
    );
    let failed = of_partner("bundle not taken");
    assert!(failed[0].contains("endpoint_unreachable"), "{text}");
}
