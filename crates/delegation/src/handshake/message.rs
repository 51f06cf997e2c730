use std::fmt;
use std::str::FromStr;

use chancery_identity::SpiffeId;
use chancery_types::limits::{MAX_CHAIN_BYTES, MAX_CHAIN_LINKS, MAX_JWS_BYTES};
use chancery_types::{Digest, Json, Timestamp, base64url, to_canonical};
use serde_json::{Map, Value, json};

use super::{HANDSHAKE_PROTOCOL, HandshakeRefusal};
use crate::Reason;
use crate::token::{Entry, Members};

/// Most entries of one list of an offer.
const MAX_ENTRIES: usize = 256;

/// 32 random bytes, written in base64url: names one handshake at the end that drew it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Nonce([u8; 32]);

impl Nonce {
    /// A nonce of bytes that were drawn at random.
    pub const fn from_random(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&base64url::encode(self.0))
    }
}

impl FromStr for Nonce {
    type Err = HandshakeRefusal;

    fn from_str(text: &str) -> Result<Self, HandshakeRefusal> {
        base64url::decode_array(text)
            .map(Self)
            .map_err(|_| HandshakeRefusal::Malformed)
    }
}

/// What is offered: the terms of the link to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfferedTerms {
    /// What the accepting side may do: never more than the offering side.
    pub entries: Vec<Entry>,
    /// What nobody below may do.
    pub forbid: Vec<Entry>,
    /// What nobody below may do without an approval.
    pub ask: Vec<Entry>,
    /// When it is over.
    pub expires_at: Timestamp,
    /// How deep it may be delegated, counted from the root.
    pub max_depth: u64,
}

/// The first message: who offers what, out of which chain, to whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// The offering side's nonce.
    pub nonce: Nonce,
    /// The credential of its agent key.
    pub wit: String,
    /// Whom the offer is for.
    pub audience: SpiffeId,
    /// `par_hash` of the link to be made: the digest of the signing input of the chain's last link.
    pub parent: Digest,
    /// What is offered.
    pub terms: OfferedTerms,
    /// When it was made.
    pub issued_at: Timestamp,
}

/// The answer: the accepting side's nonce, credential and proof.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accept {
    /// The accepting side's nonce.
    pub nonce: Nonce,
    /// The credential of its agent key.
    pub wit: String,
    /// Its proof: a compact JWS over the transcript.
    pub proof: String,
}

/// The end: the offering side's proof, and the chain with the new link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conclusion {
    /// The accepting side's nonce: which handshake this ends.
    pub nonce: Nonce,
    /// The offering side's proof: a compact JWS over the transcript.
    pub proof: String,
    /// The chain, root first, the new link last.
    pub chain: Vec<String>,
}

impl Offer {
    /// Reads the JSON object of an offer; refuses members that are not its own.
    pub fn parse(value: Value) -> Result<Self, HandshakeRefusal> {
        let mut members = open(&value, "offer")?;
        let offer = Self {
            nonce: text(&mut members, "nonce")?.parse()?,
            wit: token(&mut members, "wit")?,
            audience: text(&mut members, "aud")?
                .parse()
                .map_err(|_| HandshakeRefusal::Malformed)?,
            parent: members.digest("par_hash").map_err(malformed)?,
            terms: OfferedTerms {
                entries: entries(members.value("authorization_details").map_err(malformed)?)?,
                forbid: restrictions(&mut members, "forbid")?,
                ask: restrictions(&mut members, "ask")?,
                expires_at: members.time("exp").map_err(malformed)?,
                max_depth: members.integer("del_max_depth").map_err(malformed)?,
            },
            issued_at: members.time("iat").map_err(malformed)?,
        };
        members.finish().map_err(malformed)?;
        Ok(offer)
    }

    /// The offer as a JSON object.
    pub fn to_json(&self) -> Value {
        let mut value = json!({
            "protocol": HANDSHAKE_PROTOCOL,
            "message": "offer",
            "nonce": self.nonce.to_string(),
            "wit": self.wit,
            "aud": self.audience.as_str(),
            "par_hash": self.parent.to_base64url(),
            "authorization_details": list(&self.terms.entries),
            "exp": self.terms.expires_at.as_seconds(),
            "del_max_depth": self.terms.max_depth,
            "iat": self.issued_at.as_seconds(),
        });
        if let Value::Object(members) = &mut value {
            for (name, entries) in [("forbid", &self.terms.forbid), ("ask", &self.terms.ask)] {
                if !entries.is_empty() {
                    members.insert(name.to_owned(), list(entries));
                }
            }
        }
        value
    }

    /// The digest of the offer's canonical form: every member of it counts.
    pub fn digest(&self) -> Result<Digest, HandshakeRefusal> {
        canonical_digest(&self.to_json())
    }
}

impl OfferedTerms {
    /// The digest of the requested entries' canonical form.
    pub fn entries_digest(&self) -> Result<Digest, HandshakeRefusal> {
        canonical_digest(&list(&self.entries))
    }
}

impl Accept {
    /// Reads the JSON object of an answer; refuses members that are not its own.
    pub fn parse(value: Value) -> Result<Self, HandshakeRefusal> {
        let mut members = open(&value, "accept")?;
        let accept = Self {
            nonce: text(&mut members, "nonce")?.parse()?,
            wit: token(&mut members, "wit")?,
            proof: token(&mut members, "proof")?,
        };
        members.finish().map_err(malformed)?;
        Ok(accept)
    }

    /// The answer as a JSON object.
    pub fn to_json(&self) -> Value {
        json!({
            "protocol": HANDSHAKE_PROTOCOL,
            "message": "accept",
            "nonce": self.nonce.to_string(),
            "wit": self.wit,
            "proof": self.proof,
        })
    }
}

impl Conclusion {
    /// Reads the JSON object of an end; refuses members that are not its own. Number and size of
    /// the links are checked before any of them is read.
    pub fn parse(value: Value) -> Result<Self, HandshakeRefusal> {
        let mut members = open(&value, "conclusion")?;
        let links = members.array("chain").map_err(malformed)?;
        if links.len() > MAX_CHAIN_LINKS {
            return Err(HandshakeRefusal::TooLong);
        }
        let chain = links.into_iter().map(|link| match link {
            Json::Text(link) => Ok(link.into_owned()),
            _ => Err(HandshakeRefusal::Malformed),
        });
        let chain: Vec<String> = chain.collect::<Result<_, _>>()?;
        if chain.iter().map(String::len).sum::<usize>() > MAX_CHAIN_BYTES {
            return Err(HandshakeRefusal::TooLong);
        }
        let conclusion = Self {
            nonce: text(&mut members, "nonce")?.parse()?,
            proof: token(&mut members, "proof")?,
            chain,
        };
        members.finish().map_err(malformed)?;
        Ok(conclusion)
    }

    /// The end as a JSON object.
    pub fn to_json(&self) -> Value {
        json!({
            "protocol": HANDSHAKE_PROTOCOL,
            "message": "conclusion",
            "nonce": self.nonce.to_string(),
            "proof": self.proof,
            "chain": self.chain,
        })
    }
}

fn open<'a>(value: &'a Value, message: &str) -> Result<Members<'a>, HandshakeRefusal> {
    let Value::Object(members) = value else {
        return Err(HandshakeRefusal::Malformed);
    };
    if members.get("protocol").and_then(Value::as_str) != Some(HANDSHAKE_PROTOCOL) {
        return Err(HandshakeRefusal::Protocol);
    }
    let mut members = Members::of(members);
    let (_, named) = (
        text(&mut members, "protocol")?,
        text(&mut members, "message")?,
    );
    if named == message {
        Ok(members)
    } else {
        Err(HandshakeRefusal::Malformed)
    }
}

fn text(members: &mut Members<'_>, name: &str) -> Result<String, HandshakeRefusal> {
    members.text(name).map_err(malformed)
}

fn token(members: &mut Members<'_>, name: &str) -> Result<String, HandshakeRefusal> {
    let token = text(members, name)?;
    if token.len() > MAX_JWS_BYTES {
        return Err(HandshakeRefusal::TooLong);
    }
    Ok(token)
}

fn entries(value: Json<'_>) -> Result<Vec<Entry>, HandshakeRefusal> {
    let Json::List(values) = value else {
        return Err(HandshakeRefusal::Malformed);
    };
    if values.len() > MAX_ENTRIES {
        return Err(HandshakeRefusal::TooLong);
    }
    values
        .iter()
        .map(|value| Entry::read(value).map_err(malformed))
        .collect()
}

fn restrictions(members: &mut Members<'_>, name: &str) -> Result<Vec<Entry>, HandshakeRefusal> {
    members.optional(name).map_or(Ok(Vec::new()), entries)
}

fn list(entries: &[Entry]) -> Value {
    entries.iter().map(Entry::to_json).collect()
}

fn malformed(_: Reason) -> HandshakeRefusal {
    HandshakeRefusal::Malformed
}

fn canonical_digest(value: &Value) -> Result<Digest, HandshakeRefusal> {
    to_canonical(value)
        .map(Digest::of)
        .map_err(|_| HandshakeRefusal::Malformed)
}

/// The members of a claim set.
pub(super) fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}
