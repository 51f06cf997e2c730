use std::fmt;

use chancery_identity::SpiffeId;
use chancery_types::id::ExecutionId;
use chancery_types::jws::Decoded;
use chancery_types::limits::MAX_SAFE_INTEGER;
use chancery_types::{Digest, Json, SignatureVerifier, Timestamp, to_jcs};
use serde_json::{Map, Value};

use super::{MAX_AGE_SECONDS, MAX_AHEAD_SECONDS, PROOF_TYP, ReplayMemory};
use crate::chain::VerifiedChain;
use crate::token::{Call, Members};
use crate::{Reason, Refusal};

/// What a verifier knows about the call that a proof is for.
#[derive(Clone, Copy)]
pub struct ProofContext<'a> {
    /// The time.
    pub now: Timestamp,
    /// The home gateway's SPIFFE ID.
    pub audience: &'a str,
    /// The arithmetic.
    pub verifier: &'a dyn SignatureVerifier,
    /// When the replay memory was empty: proofs made before are refused. `iat` has whole seconds,
    /// so proofs of the very second of the start are refused too.
    pub started_at: Timestamp,
    /// Who stands at the other end of the transport.
    pub peer: &'a SpiffeId,
    /// The call as it arrived.
    pub call: Call<'a>,
}

impl fmt::Debug for ProofContext<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProofContext")
            .field("now", &self.now)
            .field("audience", &self.audience)
            .field("started_at", &self.started_at)
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }
}

/// A proof that the holder of a chain made for one call. Only [`verify_proof`] makes one, and it
/// makes each only once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedProof {
    jti: String,
    issued_at: Timestamp,
    execution: Option<ExecutionId>,
    step: Option<String>,
    digest: Digest,
}

impl VerifiedProof {
    /// `jti`.
    pub fn jti(&self) -> &str {
        &self.jti
    }

    /// `iat`.
    pub const fn issued_at(&self) -> Timestamp {
        self.issued_at
    }

    /// `exec`: the execution that the holder means.
    pub const fn execution(&self) -> Option<ExecutionId> {
        self.execution
    }

    /// `step`: the mission step that the holder means.
    pub fn step(&self) -> Option<&str> {
        self.step.as_deref()
    }

    /// The digest of the compact JWS.
    pub const fn digest(&self) -> Digest {
        self.digest
    }
}

/// Verifies that the leaf's holder made this proof for this call, now and once, and that it stands
/// at the other end. The replay memory learns of the proof only after everything else holds, so
/// that nobody but the holder uses one up.
pub fn verify_proof(
    token: Option<&str>,
    chain: &VerifiedChain,
    context: &ProofContext<'_>,
    replay: &mut dyn ReplayMemory,
) -> Result<VerifiedProof, Refusal> {
    let text = token.ok_or(Reason::PopMissing)?;
    let token = Decoded::parse(text).map_err(Reason::from)?;
    let claims = token.claims().map_err(Reason::from)?;
    if token.header.typ != PROOF_TYP {
        return Err(Reason::WrongTyp.into());
    }
    if token.header.kid.is_some() {
        return Err(Reason::Malformed.into());
    }
    if !token.verify(chain.leaf_key(), context.verifier) {
        return Err(Reason::PopBadSignature.into());
    }
    let claims = Claims::parse(Members::new(claims))?;
    claims.check_call(chain, context)?;
    let until = claims.check_time(context)?;
    if context.peer != chain.leaf_subject() {
        return Err(Reason::HolderMismatch.into());
    }
    // By name and not by key: one instance may be the leaf of chains with many keys.
    let holder = Digest::of(chain.leaf_subject().as_str());
    replay
        .remember(&holder, &claims.jti, until, context.now)
        .map_err(|_| Reason::Replay)?;
    Ok(VerifiedProof {
        jti: claims.jti,
        issued_at: claims.issued_at,
        execution: claims.execution,
        step: claims.step,
        digest: Digest::of(text),
    })
}

#[derive(Debug)]
struct Claims {
    audience: String,
    issued_at: Timestamp,
    jti: String,
    chain: Digest,
    target: Value,
    arguments: Digest,
    execution: Option<ExecutionId>,
    step: Option<String>,
}

impl Claims {
    fn parse(mut members: Members<'_>) -> Result<Self, Reason> {
        let execution = if members.has("exec") {
            let text = members.text("exec")?;
            Some(text.parse().map_err(|_| Reason::Malformed)?)
        } else {
            None
        };
        let step = if members.has("step") {
            Some(members.id("step")?)
        } else {
            None
        };
        let claims = Self {
            audience: members.text("aud")?,
            issued_at: members.time("iat")?,
            jti: members.id("jti")?,
            chain: members.digest("cth")?,
            target: Value::from(Json::List(members.array("tool")?)),
            arguments: members.digest("ah")?,
            execution,
            step,
        };
        members.finish()?;
        Ok(claims)
    }

    fn check_call(&self, chain: &VerifiedChain, context: &ProofContext<'_>) -> Result<(), Reason> {
        let same = self.audience == context.audience
            && self.chain == chain.digest()
            && self.target == context.call.proof_target()
            && self.arguments == arguments_digest(context.call.args)?;
        if same {
            Ok(())
        } else {
            Err(Reason::PopMismatch)
        }
    }

    /// Checks the window; returns the last moment at which this proof would be taken.
    fn check_time(&self, context: &ProofContext<'_>) -> Result<Timestamp, Reason> {
        let until = self.issued_at.plus_seconds(MAX_AGE_SECONDS);
        let in_window = context.now <= until
            && self.issued_at <= context.now.plus_seconds(MAX_AHEAD_SECONDS)
            && self.issued_at >= context.started_at;
        if in_window {
            Ok(until)
        } else {
            Err(Reason::PopStale)
        }
    }
}

/// `ah`: the digest of the arguments' RFC 8785 form. Refuses integers beyond what every reader
/// represents exactly: RFC 8785 rounds them, so two calls would share one digest.
pub fn arguments_digest(args: &Map<String, Value>) -> Result<Digest, Reason> {
    if !args.values().all(is_exact) {
        return Err(Reason::Malformed);
    }
    to_jcs(&Value::Object(args.clone()))
        .map(Digest::of)
        .map_err(|_| Reason::Malformed)
}

fn is_exact(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(_) | Value::String(_) => true,
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(integer), _) => integer.unsigned_abs() <= MAX_SAFE_INTEGER,
            (None, integer) => integer.is_none(),
        },
        Value::Array(items) => items.iter().all(is_exact),
        Value::Object(members) => members.values().all(is_exact),
    }
}
