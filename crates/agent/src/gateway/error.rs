use std::net::SocketAddr;

use chancery_api::Problem;
use chancery_api::tls::TlsError;
use http::StatusCode;

/// Why the gateway gave no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GatewayError {
    /// Nobody listens there.
    #[error("gateway {address} cannot be reached; is `chancery up` running?")]
    Unreachable {
        /// The gateway.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// The handshake failed: the peer is not the gateway, or does not take our SVID.
    #[error("gateway {address} and this instance do not recognise each other")]
    Handshake {
        /// The gateway.
        address: SocketAddr,
        /// What TLS said.
        source: std::io::Error,
    },
    /// The own SVID cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The connection broke: whether the call took place is not known.
    #[error("gateway {address}: the connection broke before the answer was complete")]
    Broken {
        /// The gateway.
        address: SocketAddr,
        /// What was seen.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// No sign of life for too long.
    #[error("gateway {address} was silent for too long")]
    Silent {
        /// The gateway.
        address: SocketAddr,
    },
    /// More bytes than are read.
    #[error("gateway {address}: a message is too large")]
    TooLarge {
        /// The gateway.
        address: SocketAddr,
    },
    /// An answer that is not one of a gateway of ours.
    #[error("gateway {address}: unexpected answer {status}")]
    Unexpected {
        /// The gateway.
        address: SocketAddr,
        /// The HTTP status.
        status: StatusCode,
    },
    /// The request cannot be written, for instance a server name that is no path segment.
    #[error("the request cannot be written")]
    Request(#[from] http::Error),
    /// The gateway refused.
    #[error(transparent)]
    Refused(#[from] Problem),
}

impl GatewayError {
    /// A stable code, one for each cause.
    pub fn reason(&self) -> &str {
        match self {
            Self::Unreachable { .. } => "gateway_unreachable",
            Self::Handshake { .. } => "gateway_handshake",
            Self::Tls(_) => "svid_unusable",
            Self::Broken { .. } => "gateway_broke_off",
            Self::Silent { .. } => "gateway_silent",
            Self::TooLarge { .. } => "too_large",
            Self::Unexpected { .. } => "gateway_answer",
            Self::Request(_) => "bad_request",
            Self::Refused(problem) => &problem.reason,
        }
    }
}
