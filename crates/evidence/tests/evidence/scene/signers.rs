//! Every key of the scene, and the trust document that names it.

use chancery_crypto::{AwsLc, SigningKey};
use chancery_identity::trust::*;
use chancery_types::id::PersonId;
use chancery_types::{Algorithm, Jwk, base64url};

use super::{AUTHORITY, GATEWAY, ISSUER, approver, at, person};
use crate::log_writer::LogSigner;

pub(crate) struct Signers {
    pub(crate) root: SigningKey,
    pub(crate) authority: SigningKey,
    pub(crate) tokens: SigningKey,
    pub(crate) issuer: SigningKey,
    pub(crate) policy: SigningKey,
    pub(crate) record: SigningKey,
    pub(crate) person: SigningKey,
    pub(crate) approver: SigningKey,
    pub(crate) gateway: LogSigner,
    pub(crate) server: LogSigner,
}

impl Signers {
    pub(crate) fn new() -> Self {
        Self {
            root: key(Algorithm::Ed25519),
            authority: key(Algorithm::Es256),
            tokens: key(Algorithm::Es256),
            issuer: key(Algorithm::Ed25519),
            policy: key(Algorithm::Ed25519),
            record: key(Algorithm::Ed25519),
            person: key(Algorithm::Es256),
            approver: key(Algorithm::Es256),
            gateway: LogSigner::new("example.org/log/gateway"),
            server: LogSigner::new("example.org/log/server"),
        }
    }
}

pub(crate) fn key(algorithm: Algorithm) -> SigningKey {
    SigningKey::generate(algorithm).unwrap()
}

pub(crate) fn trust(signers: &Signers) -> VerifiedTrust {
    let document = TrustDocument {
        format: TrustFormat::V1,
        version: 1,
        trust_domain: "example.org".to_owned(),
        issued_at: at(0),
        previous: None,
        threshold: 1,
        roots: vec![*signers.root.public()],
        x509_authorities: Vec::new(),
        token_authorities: vec![*signers.tokens.public()],
        jwt_authorities: vec![],
        delegation_authorities: vec![DelegationAuthority {
            issuer: AUTHORITY.to_owned(),
            key: *signers.authority.public(),
        }],
        access_token_authorities: vec![],
        manifest_issuers: vec![ManifestIssuer {
            issuer: ISSUER.to_owned(),
            key: *signers.issuer.public(),
        }],
        people: vec![
            enrolled(
                person(),
                vec![Role::Principal, Role::Approver],
                "cred",
                &signers.person,
            ),
            enrolled(
                approver(),
                vec![Role::Approver],
                "cred-8",
                &signers.approver,
            ),
        ],
        policy_signers: vec![*signers.policy.public()],
        policy_quorum: None,
        snapshot_signers: Vec::new(),
        record_signers: vec![*signers.record.public()],
        witnesses: None,
        log_origins: vec![
            signers.gateway.to_origin(GATEWAY),
            signers
                .server
                .to_origin("spiffe://example.org/service/server"),
        ],
    };
    sign_trust(document, &signers.root)
}

fn enrolled(id: PersonId, roles: Vec<Role>, credential_id: &str, key: &SigningKey) -> Person {
    let credential = PersonCredential {
        credential_id: credential_id.to_owned(),
        key: *key.public(),
        rp_id: "localhost".to_owned(),
        origin: "http://localhost".to_owned(),
        hardware: false,
        stand_in: true,
    };
    Person {
        id,
        roles,
        credentials: vec![credential],
    }
}

pub(crate) fn sign_trust(trust: TrustDocument, root: &SigningKey) -> VerifiedTrust {
    let signature = root
        .sign(&SignedTrust::signing_input(&trust).unwrap())
        .unwrap();
    let kid = Jwk::kid(root.public());
    let signatures = vec![TrustSignature {
        kid,
        signature: base64url::encode(signature),
    }];
    SignedTrust { signatures, trust }.verify(&AwsLc).unwrap()
}
