//! Proofs of possession, each taken once in a session.

use std::collections::BTreeSet;

use chancery_delegation::{
    Call, ProofContext, Reason, Refusal, ReplayMemory, ReplayRefusal, VerifiedChain, VerifiedProof,
    verify_proof,
};
use chancery_identity::SpiffeId;
use chancery_types::jws::Compact;
use chancery_types::{Digest, Timestamp};
use serde::Deserialize;
use serde_json::Value;

use super::case::{Case, Desk};
use super::chains::Chains;
use crate::report::{Axis, Place};
use crate::{ObjectKind, object_path};

/// The `typ` of a proof that opens or joins a session.
const SESSION_PROOF_TYP: &str = "agent-session-pop+jwt";

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

/// The claims of a proof that opened or joined a session.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SessionProof {
    aud: String,
    #[serde(rename = "nonce")]
    _nonce: String,
    cth: String,
    iat: u64,
}

/// Proofs that opened or joined the session, where a gateway kept them: each by the holder of a
/// chain of this session, for this gateway. Whether the nonce was fresh only the gateway knew.
pub(crate) fn check_session_proofs(case: &Case<'_>, desk: &mut Desk<'_>, chains: &Chains) {
    for (digest, bytes) in desk.objects.of_kind(ObjectKind::SessionProof) {
        if is_session_proof(case, chains, bytes).is_some() {
            desk.objects.take(digest, ObjectKind::SessionProof);
        } else if !desk.objects.has_erased_of(ObjectKind::Chain) {
            let place = Place::File(object_path(digest));
            let text = "not a proof by the holder of a chain of this session for this gateway";
            desk.found
                .add(Axis::Authenticity, place, "session_proof_refused", text);
        }
    }
}

fn is_session_proof(case: &Case<'_>, chains: &Chains, bytes: &[u8]) -> Option<()> {
    let jws = Compact::parse(std::str::from_utf8(bytes).ok()?).ok()?;
    let claims: SessionProof = serde_json::from_value(Value::Object(jws.claims.clone())).ok()?;
    let chain = chains.by_cth(&claims.cth)?;
    let holds = jws.header.typ == SESSION_PROOF_TYP
        && jws.header.kid.is_none()
        && claims.aud == case.audience()
        && Timestamp::from_seconds(claims.iat) < chain.expires_at()
        && jws.verify(chain.leaf_key(), case.verifier);
    holds.then_some(())
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
