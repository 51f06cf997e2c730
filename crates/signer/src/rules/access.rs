//! Access tokens for relying parties outside: only for a chain that stands, by a proof that its
//! holder made just now for this very exchange.

use chancery_api::Problem;
use chancery_api::signer::{SignAccess, SignedToken};
use chancery_crypto::{AwsLc, SigningKey};
use chancery_delegation::access_token::{AccessTokenDraft, Audience, EXCHANGE_SERVER, requested};
use chancery_delegation::{
    BoundedReplayMemory, Call, ChainContext, Entry, ProofContext, Reason, Refusal, Target,
    TrustAnchor, VerifiedChain, VerifiedProof, authorise, read_arguments, verify_chain,
    verify_proof,
};
use chancery_identity::trust::{AccessTokenAuthority, VerifiedTrust};
use chancery_types::Timestamp;
use serde_json::{Map, Value};

use super::snapshot::Held;
use crate::keys::StandingKeys;

pub(crate) fn sign(
    keys: &StandingKeys,
    trust: &VerifiedTrust,
    request: &SignAccess,
    held: &Held,
    now: Timestamp,
) -> Result<SignedToken, Problem> {
    let (key, authority) = authority(keys, trust)?;
    if trust.gateway(&request.gateway).is_none() {
        return Err(Problem::forbidden(
            "gateway",
            "the trust document admits no such gateway",
        ));
    }
    let audience: Audience = (request.audience.parse())
        .map_err(|error| Problem::bad_request("audience", format!("{error}")))?;
    let chain = chain(trust, request, held, now)?;
    let arguments = read_arguments(&request.arguments)
        .map_err(|reason| Problem::bad_request(reason.code(), "arguments"))?
        .0;
    let call = Call {
        server: EXCHANGE_SERVER,
        target: Target::Tool(audience.as_str()),
        args: &arguments,
    };
    let scope = authorise(&chain, &call);
    if scope.covered().is_err() || !scope.forbidden().is_empty() {
        return Err(refused(Reason::NotInScope.into()));
    }
    let proof = proof(&chain, request, call, now)?;
    let execution = proof.execution().ok_or_else(|| {
        Problem::bad_request(
            "pop_mismatch",
            "the proof names no execution to name the token by",
        )
    })?;
    let draft = AccessTokenDraft {
        issuer: &authority.issuer,
        audience: &audience,
        chain: &chain,
        execution,
        details: &details(request, &arguments)?,
        issued_at: now,
        expires_at: request.expires_at,
    };
    draft
        .sign(&authority.key, &|input| key.sign(input))
        .map(|token| SignedToken { token })
        .map_err(|error| Problem::forbidden("access_token", error.to_string()))
}

/// The own key, where the trust document names it.
fn authority<'k>(
    keys: &'k StandingKeys,
    trust: &'k VerifiedTrust,
) -> Result<(&'k SigningKey, &'k AccessTokenAuthority), Problem> {
    let named = keys.access.as_ref().and_then(|key| {
        let mut known = trust.access_token_authorities.iter();
        Some((key, known.find(|known| known.key == *key.public())?))
    });
    named.ok_or_else(|| {
        Problem::forbidden(
            "authority",
            "the trust document names no access token authority of this signer",
        )
    })
}

fn chain(
    trust: &VerifiedTrust,
    request: &SignAccess,
    held: &Held,
    now: Timestamp,
) -> Result<VerifiedChain, Problem> {
    let anchors = trust.delegation_authorities.iter();
    let anchors: Vec<_> = anchors
        .map(|known| TrustAnchor {
            issuer: known.issuer.clone(),
            key: known.key,
        })
        .collect();
    let context = ChainContext {
        now,
        audience: &request.gateway,
        anchors: &anchors,
        epoch: held.epoch,
        revoked: &held.revoked,
        verifier: &AwsLc,
    };
    let links: Vec<_> = request.chain.iter().map(String::as_str).collect();
    verify_chain(&links, &context).map_err(refused)
}

fn proof(
    chain: &VerifiedChain,
    request: &SignAccess,
    call: Call<'_>,
    now: Timestamp,
) -> Result<VerifiedProof, Problem> {
    let context = ProofContext {
        now,
        audience: &request.gateway,
        verifier: &AwsLc,
        started_at: Timestamp::from_micros(0),
        // Who stood at the other end is for the gateway to see.
        peer: chain.leaf_subject(),
        call,
    };
    // The gateway remembers proofs; the same one again makes the same token for the same key.
    let mut memory = BoundedReplayMemory::new(1, 1);
    verify_proof(Some(&request.proof), chain, &context, &mut memory).map_err(refused)
}

/// What the token carries: what the holder asked for, where the holder asked.
fn details(request: &SignAccess, arguments: &Map<String, Value>) -> Result<Vec<Entry>, Problem> {
    let given = request.authorization_details.iter().map(Entry::parse);
    let given: Result<Vec<_>, _> = given.collect();
    let asked = requested(arguments);
    match (given, asked) {
        (Ok(given), Ok(asked)) if asked.as_ref().is_none_or(|asked| *asked == given) => Ok(given),
        _ => Err(Problem::forbidden(
            "authorization_details",
            "the entries are not those that the holder asked for",
        )),
    }
}

fn refused(refusal: Refusal) -> Problem {
    let code = refusal.reason.code();
    Problem::forbidden(code, refusal.reason.said())
}
