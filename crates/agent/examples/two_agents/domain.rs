//! A trust domain that lives as long as this process: its authorities, one person, and nodes that
//! vouch for whoever asks. A deployment has `chancery up` and a node in this place.

use std::error::Error;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use chancery_agent::handshake::PeerTrust;
use chancery_agent::{AgentKey, Answer, Credential, Gateway, Held, NodeError, NodeIdentity};
use chancery_api::tls::TlsIdentity;
use chancery_audit::Disclosure;
use chancery_crypto::{AwsLc, SigningKey, random_bytes, random_id};
use chancery_delegation::{
    Entry, PersonDraft, RevocationSet, RootDraft, SoftwareAuthenticator, Target, Terms,
};
use chancery_identity::trust::{
    DelegationAuthority, Person, PersonCredential, Role, SignedTrust, TrustDocument, TrustFormat,
    TrustSignature, VerifiedTrust,
};
use chancery_identity::{
    AttestationLevel, Confirmation, Isolation, SpiffeId, WitClaims, X509Bundle, spki_der,
};
use chancery_signer::ca::{
    IssuingAuthority, LeafRequest, SerialNumber, Validity, leaf_certificate, root_certificate,
};
use chancery_types::id::{CredentialKind, DelegationKind, PersonId, SessionKind};
use chancery_types::{Algorithm, Digest, Jwk, Timestamp, base64url, jws};

pub(crate) type Made<T> = Result<T, Box<dyn Error + Send + Sync>>;

const NAME: &str = "example.org";
const GATEWAY: &str = "spiffe://example.org/service/gateway";
const AUTHORITY: &str = "https://example.org/authority";
const CREDENTIAL: &str = "AQID";
const RP: &str = "localhost";
const ORIGIN: &str = "https://localhost";
const MISSION: &[u8] = br#"{"mission":"chancery/mission/v1","goal":"Read the reports of the north and sum them up.",
"outcome":{"summed":true},"steps":[
{"id":"read","text":"Read the reports.","means":[{"type":"mcp_tool","server":"files","tool":"read"}]},
{"id":"write","text":"Write the sum.","means":[{"type":"mcp_tool","server":"files","tool":"write"}]}],
"forbid":[],"stop":[],"budget":{"calls":9,"cost_micros":0,"seconds":900},
"approver":{"role":"approver"},"expires":"2099-12-31T00:00:00Z"}"#;

/// The trust domain.
pub(crate) struct Domain {
    x509: SigningKey,
    root: Vec<u8>,
    tokens: SigningKey,
    delegation: SigningKey,
    person: SigningKey,
    person_id: PersonId,
    trust: Arc<VerifiedTrust>,
}

/// A node that vouches for one instance.
pub(crate) struct Node {
    domain: Arc<Domain>,
    name: SpiffeId,
}

pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    Timestamp::from_seconds(since.map_or(0, |since| since.as_secs()))
}

/// An instance's name.
pub(crate) fn instance(agent: &str) -> Made<SpiffeId> {
    let id = random_id::<chancery_types::id::InstanceKind>()?;
    Ok(format!("spiffe://{NAME}/agent/{agent}/instance/{id}").parse()?)
}

/// The right to call one tool of the server `files`.
pub(crate) fn entry(tool: &str) -> Made<Entry> {
    Ok(Entry::new("files", Target::Tool(tool)).map_err(|reason| reason.code())?)
}

pub(crate) fn gateway() -> Made<Gateway> {
    Ok(Gateway {
        address: ([127, 0, 0, 1], 1).into(),
        spiffe_id: GATEWAY.parse()?,
    })
}

impl Domain {
    pub(crate) fn new() -> Made<Arc<Self>> {
        let key = SigningKey::generate;
        let (root_key, x509) = (key(Algorithm::Ed25519)?, key(Algorithm::Es256)?);
        let (tokens, delegation) = (key(Algorithm::Es256)?, key(Algorithm::Ed25519)?);
        let person = key(Algorithm::Es256)?;
        let person_id = PersonId::from_random(random_bytes()?);
        let validity = Validity::from_now(now(), 86_400);
        let serial = SerialNumber::from_random(random_bytes()?);
        let root = root_certificate(&x509, &NAME.parse()?, validity, serial)?;
        let document = TrustDocument {
            format: TrustFormat::V1,
            version: 1,
            trust_domain: NAME.to_owned(),
            issued_at: now(),
            previous: None,
            threshold: 1,
            roots: vec![*root_key.public()],
            x509_authorities: vec![base64url::encode(&root)],
            token_authorities: vec![*tokens.public()],
            jwt_authorities: vec![],
            delegation_authorities: vec![DelegationAuthority {
                issuer: AUTHORITY.to_owned(),
                key: *delegation.public(),
            }],
            access_token_authorities: vec![],
            manifest_issuers: Vec::new(),
            people: vec![Person {
                id: person_id,
                roles: vec![Role::Principal],
                credentials: vec![PersonCredential {
                    credential_id: CREDENTIAL.to_owned(),
                    key: *person.public(),
                    rp_id: RP.to_owned(),
                    origin: ORIGIN.to_owned(),
                    hardware: false,
                    stand_in: true,
                }],
            }],
            policy_signers: Vec::new(),
            policy_quorum: None,
            snapshot_signers: Vec::new(),
            record_signers: Vec::new(),
            witnesses: None,
            log_origins: Vec::new(),
        };
        let signature = TrustSignature {
            kid: root_key.public().kid(),
            signature: base64url::encode(root_key.sign(&SignedTrust::signing_input(&document)?)?),
        };
        let signed = SignedTrust {
            signatures: vec![signature],
            trust: document,
        };
        Ok(Arc::new(Self {
            x509,
            root,
            tokens,
            delegation,
            person,
            person_id,
            trust: Arc::new(signed.verify(&AwsLc)?),
        }))
    }

    /// What every agent of the domain believes.
    pub(crate) fn trust(&self) -> PeerTrust {
        PeerTrust::new(Arc::clone(&self.trust), 1, RevocationSet::default())
    }

    /// The trust document: what a stranger verifies a chain with.
    pub(crate) fn document(&self) -> &TrustDocument {
        &self.trust
    }

    /// An X.509-SVID with its key.
    pub(crate) fn svid(&self, name: &SpiffeId) -> Made<TlsIdentity> {
        let domain = NAME.parse()?;
        let authority = IssuingAuthority::new(&domain, self.root.clone(), &self.x509)?;
        let key = SigningKey::generate(Algorithm::Es256)?;
        let request = LeafRequest {
            spiffe_id: name,
            dns_names: &[],
            spki_der: &spki_der(key.public()),
            now: now(),
            lifetime_seconds: 3_600,
            serial: SerialNumber::from_random(random_bytes()?),
        };
        let leaf = leaf_certificate(&authority, request)?;
        let bundle = X509Bundle::new(domain, [self.root.clone()])?;
        Ok(TlsIdentity::new(vec![leaf], key.pkcs8(), bundle)?)
    }

    /// The credential of an agent key.
    pub(crate) fn wit(&self, name: &SpiffeId, key: &Jwk) -> Made<String> {
        let issued = now().as_seconds();
        let claims = WitClaims {
            sub: name.clone(),
            cnf: Confirmation { jwk: *key },
            iat: issued,
            exp: issued + 300,
            jti: random_id::<CredentialKind>()?,
            manifest_digest: Digest::of("manifest"),
            attestation_level: AttestationLevel::Launch,
            isolation: Isolation::Isolated,
        };
        let input = claims.signing_input(self.tokens.public())?;
        Ok(jws::assemble(&input, &self.tokens.sign(input.as_bytes())?))
    }

    /// A node that vouches for that name.
    pub(crate) fn node(self: &Arc<Self>, name: &SpiffeId) -> Arc<Node> {
        Arc::new(Node {
            domain: Arc::clone(self),
            name: name.clone(),
        })
    }

    /// What the person delegates to an instance: she consents to the root, the authority signs it.
    pub(crate) fn root(&self, name: &SpiffeId, key: &Jwk, entries: Vec<Entry>) -> Made<Held> {
        let draft = RootDraft {
            issuer: AUTHORITY.to_owned(),
            terms: Terms {
                subject: name.clone(),
                key: *key,
                audience: Some(vec![GATEWAY.to_owned()]),
                issued_at: now(),
                not_before: now().minus_seconds(5),
                expires_at: now().plus_seconds(600),
                jti: random_id::<DelegationKind>()?.to_string(),
                max_depth: 3,
                entries,
                forbid: Vec::new(),
                ask: Vec::new(),
            },
            sid: random_id::<SessionKind>()?.to_string(),
            epoch: 1,
            person: PersonDraft {
                issuer: AUTHORITY.to_owned(),
                subject: self.person_id.to_string(),
                acr: "passkey".to_owned(),
                authenticated_at: now(),
                standing: None,
            },
            mission: Digest::of(MISSION),
        };
        let challenge = draft.challenge().map_err(|reason| reason.code())?;
        let mut passkey = SoftwareAuthenticator::new(CREDENTIAL, RP, ORIGIN, 0);
        let consent = passkey.assert(&challenge, |message| self.person.sign_der(message))?;
        let sign = |message: &[u8]| self.delegation.sign(message);
        let artefact = Digest::of(consent.to_bytes()?);
        let root = draft.sign(artefact, self.delegation.public(), &AwsLc, &sign)?;
        let principal = Disclosure {
            name: "principal".parse()?,
            salt: random_bytes()?,
            value: "a person".to_owned(),
        };
        Ok(Held::new(vec![root], consent, MISSION.to_vec(), principal)?)
    }
}

impl NodeIdentity for Node {
    fn credential<'a>(&'a self, key: &'a AgentKey) -> Answer<'a, Result<Credential, NodeError>> {
        Box::pin(async move {
            let made = self.domain.wit(&self.name, key.public());
            let (Ok(wit), Ok(gateway)) = (made, gateway()) else {
                return Err(NodeError::Ended);
            };
            Ok(Credential {
                wit,
                spiffe_id: self.name.clone(),
                manifest: Vec::new(),
                gateway,
            })
        })
    }

    fn await_delegation(&self) -> Answer<'_, Result<Held, NodeError>> {
        Box::pin(std::future::pending())
    }
}
