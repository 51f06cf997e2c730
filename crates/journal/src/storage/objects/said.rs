use std::error::Error as _;
use std::io;

use object_store::Error;
use object_store::client::HttpError;
use object_store::path::Path as Key;

/// What a client's error shows of itself before the status.
const STATUS: &str = "status code: ";

/// What is told of a request that failed: what was asked, and status and code of the answer. The rest of
/// an answer is left out, since a store may repeat in it what it was asked with.
pub(super) fn said(operation: &str, key: &Key, error: &Error) -> io::Error {
    let kind = match error {
        Error::NotFound { .. } => io::ErrorKind::NotFound,
        Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => {
            io::ErrorKind::PermissionDenied
        }
        _ => io::ErrorKind::Other,
    };
    let text = error.to_string();
    let mut what = format!("{operation} {key}: {}", name(error));
    if let Some(status) = status(&text) {
        what.push_str(&format!(", status {status}"));
    }
    if let Some(code) = code(&text) {
        what.push_str(&format!(", code {code}"));
    }
    if let Some(kind) = transport(error) {
        what.push_str(&format!(", {kind}"));
    }
    io::Error::new(kind, what)
}

const fn name(error: &Error) -> &'static str {
    match error {
        Error::NotFound { .. } => "there is none",
        Error::AlreadyExists { .. } => "the store reports a conflict",
        Error::Precondition { .. } | Error::NotModified { .. } => {
            "the store says that the condition does not hold"
        }
        Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => {
            "the store does not permit it to these credentials"
        }
        Error::NotImplemented { .. } => "the S3 client is told not to do that",
        Error::NotSupported { .. } => "not supported, or larger than any object of a log",
        Error::InvalidPath { .. } => "not the name of an object",
        _ => "the store did not do it",
    }
}

fn status(text: &str) -> Option<u16> {
    let (_, after) = text.split_once(STATUS)?;
    after.get(..3)?.parse().ok()
}

/// The code of an answer in the form of S3's: a word of letters.
fn code(text: &str) -> Option<&str> {
    let (_, after) = text.split_once("<Code>")?;
    let (code, _) = after.split_once("</Code>")?;
    let is_code = code.len() <= 64 && code.bytes().all(|byte| byte.is_ascii_alphabetic());
    is_code.then_some(code)
}

/// What kind of failure it was where no answer arrived.
fn transport(error: &Error) -> Option<String> {
    let mut cause = error.source();
    while let Some(now) = cause {
        if let Some(http) = now.downcast_ref::<HttpError>() {
            return Some(format!("no answer ({:?})", http.kind()));
        }
        cause = now.source();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> Error {
        Error::Generic {
            store: "S3",
            source: text.to_owned().into(),
        }
    }

    #[test]
    fn status_and_code_of_an_answer_are_told_and_nothing_else() {
        let key = Key::from("log/state");
        for (text, told) in [
            (
                "status code: 400 Bad Request: <Code>RequestExpired</Code><Key>marker</Key>",
                "PUT log/state: the store did not do it, status 400, code RequestExpired",
            ),
            (
                "status code: 500: <Code>marker-7</Code>",
                "PUT log/state: the store did not do it, status 500",
            ),
            ("<Code>marker", "PUT log/state: the store did not do it"),
            ("status code: mar", "PUT log/state: the store did not do it"),
        ] {
            let error = said("PUT", &key, &error(text));
            assert_eq!(error.to_string(), told);
            assert!(!format!("{error:?}").contains("marker"), "{error:?}");
        }
    }
}
