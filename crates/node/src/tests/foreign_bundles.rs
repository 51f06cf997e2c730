//! The bundles of foreign trust domains, for those who are registered for them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chancery_identity::{BundleDocument, BundleKeys, TrustDomain};
use spiffe::WorkloadApiClient;
use tokio::time::timeout;
use tonic::{Code, Streaming};

use super::issuer::TestIssuer;
use super::workload_api::request;
use super::{AGENT, Serving};
use crate::ForeignBundles;
use crate::pb::workload::spiffe_workload_api_client::SpiffeWorkloadApiClient;
use crate::pb::workload::{
    JwtBundlesRequest, JwtsvidRequest, ValidateJwtsvidRequest, X509BundlesRequest, X509svidRequest,
};

const SOON: Duration = Duration::from_secs(10);

fn document(issuer: &TestIssuer, name: &str) -> BundleDocument {
    let name: TrustDomain = name.parse().unwrap();
    let own = issuer.x509_of(&name);
    let keys = BundleKeys {
        x509: own,
        jwt: issuer.jwt_of(&name),
        ..BundleKeys::none(&name)
    };
    BundleDocument::new(name, keys, 1, 300)
}

fn registered(agent: &str, names: &[&str]) -> BTreeMap<String, BTreeSet<TrustDomain>> {
    let names = names.iter().map(|name| name.parse().unwrap()).collect();
    BTreeMap::from([(agent.to_owned(), names)])
}

async fn next<T>(stream: &mut Streaming<T>) -> T {
    let message = timeout(SOON, stream.message()).await.unwrap();
    message.unwrap().unwrap()
}

#[tokio::test]
async fn f_08_the_name_goes_with_the_bundle_to_open_streams() {
    let serving = Serving::start();
    serving.launch_own().await;
    let mut client = SpiffeWorkloadApiClient::new(serving.channel().await);
    let svids = client.fetch_x509svid(request(X509svidRequest {})).await;
    let x509 = client
        .fetch_x509_bundles(request(X509BundlesRequest {}))
        .await;
    let jwt = client
        .fetch_jwt_bundles(request(JwtBundlesRequest {}))
        .await;
    let (mut svids, mut x509, mut jwt) = (
        svids.unwrap().into_inner(),
        x509.unwrap().into_inner(),
        jwt.unwrap().into_inner(),
    );
    assert!(next(&mut svids).await.federated_bundles.is_empty());
    assert_eq!(
        (
            next(&mut x509).await.bundles.len(),
            next(&mut jwt).await.bundles.len()
        ),
        (1, 1)
    );
    let partner = document(&serving.issuer, "partner");
    let others = [
        partner.clone(),
        document(&serving.issuer, "unnamed"),
        document(&serving.issuer, "td"),
    ];
    let agents = registered(AGENT, &["partner", "unknown", "td"]);
    serving
        .issuer
        .foreign
        .send_replace(ForeignBundles::new(others, agents));
    let handed = next(&mut svids).await;
    let (x509_bundles, jwt_bundles) = (next(&mut x509).await.bundles, next(&mut jwt).await.bundles);
    let name = "spiffe://partner";
    let der = partner.keys().x509.to_concatenated_der();
    assert_eq!(handed.federated_bundles.len(), 1);
    assert_eq!(handed.federated_bundles[name], der);
    assert_eq!((x509_bundles.len(), jwt_bundles.len()), (2, 2));
    assert_eq!(x509_bundles[name], der);
    assert_eq!(jwt_bundles[name], partner.keys().jwt.to_jwks().into_bytes());
    // The own bundle is the own one, whatever a foreign document calls itself.
    assert_eq!(x509_bundles["spiffe://td"], handed.svids[0].bundle);

    // The end of the relation takes it from open streams.
    serving
        .issuer
        .foreign
        .send_replace(ForeignBundles::default());
    assert!(next(&mut svids).await.federated_bundles.is_empty());
    assert_eq!(
        (
            next(&mut x509).await.bundles.len(),
            next(&mut jwt).await.bundles.len()
        ),
        (1, 1)
    );
}

#[tokio::test]
async fn f_08_nobody_is_handed_what_they_are_not_registered_for() {
    let serving = Serving::start();
    serving.launch_own().await;
    let partner = document(&serving.issuer, "partner");
    for agent in [
        "spiffe://td/agent/other",
        "spiffe://td/agent/researcher/instance/x",
        "",
    ] {
        let agents = registered(agent, &["partner"]);
        let foreign = ForeignBundles::new([partner.clone()], agents);
        serving.issuer.foreign.send_replace(foreign);
        let client = WorkloadApiClient::connect_to(serving.endpoint())
            .await
            .unwrap();
        assert_eq!(
            client.fetch_x509_bundles().await.unwrap().iter().count(),
            1,
            "{agent}"
        );
        assert_eq!(
            client.fetch_jwt_bundles().await.unwrap().iter().count(),
            1,
            "{agent}"
        );
    }
}

#[tokio::test]
async fn an_ordinary_client_has_the_foreign_bundle() {
    let serving = Serving::start();
    serving.launch_own().await;
    let partner = document(&serving.issuer, "partner");
    let foreign = ForeignBundles::new([partner.clone()], registered(AGENT, &["partner"]));
    serving.issuer.foreign.send_replace(foreign);
    let client = WorkloadApiClient::connect_to(serving.endpoint())
        .await
        .unwrap();
    let name = spiffe::TrustDomain::new("partner").unwrap();
    let bundles = client.fetch_x509_bundles().await.unwrap();
    assert_eq!(bundles.get(&name).unwrap().authorities().len(), 1);
    let bundles = client.fetch_jwt_bundles().await.unwrap();
    let kid = partner.keys().jwt.keys().next().unwrap().0;
    assert!(
        bundles
            .get(&name)
            .unwrap()
            .find_jwt_authority(kid)
            .is_some()
    );
}

#[tokio::test]
async fn a_foreign_token_is_judged_by_the_bundle_of_its_trust_domain_alone() {
    let (serving, partner) = (Serving::start(), Serving::start_as("partner"));
    serving.launch_own().await;
    partner.launch_as("spiffe://partner/agent/clerk").await;
    let mut theirs = SpiffeWorkloadApiClient::new(partner.channel().await);
    let asked = JwtsvidRequest {
        audience: vec!["a".to_owned()],
        spiffe_id: String::new(),
    };
    let token = theirs.fetch_jwtsvid(request(asked)).await.unwrap();
    let token = token.into_inner().svids.remove(0).svid;
    let mut ours = SpiffeWorkloadApiClient::new(serving.channel().await);
    let asked = ValidateJwtsvidRequest {
        audience: "a".to_owned(),
        svid: token,
    };
    let genuine = document(&partner.issuer, "partner");
    let forged = document(&serving.issuer, "partner");
    for (documents, is_good) in [
        (vec![], false),
        (vec![forged], false),
        (vec![genuine], true),
    ] {
        let foreign = ForeignBundles::new(documents, registered(AGENT, &["partner"]));
        serving.issuer.foreign.send_replace(foreign);
        let judged = ours.validate_jwtsvid(request(asked.clone())).await;
        match is_good {
            true => assert!(
                judged
                    .unwrap()
                    .into_inner()
                    .spiffe_id
                    .starts_with("spiffe://partner/agent/clerk/")
            ),
            false => assert_eq!(judged.unwrap_err().code(), Code::InvalidArgument),
        }
    }
}
