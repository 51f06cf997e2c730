//! What the server answers, with the headers that C2SP tlog-tiles asks for.

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use http_body_util::Full;

pub(super) type Body = Full<Bytes>;

/// A checkpoint, which another one follows within a second.
pub(super) fn checkpoint(note: String) -> Response<Body> {
    const FRESH: &str = "max-age=1";
    let text = "text/plain; charset=utf-8";
    made(note.into(), &[(CONTENT_TYPE, text), (CACHE_CONTROL, FRESH)])
}

/// A tile or bundle, which never changes.
pub(super) fn immutable(bytes: Vec<u8>) -> Response<Body> {
    const FOR_EVER: &str = "max-age=31536000, immutable";
    let octets = "application/octet-stream";
    made(
        bytes.into(),
        &[(CONTENT_TYPE, octets), (CACHE_CONTROL, FOR_EVER)],
    )
}

/// An answer without content, which nobody keeps: what is not there may be there soon.
pub(super) fn empty(status: StatusCode) -> Response<Body> {
    let mut response = made(Bytes::new(), &[(CACHE_CONTROL, "no-store")]);
    *response.status_mut() = status;
    response
}

/// The answer to every method but GET and HEAD.
pub(super) fn not_allowed() -> Response<Body> {
    let mut response = empty(StatusCode::METHOD_NOT_ALLOWED);
    let methods = HeaderValue::from_static("GET, HEAD");
    response.headers_mut().insert(ALLOW, methods);
    response
}

fn made(bytes: Bytes, headers: &[(HeaderName, &'static str)]) -> Response<Body> {
    let mut response = Response::new(Full::new(bytes));
    for (name, value) in headers {
        let value = HeaderValue::from_static(value);
        response.headers_mut().insert(name, value);
    }
    let nosniff = HeaderValue::from_static("nosniff");
    response
        .headers_mut()
        .insert(X_CONTENT_TYPE_OPTIONS, nosniff);
    response
}
