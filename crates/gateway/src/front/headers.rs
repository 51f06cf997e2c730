use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderName};

use crate::envelope::{Kind, Message};
use crate::era::Era;
use crate::method::mirrored_member;
use crate::reply::code;

pub(super) const SESSION: HeaderName = HeaderName::from_static("mcp-session-id");
const VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
const METHOD: HeaderName = HeaderName::from_static("mcp-method");
const NAME: HeaderName = HeaderName::from_static("mcp-name");

/// How the headers of a request fail its body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum HeaderFault {
    #[error("Header mismatch: {0} is missing")]
    Missing(&'static str),
    #[error("Header mismatch: {0} contradicts the body, stands twice or is malformed")]
    Mismatch(&'static str),
    #[error("MCP-Protocol-Version is not a protocol version")]
    NoVersion,
    #[error("_meta must carry io.modelcontextprotocol/protocolVersion and clientCapabilities")]
    NoMetadata,
}

impl HeaderFault {
    pub(super) const fn code(self) -> i64 {
        match self {
            Self::Missing(_) | Self::Mismatch(_) => code::HEADER_MISMATCH,
            Self::NoVersion => code::INVALID_REQUEST,
            Self::NoMetadata => code::INVALID_PARAMS,
        }
    }
}

/// The era that a message speaks, once its headers say what its body says.
pub(super) fn judge(headers: &HeaderMap, message: &Message) -> Result<Era, HeaderFault> {
    let version = single(headers, &VERSION, "MCP-Protocol-Version")?;
    let of_header = match version {
        Some(version) => Era::of_version(version),
        None => Some(Era::Legacy),
    };
    if !matches!(message.kind(), Kind::Request { .. }) {
        return of_header.ok_or(HeaderFault::NoVersion);
    }
    if message.method() == Some("initialize") {
        mirror(headers, message, Era::Legacy)?;
        return Ok(Era::Legacy);
    }
    let era = match (version, message.protocol_version()) {
        (None, Some(_)) => return Err(HeaderFault::Missing("MCP-Protocol-Version")),
        (Some(header), Some(body)) if header != body => {
            return Err(HeaderFault::Mismatch("MCP-Protocol-Version"));
        }
        // A version that nobody knows is for the server to refuse.
        (Some(_), Some(_)) => of_header.unwrap_or(Era::Stateless),
        (_, None) => match of_header.ok_or(HeaderFault::NoVersion)? {
            Era::Legacy => Era::Legacy,
            Era::Stateless => return Err(HeaderFault::NoMetadata),
        },
    };
    mirror(headers, message, era)?;
    if version == Some(Era::FIRST_STATELESS) && !message.has_stateless_metadata() {
        return Err(HeaderFault::NoMetadata);
    }
    Ok(era)
}

/// The one value of a header; a header that stands twice could be read either way.
pub(super) fn single<'h>(
    headers: &'h HeaderMap,
    name: &HeaderName,
    shown: &'static str,
) -> Result<Option<&'h str>, HeaderFault> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => value
            .to_str()
            .map(Some)
            .map_err(|_| HeaderFault::Mismatch(shown)),
        _ => Err(HeaderFault::Mismatch(shown)),
    }
}

/// Whether the client takes `text/event-stream`, and whether it takes any of our answers.
pub(super) fn accepts(headers: &HeaderMap) -> (bool, bool) {
    let ranges: Vec<String> = headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter(|range| !refused(range))
        .filter_map(|range| range.split(';').next())
        .map(|range| range.trim().to_ascii_lowercase())
        .collect();
    let takes = |names: &[&str]| ranges.iter().any(|range| names.contains(&range.as_str()));
    let streams = takes(&["text/event-stream", "text/*", "*/*"]);
    let json = takes(&["application/json", "application/*", "*/*"]);
    (streams, json || streams || !headers.contains_key(ACCEPT))
}

fn refused(range: &str) -> bool {
    range.split(';').skip(1).any(|parameter| {
        parameter.split_once('=').is_some_and(|(name, value)| {
            name.trim().eq_ignore_ascii_case("q")
                && value.trim().bytes().all(|byte| b"0.".contains(&byte))
        })
    })
}

/// Whether the body is JSON by its own account. A web form is not: that keeps pages of others from
/// posting without being asked about first.
pub(super) fn is_json(headers: &HeaderMap) -> bool {
    is_type(headers, "application/json")
}

pub(super) fn is_form(headers: &HeaderMap) -> bool {
    is_type(headers, "application/x-www-form-urlencoded")
}

fn is_type(headers: &HeaderMap, expected: &str) -> bool {
    let mut values = headers.get_all(CONTENT_TYPE).iter();
    let value = values.next().and_then(|value| value.to_str().ok());
    let essence = value.and_then(|value| value.split(';').next());
    values.next().is_none()
        && essence.is_some_and(|essence| essence.trim().eq_ignore_ascii_case(expected))
}

fn mirror(headers: &HeaderMap, message: &Message, era: Era) -> Result<(), HeaderFault> {
    let required = era == Era::Stateless;
    let method = message.method().unwrap_or_default();
    match single(headers, &METHOD, "Mcp-Method")? {
        Some(header) if header != method => return Err(HeaderFault::Mismatch("Mcp-Method")),
        None if required => return Err(HeaderFault::Missing("Mcp-Method")),
        _ => {}
    }
    let Some(expected) = mirrored_member(method).and_then(|name| message.param_text(name)) else {
        return Ok(());
    };
    match single(headers, &NAME, "Mcp-Name")? {
        Some(header) if decoded(header).as_deref() != Some(&expected) => {
            Err(HeaderFault::Mismatch("Mcp-Name"))
        }
        None if required => Err(HeaderFault::Missing("Mcp-Name")),
        _ => Ok(()),
    }
}

fn decoded(value: &str) -> Option<String> {
    let encoded = value
        .strip_prefix("=?base64?")
        .and_then(|rest| rest.strip_suffix("?="));
    match encoded {
        Some(encoded) => String::from_utf8(BASE64_STANDARD.decode(encoded).ok()?).ok(),
        None => Some(value.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const META: &str = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}"#;

    fn judged(headers: &[(&str, &str)], method: &str, params: &str) -> Result<Era, HeaderFault> {
        let text =
            format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{{{params}}}}}"#);
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(
                HeaderName::from_bytes(name.as_bytes()).unwrap(),
                value.parse().unwrap(),
            );
        }
        judge(&map, &Message::from_client(text.into_bytes()).unwrap())
    }

    const V: (&str, &str) = ("mcp-protocol-version", "2026-07-28");
    const M: (&str, &str) = ("mcp-method", "tools/call");

    #[test]
    fn the_stateless_era_mirrors_the_body() {
        let call = format!(r#""name":"grüße",{META}"#);
        let name = ("mcp-name", "=?base64?Z3LDvMOfZQ==?=");
        assert_eq!(
            judged(&[V, M, name], "tools/call", &call),
            Ok(Era::Stateless)
        );
        for (headers, fault) in [
            (vec![M, name], HeaderFault::Missing("MCP-Protocol-Version")),
            (vec![V, name], HeaderFault::Missing("Mcp-Method")),
            (vec![V, M], HeaderFault::Missing("Mcp-Name")),
            (
                vec![V, V, M, name],
                HeaderFault::Mismatch("MCP-Protocol-Version"),
            ),
            (vec![V, M, M, name], HeaderFault::Mismatch("Mcp-Method")),
            (vec![V, M, name, name], HeaderFault::Mismatch("Mcp-Name")),
            (
                vec![V, ("mcp-method", "tools/list"), name],
                HeaderFault::Mismatch("Mcp-Method"),
            ),
            (
                vec![V, M, ("mcp-name", "other")],
                HeaderFault::Mismatch("Mcp-Name"),
            ),
            (
                vec![V, M, ("mcp-name", "=?base64?!?=")],
                HeaderFault::Mismatch("Mcp-Name"),
            ),
            (
                vec![("mcp-protocol-version", "2025-11-25"), M, name],
                HeaderFault::Mismatch("MCP-Protocol-Version"),
            ),
        ] {
            assert_eq!(
                judged(&headers, "tools/call", &call),
                Err(fault),
                "{headers:?}"
            );
        }
        let bare = r#""name":"x""#;
        assert_eq!(
            judged(&[V, M], "tools/call", bare),
            Err(HeaderFault::NoMetadata)
        );
        let half = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}"#;
        let list = ("mcp-method", "tools/list");
        assert_eq!(
            judged(&[V, list], "tools/list", half),
            Err(HeaderFault::NoMetadata)
        );
    }

    #[test]
    fn the_legacy_era_needs_no_mirrors_but_heeds_them() {
        let old = ("mcp-protocol-version", "2025-11-25");
        let call = r#""name":"x""#;
        assert_eq!(judged(&[old], "tools/call", call), Ok(Era::Legacy));
        assert_eq!(judged(&[], "tools/call", call), Ok(Era::Legacy));
        assert_eq!(judged(&[V], "initialize", ""), Ok(Era::Legacy));
        let other = ("mcp-name", "y");
        assert_eq!(
            judged(&[old, other], "tools/call", call),
            Err(HeaderFault::Mismatch("Mcp-Name"))
        );
        let nonsense = ("mcp-protocol-version", "latest");
        assert_eq!(
            judged(&[nonsense], "tools/call", call),
            Err(HeaderFault::NoVersion)
        );
    }

    #[test]
    fn reads_what_a_client_accepts() {
        let map = |value: &str| HeaderMap::from_iter([(ACCEPT, value.parse().unwrap())]);
        assert_eq!(accepts(&HeaderMap::new()), (false, true));
        assert_eq!(
            accepts(&map("application/json, text/event-stream")),
            (true, true)
        );
        assert_eq!(accepts(&map("application/json;q=0.5")), (false, true));
        assert_eq!(
            accepts(&map("application/json, text/event-stream;q=0")),
            (false, true)
        );
        assert_eq!(accepts(&map("text/html")), (false, false));
        assert_eq!(accepts(&map("*/*")), (true, true));
    }
}
