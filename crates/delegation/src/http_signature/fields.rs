use chancery_types::{Jwk, SignatureVerifier, Timestamp};
use sfv::{BareItem, Dictionary, FieldType as _, InnerList, ListEntry, Parser};

use super::base::signature_base;
use super::digest::check_body;
use super::{
    COVERED_IF_PRESENT, HttpRefusal, HttpRequest, MAX_AGE_SECONDS, MAX_AHEAD_SECONDS,
    MAX_LIFE_SECONDS, SIGNATURE, SIGNATURE_INPUT, WIMSE_TAG,
};

/// Most bytes of `Signature-Input` and of `Signature`.
const MAX_INPUT_BYTES: usize = 2_048;
const MAX_SIGNATURE_BYTES: usize = 512;

/// Most bytes of a nonce, as of every identifier that is remembered.
const MAX_NONCE_BYTES: usize = 128;

/// A signature of the profile, read from a request and not verified yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceivedSignature {
    components: Vec<String>,
    /// The inner list as it was sent: the value of `@signature-params`.
    parameters: String,
    pub(super) created: Timestamp,
    pub(super) expires: Timestamp,
    pub(super) nonce: String,
    pub(super) audience: String,
    signature: Vec<u8>,
}

impl ReceivedSignature {
    /// Reads the signature of a request: exactly one, of the profile, covering what it must.
    pub fn parse(request: &HttpRequest<'_>) -> Result<Self, HttpRefusal> {
        let fields = (request.field(SIGNATURE_INPUT)?, request.field(SIGNATURE)?);
        let (Some(input), Some(signature)) = fields else {
            return Err(HttpRefusal::Missing);
        };
        if input.len() > MAX_INPUT_BYTES || signature.len() > MAX_SIGNATURE_BYTES {
            return Err(HttpRefusal::TooLong);
        }
        let (label, ListEntry::InnerList(list)) = only(input)? else {
            return Err(HttpRefusal::Malformed);
        };
        let (same, ListEntry::Item(bytes)) = only(signature)? else {
            return Err(HttpRefusal::Malformed);
        };
        let BareItem::ByteSequence(signature) = bytes.bare_item else {
            return Err(HttpRefusal::Malformed);
        };
        if same != label || !bytes.params.is_empty() {
            return Err(HttpRefusal::Malformed);
        }
        let parameters = input
            .strip_prefix(&label)
            .and_then(|rest| rest.strip_prefix('='))
            .ok_or(HttpRefusal::Malformed)?;
        let components = components(&list, request)?;
        let read = Parameters::read(&list)?;
        Ok(Self {
            components,
            parameters: parameters.to_owned(),
            created: read.created,
            expires: read.expires,
            nonce: read.nonce,
            audience: read.audience,
            signature,
        })
    }

    /// The signature base of the request with this signature's components and parameters.
    pub fn base(&self, request: &HttpRequest<'_>) -> Result<String, HttpRefusal> {
        signature_base(request, &self.components, &self.parameters)
    }

    /// Verifies that `key` signed this request, body included.
    pub fn verify(
        &self,
        request: &HttpRequest<'_>,
        key: &Jwk,
        verifier: &dyn SignatureVerifier,
    ) -> Result<(), HttpRefusal> {
        let base = self.base(request)?;
        if !verifier.verify(key, base.as_bytes(), &self.signature) {
            return Err(HttpRefusal::BadSignature);
        }
        check_body(request)
    }

    /// Checks the window; returns the last moment at which this signature would be taken.
    pub(super) fn check_time(
        &self,
        now: Timestamp,
        started_at: Timestamp,
    ) -> Result<Timestamp, HttpRefusal> {
        let until = self.created.plus_seconds(MAX_AGE_SECONDS).min(self.expires);
        let in_window = now <= until
            && now < self.expires
            && self.created <= now.plus_seconds(MAX_AHEAD_SECONDS)
            && self.created >= started_at
            && self.expires <= self.created.plus_seconds(MAX_LIFE_SECONDS);
        if in_window {
            Ok(until)
        } else {
            Err(HttpRefusal::Stale)
        }
    }
}

/// The only member of a dictionary that is in the spelling of its serialisation.
fn only(field: &str) -> Result<(String, ListEntry), HttpRefusal> {
    let members: Dictionary = Parser::new(field)
        .parse()
        .map_err(|_| HttpRefusal::Malformed)?;
    if members.len() != 1 || members.serialize().as_deref() != Some(field) {
        return Err(HttpRefusal::Malformed);
    }
    let only = members.into_iter().next();
    only.map(|(key, entry)| (key.as_str().to_owned(), entry))
        .ok_or(HttpRefusal::Malformed)
}

/// What is covered: everything that must be, nothing twice, nothing that is not there.
fn components(list: &InnerList, request: &HttpRequest<'_>) -> Result<Vec<String>, HttpRefusal> {
    let mut components: Vec<String> = Vec::with_capacity(list.items.len());
    for item in &list.items {
        let BareItem::String(name) = &item.bare_item else {
            return Err(HttpRefusal::Malformed);
        };
        let name = name.as_str();
        if !item.params.is_empty() || name.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Err(HttpRefusal::Malformed);
        }
        if components.iter().any(|known| known == name) {
            return Err(HttpRefusal::Malformed);
        }
        components.push(name.to_owned());
    }
    let covers = |name: &str| components.iter().any(|known| known == name);
    let covered = covers("@method")
        && covers("@request-target")
        && COVERED_IF_PRESENT
            .iter()
            .all(|name| !request.has(name) || covers(name));
    if covered {
        Ok(components)
    } else {
        Err(HttpRefusal::Uncovered)
    }
}

struct Parameters {
    created: Timestamp,
    expires: Timestamp,
    nonce: String,
    audience: String,
}

impl Parameters {
    fn read(list: &InnerList) -> Result<Self, HttpRefusal> {
        let (mut created, mut expires) = (None, None);
        let (mut nonce, mut audience, mut tag) = (None, None, None);
        for (name, value) in &list.params {
            match name.as_str() {
                "created" => created = seconds(value),
                "expires" => expires = seconds(value),
                "nonce" => nonce = text(value),
                "tag" => tag = text(value),
                "wimse-aud" => audience = text(value),
                // That an answer be signed is for the one who answers to say.
                "wimse-sign-response" if value.as_boolean() == Some(true) => {}
                _ => return Err(HttpRefusal::Parameter),
            }
        }
        if tag.as_deref() != Some(WIMSE_TAG) {
            return Err(HttpRefusal::WrongTag);
        }
        let nonce = nonce.filter(|nonce: &String| nonce.len() <= MAX_NONCE_BYTES);
        match (created, expires, nonce, audience) {
            (Some(created), Some(expires), Some(nonce), Some(audience)) => Ok(Self {
                created,
                expires,
                nonce,
                audience,
            }),
            _ => Err(HttpRefusal::Malformed),
        }
    }
}

fn seconds(value: &BareItem) -> Option<Timestamp> {
    let seconds = u64::try_from(i64::from(value.as_integer()?)).ok()?;
    Some(Timestamp::from_seconds(seconds))
}

fn text(value: &BareItem) -> Option<String> {
    let text = value.as_string()?.as_str();
    (!text.is_empty()).then(|| text.to_owned())
}
