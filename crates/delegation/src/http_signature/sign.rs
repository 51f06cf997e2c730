use chancery_types::Timestamp;
use sfv::{
    BareItem, Dictionary, FieldType as _, InnerList, Item, Key, KeyRef, ListEntry, StringRef,
};

use super::base::signature_base;
use super::digest::content_digest;
use super::{
    CONTENT_DIGEST, COVERED_IF_PRESENT, HttpRefusal, HttpRequest, LABEL, MAX_AGE_SECONDS,
    SIGNATURE, SIGNATURE_INPUT, WIMSE_TAG,
};
use crate::draft::Signer;

/// A signature to be made over a request.
#[derive(Debug, Clone, Copy)]
pub struct RequestSignature<'a> {
    /// Whom the request is for: the SPIFFE ID of the one who answers.
    pub audience: &'a str,
    /// Now.
    pub created: Timestamp,
    /// A nonce, drawn at random.
    pub nonce: &'a str,
}

/// The fields to add to the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedFields {
    /// `Content-Digest`, where there is a body.
    pub content_digest: Option<String>,
    /// `Signature-Input`.
    pub signature_input: String,
    /// `Signature`.
    pub signature: String,
}

/// Why a request was not signed.
#[derive(Debug, thiserror::Error)]
pub enum SignError<E: std::error::Error + 'static> {
    /// A verifier would refuse the request.
    #[error("a verifier would refuse this request: {0}")]
    Refused(HttpRefusal),
    /// The signer failed.
    #[error("signing failed")]
    Sign(#[source] E),
}

impl<E: std::error::Error + 'static> From<HttpRefusal> for SignError<E> {
    fn from(refusal: HttpRefusal) -> Self {
        Self::Refused(refusal)
    }
}

impl RequestSignature<'_> {
    /// Signs a request that has no digest and no signature yet; `sign` signs with the agent key.
    pub fn sign<E: std::error::Error + 'static>(
        &self,
        request: &HttpRequest<'_>,
        sign: Signer<'_, E>,
    ) -> Result<SignedFields, SignError<E>> {
        let taken = [CONTENT_DIGEST, SIGNATURE, SIGNATURE_INPUT];
        if taken.iter().any(|name| request.has(name)) {
            return Err(HttpRefusal::DuplicateField.into());
        }
        let digest = match request.body {
            [] => None,
            body => Some(content_digest(body)?),
        };
        let mut fields = request.fields.to_vec();
        fields.extend(digest.as_deref().map(|value| (CONTENT_DIGEST, value)));
        let request = HttpRequest {
            fields: &fields,
            ..*request
        };
        let present = COVERED_IF_PRESENT.iter().filter(|name| request.has(name));
        let components: Vec<String> = ["@method", "@request-target"]
            .iter()
            .chain(present)
            .map(|name| (*name).to_owned())
            .collect();
        let input = self.input(&components)?;
        let parameters = input
            .strip_prefix(LABEL)
            .and_then(|rest| rest.strip_prefix('='))
            .ok_or(HttpRefusal::Malformed)?;
        let base = signature_base(&request, &components, parameters)?;
        let signature = sign(base.as_bytes()).map_err(SignError::Sign)?;
        let signature = ListEntry::Item(Item::new(BareItem::ByteSequence(signature)));
        Ok(SignedFields {
            content_digest: digest,
            signature: dictionary(signature)?,
            signature_input: input,
        })
    }

    fn input(&self, components: &[String]) -> Result<String, HttpRefusal> {
        let items = components.iter().map(|name| Ok(Item::new(string(name)?)));
        let items = items.collect::<Result<_, HttpRefusal>>()?;
        let created = self.created.as_seconds();
        let mut list = InnerList::new(items);
        for (name, value) in [
            ("created", integer(created)?),
            ("expires", integer(created.saturating_add(MAX_AGE_SECONDS))?),
            ("nonce", string(self.nonce)?),
            ("tag", string(WIMSE_TAG)?),
            ("wimse-aud", string(self.audience)?),
        ] {
            list.params.insert(key(name)?, value);
        }
        dictionary(ListEntry::InnerList(list))
    }
}

fn dictionary(entry: ListEntry) -> Result<String, HttpRefusal> {
    Dictionary::from_iter([(key(LABEL)?, entry)])
        .serialize()
        .ok_or(HttpRefusal::Malformed)
}

fn key(name: &str) -> Result<Key, HttpRefusal> {
    let key = KeyRef::from_str(name).map_err(|_| HttpRefusal::Malformed)?;
    Ok(key.to_owned())
}

fn string(text: &str) -> Result<BareItem, HttpRefusal> {
    let text = StringRef::from_str(text).map_err(|_| HttpRefusal::Malformed)?;
    Ok(BareItem::String(text.to_owned()))
}

fn integer(value: u64) -> Result<BareItem, HttpRefusal> {
    let value = i64::try_from(value).map_err(|_| HttpRefusal::Malformed)?;
    let value = sfv::Integer::try_from(value).map_err(|_| HttpRefusal::Malformed)?;
    Ok(BareItem::Integer(value))
}
