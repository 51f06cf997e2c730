//! X.509-SVIDs: for an instance of an agent, a node or a service of the trust domain, an hour at most, and
//! with DNS names for an instance alone.

use chancery_api::Problem;
use chancery_api::server::{IssuedX509s, Leaf, MAX_TOGETHER};
use chancery_api::signer::{SignX509, SignX509s, SignedX509};
use chancery_identity::registration::MAX_DNS_NAMES;
use chancery_identity::trust::VerifiedTrust;
use chancery_identity::{InstanceSpiffeId, NodeSpiffeId, SpiffeId, TrustDomain};
use chancery_types::{Timestamp, base64url};

use super::snapshot::Held;
use super::{MAX_LIFETIME_SECONDS, check_instance, check_now};
use crate::authorities::Authorities;
use crate::ca::{CaError, IssuingAuthority, LeafIssuer, LeafRequest, SerialNumber};

const SERVICES: [&str; 2] = ["/service/node", "/service/server"];

/// Signs one; the same as several.
pub(crate) fn sign(
    authorities: &Authorities,
    whose: (&TrustDomain, &VerifiedTrust),
    request: &SignX509,
    held: &Held,
    now: Timestamp,
) -> Result<SignedX509, Problem> {
    let requests = std::slice::from_ref(request);
    let signed = sign_each(authorities, whose, requests, held, now)?;
    let leaf = signed.leaves.into_iter().next();
    let leaf = leaf.ok_or_else(|| Problem::bad_request("requests", "nothing was asked for"))?;
    let leaf = leaf.into_result()?;
    Ok(SignedX509 {
        chain: std::iter::once(leaf).chain(signed.intermediates).collect(),
    })
}

/// Signs several by one authority. Whatever is wrong with one of them is refused alone.
pub(crate) fn sign_all(
    authorities: &Authorities,
    whose: (&TrustDomain, &VerifiedTrust),
    request: &SignX509s,
    held: &Held,
    now: Timestamp,
) -> Result<IssuedX509s, Problem> {
    if !(1..=MAX_TOGETHER).contains(&request.requests.len()) {
        return Err(Problem::bad_request(
            "requests",
            format!("from one to {MAX_TOGETHER} are signed together"),
        ));
    }
    sign_each(authorities, whose, &request.requests, held, now)
}

fn sign_each(
    authorities: &Authorities,
    (trust_domain, trust): (&TrustDomain, &VerifiedTrust),
    requests: &[SignX509],
    held: &Held,
    now: Timestamp,
) -> Result<IssuedX509s, Problem> {
    // What is wrong with all that is asked for is said before anything about the authority.
    let checked: Vec<_> = requests
        .iter()
        .map(|request| check(request, (trust_domain, trust), held, now))
        .collect();
    if let [Err(problem)] = checked.as_slice() {
        return Err(problem.clone());
    }
    let (key, chain) = authorities.x509(trust)?;
    let certificate = chain.first().cloned().unwrap_or_default();
    let authority = IssuingAuthority::new(trust_domain, certificate, key)
        .map_err(|error| Problem::internal("authority", &error))?;
    // Those that are asked for together are of one time, as a rule.
    let mut issuer: Option<(Timestamp, LeafIssuer<'_>)> = None;
    let mut leaves = Vec::with_capacity(requests.len());
    for (request, checked) in requests.iter().zip(checked) {
        let leaf = checked.and_then(|checked| {
            let refused = |error: CaError| Problem::bad_request("certificate", error.to_string());
            let issuer = match issuer.take() {
                Some((at, known)) if at == request.now => issuer.insert((at, known)),
                _ => {
                    let made = LeafIssuer::new(&authority, request.now).map_err(refused)?;
                    issuer.insert((request.now, made))
                }
            };
            let leaf = issuer.1.leaf(&LeafRequest {
                spiffe_id: &checked.spiffe_id,
                dns_names: &request.dns_names,
                spki_der: &checked.spki,
                now: request.now,
                lifetime_seconds: request.lifetime_seconds,
                serial: checked.serial,
            });
            leaf.map(base64url::encode).map_err(refused)
        });
        leaves.push(Leaf::from(leaf));
    }
    Ok(IssuedX509s {
        leaves,
        intermediates: chain.iter().map(base64url::encode).collect(),
    })
}

/// What is asked for, where the rule admits it.
struct Checked {
    spiffe_id: SpiffeId,
    spki: Vec<u8>,
    serial: SerialNumber,
}

fn check(
    request: &SignX509,
    (trust_domain, trust): (&TrustDomain, &VerifiedTrust),
    held: &Held,
    now: Timestamp,
) -> Result<Checked, Problem> {
    check_now(request.now, now)?;
    let spiffe_id: SpiffeId = request
        .spiffe_id
        .parse()
        .map_err(|_| Problem::bad_request("spiffe_id", "spiffe_id is not a SPIFFE ID"))?;
    let ours = spiffe_id.trust_domain() == trust_domain;
    let named = SERVICES.contains(&spiffe_id.path())
        || trust.gateway(spiffe_id.as_str()).is_some()
        || NodeSpiffeId::try_from(&spiffe_id).is_ok()
        || spiffe_id.as_str().parse::<InstanceSpiffeId>().is_ok();
    if !ours || !named {
        return Err(Problem::forbidden(
            "spiffe_id",
            "an SVID is signed for instances and services of the own trust domain only",
        ));
    }
    if !(1..=MAX_LIFETIME_SECONDS).contains(&request.lifetime_seconds) {
        return Err(Problem::forbidden(
            "lifetime",
            "an SVID lives an hour at most",
        ));
    }
    check_names(request, &spiffe_id)?;
    check_instance(held, &spiffe_id)?;
    let spki = base64url::decode(&request.spki)
        .map_err(|_| Problem::bad_request("spki", "spki is not base64url"))?;
    let serial = base64url::decode_array(&request.serial)
        .map_err(|_| Problem::bad_request("serial", "serial is not 16 bytes of base64url"))?;
    Ok(Checked {
        spiffe_id,
        spki,
        serial: SerialNumber::from_random(serial),
    })
}

/// Refuses names that no registration can have: those of a service or a node, one twice, too many.
fn check_names(request: &SignX509, spiffe_id: &SpiffeId) -> Result<(), Problem> {
    let names = &request.dns_names;
    let refused = |message: &str| Err(Problem::forbidden("dns_names", message.to_owned()));
    if !names.is_empty() && spiffe_id.as_str().parse::<InstanceSpiffeId>().is_err() {
        return refused("only the SVID of an instance has dns names");
    }
    if names.len() > MAX_DNS_NAMES {
        return refused("an SVID has 16 dns names at most");
    }
    // In the one order that there is, so that none stands twice.
    if !names.is_sorted_by(|one, next| one < next) {
        return refused("the dns names of an SVID are in order, each once");
    }
    Ok(())
}
