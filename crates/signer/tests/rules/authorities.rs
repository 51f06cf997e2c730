//! The authorities' slots: which one signs, and what never signs again.

use std::os::unix::fs::PermissionsExt as _;

use chancery_api::authority::{
    Authority, AuthorityKind, AuthorityState, CertifyAuthority, ChangeAuthority, PrepareAuthority,
};
use chancery_api::server::TrustText;
use chancery_api::signer::SignJwt;
use chancery_crypto::{SVID_ALGORITHMS, SigningKey, create_private_file};
use chancery_identity::trust::{SignedTrust, TrustDocument, TrustSignature};
use chancery_identity::{TrustDomain, X509Bundle, spki_der, verify_x509_svid};
use chancery_signer::ca::{
    IssuingAuthority, SerialNumber, Validity, certified_intermediate, root_certificate,
};
use chancery_signer::{Lifetimes, RootConfig};
use chancery_types::{Algorithm, Digest, base64url};

use super::{Bench, INSTANCE, NOW, reason, x509};

const KINDS: [AuthorityKind; 3] = AuthorityKind::ALL;

fn serial(byte: u8) -> SerialNumber {
    SerialNumber::from_random([byte; 16])
}

fn change(id: Digest) -> ChangeAuthority {
    ChangeAuthority { id, force: false }
}

impl Bench {
    pub(super) async fn prepare(&self, kind: AuthorityKind) -> Result<Authority, String> {
        let asked = PrepareAuthority { kind, bare: false };
        reason(self.client.prepare_authority(&asked).await)
    }

    async fn active(&self, kind: AuthorityKind) -> Authority {
        let known = self.client.authorities().await.unwrap();
        known.active(kind).unwrap().clone()
    }

    /// What the root makes of a key.
    fn certificate(&self, authority: &Authority, byte: u8) -> Vec<u8> {
        let domain: TrustDomain = "example.org".parse().unwrap();
        let root = base64url::decode(self.trust.x509_authorities.first().unwrap()).unwrap();
        let issuing = IssuingAuthority::new(&domain, root, &self.x509_root).unwrap();
        let spki = spki_der(&authority.key);
        certified_intermediate(&issuing, &spki, NOW, 86_400, serial(byte)).unwrap()
    }

    async fn certify(&self, authority: &Authority, chain: &[Vec<u8>]) -> Result<Authority, String> {
        let request = CertifyAuthority {
            id: authority.id,
            chain: chain.iter().map(base64url::encode).collect(),
        };
        reason(self.client.certify_authority(&request).await)
    }

    /// A prepared authority of X.509 with its certificate.
    async fn prepared_x509(&self, byte: u8) -> Authority {
        let made = self.prepare(AuthorityKind::X509).await.unwrap();
        let certificate = self.certificate(&made, byte);
        self.certify(&made, &[certificate]).await.unwrap()
    }

    pub(super) async fn install(&mut self, change: impl FnOnce(&mut TrustDocument)) {
        let mut trust = self.trust.signed().trust.clone();
        change(&mut trust);
        trust.version += 1;
        trust.previous = Some(self.trust.digest());
        let input = SignedTrust::signing_input(&trust).unwrap();
        let signature = TrustSignature {
            kid: self.root.public().kid(),
            signature: base64url::encode(self.root.sign(&input).unwrap()),
        };
        let signed = SignedTrust {
            signatures: vec![signature],
            trust,
        };
        let document = String::from_utf8(signed.to_bytes().unwrap()).unwrap();
        self.client
            .install_trust(&TrustText { document })
            .await
            .unwrap();
        self.trust = signed.verify(&chancery_crypto::AwsLc).unwrap();
    }

    /// The chain of a fresh SVID, which verifies by the trust document.
    pub(super) async fn issued(&self) -> Vec<Vec<u8>> {
        let chain = self.client.x509(&x509(INSTANCE)).await.unwrap().chain;
        let chain: Vec<_> = chain
            .iter()
            .map(|der| base64url::decode(der).unwrap())
            .collect();
        let roots = self.trust.x509_authorities.iter();
        let roots = roots.map(|der| base64url::decode(der).unwrap());
        let bundle = X509Bundle::new("example.org".parse().unwrap(), roots).unwrap();
        verify_x509_svid(&chain, &bundle, NOW, SVID_ALGORITHMS).unwrap();
        chain
    }
}

fn jwt(kid: String) -> SignJwt {
    let claims = serde_json::json!({
        "aud": ["audience"], "exp": 1_800_000_300_u64, "iat": 1_800_000_000_u64,
        "jti": "crd_7zzzzzzzzzzzzzzzzzzzzzzzzz", "sub": INSTANCE,
    });
    let claims = chancery_types::to_canonical(&claims).unwrap();
    SignJwt {
        claims: String::from_utf8(claims).unwrap(),
        kid,
    }
}

#[tokio::test]
async fn a_folder_begins_with_one_active_authority_of_each_kind() {
    let bench = Bench::new(&[]).await;
    let known = bench.client.authorities().await.unwrap();
    assert!(!known.certifies);
    assert_eq!(known.authorities.len(), 3);
    for kind in KINDS {
        let active = known.active(kind).unwrap();
        assert_eq!(active.id, active.key.thumbprint());
        assert!(!active.tainted);
    }
    let root = Digest::of(base64url::decode(&bench.trust.x509_authorities[0]).unwrap());
    assert_eq!(known.active(AuthorityKind::X509).unwrap().root, Some(root));
    let file = bench.folder.path().join("authorities.json");
    let mode = std::fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let text = std::fs::read_to_string(file).unwrap();
    assert!(!text.contains("PRIVATE") && !text.contains("\"d\""));
}

#[tokio::test]
async fn an_intermediate_signs_once_it_is_certified_and_activated() {
    let bench = Bench::new(&[]).await;
    let before = bench.issued().await;
    let first = bench.active(AuthorityKind::X509).await;
    let made = bench.prepare(AuthorityKind::X509).await.unwrap();
    assert_eq!(
        (made.state, made.chain.len()),
        (AuthorityState::Prepared, 0)
    );
    let again = bench.prepare(AuthorityKind::X509).await.unwrap_err();
    assert_eq!(again, "authority_prepared");
    // Nothing is signed below it: it has no certificate.
    let bare = bench.client.activate_authority(&change(made.id)).await;
    assert_eq!(reason(bare).unwrap_err(), "authority");
    let certificate = bench.certificate(&made, 20);
    let made = bench
        .certify(&made, std::slice::from_ref(&certificate))
        .await
        .unwrap();
    assert_eq!(made.root, first.root);
    assert_eq!(bench.issued().await[1], before[1]);
    let active = bench
        .client
        .activate_authority(&change(made.id))
        .await
        .unwrap();
    assert_eq!(active.state, AuthorityState::Active);
    assert_eq!(bench.issued().await[1], certificate);
    let known = bench.client.authorities().await.unwrap();
    let old = known.by_id(first.id).unwrap();
    assert_eq!((old.state, old.old_since), (AuthorityState::Old, Some(NOW)));
    // Each has a name of its own.
    assert_ne!(before[1], certificate);
}

#[tokio::test]
async fn a_certificate_is_of_the_prepared_key_and_below_a_root_of_the_trust_document() {
    let bench = Bench::new(&[]).await;
    let made = bench.prepare(AuthorityKind::X509).await.unwrap();
    let good = bench.certificate(&made, 20);
    let domain: TrustDomain = "example.org".parse().unwrap();
    let other = SigningKey::generate(Algorithm::Es256).unwrap();
    let foreign = |name: &TrustDomain| {
        let validity = Validity::from_now(NOW, 86_400 * 365);
        let root = root_certificate(&other, name, validity, serial(1)).unwrap();
        let issuing = IssuingAuthority::new(name, root, &other).unwrap();
        let spki = spki_der(&made.key);
        certified_intermediate(&issuing, &spki, NOW, 86_400, serial(2)).unwrap()
    };
    let stranger = Authority {
        key: *other.public(),
        ..made.clone()
    };
    let cases = [
        vec![],
        vec![vec![0]],
        vec![bench.certificate(&stranger, 3)],
        vec![foreign(&domain)],
        vec![foreign(&"example.com".parse().unwrap())],
        vec![base64url::decode(&bench.trust.x509_authorities[0]).unwrap()],
    ];
    for (case, chain) in cases.iter().enumerate() {
        let refused = bench.certify(&made, chain).await.unwrap_err();
        assert_eq!(refused, "authority_certificate", "{case}");
    }
    let active = bench.active(AuthorityKind::X509).await;
    let refused = bench.certify(&active, std::slice::from_ref(&good)).await;
    assert_eq!(refused.unwrap_err(), "authority_state");
    let jwt = bench.prepare(AuthorityKind::Jwt).await.unwrap();
    let refused = bench.certify(&jwt, std::slice::from_ref(&good)).await;
    assert_eq!(refused.unwrap_err(), "authority_state");
    bench.certify(&made, &[good]).await.unwrap();
}

#[tokio::test]
async fn what_was_old_never_signs_again_whatever_restarts() {
    let mut bench = Bench::new(&[]).await;
    let first = bench.active(AuthorityKind::X509).await;
    let second = bench.prepared_x509(20).await;
    bench
        .client
        .activate_authority(&change(second.id))
        .await
        .unwrap();
    for _ in 0..2 {
        let back = bench.client.activate_authority(&change(first.id)).await;
        assert_eq!(reason(back).unwrap_err(), "authority_state");
        assert_eq!(bench.active(AuthorityKind::X509).await.id, second.id);
        // What is active is activated as often as it is asked for.
        bench
            .client
            .activate_authority(&change(second.id))
            .await
            .unwrap();
        bench.client = bench.again().await;
    }
    assert_eq!(
        bench.issued().await[1],
        base64url::decode(&second.chain[0]).unwrap()
    );
    let unknown = bench
        .client
        .activate_authority(&change(Digest::of("none")))
        .await;
    assert_eq!(reason(unknown).unwrap_err(), "authority_unknown");
}

#[tokio::test]
async fn the_key_of_what_signs_is_neither_tainted_nor_destroyed() {
    let mut bench = Bench::new(&[]).await;
    for kind in KINDS {
        let active = bench.active(kind).await;
        let tainted = bench.client.taint_authority(&change(active.id)).await;
        assert_eq!(reason(tainted).unwrap_err(), "authority_active");
        let destroyed = bench.client.destroy_authority(&change(active.id)).await;
        assert_eq!(reason(destroyed).unwrap_err(), "authority_active");
    }
    let first = bench.active(AuthorityKind::X509).await;
    let second = bench.prepared_x509(20).await;
    bench
        .client
        .activate_authority(&change(second.id))
        .await
        .unwrap();
    assert!(
        bench
            .client
            .taint_authority(&change(first.id))
            .await
            .unwrap()
            .tainted
    );
    bench
        .client
        .destroy_authority(&change(first.id))
        .await
        .unwrap();
    let key = bench.folder.path().join("intermediate.key");
    assert_eq!(std::fs::read(key).unwrap(), b"destroyed\n");
    // The signer starts without it.
    bench.client = bench.again().await;
    let known = bench.client.authorities().await.unwrap();
    assert!(known.by_id(first.id).is_none());
    assert_eq!(known.active(AuthorityKind::X509).unwrap().id, second.id);
    let generation = known.generation;
    let third = bench.prepared_x509(21).await;
    assert!(third.number > second.number);
    assert!(bench.client.authorities().await.unwrap().generation > generation);
}

/// What cannot be written is not so in memory either: the signer goes on as it was, and each step can
/// be asked for again.
#[tokio::test]
async fn a_step_that_cannot_be_written_changes_nothing() {
    let mut bench = Bench::new(&[]).await;
    let first = bench.active(AuthorityKind::X509).await;
    let second = bench.prepared_x509(20).await;
    let known = bench.client.authorities().await.unwrap();
    // The name that the next content is written under is taken, by what no file can replace.
    let taken = bench.folder.path().join("authorities.next");
    std::fs::create_dir(&taken).unwrap();
    assert!(bench.prepare(AuthorityKind::Jwt).await.is_err());
    let certificate = bench.certificate(&second, 21);
    assert!(bench.certify(&second, &[certificate]).await.is_err());
    let activated = bench.client.activate_authority(&change(second.id)).await;
    assert!(activated.is_err());
    assert!(
        bench
            .client
            .taint_authority(&change(second.id))
            .await
            .is_err()
    );
    let destroyed = bench.client.destroy_authority(&change(second.id)).await;
    assert!(destroyed.is_err());
    assert_eq!(bench.client.authorities().await.unwrap(), known);
    assert_eq!(
        bench.issued().await[1],
        base64url::decode(&first.chain[0]).unwrap()
    );
    std::fs::remove_dir(&taken).unwrap();
    bench.prepare(AuthorityKind::Jwt).await.unwrap();
    let activated = bench.client.activate_authority(&change(second.id)).await;
    assert_eq!(activated.unwrap().state, AuthorityState::Active);
    bench.client = bench.again().await;
    assert_eq!(bench.active(AuthorityKind::X509).await.id, second.id);
}

#[tokio::test]
async fn as_many_as_are_kept_are_made_and_no_more() {
    let mut bench = Bench::new(&[]).await;
    let mut made = 3_u8;
    loop {
        let next = bench.prepare(AuthorityKind::X509).await;
        let next = match next {
            Ok(next) => next,
            Err(refused) => {
                assert_eq!(refused, "authority_full");
                break;
            }
        };
        let certificate = bench.certificate(&next, made);
        bench.certify(&next, &[certificate]).await.unwrap();
        let active = bench.client.activate_authority(&change(next.id)).await;
        active.unwrap();
        made += 1;
    }
    assert_eq!(made, 64);
    let known = bench.client.authorities().await.unwrap();
    let keys = || std::fs::read_dir(bench.folder.path()).unwrap().count();
    let before = keys();
    assert!(bench.prepare(AuthorityKind::Wit).await.is_err());
    assert_eq!(keys(), before);
    assert_eq!(bench.client.authorities().await.unwrap(), known);
    bench.client = bench.again().await;
    let old = known.authorities.iter();
    let mut old = old.filter(|one| one.state == AuthorityState::Old);
    let oldest = old.next().unwrap().id;
    bench
        .client
        .destroy_authority(&change(oldest))
        .await
        .unwrap();
    bench.prepare(AuthorityKind::Wit).await.unwrap();
}

#[tokio::test]
async fn keys_of_tokens_sign_only_once_the_trust_document_names_them() {
    let mut bench = Bench::new(&[]).await;
    for kind in [AuthorityKind::Jwt, AuthorityKind::Wit] {
        let first = bench.active(kind).await;
        let next = bench.prepare(kind).await.unwrap();
        let unnamed = bench.client.activate_authority(&change(next.id)).await;
        assert_eq!(reason(unnamed).unwrap_err(), "authority");
        bench
            .install(|trust| match kind {
                AuthorityKind::Jwt => trust.jwt_authorities.push(next.key),
                _ => trust.token_authorities.push(next.key),
            })
            .await;
        bench
            .client
            .activate_authority(&change(next.id))
            .await
            .unwrap();
        assert_ne!(first.id, next.id);
    }
    let active = bench.active(AuthorityKind::Jwt).await;
    let old = bench.trust.jwt_authorities[0].kid();
    assert_ne!(old, active.key.kid());
    let refused = bench.client.jwt(&jwt(old)).await;
    assert_eq!(reason(refused).unwrap_err(), "authority");
    bench.client.jwt(&jwt(active.key.kid())).await.unwrap();
    bench
        .client
        .wit(&bench.wit(INSTANCE, 1_800_000_600))
        .await
        .unwrap();
    // Nothing is signed by what the trust document names no more.
    bench
        .install(|trust| trust.jwt_authorities.truncate(1))
        .await;
    let refused = bench.client.jwt(&jwt(active.key.kid())).await;
    assert_eq!(reason(refused).unwrap_err(), "authority");
    bench
        .install(|trust| trust.token_authorities.truncate(1))
        .await;
    let refused = bench.client.wit(&bench.wit(INSTANCE, 1_800_000_600)).await;
    assert_eq!(reason(refused).unwrap_err(), "authority");
    bench.install(|trust| trust.x509_authorities.clear()).await;
    let refused = bench.client.x509(&x509(INSTANCE)).await;
    assert_eq!(reason(refused).unwrap_err(), "authority");
}

/// The signer reaches an authority that exists already: below a root of the trust document, with an
/// intermediate of its own.
#[tokio::test]
async fn an_existing_authority_certifies_by_itself() {
    let mut bench = Bench::new(&[]).await;
    let (root, between) = (
        SigningKey::generate(Algorithm::Es256).unwrap(),
        SigningKey::generate(Algorithm::Es256).unwrap(),
    );
    let ca = rcgen_authority(&root, &between);
    let folder = bench.folder.path().to_owned();
    std::fs::write(folder.join("upstream.pem"), &ca.pem).unwrap();
    create_private_file(&folder.join("upstream.key"), between.pkcs8().expose()).unwrap();
    let config = RootConfig {
        certificate: Some("upstream.pem".into()),
        key: Some("upstream.key".into()),
        lifetimes: Some(Lifetimes {
            x509_seconds: 7_200,
            ..Lifetimes::default()
        }),
        ..RootConfig::default()
    };
    config.write(&folder).unwrap();
    bench.client = bench.again().await;
    assert!(bench.client.authorities().await.unwrap().certifies);
    let refused = bench.prepare(AuthorityKind::X509).await.unwrap_err();
    assert_eq!(refused, "authority_certificate", "its root is not named");
    bench
        .install(|trust| trust.x509_authorities.push(base64url::encode(&ca.root)))
        .await;
    let made = bench.prepare(AuthorityKind::X509).await.unwrap();
    assert_eq!(made.root, Some(Digest::of(&ca.root)));
    assert_eq!(
        made.chain.len(),
        2,
        "its own, and the one between it and the root"
    );
    assert_eq!(made.ends, NOW.plus_seconds(7_200));
    bench
        .client
        .activate_authority(&change(made.id))
        .await
        .unwrap();
    assert_eq!(bench.issued().await.len(), 3);
}

struct Ca {
    root: Vec<u8>,
    pem: String,
}

/// A root and an authority below it that know nothing of SPIFFE.
fn rcgen_authority(root: &SigningKey, between: &SigningKey) -> Ca {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, KeyUsagePurpose};
    let pair = |key: &SigningKey| {
        KeyPair::from_pkcs8_der_and_sign_algo(
            &key.pkcs8().expose().into(),
            &rcgen::PKCS_ECDSA_P256_SHA256,
        )
        .unwrap()
    };
    let params = |name: &str, depth| {
        let mut params = CertificateParams::default();
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(depth));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.not_before = time(NOW.minus_seconds(60).as_seconds());
        params.not_after = time(NOW.plus_seconds(86_400 * 30).as_seconds());
        params
    };
    let root = pair(root);
    let own = params("a root that was there before", 2)
        .self_signed(&root)
        .unwrap();
    let issuer = Issuer::new(params("a root that was there before", 2), root);
    let below = params("an authority that was there before", 1)
        .signed_by(&pair(between), &issuer)
        .unwrap();
    Ca {
        root: own.der().to_vec(),
        pem: format!("{}{}", below.pem(), own.pem()),
    }
}

fn time(seconds: u64) -> ::time::OffsetDateTime {
    ::time::OffsetDateTime::from_unix_timestamp(i64::try_from(seconds).unwrap()).unwrap()
}

#[tokio::test]
async fn a_file_that_contradicts_itself_is_refused() {
    let bench = Bench::new(&[]).await;
    let file = bench.folder.path().join("authorities.json");
    let good = std::fs::read_to_string(&file).unwrap();
    let opened = || bench.reopened();
    assert!(opened().is_ok());
    for (case, bad) in [
        String::new(),
        "{}".to_owned(),
        good.replace("\"active\"", "\"signing\""),
        good.replacen("\"numbered\": 3", "\"numbered\": 2", 1),
        good.replacen("\"tainted\": false", "\"tainted\": true", 1),
        good.replacen("intermediate.key", "../other.key", 1),
        good.replacen("intermediate.key", "token.key", 1),
        good.replacen("\"slots\"", "\"more\": 1, \"slots\"", 1),
        good.replacen("\"jwt\"", "\"wit\"", 1),
    ]
    .into_iter()
    .enumerate()
    {
        assert_ne!(bad, good, "{case}");
        std::fs::write(&file, bad).unwrap();
        assert!(opened().is_err(), "{case}");
    }
}
