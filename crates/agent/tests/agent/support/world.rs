//! A trust domain with its authorities, and what they sign.

use std::time::{SystemTime, UNIX_EPOCH};

use chancery_agent::{AgentKey, Credential, Gateway, Held};
use chancery_api::tls::TlsIdentity;
use chancery_audit::Disclosure;
use chancery_crypto::{AwsLc, SigningKey};
use chancery_delegation::{Assertion, Entry, PersonDraft, RootDraft, Target, Terms, TrustAnchor};
use chancery_identity::{
    AttestationLevel, Confirmation, Isolation, SpiffeId, WitBundle, WitClaims, X509Bundle, spki_der,
};
use chancery_signer::ca::{
    IssuingAuthority, LeafRequest, SerialNumber, Validity, leaf_certificate, root_certificate,
};
use chancery_types::id::{CredentialId, InstanceId, SessionId};
use chancery_types::{Algorithm, Digest, Jwk, Timestamp, jws};

pub(crate) const GATEWAY: &str = "spiffe://td/service/gateway";
pub(crate) const MISSION: &[u8] = br#"{"mission":"chancery/mission/v1","goal":"Find the report.",
"outcome":{"found":true},"steps":[
{"id":"look","text":"Read.","means":[{"type":"mcp_tool","server":"files","tool":"read"}]},
{"id":"keep","text":"Write.","means":[{"type":"mcp_tool","server":"files","tool":"write"}]}],
"forbid":[],"stop":[],"budget":{"calls":9,"cost_micros":0,"seconds":900},
"approver":{"role":"approver"},"expires":"2099-12-31T00:00:00Z"}"#;
pub(crate) const AUTHORITY: &str = "https://td/authority";

pub(crate) struct World {
    x509: SigningKey,
    root: Vec<u8>,
    pub(crate) tokens: SigningKey,
    pub(crate) delegation: SigningKey,
}

pub(crate) fn now() -> Timestamp {
    Timestamp::from_seconds(
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_secs(),
    )
}

pub(crate) fn gateway_id() -> SpiffeId {
    GATEWAY.parse().unwrap()
}

pub(crate) fn session() -> SessionId {
    SessionId::from_random([5; 16])
}

pub(crate) fn instance(agent: &str, number: u8) -> SpiffeId {
    let instance = InstanceId::from_random([number; 16]);
    format!("spiffe://td/agent/{agent}/instance/{instance}")
        .parse()
        .unwrap()
}

pub(crate) fn entry(tool: &str) -> Entry {
    Entry::new("files", Target::Tool(tool)).unwrap()
}

impl World {
    pub(crate) fn new() -> Self {
        let key = || SigningKey::generate(Algorithm::Es256).unwrap();
        let x509 = key();
        let validity = Validity::from_now(now(), 86_400);
        let serial = SerialNumber::from_random([1; 16]);
        let root = root_certificate(&x509, &"td".parse().unwrap(), validity, serial).unwrap();
        let delegation = SigningKey::generate(Algorithm::Ed25519).unwrap();
        Self {
            x509,
            root,
            tokens: key(),
            delegation,
        }
    }

    pub(crate) fn tls(&self, name: &SpiffeId) -> TlsIdentity {
        let trust_domain = "td".parse().unwrap();
        let authority =
            IssuingAuthority::new(&trust_domain, self.root.clone(), &self.x509).unwrap();
        let key = SigningKey::generate(Algorithm::Es256).unwrap();
        let request = LeafRequest {
            spiffe_id: name,
            dns_names: &[],
            spki_der: &spki_der(key.public()),
            now: now(),
            lifetime_seconds: 3_600,
            serial: SerialNumber::from_random([2; 16]),
        };
        let leaf = leaf_certificate(&authority, request).unwrap();
        let bundle = X509Bundle::new(trust_domain, [self.root.clone()]).unwrap();
        TlsIdentity::new(vec![leaf], key.pkcs8(), bundle).unwrap()
    }

    pub(crate) fn wits(&self) -> WitBundle {
        WitBundle::new("td".parse().unwrap(), [*self.tokens.public()])
    }

    pub(crate) fn wit(&self, name: &SpiffeId, key: &Jwk, seconds: u64) -> String {
        let issued = now().as_seconds() - 10;
        let claims = WitClaims {
            sub: name.clone(),
            cnf: Confirmation { jwk: *key },
            iat: issued,
            exp: issued + seconds,
            jti: CredentialId::from_random([3; 16]),
            manifest_digest: Digest::of("manifest"),
            attestation_level: AttestationLevel::Launch,
            isolation: Isolation::Isolated,
        };
        let input = claims.signing_input(self.tokens.public()).unwrap();
        jws::assemble(&input, &self.tokens.sign(input.as_bytes()).unwrap())
    }

    pub(crate) fn credential(&self, name: &SpiffeId, key: &Jwk) -> Credential {
        Credential {
            wit: self.wit(name, key, 300),
            spiffe_id: name.clone(),
            manifest: b"envelope".to_vec(),
            gateway: Gateway {
                address: ([127, 0, 0, 1], 1).into(),
                spiffe_id: gateway_id(),
            },
        }
    }

    pub(crate) fn anchors(&self) -> [TrustAnchor; 1] {
        [TrustAnchor {
            issuer: AUTHORITY.to_owned(),
            key: *self.delegation.public(),
        }]
    }

    pub(crate) fn root(&self, name: &SpiffeId, key: &AgentKey) -> String {
        let draft = RootDraft {
            issuer: AUTHORITY.to_owned(),
            terms: Terms {
                subject: name.clone(),
                key: *key.public(),
                audience: Some(vec![GATEWAY.to_owned()]),
                issued_at: now(),
                not_before: now().minus_seconds(10),
                expires_at: now().plus_seconds(600),
                jti: "del_1".to_owned(),
                max_depth: 2,
                entries: vec![entry("read"), entry("write")],
                forbid: Vec::new(),
                ask: Vec::new(),
            },
            sid: session().to_string(),
            epoch: 1,
            person: PersonDraft {
                issuer: AUTHORITY.to_owned(),
                subject: "per_1".to_owned(),
                acr: "passkey".to_owned(),
                authenticated_at: now(),
                standing: None,
            },
            mission: Digest::of(MISSION),
        };
        let sign = |message: &[u8]| self.delegation.sign(message);
        let consent = Digest::of(consent().to_bytes().unwrap());
        draft
            .sign(consent, self.delegation.public(), &AwsLc, &sign)
            .unwrap()
    }

    pub(crate) fn held(&self, name: &SpiffeId, key: &AgentKey) -> Held {
        Held::new(
            vec![self.root(name, key)],
            consent(),
            MISSION.to_vec(),
            principal(),
        )
        .unwrap()
    }
}

pub(crate) fn consent() -> Assertion {
    Assertion {
        credential_id: "AA".to_owned(),
        client_data_json: "AA".to_owned(),
        authenticator_data: "AA".to_owned(),
        signature: "AA".to_owned(),
    }
}

pub(crate) fn principal() -> Disclosure {
    Disclosure {
        name: "principal".parse().unwrap(),
        salt: [7; 32],
        value: "a person".to_owned(),
    }
}
