//! Who is admitted by what it shows, on this connection and for this key.

use chancery_api::server::ServerClient;
use chancery_api::tls::CertificateHolder;
use chancery_identity::certificate_message;
use chancery_types::Secret;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose,
};

use super::*;

/// An authority of hosts, and a host's certificate of it.
struct Hosts(CertifiedIssuer<'static, KeyPair>);

impl Hosts {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, "hosts");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn host(&self, change: impl FnOnce(&mut CertificateParams)) -> CertificateHolder {
        let mut params = CertificateParams::new(vec!["host-1".to_owned()]).unwrap();
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        change(&mut params);
        self.over(&KeyPair::generate().unwrap(), params)
    }

    fn over(&self, key: &KeyPair, params: CertificateParams) -> CertificateHolder {
        let pem = params.signed_by(key, &self.0).unwrap().pem();
        let secret = Secret::new(key.serialize_pem().into_bytes());
        CertificateHolder::from_pem(pem.as_bytes(), &secret).unwrap()
    }

    async fn admit(&self, domain: &Domain) -> Digest {
        let request = AdmitNodeAuthority {
            certificate: base64url::encode(self.0.der()),
            tpms: false,
            pcrs: PcrValues::default(),
        };
        let admitted = domain.client().admit_node_authority(&request).await;
        admitted.unwrap().fingerprint
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_of_an_admitted_authority_admits_its_host_and_names_it() {
    let domain = Domain::start("own.example").await;
    let hosts = Hosts::new();
    let host = Means::X509(hosts.host(|_| {}));
    let join = async |means: &Means| domain.join(means.clone()).await.map_err(reason);
    let refused = domain.join(host.clone()).await.unwrap_err();
    let JoinError::Server(ClientError::Refused(problem)) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(problem.reason, "join_refused");
    let remedy = problem.remedy.unwrap();
    assert!(
        remedy.contains("admit-ca") && !remedy.contains("token"),
        "{remedy}"
    );
    let fingerprint = hosts.admit(&domain).await;
    let node = join(&host).await.unwrap();
    let again = join(&host).await.unwrap();
    assert_eq!(node.spiffe_id(), again.spiffe_id());
    let listed = domain.client().nodes().await.unwrap();
    assert_eq!(listed.nodes.len(), 1);
    assert_eq!(listed.nodes[0].proof, "x509");
    assert_eq!(listed.authorities[0].fingerprint, fingerprint);
    for (what, other) in [
        ("another authority's", Hosts::new().host(|_| {})),
        (
            "for servers",
            hosts.host(|params| {
                params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
            }),
        ),
        (
            "for agreement",
            hosts.host(|params| {
                params.key_usages = vec![KeyUsagePurpose::KeyAgreement];
            }),
        ),
        (
            "expired",
            hosts.host(|params| {
                params.not_before = rcgen::date_time_ymd(2020, 1, 1);
                params.not_after = rcgen::date_time_ymd(2021, 1, 1);
            }),
        ),
    ] {
        let refused = join(&Means::X509(other)).await.unwrap_err();
        assert_eq!(refused, "join_refused", "{what}");
    }
    // Out is out, and under no other name; neither by another certificate over the same key.
    domain.evict(node.spiffe_id().node()).await;
    assert_eq!(join(&host).await.unwrap_err(), "node_evicted");
    let key = KeyPair::generate().unwrap();
    let issued = |name: &str| {
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        Means::X509(hosts.over(&key, params))
    };
    let reissued = join(&issued("host-2")).await.unwrap();
    domain.evict(reissued.spiffe_id().node()).await;
    assert_eq!(join(&issued("host-3")).await.unwrap_err(), "node_evicted");
    domain
        .client()
        .remove_node_authority(fingerprint)
        .await
        .unwrap();
    let another = Means::X509(hosts.host(|_| {}));
    assert_eq!(join(&another).await.unwrap_err(), "join_refused");
}

/// What a join says, of which a part is of another connection or of another key.
async fn forged(
    domain: &Domain,
    means: impl FnOnce(NodeChannel, &SigningKey) -> JoinMeans,
    proof_of: Option<NodeChannel>,
    proof_by: Option<&SigningKey>,
) -> String {
    let key = SigningKey::generate(Algorithm::Es256).unwrap();
    let config = joining_config(domain.authorities(), domain.server_id()).unwrap();
    let server = domain.nodes_at.to_string();
    let asked =
        TlsClient::post_bound::<_, JoinedNode>(&server, config, "/v1/node/join", |channel| {
            let signer = proof_by.unwrap_or(&key);
            let input = node_key_signing_input(key.public(), proof_of.unwrap_or(channel))?;
            Ok(JoinNode {
                key: *key.public(),
                proof: jws::assemble(&input, &signer.sign(input.as_bytes())?),
                means: means(channel, &key),
            })
        });
    match asked.await {
        Ok(joined) => joined.spiffe_id,
        Err(ClientError::Refused(problem)) => problem.reason,
        Err(error) => error.to_string(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_proof_is_good_on_another_connection_or_for_another_key() {
    let domain = Domain::start("own.example").await;
    let hosts = Hosts::new();
    hosts.admit(&domain).await;
    let host = hosts.host(|_| {});
    let elsewhere = NodeChannel::new([7; 32]);
    let other = SigningKey::generate(Algorithm::Es256).unwrap();
    let shown = |channel: NodeChannel, key: &SigningKey, by: &CertificateHolder| {
        let message = certificate_message(channel, key.public(), &host.chain()[0]);
        JoinMeans::X509 {
            chain: host.chain().iter().map(base64url::encode).collect(),
            signature: base64url::encode(by.sign(&message).unwrap()),
        }
    };
    let good = |channel, key: &SigningKey| shown(channel, key, &host);
    let token = domain.token().await;
    let by_token = |_, _: &SigningKey| JoinMeans::Token(token.clone());
    assert_eq!(
        forged(&domain, by_token, Some(elsewhere), None).await,
        "node_proof"
    );
    assert_eq!(
        forged(&domain, by_token, None, Some(&other)).await,
        "node_proof"
    );
    assert_eq!(
        forged(&domain, good, Some(elsewhere), None).await,
        "node_proof"
    );
    let replayed = |_, key: &SigningKey| shown(elsewhere, key, &host);
    assert_eq!(forged(&domain, replayed, None, None).await, "join_refused");
    let lent = |channel, _: &SigningKey| shown(channel, &other, &host);
    assert_eq!(forged(&domain, lent, None, None).await, "join_refused");
    let thief = hosts.host(|_| {});
    let stolen = |channel, key: &SigningKey| shown(channel, key, &thief);
    assert_eq!(forged(&domain, stolen, None, None).await, "join_refused");
    // A proof that failed has not used the token up.
    assert!(
        forged(&domain, by_token, None, None)
            .await
            .starts_with("spiffe://")
    );
    assert!(
        forged(&domain, good, None, None)
            .await
            .starts_with("spiffe://")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_too_often_is_not_heard() {
    let domain = Domain::start("own.example").await;
    let mut said = Vec::new();
    for _ in 0..22 {
        let token = |_, _: &SigningKey| JoinMeans::Token(JoinToken::new("chj_guess".to_owned()));
        said.push(forged(&domain, token, None, None).await);
    }
    assert_eq!(said[0], "join_refused");
    assert_eq!(said[21], "join_rate");
    let client = ServerClient::over(domain.stranger());
    assert!(client.trust().await.is_err());
}
