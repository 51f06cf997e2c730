//! An existing PKI over HTTP that certifies. It is a stand-in: no program that we did not write was
//! there to be asked. It checks each request as Vault's engine documents it, and signs what it is asked.

use std::sync::{Arc, Mutex};

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use axum::{Json, Router};
use chancery_api::authority::{AuthorityKind, AuthorityState, ChangeAuthority, PrepareAuthority};
use chancery_crypto::create_private_file;
use chancery_signer::{RootConfig, VaultConfig};
use chancery_types::base64url;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use serde_json::{Value, json};

use super::{Bench, NOW};

/// What the stand-in does with a request that is as it must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mood {
    Signs,
    Refuses,
    /// Signs another key than the one it was asked for.
    SignsAnother,
    SaysNothing,
}

struct Stand {
    issuer: Issuer<'static, KeyPair>,
    root: String,
    mood: Mutex<Mood>,
}

fn pair() -> KeyPair {
    KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap()
}

fn date(seconds: u64) -> ::time::OffsetDateTime {
    ::time::OffsetDateTime::from_unix_timestamp(i64::try_from(seconds).unwrap()).unwrap()
}

fn authority(params: &mut CertificateParams, depth: u8, seconds: u64) {
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(depth));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.not_before = date(NOW.as_seconds() - 60);
    params.not_after = date(NOW.as_seconds() + seconds);
}

async fn sign(
    State(stand): State<Arc<Stand>>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> (StatusCode, Json<Value>) {
    let refused = |status, text: &str| (status, Json(json!({"errors": [text]})));
    if headers
        .get("x-vault-token")
        .is_none_or(|token| token != "s.correct")
    {
        return refused(StatusCode::FORBIDDEN, "permission denied");
    }
    assert_eq!(body["common_name"], "example.org");
    assert_eq!(body["uri_sans"], "spiffe://example.org");
    assert_eq!(body["use_csr_values"], true);
    assert_eq!(body["format"], "pem");
    assert_eq!(body["ttl"], "2592000s");
    let csr = body["csr"].as_str().unwrap();
    let mut csr = CertificateSigningRequestParams::from_pem(csr).unwrap();
    authority(&mut csr.params, 0, 2_592_000);
    csr.params.serial_number = Some(rcgen::SerialNumber::from(7));
    let signed = match *stand.mood.lock().unwrap() {
        Mood::Signs => csr.signed_by(&stand.issuer).unwrap(),
        Mood::SignsAnother => csr.params.signed_by(&pair(), &stand.issuer).unwrap(),
        Mood::Refuses => return refused(StatusCode::BAD_REQUEST, "no"),
        Mood::SaysNothing => return (StatusCode::OK, Json(json!({"data": {}}))),
    };
    let data = json!({
        "certificate": signed.pem(), "issuing_ca": stand.root, "ca_chain": [stand.root],
        "serial_number": "07", "expiration": NOW.as_seconds() + 2_592_000,
    });
    (
        StatusCode::OK,
        Json(json!({"request_id": "r", "data": data})),
    )
}

#[tokio::test]
async fn a_pki_over_http_certifies_and_is_believed_in_nothing_else() {
    let mut params = CertificateParams::default();
    params
        .distinguished_name
        .push(rcgen::DnType::CommonName, "a pki");
    authority(&mut params, 1, 86_400 * 365);
    let key = pair();
    let root = params.self_signed(&key).unwrap();
    let stand = Arc::new(Stand {
        root: root.pem(),
        issuer: Issuer::new(params, key),
        mood: Mutex::new(Mood::Signs),
    });
    let router = Router::new()
        .route("/v1/pki/root/sign-intermediate", post(sign))
        .with_state(Arc::clone(&stand));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    let mut bench = Bench::new(&[]).await;
    let folder = bench.folder.path().to_owned();
    let token = folder.join("vault.token");
    create_private_file(&token, b"s.wrong\n").unwrap();
    let config = RootConfig {
        vault: Some(VaultConfig {
            address,
            mount: "pki".to_owned(),
            token: "vault.token".into(),
            authorities: None,
        }),
        ..RootConfig::default()
    };
    config.write(&folder).unwrap();
    bench.client = bench.again().await;
    let kind = AuthorityKind::X509;
    let root = base64url::encode(root.der());
    bench
        .install(|trust| trust.x509_authorities.push(root))
        .await;
    assert_eq!(bench.prepare(kind).await.unwrap_err(), "authority_root");
    std::fs::remove_file(&token).unwrap();
    assert_eq!(bench.prepare(kind).await.unwrap_err(), "authority_root");
    create_private_file(&token, b"s.correct\n").unwrap();
    for (mood, reason) in [
        (Mood::Refuses, "authority_root"),
        (Mood::SaysNothing, "authority_root"),
        (Mood::SignsAnother, "authority_certificate"),
    ] {
        *stand.mood.lock().unwrap() = mood;
        assert_eq!(bench.prepare(kind).await.unwrap_err(), reason, "{mood:?}");
    }
    // Nothing is left of what failed, nor of what was asked about when the signer ended.
    let keys = || {
        let files = std::fs::read_dir(&folder).unwrap();
        let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
        let made = names.filter(|name| name.starts_with("authority-"));
        made.collect::<Vec<_>>()
    };
    assert_eq!(keys(), Vec::<String>::new());
    let bare = PrepareAuthority { kind, bare: true };
    bench.client.prepare_authority(&bare).await.unwrap();
    assert_eq!(keys().len(), 1);
    bench.client = bench.again().await;
    assert_eq!(keys(), Vec::<String>::new());
    let known = bench.client.authorities().await.unwrap();
    assert_eq!(known.authorities.len(), 3);
    *stand.mood.lock().unwrap() = Mood::Signs;
    let made = bench.prepare(kind).await.unwrap();
    assert_eq!(
        (made.state, made.chain.len()),
        (AuthorityState::Prepared, 1)
    );
    let request = ChangeAuthority {
        id: made.id,
        force: false,
    };
    bench.client.activate_authority(&request).await.unwrap();
    assert_eq!(bench.issued().await.len(), 2);
}

#[tokio::test]
async fn a_token_is_never_sent_in_clear_to_another_machine() {
    let bench = Bench::new(&[]).await;
    let folder = bench.folder.path();
    let with = |address: &str, mount: &str| {
        let vault = VaultConfig {
            address: address.to_owned(),
            mount: mount.to_owned(),
            token: "vault.token".into(),
            authorities: None,
        };
        let config = RootConfig {
            vault: Some(vault),
            ..RootConfig::default()
        };
        config.write(folder).unwrap();
        bench.reopened().is_ok()
    };
    for good in [
        "https://vault.example:8200",
        "https://vault.example/",
        "http://127.0.0.1:8200",
        "http://[::1]:8200",
        "http://localhost:8200",
    ] {
        assert!(with(good, "pki"), "{good}");
    }
    for bad in [
        "http://vault.example:8200",
        "http://10.0.0.1:8200",
        "http://127.0.0.1.example:8200",
        "ftp://127.0.0.1",
        "vault.example:8200",
        "https://vault.example/v1",
        "https://",
        "",
    ] {
        assert!(!with(bad, "pki"), "{bad}");
    }
    for bad in ["", "/", "pki/", "pki/../sys", "pki?x", "p ki", "pki#"] {
        assert!(!with("https://vault.example:8200", bad), "{bad}");
    }
    assert!(with("https://vault.example:8200", "team/pki"));
    let half = RootConfig {
        certificate: Some("ca.pem".into()),
        ..RootConfig::default()
    };
    half.write(folder).unwrap();
    assert!(bench.reopened().is_err());
}
