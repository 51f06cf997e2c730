//! Proofs of possession, each taken once in a session.

use std::collections::BTreeSet;

use chancery_delegation::{
    Call, ProofContext, Reason, Refusal, ReplayMemory, ReplayRefusal, VerifiedChain, VerifiedProof,
    verify_proof,
};
use chancery_identity::SpiffeId;
use chancery_types::jws::Compact;
use chancery_types::{Digest, Timestamp};
use serde_json::Value;

use super::case::Case;

/// How old a proof may be.
const MAX_AGE_SECONDS: u64 = 60;

/// How long a gateway may take between verifying a proof and enrolling the decision: it waits for
/// a person's answer in between.
const MAX_WAIT_SECONDS: u64 = 30;

/// Every proof of a session, never forgotten: a proof that comes twice is one that was replayed.
#[derive(Debug, Default)]
pub(crate) struct Memory(BTreeSet<(Digest, String)>);

impl ReplayMemory for Memory {
    fn remember(
        &mut self,
        holder: &Digest,
        jti: &str,
        _until: Timestamp,
        _now: Timestamp,
    ) -> Result<(), ReplayRefusal> {
        if self.0.insert((*holder, jti.to_owned())) {
            Ok(())
        } else {
            Err(ReplayRefusal::Seen)
        }
    }
}

/// Verifies the proof of a call that was decided at `at`.
pub(crate) fn verify(
    case: &Case<'_>,
    memory: &mut Memory,
    text: Option<&str>,
    chain: &VerifiedChain,
    (call, peer): (Call<'_>, &SpiffeId),
    at: Timestamp,
) -> Result<VerifiedProof, Refusal> {
    let context = ProofContext {
        now: text.map_or(at, |text| verified_at(text, at)),
        audience: case.audience(),
        verifier: case.verifier,
        started_at: Timestamp::from_micros(0),
        peer,
        call,
    };
    verify_proof(text, chain, &context, memory)
}

/// When the gateway verified a proof, at the latest.
fn verified_at(text: &str, at: Timestamp) -> Timestamp {
    let issued = Compact::parse(text).ok();
    let issued = issued.and_then(|jws| jws.claims.get("iat").and_then(Value::as_u64));
    let last = Timestamp::from_seconds(issued.unwrap_or_default()).plus_seconds(MAX_AGE_SECONDS);
    if at > last && at <= last.plus_seconds(MAX_WAIT_SECONDS) {
        last
    } else {
        at
    }
}

/// Whether a refusal rests on what no evidence holds: what was revoked, the authority's epoch, when
/// the gateway started and what it saw in other sessions.
pub(crate) fn is_external(reason: &str) -> bool {
    [
        Reason::Revoked,
        Reason::StaleEpoch,
        Reason::PopStale,
        Reason::Replay,
    ]
    .iter()
    .any(|known| known.code() == reason)
}
