/// Why an access token is refused. Exhaustive: a refusal has exactly one reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AccessTokenError {
    /// Too long, not a compact JWS, or a header member that the profile does not know.
    #[error("access token is malformed")]
    Malformed,
    /// `typ` is not `at+jwt`.
    #[error("access token has another typ")]
    WrongTyp,
    /// `alg` is not `ES256`.
    #[error("access token is not signed with ES256")]
    AlgorithmNotAllowed,
    /// `kid` names no authority of that `iss`.
    #[error("access token names no authority that is known")]
    UnknownKey,
    /// The signature is not the named key's.
    #[error("access token has a bad signature")]
    BadSignature,
    /// A claim is missing, malformed or not one of the profile's.
    #[error("access token has other claims than the profile's")]
    Claims,
    /// `aud` is another.
    #[error("access token is for another audience")]
    WrongAudience,
    /// Before `iat`, or at or after `exp`.
    #[error("access token is not in force")]
    NotInForce,
}

impl AccessTokenError {
    /// A stable code, one for each cause.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::WrongTyp => "wrong_typ",
            Self::AlgorithmNotAllowed => "alg_not_allowed",
            Self::UnknownKey => "untrusted_root",
            Self::BadSignature => "bad_signature",
            Self::Claims => "malformed",
            Self::WrongAudience => "wrong_audience",
            Self::NotInForce => "expired",
        }
    }
}
