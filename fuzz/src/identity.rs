//! SPIFFE IDs, certificates, tokens and the trust document.

use chancery_crypto::SVID_ALGORITHMS;
use chancery_identity::trust::SignedTrust;
use chancery_identity::{
    AgentId, InstanceSpiffeId, SpiffeId, TrustDomain, WitBundle, WitClaims, X509Authority,
    X509Bundle, verify_key_proof, verify_wit, verify_x509_svid,
};
use chancery_types::jws::assemble;
use chancery_types::{base64url, parse_strict};

use crate::sections::sections;
use crate::types::round_trips;
use crate::world::{Credulous, NOW, trust};

/// Ids that are read are written the same, and an instance is one of its agent.
pub(crate) fn spiffe_id(input: &[u8]) {
    let Ok(text) = str::from_utf8(input) else {
        return;
    };
    for line in text.lines() {
        round_trips::<TrustDomain>(line);
        round_trips::<AgentId>(line);
        let id = round_trips::<SpiffeId>(line);
        if let Some(instance) = round_trips::<InstanceSpiffeId>(line) {
            assert_eq!(Some(instance.to_spiffe_id()), id);
            assert_eq!(instance.agent().instance(instance.instance()), instance);
        }
    }
}

/// Certificates as sections: the first is the authority, the rest are a chain. Whatever they are,
/// what verifies is within the authority's trust domain.
pub(crate) fn x509(input: &[u8]) {
    let certificates: Vec<_> = sections(input).into_iter().map(|(_, der)| der).collect();
    let Ok(domain) = "acme.example".parse::<TrustDomain>() else {
        return;
    };
    for der in certificates.iter().map(Vec::as_slice).chain([input]) {
        let _ = X509Authority::new(&domain, der.to_vec());
    }
    let Some((authority, chain)) = certificates.split_first() else {
        return;
    };
    let known = trust().and_then(|trust| trust.x509_authorities.first());
    let known = known.and_then(|der| base64url::decode(der).ok());
    for root in [Some(authority.clone()), known].into_iter().flatten() {
        if let Ok(bundle) = X509Bundle::new(domain.clone(), [root])
            && let Ok(svid) = verify_x509_svid(chain, &bundle, NOW, SVID_ALGORITHMS)
        {
            assert_eq!(svid.spiffe_id().trust_domain(), &domain);
            assert!(svid.is_valid_at(NOW));
        }
    }
}

/// A token, or the claims of one. What verifies is an id of the bundle's trust domain.
pub(crate) fn wit(input: &[u8]) {
    let Ok(text) = str::from_utf8(input) else {
        return;
    };
    let Some(trust) = trust() else {
        return;
    };
    let Ok(domain) = trust.trust_domain.parse::<TrustDomain>() else {
        return;
    };
    let bundle = WitBundle::new(domain.clone(), trust.token_authorities.iter().copied());
    let mut tokens = vec![text.to_owned()];
    if let Ok(value) = parse_strict(input)
        && let Ok(claims) = serde_json::from_value::<WitClaims>(value)
        && let Some(authority) = trust.token_authorities.first()
        && let Ok(input) = claims.signing_input(authority)
    {
        tokens.push(assemble(&input, &[0; 64]));
        assert!(verify_key_proof(&assemble(&input, &[0; 64]), authority, "n", &Credulous).is_err());
    }
    for token in tokens {
        if let Ok(verified) = verify_wit(&token, &bundle, NOW, &Credulous) {
            assert_eq!(verified.spiffe_id().trust_domain(), &domain);
            assert!(NOW < verified.expires());
        }
    }
}

/// A document that is read is what would be written, and follows no older one.
pub(crate) fn trust_document(input: &[u8]) {
    let Ok(signed) = SignedTrust::parse(input) else {
        return;
    };
    assert_eq!(signed.to_bytes().ok().as_deref(), Some(input));
    let (version, domain) = (signed.trust.version, signed.trust.trust_domain.clone());
    if let Some(known) = trust()
        && known.accept(signed.clone(), &Credulous).is_ok()
    {
        assert!(version > known.version);
        assert_eq!(domain, known.trust_domain);
    }
    if let Ok(verified) = signed.verify(&Credulous) {
        let people = verified.people.iter().flat_map(|person| &person.credentials);
        for credential in people {
            assert!(verified.credential(&credential.credential_id).is_some());
        }
    }
}
