//! What requests of the Workload API ask for, read from their messages: no handler sees a field that was
//! not judged.

use chancery_identity::jwt_svid::{JwtAudienceError, MAX_JWT_AUDIENCES};
use chancery_identity::{JwtAudience, SpiffeId, SpiffeIdError};
use tonic::Status;

use crate::pb::workload::{JwtsvidRequest, ValidateJwtsvidRequest, WitsvidRequest};

/// Asks for JWT-SVIDs: for one to eight audiences, each once, in the order in which they were named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JwtRequest {
    audience: Vec<JwtAudience>,
    spiffe_id: RequestedId,
}

/// Asks whether a JWT-SVID is good for an audience; the token is not empty, and not judged yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JudgeRequest {
    audience: JwtAudience,
    svid: String,
}

/// The one identity that is asked for; none where all are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestedId(Option<SpiffeId>);

/// Why a request asks for nothing. Exhaustive: a refusal has exactly one reason.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// There is no audience, or an empty one (Workload API section 4.5).
    #[error("audience must be specified")]
    NoAudience,
    /// More than a token has.
    #[error("too many audiences")]
    TooManyAudiences,
    /// An audience that no token of ours has.
    #[error(transparent)]
    Audience(#[from] JwtAudienceError),
    /// There is no token.
    #[error("svid must be specified")]
    NoSvid,
    /// What is asked for is not a SPIFFE ID.
    #[error("invalid requested SPIFFE ID: {0}")]
    SpiffeId(#[source] SpiffeIdError),
}

impl JwtRequest {
    /// Reads what tokens are asked for.
    pub fn new(audience: &[String], spiffe_id: &str) -> Result<Self, RequestError> {
        let mut audiences = Vec::new();
        for text in audience {
            let audience = self::audience(text)?;
            if !audiences.contains(&audience) {
                audiences.push(audience);
            }
        }
        match audiences.len() {
            0 => Err(RequestError::NoAudience),
            count if count > MAX_JWT_AUDIENCES => Err(RequestError::TooManyAudiences),
            _ => Ok(Self {
                audience: audiences,
                spiffe_id: spiffe_id.parse()?,
            }),
        }
    }

    /// For whom.
    pub fn audience(&self) -> &[JwtAudience] {
        &self.audience
    }

    /// Whose.
    pub const fn spiffe_id(&self) -> &RequestedId {
        &self.spiffe_id
    }
}

impl JudgeRequest {
    /// For whom it must be.
    pub const fn audience(&self) -> &JwtAudience {
        &self.audience
    }

    /// The token.
    pub fn svid(&self) -> &str {
        &self.svid
    }
}

impl RequestedId {
    /// Whether that identity is asked for.
    pub fn is(&self, id: &SpiffeId) -> bool {
        self.0.as_ref().is_none_or(|asked| asked == id)
    }
}

impl std::str::FromStr for RequestedId {
    type Err = RequestError;

    fn from_str(text: &str) -> Result<Self, RequestError> {
        if text.is_empty() {
            return Ok(Self(None));
        }
        let id = text.parse().map_err(RequestError::SpiffeId)?;
        Ok(Self(Some(id)))
    }
}

impl TryFrom<&JwtsvidRequest> for JwtRequest {
    type Error = RequestError;

    fn try_from(request: &JwtsvidRequest) -> Result<Self, RequestError> {
        Self::new(&request.audience, &request.spiffe_id)
    }
}

impl TryFrom<&ValidateJwtsvidRequest> for JudgeRequest {
    type Error = RequestError;

    fn try_from(request: &ValidateJwtsvidRequest) -> Result<Self, RequestError> {
        let audience = audience(&request.audience)?;
        if request.svid.is_empty() {
            return Err(RequestError::NoSvid);
        }
        Ok(Self {
            audience,
            svid: request.svid.clone(),
        })
    }
}

impl TryFrom<&WitsvidRequest> for RequestedId {
    type Error = RequestError;

    fn try_from(request: &WitsvidRequest) -> Result<Self, RequestError> {
        request.spiffe_id.parse()
    }
}

impl From<RequestError> for Status {
    fn from(error: RequestError) -> Self {
        Self::invalid_argument(error.to_string())
    }
}

fn audience(text: &str) -> Result<JwtAudience, RequestError> {
    if text.is_empty() {
        return Err(RequestError::NoAudience);
    }
    Ok(text.parse()?)
}
