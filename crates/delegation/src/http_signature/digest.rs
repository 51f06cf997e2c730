use chancery_types::Digest;
use sfv::{BareItem, Dictionary, FieldType as _, Item, KeyRef, ListEntry, Parser};

use super::{CONTENT_DIGEST, HttpRefusal, HttpRequest};

/// The algorithm of RFC 9530 that is understood.
const SHA_256: &str = "sha-256";

/// The value of `Content-Digest` for a body (RFC 9530).
pub(super) fn content_digest(body: &[u8]) -> Result<String, HttpRefusal> {
    let key = KeyRef::from_str(SHA_256).map_err(|_| HttpRefusal::ContentDigest)?;
    let value = BareItem::ByteSequence(Digest::of(body).as_bytes().to_vec());
    let field = Dictionary::from_iter([(key.to_owned(), ListEntry::Item(Item::new(value)))]);
    field.serialize().ok_or(HttpRefusal::ContentDigest)
}

/// Checks the body against the field. A body has one; without a body one is checked where it came.
pub(super) fn check_body(request: &HttpRequest<'_>) -> Result<(), HttpRefusal> {
    let Some(field) = request.field(CONTENT_DIGEST)? else {
        return if request.body.is_empty() {
            Ok(())
        } else {
            Err(HttpRefusal::ContentDigest)
        };
    };
    let field: Dictionary = Parser::new(field)
        .parse()
        .map_err(|_| HttpRefusal::ContentDigest)?;
    let claimed = field.iter().find(|(key, _)| key.as_str() == SHA_256);
    let claimed = match claimed {
        Some((_, ListEntry::Item(item))) => item.bare_item.as_byte_sequence(),
        _ => None,
    };
    if claimed == Some(&Digest::of(request.body).as_bytes()[..]) {
        Ok(())
    } else {
        Err(HttpRefusal::ContentDigest)
    }
}
