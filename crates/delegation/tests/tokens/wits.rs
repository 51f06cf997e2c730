//! Workload identity tokens of the trust domain's own authority.

use std::sync::LazyLock;

use chancery_crypto::SigningKey;
use chancery_identity::{
    AttestationLevel, Confirmation, Isolation, SpiffeId, WitBundle, WitClaims,
};
use chancery_types::id::CredentialId;
use chancery_types::jws::assemble;
use chancery_types::{Algorithm, Digest, Timestamp};

use crate::support::{NOW, holder, subject};

static TOKENS: LazyLock<SigningKey> =
    LazyLock::new(|| SigningKey::generate(Algorithm::Es256).unwrap());
pub(crate) static WITS: LazyLock<Vec<WitBundle>> = LazyLock::new(|| {
    vec![WitBundle::new(
        "acme.example".parse().unwrap(),
        [*TOKENS.public()],
    )]
});

pub(crate) fn id(at: usize) -> SpiffeId {
    subject(at).parse().unwrap()
}

/// The token of one instance for the agent key of the same or of another one.
pub(crate) fn wit(name: usize, key: usize, expires: Timestamp) -> String {
    let claims = WitClaims {
        sub: id(name),
        cnf: Confirmation {
            jwk: *holder(key).public(),
        },
        iat: NOW.minus_seconds(7_200).as_seconds(),
        exp: expires.as_seconds(),
        jti: CredentialId::from_random([3; 16]),
        manifest_digest: Digest::of("manifest"),
        attestation_level: AttestationLevel::Launch,
        isolation: Isolation::Isolated,
    };
    let input = claims.signing_input(TOKENS.public()).unwrap();
    assemble(&input, &TOKENS.sign(input.as_bytes()).unwrap())
}
