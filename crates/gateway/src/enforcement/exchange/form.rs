use std::collections::BTreeMap;
use std::sync::Arc;

use chancery_api::oauth::{ACCESS_TOKEN_TYPE, CHAIN_TOKEN_TYPE, GRANT_TYPE, PROOF_ASSERTION_TYPE};
use chancery_delegation::access_token::{AUTHORIZATION_DETAILS, Audience, EXCHANGE_SERVER};
use chancery_types::jws::Compact;
use serde_json::{Value, json};

use crate::call::{Call, Visit};
use crate::envelope::Message;
use crate::era::Era;
use crate::method::Method;

/// Most bytes of a form: a chain, a proof and the entries that are asked for.
const MAX_BYTES: usize = 64 << 10;

const FORM: &str = "exchange_form";
const TARGET: &str = "exchange_target";

/// What a client asks of the token endpoint: `application/x-www-form-urlencoded`, each parameter at
/// most once, exactly one audience. Nothing in it is verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExchangeForm {
    chain: Value,
    proof: String,
    audience: Audience,
    details: Option<String>,
    client: Option<String>,
}

impl ExchangeForm {
    /// Reads a form. Fails with a reason code.
    pub fn parse(body: &[u8]) -> Result<Self, &'static str> {
        let mut given = parameters(body)?;
        let mut take = |name: &str| given.remove(name);
        if take("grant_type").ok_or(FORM)? != GRANT_TYPE {
            return Err("exchange_grant_type");
        }
        if take("actor_token").is_some() || take("actor_token_type").is_some() {
            return Err("exchange_actor");
        }
        if take("scope").is_some() {
            return Err("exchange_scope");
        }
        let issued = take("requested_token_type");
        let is_issued = issued.is_none_or(|asked| asked == ACCESS_TOKEN_TYPE);
        if take("subject_token_type").ok_or(FORM)? != CHAIN_TOKEN_TYPE || !is_issued {
            return Err("exchange_token_type");
        }
        let audience = match (take("audience"), take("resource")) {
            (Some(one), Some(other)) if one == other => one,
            (Some(only), None) | (None, Some(only)) => only,
            _ => return Err(TARGET),
        };
        if take("client_assertion_type").ok_or("pop_missing")? != PROOF_ASSERTION_TYPE {
            return Err("pop_missing");
        }
        let proof = take("client_assertion").ok_or("pop_missing")?;
        let names_execution = Compact::parse(&proof)
            .map_err(|_| "malformed")?
            .claims
            .contains_key("exec");
        if !names_execution {
            return Err("pop_mismatch");
        }
        Ok(Self {
            chain: chain(&take("subject_token").ok_or(FORM)?),
            proof,
            audience: audience.parse().map_err(|_| TARGET)?,
            details: take(AUTHORIZATION_DETAILS),
            client: take("client_id"),
        })
    }

    /// The relying party.
    pub const fn audience(&self) -> &Audience {
        &self.audience
    }

    /// `client_id`, where it was given.
    pub(crate) fn client(&self) -> Option<&str> {
        self.client.as_deref()
    }

    /// The exchange as the call that is decided.
    pub fn to_call(&self) -> Result<Call, &'static str> {
        // As it was written: what is digested and judged is read from the one text.
        let arguments = match &self.details {
            Some(details) => format!(r#"{{"{AUTHORIZATION_DETAILS}":{details}}}"#),
            None => "{}".to_owned(),
        };
        let arguments: &serde_json::value::RawValue =
            serde_json::from_str(&arguments).map_err(|_| FORM)?;
        let name = Value::from(self.audience.as_str());
        let meta = json!({"io.chancery/delegation": self.chain, "io.chancery/proof": self.proof});
        let text = format!(
            r#"{{"jsonrpc":"2.0","id":0,"method":"tools/call","params":{{"name":{name},"arguments":{arguments},"_meta":{meta}}}}}"#
        );
        let message = Message::from_client(text.into_bytes()).map_err(|_| FORM)?;
        let server = EXCHANGE_SERVER.parse().map_err(|_| FORM)?;
        let visit = Visit::new(server, Era::Stateless, None, Arc::new(message));
        Call::new(visit, Method::ToolsCall).map_err(|_| FORM)
    }
}

/// Links joined by commas, or the digest of a chain that was presented before.
fn chain(token: &str) -> Value {
    if token.starts_with("sha256:") {
        return token.into();
    }
    token.split(',').collect::<Vec<_>>().into()
}

/// The parameters that have a value (RFC 6749 section 3.2: one without is as if it were left out).
fn parameters(body: &[u8]) -> Result<BTreeMap<String, String>, &'static str> {
    if body.len() > MAX_BYTES {
        return Err("too_long");
    }
    if !is_encoded(body) {
        return Err(FORM);
    }
    let mut given = BTreeMap::new();
    for (name, value) in form_urlencoded::parse(body) {
        // What is not UTF-8 was replaced.
        if name.contains('\u{fffd}') || value.contains('\u{fffd}') {
            return Err(FORM);
        }
        let is_target = matches!(name.as_ref(), "audience" | "resource");
        if given
            .insert(name.into_owned(), value.into_owned())
            .is_some()
        {
            return Err(if is_target { TARGET } else { FORM });
        }
    }
    given.retain(|_, value| !value.is_empty());
    Ok(given)
}

/// Whether there is one reading: visible ASCII, every `%` with two hexadecimal digits.
fn is_encoded(body: &[u8]) -> bool {
    let hex = |at: usize| body.get(at).is_some_and(u8::is_ascii_hexdigit);
    body.iter().enumerate().all(|(at, byte)| match byte {
        b'%' => hex(at + 1) && hex(at + 2),
        byte => byte.is_ascii_graphic(),
    })
}

#[cfg(test)]
#[path = "form_tests.rs"]
mod tests;
