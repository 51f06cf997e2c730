//! SPIFFE IDs, certificates, tokens and the trust document.

use chancery_crypto::SVID_ALGORITHMS;
use chancery_identity::trust::SignedTrust;
use chancery_identity::{
    AgentId, InstanceSpiffeId, SpiffeId, TrustDomain, WitBundle, WitClaims, X509Authority,
    X509Bundle, verify_key_proof, verify_wit, verify_x509_svid,
};
use chancery_types::jws::assemble;
use chancery_types::parse_strict;

use crate::sections::sections;
use crate::types::round_trips;
use crate::world::{Credulous, DOMAIN, NOW, trust};

/// Ids that are read are written the same, and an instance is one of its agent.
pub(crate) fn spiffe_id(input: &[u8]) -> bool {
    let lines = str::from_utf8(input).into_iter().flat_map(str::lines);
    let mut taken = false;
    for line in lines {
        round_trips::<TrustDomain>(line);
        round_trips::<AgentId>(line);
        let id = round_trips::<SpiffeId>(line);
        if let Some(instance) = round_trips::<InstanceSpiffeId>(line) {
            assert_eq!(Some(instance.to_spiffe_id()), id);
            assert_eq!(instance.agent().instance(instance.instance()), instance);
        }
        taken |= id.is_some();
    }
    taken
}

/// Certificates as sections: the first is the authority, the rest are a chain. What verifies is of
/// the authority's trust domain and in force.
pub(crate) fn x509(input: &[u8]) -> bool {
    let Ok(domain) = DOMAIN.parse::<TrustDomain>() else {
        return false;
    };
    // The certificates were made after the rest.
    let later = NOW.plus_seconds(86_400);
    let certificates: Vec<_> = sections(input).into_iter().map(|(_, der)| der).collect();
    for der in certificates.iter().map(Vec::as_slice).chain([input]) {
        let _ = X509Authority::new(&domain, der.to_vec());
    }
    let Some((authority, chain)) = certificates.split_first() else {
        return false;
    };
    let Ok(bundle) = X509Bundle::new(domain.clone(), [authority.clone()]) else {
        return false;
    };
    let Ok(svid) = verify_x509_svid(chain, &bundle, later, SVID_ALGORITHMS) else {
        return false;
    };
    assert_eq!(svid.spiffe_id().trust_domain(), &domain);
    assert!(svid.is_valid_at(later));
    true
}

/// A token, or the claims of one. What verifies is an id of the bundle's trust domain, in force.
pub(crate) fn wit(input: &[u8]) -> bool {
    let (Some(trust), Ok(domain)) = (trust(), DOMAIN.parse::<TrustDomain>()) else {
        return false;
    };
    let bundle = WitBundle::new(domain.clone(), trust.token_authorities.iter().copied());
    let mut tokens = vec![String::from_utf8_lossy(input).into_owned()];
    if let Ok(value) = parse_strict(input)
        && let Ok(claims) = serde_json::from_value::<WitClaims>(value)
        && let Some(authority) = trust.token_authorities.first()
        && let Ok(input) = claims.signing_input(authority)
    {
        let token = assemble(&input, &[0; 64]);
        // A credential is no proof of a key.
        assert!(verify_key_proof(&token, authority, "nonce", &Credulous).is_err());
        tokens.push(token);
    }
    let mut taken = false;
    for token in tokens {
        if let Ok(verified) = verify_wit(&token, &bundle, NOW, &Credulous) {
            assert_eq!(verified.spiffe_id().trust_domain(), &domain);
            assert!(NOW < verified.expires());
            taken = true;
        }
    }
    taken
}

/// A document that is read is what would be written; one that is accepted is a later version of
/// the same trust domain's.
pub(crate) fn trust_document(input: &[u8]) -> bool {
    let Ok(signed) = SignedTrust::parse(input) else {
        return false;
    };
    assert_eq!(signed.to_bytes().ok().as_deref(), Some(input));
    if let Some(known) = trust()
        && let Ok(next) = known.accept(signed.clone(), &Credulous)
    {
        assert!(next.version > known.version);
        assert_eq!(next.trust_domain, known.trust_domain);
    }
    let Ok(verified) = signed.verify(&Credulous) else {
        return false;
    };
    let credentials = verified
        .people
        .iter()
        .flat_map(|person| &person.credentials);
    for credential in credentials {
        assert!(verified.credential(&credential.credential_id).is_some());
    }
    true
}
