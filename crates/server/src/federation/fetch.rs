//! One fetch of a bundle: HTTP over TLS, with redirections, in bounded time and size.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chancery_api::Problem;
use chancery_identity::bundle::MAX_BUNDLE_BYTES;
use chancery_identity::federation::{EndpointRefusal, EndpointUrl, EndpointUrlError};
use chancery_identity::{Federation, Relationship};
use http::header::{ACCEPT, HOST, LOCATION};
use http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Empty, LengthLimitError, Limited};
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use rustls::{CertificateError, ClientConfig};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::tls::{Verified, WebRoots, client};

/// How long one fetch may take, redirections among it.
const PATIENCE: Duration = Duration::from_secs(20);

/// How often one fetch is redirected.
const MAX_REDIRECTIONS: usize = 3;

/// Why a fetch brought nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    #[error("the endpoint did not answer within {} s", PATIENCE.as_secs())]
    Silent,
    #[error("the endpoint cannot be reached")]
    Unreachable(#[source] io::Error),
    #[error("the host of the endpoint's url is no name of a server")]
    Host,
    #[error("this machine has no authorities of the Web")]
    NoRoots,
    #[error("TLS cannot be configured")]
    Config(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("{0}")]
    Endpoint(EndpointRefusal),
    #[error("the endpoint's certificate is not valid now")]
    CertificateTime,
    #[error("the endpoint's certificate is for another host")]
    CertificateName,
    #[error("no authority that is trusted signed the endpoint's certificate")]
    CertificateUntrusted,
    #[error("the endpoint's certificate is not acceptable")]
    Certificate(#[source] rustls::Error),
    #[error("the endpoint does not speak TLS as it must")]
    Tls(#[source] io::Error),
    #[error("the endpoint does not speak HTTP as it must")]
    Http(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("the endpoint answers {0}")]
    Status(StatusCode),
    #[error("the endpoint redirects to what is no endpoint")]
    Redirection(#[source] EndpointUrlError),
    #[error("the endpoint redirects to an address inside, and is outside itself")]
    RedirectionInside,
    #[error("the endpoint redirects more than {MAX_REDIRECTIONS} times")]
    Redirections,
    #[error("the endpoint's answer is longer than a bundle may be")]
    TooLong,
}

impl FetchError {
    /// The one code of this failure.
    pub(super) const fn code(&self) -> &'static str {
        match self {
            Self::Silent => "endpoint_silent",
            Self::Unreachable(_) => "endpoint_unreachable",
            Self::Host => "endpoint_host",
            Self::NoRoots => "endpoint_no_roots",
            Self::Config(_) => "endpoint_tls_config",
            Self::Endpoint(refusal) => refusal.code(),
            Self::CertificateTime => "endpoint_certificate_time",
            Self::CertificateName => "endpoint_certificate_name",
            Self::CertificateUntrusted => "endpoint_certificate_untrusted",
            Self::Certificate(_) => "endpoint_certificate",
            Self::Tls(_) => "endpoint_tls",
            Self::Http(_) => "endpoint_http",
            Self::Status(_) => "endpoint_status",
            Self::Redirection(_) => "endpoint_redirection",
            Self::RedirectionInside => "endpoint_redirection_inside",
            Self::Redirections => "endpoint_redirections",
            Self::TooLong => "bundle_too_long",
        }
    }

    /// For whoever asked: with the URL and the cause.
    pub(super) fn into_problem(self, relationship: &Relationship) -> Problem {
        let cause = std::error::Error::source(&self).map(ToString::to_string);
        let cause = cause.map(|cause| format!(": {cause}")).unwrap_or_default();
        let text = format!("{}: {self}{cause}", relationship.url());
        match self {
            Self::Silent | Self::Unreachable(_) => Problem::unavailable(self.code(), text)
                .with_remedy("the bundle that was known stays in force; it is tried again"),
            Self::NoRoots => Problem::unavailable(self.code(), text)
                .with_remedy("install the system's ca-certificates, or pass --web-roots FILE"),
            _ => Problem::bad_request(self.code(), text),
        }
    }
}

/// What one server answered.
enum Answer {
    Bundle(Bytes),
    Elsewhere(String),
}

/// Fetches once. Redirections are followed and forgotten; each server is asked for the same.
pub(super) async fn bundle(
    relationship: &Relationship,
    federation: Federation,
    roots: Option<Arc<WebRoots>>,
) -> Result<Bytes, FetchError> {
    let fetching = async {
        let verified = client(relationship, federation, roots).await?;
        let mut url = relationship.url().clone();
        let mut addresses = resolve(&url).await?;
        let starts_inside = addresses.iter().all(|address| is_inside(address.ip()));
        for _ in 0..=MAX_REDIRECTIONS {
            match ask(&url, &addresses, &verified).await? {
                Answer::Bundle(body) => return Ok(body),
                Answer::Elsewhere(location) => {
                    let next = relationship.redirected(&location);
                    url = next.map_err(FetchError::Redirection)?;
                    addresses = redirected(resolve(&url).await?, starts_inside)?;
                }
            }
        }
        Err(FetchError::Redirections)
    };
    timeout(PATIENCE, fetching)
        .await
        .unwrap_or(Err(FetchError::Silent))
}

fn host(url: &EndpointUrl) -> &str {
    url.host().trim_start_matches('[').trim_end_matches(']')
}

async fn resolve(url: &EndpointUrl) -> Result<Vec<SocketAddr>, FetchError> {
    let found = lookup_host((host(url), url.port())).await;
    Ok(found.map_err(FetchError::Unreachable)?.collect())
}

/// The addresses that a redirection may lead to: an endpoint of the Internet leads nobody to what
/// only this machine and its neighbours reach.
fn redirected(
    mut addresses: Vec<SocketAddr>,
    starts_inside: bool,
) -> Result<Vec<SocketAddr>, FetchError> {
    if !starts_inside {
        addresses.retain(|address| !is_inside(address.ip()));
    }
    if addresses.is_empty() {
        return Err(FetchError::RedirectionInside);
    }
    Ok(addresses)
}

/// Whether an address is this machine's or of a network that the Internet does not reach.
fn is_inside(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            address.is_loopback()
                || address.is_private()
                || address.is_link_local()
                || address.is_unspecified()
        }
        IpAddr::V6(address) => {
            address.is_loopback()
                || address.is_unique_local()
                || address.is_unicast_link_local()
                || address.is_unspecified()
        }
    }
}

async fn ask(
    url: &EndpointUrl,
    addresses: &[SocketAddr],
    verified: &Verified,
) -> Result<Answer, FetchError> {
    let host = host(url);
    let name = ServerName::try_from(host.to_owned()).map_err(|_| FetchError::Host)?;
    let uri: Uri = url.as_str().parse().map_err(http_error)?;
    let stream = TcpStream::connect(addresses)
        .await
        .map_err(FetchError::Unreachable)?;
    let config: Arc<ClientConfig> = Arc::clone(&verified.config);
    let stream = TlsConnector::from(config)
        .connect(name, stream)
        .await
        .map_err(|error| match verified.refusal() {
            Some(refusal) => FetchError::Endpoint(refusal),
            None => tls_error(error),
        })?;
    let (mut sender, connection) = handshake(TokioIo::new(stream)).await.map_err(http_error)?;
    let connection = tokio::spawn(connection);
    let target = uri.path_and_query().map_or("/", |path| path.as_str());
    let authority = uri.authority().map_or(host, |authority| authority.as_str());
    let request = Request::get(target)
        .header(HOST, authority)
        .header(ACCEPT, "application/json")
        .body(Empty::<Bytes>::new())
        .map_err(http_error)?;
    let answer = sender.send_request(request).await.map_err(http_error)?;
    let answered = read(answer).await;
    connection.abort();
    answered
}

async fn read(answer: http::Response<hyper::body::Incoming>) -> Result<Answer, FetchError> {
    let status = answer.status();
    match status {
        StatusCode::OK => {}
        StatusCode::MOVED_PERMANENTLY
        | StatusCode::FOUND
        | StatusCode::SEE_OTHER
        | StatusCode::TEMPORARY_REDIRECT
        | StatusCode::PERMANENT_REDIRECT => {
            let location = answer.headers().get(LOCATION);
            let location = location.and_then(|value| value.to_str().ok());
            let location = location.ok_or(FetchError::Status(status))?;
            return Ok(Answer::Elsewhere(location.to_owned()));
        }
        _ => return Err(FetchError::Status(status)),
    }
    let body = Limited::new(answer.into_body(), MAX_BUNDLE_BYTES)
        .collect()
        .await;
    match body {
        Ok(body) => Ok(Answer::Bundle(body.to_bytes())),
        Err(error) if error.is::<LengthLimitError>() => Err(FetchError::TooLong),
        Err(error) => Err(FetchError::Http(error)),
    }
}

fn http_error(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> FetchError {
    FetchError::Http(error.into())
}

fn tls_error(error: io::Error) -> FetchError {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    let Some(refused @ rustls::Error::InvalidCertificate(why)) = inner else {
        return FetchError::Tls(error);
    };
    match why {
        CertificateError::Expired
        | CertificateError::ExpiredContext { .. }
        | CertificateError::NotValidYet
        | CertificateError::NotValidYetContext { .. } => FetchError::CertificateTime,
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            FetchError::CertificateName
        }
        CertificateError::UnknownIssuer => FetchError::CertificateUntrusted,
        _ => FetchError::Certificate(refused.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> SocketAddr {
        (text.parse::<IpAddr>().unwrap(), 443).into()
    }

    #[test]
    fn f_14_a_redirection_leads_nobody_inside() {
        let outside = ["192.0.2.1", "172.32.0.1", "2001:db8::1", "::ffff:192.0.2.1"];
        for inside in [
            "127.0.0.1",
            "127.9.9.9",
            "10.0.0.1",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "0.0.0.0",
            "::1",
            "::",
            "fd00::1",
            "fe80::1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
        ] {
            let refused = redirected(vec![at(inside)], false).unwrap_err();
            assert_eq!(refused.code(), "endpoint_redirection_inside", "{inside}");
            assert_eq!(redirected(vec![at(inside)], true).unwrap(), [at(inside)]);
            for other in outside {
                let addresses = vec![at(inside), at(other)];
                assert_eq!(redirected(addresses, false).unwrap(), [at(other)]);
            }
        }
    }
}
