use std::sync::Arc;

use bytes::Bytes;
use chancery_identity::jwt_svid::JwtIssuer;
use chancery_types::Digest;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use http::request::Parts;
use http::{HeaderValue, Method, Response, StatusCode};
use http_body_util::Full;
use serde_json::json;

use crate::Server;

/// Every endpoint of a bundle endpoint: method and path, the last two below the path of the
/// issuer, where one is configured. Whoever reaches the address is answered.
pub const BUNDLE_ROUTES: &[(&str, &str)] = &[("GET", BUNDLE), ("GET", DISCOVERY), ("GET", KEYS)];

const BUNDLE: &str = "/";
const DISCOVERY: &str = "/.well-known/openid-configuration";
const KEYS: &str = "/keys";

const NOT_STORED: HeaderValue = HeaderValue::from_static("no-cache");

pub(super) type Body = Full<Bytes>;

/// What one endpoint serves.
#[derive(Debug)]
pub(super) struct Served {
    pub(super) server: Arc<Server>,
    pub(super) issuer: Option<JwtIssuer>,
}

impl Served {
    /// The answer to a request: by its method and path, and by nothing else of it but the tag that a
    /// reader knows already.
    pub(super) async fn answer(&self, head: &Parts) -> Response<Body> {
        let Some(text) = self.find(head.uri.path()).await else {
            return empty(StatusCode::NOT_FOUND);
        };
        if head.method != Method::GET {
            let mut response = empty(StatusCode::METHOD_NOT_ALLOWED);
            response
                .headers_mut()
                .insert(ALLOW, HeaderValue::from_static("GET"));
            return response;
        }
        let Some(text) = text else {
            return empty(StatusCode::INTERNAL_SERVER_ERROR);
        };
        let tag = format!("\"{}\"", Digest::of(&text).to_hex());
        let known = head.headers.get_all(IF_NONE_MATCH).iter();
        let is_known = known.filter_map(|value| value.to_str().ok()).any(|value| {
            let mut tags = value.split(',').map(str::trim);
            tags.any(|known| known == "*" || known.trim_start_matches("W/") == tag)
        });
        let mut response = match is_known {
            true => empty(StatusCode::NOT_MODIFIED),
            false => Response::new(Full::new(Bytes::from(text))),
        };
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(CACHE_CONTROL, NOT_STORED);
        if let Ok(tag) = HeaderValue::try_from(tag) {
            headers.insert(ETAG, tag);
        }
        response
    }

    /// What stands at a path: none where nothing does; an inner none where it cannot be written.
    async fn find(&self, path: &str) -> Option<Option<String>> {
        if path == BUNDLE {
            return Some(self.server.published().await.to_json().ok());
        }
        let issuer = self.issuer.as_ref()?;
        match path.strip_prefix(issuer.path())? {
            DISCOVERY => Some(Some(discovery(issuer))),
            KEYS => {
                let published = self.server.published().await;
                Some(Some(published.keys().jwt.to_oidc_jwks()))
            }
            _ => None,
        }
    }
}

/// What readers of JWT-SVIDs look for: where the keys are. There is no authorization endpoint; the
/// member that the specification demands is empty, as others of this kind have it.
fn discovery(issuer: &JwtIssuer) -> String {
    json!({
        "issuer": issuer,
        "jwks_uri": format!("{issuer}{KEYS}"),
        "authorization_endpoint": "",
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256"],
    })
    .to_string()
}

fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    response
}
