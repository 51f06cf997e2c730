//! SPIFFE IDs, certificates, tokens, bundles and the trust document.

use chancery_crypto::SVID_ALGORITHMS;
use chancery_identity::federation::{EndpointUrl, Relationship};
use chancery_identity::jwt_svid::JwtIssuer;
use chancery_identity::jwt_svid::bearer_token;
use chancery_identity::registration::{DnsName, MAX_DNS_NAMES, RegistrationFile};
use chancery_identity::trust::SignedTrust;
use chancery_identity::{
    AgentId, BundleDocument, BundleMap, Incubating, InstanceSpiffeId, JwtAudience, JwtBundles,
    JwtSvidContext, Leeway, NodeAuthority, NodeChannel, NodeSpiffeId, SpiffeId, TrustDomain,
    WitBundle, WitClaims, WitSvidBundle, X509Authority, X509Bundle, verify_jwt_svid,
    verify_key_proof, verify_node_certificate, verify_node_key, verify_wit, verify_wit_svid,
    verify_x509_svid,
};
use chancery_types::jws::assemble;
use chancery_types::{SvidKey, parse_strict};

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
        if let Some(node) = round_trips::<NodeSpiffeId>(line) {
            assert_eq!(Some(node.as_spiffe_id()), id.as_ref());
            assert!(line.parse::<InstanceSpiffeId>().is_err());
        }
        if let Some(instance) = round_trips::<InstanceSpiffeId>(line) {
            assert_eq!(Some(instance.to_spiffe_id()), id);
            assert_eq!(instance.agent().instance(instance.instance()), instance);
        }
        taken |= id.is_some();
    }
    taken
}

/// A registration that is read names a manifest below its folder, and is written as a file that is read
/// the same.
pub(crate) fn registration(input: &[u8]) -> bool {
    let read = RegistrationFile::parse(input);
    let Ok(file) = read.as_ref() else {
        if let Err(error) = read {
            assert!(error.line > 0 && !error.problem.is_empty());
        }
        return false;
    };
    let path = file.manifest();
    assert!(!path.is_empty() && !path.starts_with('/'));
    assert!(path.split('/').all(|part| !matches!(part, "" | "." | "..")));
    assert!(file.terms.dns_names.len() <= MAX_DNS_NAMES);
    for name in &file.terms.dns_names {
        assert_eq!(round_trips::<DnsName>(name.as_str()).as_ref(), Some(name));
        assert!(name.as_str().parse::<std::net::IpAddr>().is_err());
    }
    let text = file.to_text();
    assert!(text.is_ok());
    let text = text.unwrap_or_default();
    assert_eq!(RegistrationFile::parse(text.as_bytes()).as_ref(), Ok(file));
    true
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
        hosts(der, &certificates);
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

/// A certificate as an authority of hosts and as a host's. Nothing is believed whose key did not sign.
fn hosts(der: &[u8], chain: &[Vec<u8>]) {
    let authority = NodeAuthority::new(der.to_vec());
    if let Ok(authority) = &authority {
        assert_eq!(authority.der(), der);
    }
    let authorities: Vec<_> = authority.into_iter().collect();
    let later = NOW.plus_seconds(86_400);
    let unsigned = (b"message".as_slice(), b"signature".as_slice());
    assert!(
        verify_node_certificate(chain, &authorities, later, SVID_ALGORITHMS, unsigned).is_err()
    );
    let alone = [der.to_vec()];
    assert!(
        verify_node_certificate(&alone, &authorities, later, SVID_ALGORITHMS, unsigned).is_err()
    );
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
        let channel = NodeChannel::new([0; 32]);
        assert!(verify_node_key(&token, authority, channel, &Credulous).is_err());
        tokens.push(token);
    }
    let keys = trust.token_authorities.iter().map(SvidKey::try_from);
    let as_anybodys = WitSvidBundle::new(domain.clone(), keys.flatten());
    let mut taken = false;
    for token in tokens {
        let leeway = Leeway::NONE;
        if let Ok(unproven) = verify_wit_svid(&token, &as_anybodys, NOW, leeway, &Credulous) {
            assert!(unproven.key().fits(unproven.algorithm()));
            let Ok(proven) = unproven.prove(b"challenge", b"", &Credulous) else {
                return false;
            };
            assert_eq!(proven.spiffe_id().trust_domain(), &domain);
            assert!(NOW < proven.expires());
        }
        if let Ok(verified) = verify_wit(&token, &bundle, NOW, &Credulous) {
            assert_eq!(verified.spiffe_id().trust_domain(), &domain);
            assert!(NOW < verified.expires());
            taken = true;
        }
    }
    taken
}

/// The bundle that the tokens of the corpus are verified with.
const BUNDLE: &str = include_str!("../bundle.json");

/// Tokens, one a line. What verifies is an id of a trust domain that is known, for the validator,
/// and in force.
pub(crate) fn jwt_svid(input: &[u8]) -> bool {
    let (Ok(domain), Ok(audience)) = (
        DOMAIN.parse::<TrustDomain>(),
        "audience".parse::<JwtAudience>(),
    ) else {
        return false;
    };
    let document = BundleDocument::parse(domain.clone(), BUNDLE.as_bytes(), Incubating::NONE);
    let Ok(document) = document else {
        return false;
    };
    let bundles: JwtBundles = [document.keys().jwt.clone()].into_iter().collect();
    let context = JwtSvidContext {
        audience: &audience,
        bundles: &bundles,
        now: NOW,
        leeway: Leeway::NONE,
        verifier: &Credulous,
    };
    let mut taken = false;
    for line in str::from_utf8(input).into_iter().flat_map(str::lines) {
        if let Some(token) = bearer_token(line) {
            assert!(line.ends_with(token) && !token.contains(' '));
        }
        let Ok(svid) = verify_jwt_svid(line, &context) else {
            continue;
        };
        assert_eq!(svid.spiffe_id().trust_domain(), &domain);
        assert!(svid.audiences().iter().any(|one| one == audience.as_str()));
        assert!(NOW < svid.expires());
        assert!(
            bundles
                .of(svid.spiffe_id())
                .is_some_and(|one| one.key(svid.key_id()).is_some())
        );
        taken = true;
    }
    taken
}

/// A bundle, a map of bundles, or a relationship. What is read is written and read again as the
/// same; who opted in to nothing has no keys of what is incubating.
pub(crate) fn bundle(input: &[u8]) -> bool {
    let Ok(domain) = DOMAIN.parse::<TrustDomain>() else {
        return false;
    };
    round_trips::<EndpointUrl>(&String::from_utf8_lossy(input));
    round_trips::<JwtIssuer>(&String::from_utf8_lossy(input));
    if let Ok(read) = serde_json::from_slice::<Relationship>(input) {
        let written = serde_json::to_vec(&read).unwrap_or_default();
        let again = serde_json::from_slice::<Relationship>(&written);
        assert_eq!(again.ok(), Some(read));
    }
    if let Ok(map) = BundleMap::parse(input, Incubating::WIT_SVID)
        && let Ok(text) = map.to_json()
    {
        let again = BundleMap::parse(text.as_bytes(), Incubating::WIT_SVID);
        let again = again.map(|again| again.iter().count());
        assert_eq!(again.ok(), Some(map.iter().count()));
    }
    let parse = |bytes, incubating| BundleDocument::parse(domain.clone(), bytes, incubating);
    let Ok(document) = parse(input, Incubating::WIT_SVID) else {
        assert!(parse(input, Incubating::NONE).is_err());
        return false;
    };
    if let Ok(stable) = parse(input, Incubating::NONE) {
        assert_eq!(stable.keys().wit.keys().len(), 0);
        assert_eq!(stable.keys().x509, document.keys().x509);
    }
    let Ok(text) = document.to_json() else {
        return false;
    };
    let again = parse(text.as_bytes(), Incubating::WIT_SVID);
    assert!(again.as_ref().is_ok_and(|again| again.ignored().is_empty()));
    let again = again.map(|again| (again.keys().clone(), again.sequence(), again.refresh_hint()));
    let known = (
        document.keys().clone(),
        document.sequence(),
        document.refresh_hint(),
    );
    assert_eq!(again.ok(), Some(known));
    !document.keys().is_empty()
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
