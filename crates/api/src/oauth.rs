//! The exchange of a delegation chain for an access token, as OAuth has it (RFC 8693, 8414, 7517).

use chancery_identity::trust::AccessTokenAuthority;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// `grant_type` (RFC 8693 section 2.1).
pub const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";

/// `subject_token_type` of a delegation chain: its links joined by commas, or the chain's digest once
/// the gateway has seen it in the session.
pub const CHAIN_TOKEN_TYPE: &str = "urn:io.chancery:oauth:token-type:adt-chain";

/// The token type of what is issued (RFC 8693 section 3).
pub const ACCESS_TOKEN_TYPE: &str = "urn:ietf:params:oauth:token-type:access_token";

/// `client_assertion_type` of the holder's proof of this one exchange (RFC 7521 section 4.2).
pub const PROOF_ASSERTION_TYPE: &str = "urn:io.chancery:oauth:client-assertion-type:adt-pop";

/// Where chains are exchanged.
pub const TOKEN_PATH: &str = "/oauth/token";

/// Where the keys of access tokens are.
pub const JWKS_PATH: &str = "/oauth/jwks";

/// Where the metadata is.
pub const METADATA_PATH: &str = "/.well-known/oauth-authorization-server";

/// An issued access token (RFC 8693 section 2.2.1).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IssuedToken {
    /// The token.
    pub access_token: String,
    /// [`ACCESS_TOKEN_TYPE`].
    pub issued_token_type: String,
    /// `DPoP`: it is presented with a proof of the key that it is bound to (RFC 9449).
    pub token_type: String,
    /// For how many seconds it is good.
    pub expires_in: u64,
    /// What it carries (RFC 9396 section 7).
    pub authorization_details: Vec<Value>,
}

impl std::fmt::Debug for IssuedToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IssuedToken")
            .field("token_type", &self.token_type)
            .field("expires_in", &self.expires_in)
            .field("authorization_details", &self.authorization_details)
            .finish_non_exhaustive()
    }
}

/// A refused exchange (RFC 6749 section 5.2), with members of ours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenRefusal {
    /// OAuth's code.
    pub error: String,
    /// What went wrong.
    pub error_description: String,
    /// Our own stable code, one for each cause.
    pub reason: String,
    /// The execution under which the refusal is enrolled, if it is.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub execution: Option<String>,
    /// The question to a person that the exchange waits for.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub approval: Option<String>,
    /// After how many seconds repeating the exchange makes sense.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub interval: Option<u64>,
}

/// The metadata of an authority's authorization server (RFC 8414), its endpoints below `base`, an
/// origin without a slash at its end.
pub fn metadata(authority: &AccessTokenAuthority, base: &str) -> Value {
    json!({
        "issuer": authority.issuer,
        "token_endpoint": format!("{base}{TOKEN_PATH}"),
        "jwks_uri": format!("{base}{JWKS_PATH}"),
        "grant_types_supported": [GRANT_TYPE],
        "response_types_supported": [],
        "token_endpoint_auth_methods_supported": ["tls_client_auth"],
        "authorization_details_types_supported": ["mcp_tool", "mcp_resource", "mcp_prompt"]
    })
}

/// The keys that access tokens are signed with (RFC 7517), for relying parties.
pub fn jwks(authorities: &[AccessTokenAuthority]) -> Value {
    let keys = authorities.iter().map(|known| {
        let mut key = serde_json::to_value(known.key).unwrap_or_default();
        if let Some(members) = key.as_object_mut() {
            members.insert("kid".to_owned(), known.key.kid().into());
            members.insert("use".to_owned(), "sig".into());
        }
        key
    });
    json!({"keys": keys.collect::<Value>()})
}
