//! X.509-SVIDs: for an instance of an agent, a node or a service of the trust domain, an hour at most, and
//! with DNS names for an instance alone.

use chancery_api::Problem;
use chancery_api::signer::{SignX509, SignedX509};
use chancery_identity::registration::MAX_DNS_NAMES;
use chancery_identity::trust::VerifiedTrust;
use chancery_identity::{InstanceSpiffeId, NodeSpiffeId, SpiffeId, TrustDomain};
use chancery_types::{Timestamp, base64url};

use super::snapshot::Held;
use super::{MAX_LIFETIME_SECONDS, check_instance, check_now};
use crate::authorities::Authorities;
use crate::ca::{IssuingAuthority, LeafRequest, SerialNumber, leaf_certificate};

const SERVICES: [&str; 2] = ["/service/node", "/service/server"];

pub(crate) fn sign(
    authorities: &Authorities,
    (trust_domain, trust): (&TrustDomain, &VerifiedTrust),
    request: &SignX509,
    held: &Held,
    now: Timestamp,
) -> Result<SignedX509, Problem> {
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
    let (key, chain) = authorities.x509(trust)?;
    let certificate = chain.first().cloned().unwrap_or_default();
    let authority = IssuingAuthority::new(trust_domain, certificate, key)
        .map_err(|error| Problem::internal("authority", &error))?;
    let leaf = leaf_certificate(
        &authority,
        LeafRequest {
            spiffe_id: &spiffe_id,
            dns_names: &request.dns_names,
            spki_der: &spki,
            now: request.now,
            lifetime_seconds: request.lifetime_seconds,
            serial: SerialNumber::from_random(serial),
        },
    )
    .map_err(|error| Problem::bad_request("certificate", error.to_string()))?;
    Ok(SignedX509 {
        chain: std::iter::once(&leaf)
            .chain(chain)
            .map(base64url::encode)
            .collect(),
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
