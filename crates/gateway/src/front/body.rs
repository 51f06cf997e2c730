use bytes::Bytes;
use http::StatusCode;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::Incoming;
use tokio::time::timeout;

use crate::limits::Limits;

/// Reads a body within the limits of size and time. Otherwise the status that says so.
pub(super) async fn read(body: Incoming, limits: &Limits) -> Result<Bytes, StatusCode> {
    let limited = Limited::new(body, limits.request_bytes).collect();
    match timeout(limits.body, limited).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(StatusCode::PAYLOAD_TOO_LARGE),
        Ok(Err(_)) => Err(StatusCode::BAD_REQUEST),
        Err(_) => Err(StatusCode::REQUEST_TIMEOUT),
    }
}
