//! One JSON-RPC message, read without being rebuilt.

mod fold;
mod parse;

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::value::RawValue;

use crate::json::{Span, apply, members, part, removals};
use crate::request_id::RequestId;

pub(crate) use fold::{ambiguous, fold, unambiguous};
pub use parse::EnvelopeError;

/// What the names of our own members of `_meta` begin with.
const OWN: &str = "io.chancery/";
const DELEGATION: &str = "io.chancery/delegation";
const PROOF: &str = "io.chancery/proof";
/// The step that the caller means: for its bridge, which puts it into the proof.
const STEP: &str = "io.chancery/step";
const OPINION: &str = "io.chancery/opinion";

/// What a message is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// Wants an answer.
    Request {
        /// By which the answer is told from others.
        id: RequestId,
        /// What is asked.
        method: Box<str>,
    },
    /// Wants none.
    Notification {
        /// What is told.
        method: Box<str>,
    },
    /// Answers a request.
    Response {
        /// The request; an error about an unreadable request has none.
        id: Option<RequestId>,
        /// Whether the answer is an error.
        is_error: bool,
    },
}

/// A JSON-RPC message and where its parts stand. The text is never rebuilt: numbers, unknown
/// members, order and spacing stay as they were written.
///
/// A message from a client has exactly one reading (see [`EnvelopeError`]).
#[derive(Debug)]
pub struct Message {
    text: String,
    kind: Kind,
    params: Option<Span>,
    body: Option<Span>,
    meta: Option<Box<Meta>>,
}

#[derive(Debug, Default)]
struct Meta {
    span: Span,
    delegation: Option<Span>,
    proof: Option<Span>,
    step: Option<Span>,
    opinion: Option<Span>,
    /// Members of ours that no reader here knows.
    others: Vec<Span>,
    version: Option<Span>,
    capabilities: Option<Span>,
    progress: Option<Span>,
    subscription: Option<Span>,
}

impl Message {
    /// Reads one message of a client. Fails with everything that [`EnvelopeError`] lists.
    pub fn from_client(bytes: Vec<u8>) -> Result<Self, EnvelopeError> {
        parse::from_client(bytes)
    }

    /// Reads one message of a server: the envelope only, its content is not ours to judge.
    pub fn from_server(bytes: Vec<u8>) -> Result<Self, EnvelopeError> {
        parse::from_server(bytes)
    }

    /// What the message is.
    pub fn kind(&self) -> &Kind {
        &self.kind
    }

    /// The id of a request.
    pub fn id(&self) -> Option<&RequestId> {
        match &self.kind {
            Kind::Request { id, .. } => Some(id),
            _ => None,
        }
    }

    /// The method of a request or notification.
    pub fn method(&self) -> Option<&str> {
        match &self.kind {
            Kind::Request { method, .. } | Kind::Notification { method } => Some(method),
            Kind::Response { .. } => None,
        }
    }

    /// The message as it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The message as it was written.
    pub(crate) fn into_text(self) -> String {
        self.text
    }

    /// The message as it is forwarded: as written, without the members of `_meta` that are ours, known
    /// or not (the delegation, the proof, the step, the opinion), and without a `_meta` that held
    /// nothing else.
    pub fn forwarded(&self) -> Cow<'_, str> {
        let (Some(params), Some(meta)) = (&self.params, &self.meta) else {
            return Cow::Borrowed(&self.text);
        };
        let known = [&meta.delegation, &meta.proof, &meta.step, &meta.opinion];
        let known = known.into_iter().flatten();
        let ours: Vec<&Span> = known.chain(&meta.others).collect();
        if ours.is_empty() {
            return Cow::Borrowed(&self.text);
        }
        let ours = |span: &Span| ours.contains(&span);
        let marked = |object: &Span, goes: &dyn Fn(&Span) -> bool| -> Vec<(Span, bool)> {
            let members = members(&self.text, object).unwrap_or_default();
            members
                .into_iter()
                .map(|member| {
                    let goes = goes(&member.value);
                    (member.value, goes)
                })
                .collect()
        };
        let in_meta = marked(&meta.span, &ours);
        let edits = if in_meta.iter().all(|(_, goes)| *goes) {
            let in_params = marked(params, &|span| *span == meta.span);
            removals(&self.text, params, in_params)
        } else {
            removals(&self.text, &meta.span, in_meta)
        };
        Cow::Owned(apply(&self.text, &edits))
    }

    /// The raw JSON of a member of `params`.
    pub fn param(&self, name: &str) -> Option<&str> {
        self.param_span(name).map(|span| part(&self.text, &span))
    }

    /// The names of the members of `params`.
    pub(crate) fn param_names(&self) -> Vec<String> {
        let Some(params) = &self.params else {
            return Vec::new();
        };
        let members = members(&self.text, params).unwrap_or_default();
        members
            .into_iter()
            .map(|member| member.name.into_owned())
            .collect()
    }

    /// A member of `params` that is a string.
    pub fn param_text(&self, name: &str) -> Option<String> {
        serde_json::from_str(self.param(name)?).ok()
    }

    /// The raw JSON of the delegation chain that came with the message.
    pub fn delegation(&self) -> Option<&str> {
        self.meta_part(|meta| meta.delegation.as_ref())
    }

    /// The raw JSON of the proof that came with the message.
    pub fn proof(&self) -> Option<&str> {
        self.meta_part(|meta| meta.proof.as_ref())
    }

    /// The raw JSON of an opinion that came with the message.
    pub fn opinion(&self) -> Option<&str> {
        self.meta_part(|meta| meta.opinion.as_ref())
    }

    /// The protocol version that the message itself names, if it names one as a string.
    pub fn protocol_version(&self) -> Option<String> {
        serde_json::from_str(self.meta_part(|meta| meta.version.as_ref())?).ok()
    }

    /// Whether the message carries everything that a stateless request must.
    pub(crate) fn has_stateless_metadata(&self) -> bool {
        let capabilities = self.meta_part(|meta| meta.capabilities.as_ref());
        self.protocol_version().is_some() && capabilities.is_some_and(|raw| raw.starts_with('{'))
    }

    /// The token under which progress on a request is reported; in a progress notification the
    /// token it reports on.
    pub(crate) fn progress_token(&self) -> Option<RequestId> {
        let raw = match &self.kind {
            Kind::Notification { .. } => self.param("progressToken")?,
            _ => self.meta_part(|meta| meta.progress.as_ref())?,
        };
        RequestId::from_json(raw)
    }

    /// The subscription that a notification belongs to.
    pub(crate) fn subscription(&self) -> Option<RequestId> {
        RequestId::from_json(self.meta_part(|meta| meta.subscription.as_ref())?)
    }

    /// The raw JSON of a response's `result` or `error`.
    pub fn body(&self) -> Option<&RawValue> {
        serde_json::from_str(part(&self.text, self.body.as_ref()?)).ok()
    }

    pub(crate) fn body_span(&self) -> Option<&Span> {
        self.body.as_ref()
    }

    /// The raw JSON of a member of a response's `result` or `error`.
    pub(crate) fn body_member(&self, name: &str) -> Option<&str> {
        let members = members(&self.text, self.body.as_ref()?).ok()?;
        let member = members.into_iter().find(|member| member.name == name)?;
        Some(part(&self.text, &member.value))
    }

    /// The members of a response's `result` or `error`, by name with their raw JSON. None where it is
    /// no object, or where readers could disagree about one: a name twice, or one that differs from
    /// another or from one of `known` only by case.
    pub(crate) fn body_members(&self, known: &[&str]) -> Option<BTreeMap<String, &str>> {
        let members = unambiguous(&self.text, self.body.as_ref()?, known).ok()?;
        let named = members.into_iter();
        let named = named.map(|it| (it.name.into_owned(), part(&self.text, &it.value)));
        Some(named.collect())
    }

    fn param_span(&self, name: &str) -> Option<Span> {
        let members = members(&self.text, self.params.as_ref()?).ok()?;
        let member = members.into_iter().find(|member| member.name == name)?;
        Some(member.value)
    }

    fn meta_part<'m>(&'m self, of: impl Fn(&'m Meta) -> Option<&'m Span>) -> Option<&'m str> {
        of(self.meta.as_deref()?).map(|span| part(&self.text, span))
    }
}

#[cfg(test)]
mod tests;
