//! X.509-SVIDs of several instances, of several nodes and of none.

use chancery_api::server::{IssueX509, IssueX509s, IssuedX509s, Leaf, MAX_TOGETHER};
use chancery_audit::{Entry, Event};
use chancery_crypto::SVID_ALGORITHMS;
use chancery_identity::verify_x509_svid;
use chancery_types::RevocationKind;

use super::*;
use crate::instances::{asking_over, revoke};

/// How many identities the log says were issued to an instance.
fn enrolled(entries: &[Entry], instance: InstanceId) -> usize {
    let issued = entries.iter().filter(|entry| match &entry.event {
        Event::IdentityIssue(issue) => issue.instance.as_str().ends_with(&instance.to_string()),
        _ => false,
    });
    issued.count()
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_instances_each_is_issued_or_refused_by_itself() {
    let mut domain = Domain::start("own.example").await;
    let id = domain.joined().await.spiffe_id().node();
    let nodes = [Some(id), Some(id), Some(id), Some(id), None];
    let instances = domain.with_instances(&nodes).await;
    let [first, ended, revoked, last, local] = instances[..] else {
        panic!("five instances");
    };
    let client = domain.client();
    domain.end(ended).await;
    let gone = format!("{AGENT}/instance/{revoked}");
    revoke(&client, RevocationKind::Instance, &gone).await;
    let keys: Vec<_> = (0..6)
        .map(|_| SigningKey::generate(Algorithm::Es256).unwrap())
        .collect();
    let unknown = InstanceId::from_random([99; 16]);
    let asked = [first, ended, revoked, local, unknown, last];
    let requests = asked.iter().zip(&keys);
    let requests = requests.map(|(instance, key)| asking_over(key, *instance));
    let mut requests: Vec<_> = requests.collect();
    let malformed = IssueX509 {
        spki: "!".to_owned(),
        ..requests[0].clone()
    };
    requests.push(malformed);
    let reasons = |issued: &IssuedX509s| {
        let outcome = |leaf: &Leaf| match leaf {
            Leaf::Issued(_) => "issued".to_owned(),
            Leaf::Refused(problem) => problem.reason.clone(),
        };
        issued.leaves.iter().map(outcome).collect::<Vec<_>>()
    };
    let own = IssueX509s {
        requests: requests.clone(),
    };
    let issued = client.issue_x509s(&own).await.unwrap();
    assert_eq!(
        reasons(&issued),
        [
            "issued",
            "instance_ended",
            "instance_ended",
            "issued",
            "instance_unknown",
            "issued",
            "spki"
        ]
    );
    // Each is over the key that was asked for in its place, below what stands above all of them.
    for ((leaf, key), instance) in issued.leaves.iter().zip(&keys).zip(asked) {
        let Leaf::Issued(leaf) = leaf else { continue };
        let chain = [leaf.clone()]
            .into_iter()
            .chain(issued.intermediates.clone());
        let chain: Vec<_> = chain.map(|der| base64url::decode(&der).unwrap()).collect();
        let svid = verify_x509_svid(&chain, &domain.authorities(), now(), SVID_ALGORITHMS);
        let svid = svid.unwrap();
        assert!(svid.spiffe_id().as_str().ends_with(&instance.to_string()));
        assert_eq!(svid.spki_der(), chancery_identity::spki_der(key.public()));
    }
    // A node on another host has its own, and of others learns nothing.
    let as_node = domain.with_svid(&format!("/service/node/{id}"), 0);
    let issued: IssuedX509s = as_node.post("/v1/issue/x509s", &own).await.unwrap();
    assert_eq!(
        reasons(&issued),
        [
            "issued",
            "instance_ended",
            "instance_ended",
            "other_node",
            "other_node",
            "issued",
            "spki"
        ]
    );
    for requests in [Vec::new(), vec![own.requests[0].clone(); MAX_TOGETHER + 1]] {
        let asked = json!({"requests": requests});
        let said = refusal(&as_node, "POST", "/v1/issue/x509s", &asked).await;
        assert_eq!(said, "requests");
        let refused = client.issue_x509s(&IssueX509s { requests }).await;
        assert!(matches!(refused, Err(ClientError::Refused(one)) if one.reason == "requests"));
    }
    // One entry for each that was issued, in the order of their times, and none of who was refused.
    let entries = domain.entries().await;
    assert!(entries.is_sorted_by_key(|entry| entry.at));
    let issued = [
        (first, 2),
        (ended, 0),
        (revoked, 0),
        (local, 1),
        (unknown, 0),
        (last, 2),
    ];
    for (instance, count) in issued {
        assert_eq!(enrolled(&entries, instance), count, "{instance}");
    }
}
