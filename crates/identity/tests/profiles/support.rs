//! Trust domains that sign whatever a test asks for.

use chancery_crypto::{AwsLc, SVID_ALGORITHMS, SigningKey};
use chancery_identity::jwt_svid::JwtSvidContext;
use chancery_identity::{
    BundleDocument, BundleKeys, Incubating, JwtBundle, JwtBundles, JwtSvidError, Leeway,
    TrustDomain, VerifiedJwtSvid, VerifiedX509Svid, WitSvidBundle, X509Bundle, X509SvidError,
    verify_jwt_svid, verify_x509_svid,
};
use chancery_types::jws::assemble;
use chancery_types::{Algorithm, SvidKey, Timestamp, base64url};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, SanType,
};
use serde_json::{Value, json};

pub(crate) const NOW: u64 = 1_800_000_000;

pub(crate) fn now() -> Timestamp {
    Timestamp::from_seconds(NOW)
}

pub(crate) fn uri(text: &str) -> SanType {
    SanType::URI(text.try_into().unwrap())
}

pub(crate) fn dns(text: &str) -> SanType {
    SanType::DnsName(text.try_into().unwrap())
}

pub(crate) fn validity(params: &mut CertificateParams, from: u64, to: u64) {
    let date =
        |seconds: u64| rcgen::date_time_ymd(1970, 1, 1) + std::time::Duration::from_secs(seconds);
    params.not_before = date(from);
    params.not_after = date(to);
}

/// A key that signs certificates.
pub(crate) struct Authority {
    params: CertificateParams,
    key: KeyPair,
    pub(crate) der: Vec<u8>,
}

impl Authority {
    pub(crate) fn root(name: &TrustDomain, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let params = authority_params(name, change);
        let key = KeyPair::generate().unwrap();
        let der = params.self_signed(&key).unwrap().der().to_vec();
        Self { params, key, der }
    }

    pub(crate) fn intermediate(
        &self,
        name: &TrustDomain,
        change: impl FnOnce(&mut CertificateParams),
    ) -> Self {
        let mut params = authority_params(name, |_| {});
        params
            .distinguished_name
            .push(DnType::CommonName, "intermediate");
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let der = self.sign(&params, &key);
        Self { params, key, der }
    }

    fn sign(&self, params: &CertificateParams, key: &KeyPair) -> Vec<u8> {
        let issuer = Issuer::from_params(&self.params, &self.key);
        params.signed_by(key, &issuer).unwrap().der().to_vec()
    }

    pub(crate) fn leaf(&self, id: &str, change: impl FnOnce(&mut CertificateParams)) -> Vec<u8> {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.subject_alt_names = vec![uri(id)];
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        validity(&mut params, NOW - 10, NOW + 100);
        change(&mut params);
        self.sign(&params, &KeyPair::generate().unwrap())
    }
}

fn authority_params(
    name: &TrustDomain,
    change: impl FnOnce(&mut CertificateParams),
) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    let subject = name.as_str().to_owned();
    params.distinguished_name.push(DnType::CommonName, subject);
    params.subject_alt_names = vec![uri(name.to_spiffe_id().as_str())];
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    validity(&mut params, NOW - 1_000, NOW + 1_000_000);
    change(&mut params);
    params
}

/// A trust domain with a key of each kind.
pub(crate) struct Domain {
    pub(crate) name: TrustDomain,
    pub(crate) root: Authority,
    pub(crate) jwt: SigningKey,
    pub(crate) wit: SigningKey,
}

impl Domain {
    pub(crate) fn new(name: &str) -> Self {
        let name: TrustDomain = name.parse().unwrap();
        Self {
            root: Authority::root(&name, |_| {}),
            jwt: es256(),
            wit: es256(),
            name,
        }
    }

    /// The coordinates of the authority's key.
    pub(crate) fn root_point(&self) -> Vec<u8> {
        self.root.key.public_key_raw()[1..].to_vec()
    }

    pub(crate) fn x509(&self) -> X509Bundle {
        X509Bundle::new(self.name.clone(), [self.root.der.clone()]).unwrap()
    }

    pub(crate) fn jwt_bundle(&self) -> JwtBundle {
        JwtBundle::new(self.name.clone(), [svid_key(&self.jwt)])
    }

    pub(crate) fn wit_bundle(&self) -> WitSvidBundle {
        WitSvidBundle::new(self.name.clone(), [svid_key(&self.wit)])
    }

    pub(crate) fn keys(&self) -> BundleKeys {
        BundleKeys {
            x509: self.x509(),
            jwt: self.jwt_bundle(),
            wit: self.wit_bundle(),
        }
    }

    pub(crate) fn document(&self, sequence: u64) -> BundleDocument {
        BundleDocument::new(self.name.clone(), self.keys(), sequence, 300)
    }

    /// As it is served.
    pub(crate) fn served(&self, sequence: u64) -> Value {
        serde_json::from_str(&self.document(sequence).to_json().unwrap()).unwrap()
    }

    pub(crate) fn judge_x509(&self, chain: &[Vec<u8>]) -> Result<VerifiedX509Svid, X509SvidError> {
        verify_x509_svid(chain, &self.x509(), now(), SVID_ALGORITHMS)
    }

    /// The claims of a good JWT-SVID for `audience`.
    pub(crate) fn jwt_claims(&self) -> Value {
        json!({
            "sub": format!("spiffe://{}/agent/a", self.name),
            "aud": ["audience"],
            "exp": NOW + 300,
        })
    }

    pub(crate) fn jwt_header(&self) -> Value {
        json!({"alg": "ES256", "typ": "JWT", "kid": self.jwt.public().kid()})
    }

    pub(crate) fn jwt_svid(&self, header: &Value, claims: &Value) -> String {
        signed(&self.jwt, header, claims)
    }
}

pub(crate) fn es256() -> SigningKey {
    SigningKey::generate(Algorithm::Es256).unwrap()
}

pub(crate) fn svid_key(key: &SigningKey) -> SvidKey {
    SvidKey::try_from(key.public()).unwrap()
}

/// A compact JWS of any header and any payload.
pub(crate) fn signed(key: &SigningKey, header: &Value, claims: &Value) -> String {
    signed_text(key, &header.to_string(), &claims.to_string())
}

pub(crate) fn signed_text(key: &SigningKey, header: &str, claims: &str) -> String {
    let (header, claims) = (base64url::encode(header), base64url::encode(claims));
    let input = format!("{header}.{claims}");
    assemble(&input, &key.sign(input.as_bytes()).unwrap())
}

/// `value` with one member put in, or taken out where `member` is `None`.
pub(crate) fn with(value: &Value, name: &str, member: Option<Value>) -> Value {
    let mut members = value.as_object().unwrap().clone();
    match member {
        Some(member) => members.insert(name.to_owned(), member),
        None => members.remove(name),
    };
    Value::Object(members)
}

pub(crate) fn judge_jwt(
    token: &str,
    bundles: &JwtBundles,
    leeway: u64,
) -> Result<VerifiedJwtSvid, JwtSvidError> {
    let context = JwtSvidContext {
        audience: &"audience".parse().unwrap(),
        bundles,
        now: now(),
        leeway: Leeway::try_from(leeway).unwrap(),
        verifier: &AwsLc,
    };
    verify_jwt_svid(token, &context)
}

pub(crate) fn read(
    domain: &Domain,
    document: &Value,
) -> Result<BundleDocument, chancery_identity::BundleDocumentError> {
    BundleDocument::parse(
        domain.name.clone(),
        document.to_string().as_bytes(),
        Incubating::WIT_SVID,
    )
}
