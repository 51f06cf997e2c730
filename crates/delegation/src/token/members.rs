use std::borrow::Cow;

use chancery_types::limits::MAX_SAFE_INTEGER;
use chancery_types::{Digest, Json, Timestamp};
use serde_json::{Map, Value};

use crate::Reason;

/// Most bytes of an identifier such as `jti` or `sid`.
const MAX_ID_BYTES: usize = 128;

/// The members of a JSON object, taken out one by one; what is left over at the end is unknown and
/// refused.
#[derive(Debug)]
pub(crate) struct Members<'a>(Vec<(Cow<'a, str>, Json<'a>)>);

impl<'a> Members<'a> {
    pub(crate) const fn new(members: Vec<(Cow<'a, str>, Json<'a>)>) -> Self {
        Self(members)
    }

    pub(crate) fn of(members: &'a Map<String, Value>) -> Self {
        let members = members.iter();
        let borrowed =
            |(name, value): (&'a String, _)| (Cow::Borrowed(name.as_str()), Json::of(value));
        Self(members.map(borrowed).collect())
    }

    pub(crate) fn finish(self) -> Result<(), Reason> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(Reason::Malformed)
        }
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(known, _)| known == name)
    }

    pub(crate) fn optional(&mut self, name: &str) -> Option<Json<'a>> {
        let at = self.0.iter().position(|(known, _)| known == name)?;
        Some(self.0.swap_remove(at).1)
    }

    pub(crate) fn value(&mut self, name: &str) -> Result<Json<'a>, Reason> {
        self.optional(name).ok_or(Reason::Malformed)
    }

    pub(crate) fn object(&mut self, name: &str) -> Result<Self, Reason> {
        match self.value(name)? {
            Json::Object(members) => Ok(Self(members)),
            _ => Err(Reason::Malformed),
        }
    }

    pub(crate) fn array(&mut self, name: &str) -> Result<Vec<Json<'a>>, Reason> {
        array(self.value(name)?)
    }

    /// A text that is not empty.
    pub(crate) fn text(&mut self, name: &str) -> Result<String, Reason> {
        self.borrowed(name).map(Cow::into_owned)
    }

    /// As [`Members::text`], for what is parsed and not kept.
    pub(crate) fn borrowed(&mut self, name: &str) -> Result<Cow<'a, str>, Reason> {
        text(self.value(name)?)
    }

    /// Visible ASCII, short enough to remember.
    pub(crate) fn id(&mut self, name: &str) -> Result<String, Reason> {
        id(self.text(name)?)
    }

    pub(crate) fn integer(&mut self, name: &str) -> Result<u64, Reason> {
        match self.value(name)?.as_u64() {
            Some(integer) if integer <= MAX_SAFE_INTEGER => Ok(integer),
            _ => Err(Reason::Malformed),
        }
    }

    /// Whole seconds since the epoch. What a [`Timestamp`] cannot hold would be shortened, and a
    /// longer child would look like its parent: refused.
    pub(crate) fn time(&mut self, name: &str) -> Result<Timestamp, Reason> {
        let seconds = self.integer(name)?;
        let time = Timestamp::from_seconds(seconds);
        if time.as_seconds() == seconds {
            Ok(time)
        } else {
            Err(Reason::Malformed)
        }
    }

    pub(crate) fn digest(&mut self, name: &str) -> Result<Digest, Reason> {
        Digest::from_base64url(&self.borrowed(name)?).map_err(|_| Reason::Malformed)
    }
}

pub(crate) fn array(value: Json<'_>) -> Result<Vec<Json<'_>>, Reason> {
    match value {
        Json::List(items) => Ok(items),
        _ => Err(Reason::Malformed),
    }
}

pub(crate) fn text(value: Json<'_>) -> Result<Cow<'_, str>, Reason> {
    match value {
        Json::Text(text) if !text.is_empty() => Ok(text),
        _ => Err(Reason::Malformed),
    }
}

pub(crate) fn id(text: String) -> Result<String, Reason> {
    if is_id(&text) {
        Ok(text)
    } else {
        Err(Reason::Malformed)
    }
}

/// Whether the text is an identifier: visible ASCII, short enough to remember.
pub(crate) fn is_id(text: &str) -> bool {
    (1..=MAX_ID_BYTES).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}
