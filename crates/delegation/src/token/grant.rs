use std::borrow::Cow;

use chancery_identity::SpiffeId;
use chancery_types::{Json, Jwk, Timestamp};
use serde_json::{Map, Value, json};

use super::members::{array, text};
use super::{Entry, Members};
use crate::Reason;

/// What a root and a link have in common: who grants what to whom, until when and how deep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// `iss`: the authority's URL, or the subject of the parent.
    pub issuer: String,
    /// `sub`: the SPIFFE ID of the holder.
    pub subject: SpiffeId,
    /// `aud`: who may accept this; a link that has none inherits its parent's.
    pub audience: Option<Vec<String>>,
    /// `iat`.
    pub issued_at: Timestamp,
    /// `nbf`.
    pub not_before: Timestamp,
    /// `exp`; at this moment the grant is over.
    pub expires_at: Timestamp,
    /// `jti`; revoking it ends every descendant.
    pub jti: String,
    /// `del_depth`: 0 for a root.
    pub depth: u64,
    /// `del_max_depth`.
    pub max_depth: u64,
    /// `cnf.jwk`: the key that signs children and proofs.
    pub key: Jwk,
    /// `authorization_details`: what the holder may do; empty is nothing.
    pub entries: Vec<Entry>,
    /// `forbid`: what nobody below may do.
    pub forbid: Vec<Entry>,
    /// `ask`: what nobody below may do without an approval.
    pub ask: Vec<Entry>,
}

impl Grant {
    pub(super) fn take(members: &mut Members<'_>) -> Result<Self, Reason> {
        let subject: SpiffeId = members
            .borrowed("sub")?
            .parse()
            .map_err(|_| Reason::Malformed)?;
        if subject.path().is_empty() {
            return Err(Reason::Malformed);
        }
        let audience = members.optional("aud").map(audience).transpose()?;
        let mut cnf = members.object("cnf")?;
        let key = cnf.value("jwk")?;
        cnf.finish()?;
        Ok(Self {
            issuer: members.text("iss")?,
            subject,
            audience,
            issued_at: members.time("iat")?,
            not_before: members.time("nbf")?,
            expires_at: members.time("exp")?,
            jti: members.id("jti")?,
            depth: members.integer("del_depth")?,
            max_depth: members.integer("del_max_depth")?,
            key: Jwk::from_json(&key).map_err(|_| Reason::BadKey)?,
            entries: entries(members.array("authorization_details")?)?,
            forbid: restrictions(members, "forbid")?,
            ask: restrictions(members, "ask")?,
        })
    }

    pub(super) fn put(&self, members: &mut Map<String, Value>) {
        let list = |entries: &[Entry]| entries.iter().map(Entry::to_json).collect::<Value>();
        let mut put = |name: &str, value: Value| members.insert(name.to_owned(), value);
        put("iss", self.issuer.as_str().into());
        put("sub", self.subject.as_str().into());
        if let Some(audience) = &self.audience {
            put("aud", audience.clone().into());
        }
        put("iat", self.issued_at.as_seconds().into());
        put("nbf", self.not_before.as_seconds().into());
        put("exp", self.expires_at.as_seconds().into());
        put("jti", self.jti.as_str().into());
        put("del_depth", self.depth.into());
        put("del_max_depth", self.max_depth.into());
        put("cnf", json!({ "jwk": self.key }));
        put("authorization_details", list(&self.entries));
        for (name, entries) in [("forbid", &self.forbid), ("ask", &self.ask)] {
            if !entries.is_empty() {
                put(name, list(entries));
            }
        }
    }
}

fn audience(value: Json<'_>) -> Result<Vec<String>, Reason> {
    let names = array(value)?.into_iter();
    names.map(|name| text(name).map(Cow::into_owned)).collect()
}

fn restrictions(members: &mut Members<'_>, name: &str) -> Result<Vec<Entry>, Reason> {
    members
        .optional(name)
        .map_or(Ok(Vec::new()), |value| entries(array(value)?))
}

fn entries(values: Vec<Json<'_>>) -> Result<Vec<Entry>, Reason> {
    values.iter().map(Entry::read).collect()
}
