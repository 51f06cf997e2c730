use chancery_types::id::ExecutionId;
use chancery_types::jws::{Header, assemble, signing_input};
use chancery_types::{Digest, Jwk, Timestamp, to_canonical};
use serde_json::{Value, json};

use super::{DraftError, Signer};
use crate::Reason;
use crate::proof::{PROOF_TYP, arguments_digest};
use crate::token::{Call, id};

/// A proof of possession to be made by the holder of a chain for one call.
#[derive(Debug, Clone, Copy)]
pub struct ProofDraft<'a> {
    /// The home gateway's SPIFFE ID.
    pub audience: &'a str,
    /// Now.
    pub issued_at: Timestamp,
    /// Its identifier, drawn at random.
    pub jti: &'a str,
    /// `cth` of the chain that it goes with.
    pub chain: Digest,
    /// The call.
    pub call: Call<'a>,
    /// The execution that the holder means.
    pub execution: Option<ExecutionId>,
    /// The mission step that the holder means.
    pub step: Option<&'a str>,
}

impl ProofDraft<'_> {
    /// Makes the proof; `key` is the public half of what `sign` signs with, the leaf's.
    pub fn sign<E: std::error::Error + 'static>(
        &self,
        key: &Jwk,
        sign: Signer<'_, E>,
    ) -> Result<String, DraftError<E>> {
        let mut claims = json!({
            "aud": self.audience,
            "iat": self.issued_at.as_seconds(),
            "jti": id(self.jti.to_owned())?,
            "cth": self.chain.to_base64url(),
            "tool": self.call.proof_target(),
            "ah": arguments_digest(self.call.args)?.to_base64url(),
        });
        if let Value::Object(members) = &mut claims {
            if let Some(execution) = self.execution {
                members.insert("exec".to_owned(), execution.to_string().into());
            }
            if let Some(step) = self.step {
                members.insert("step".to_owned(), id(step.to_owned())?.into());
            }
        }
        if self.audience.is_empty() {
            return Err(Reason::Malformed.into());
        }
        let header = Header {
            algorithm: key.algorithm(),
            typ: PROOF_TYP.to_owned(),
            kid: None,
        };
        let claims = to_canonical(&claims).map_err(DraftError::Canonical)?;
        let input = signing_input(&header, &claims);
        let signature = sign(input.as_bytes()).map_err(DraftError::Sign)?;
        Ok(assemble(&input, &signature))
    }
}
