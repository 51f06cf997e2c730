//! A node that joined from another host.

use std::collections::BTreeSet;
use std::sync::Arc;

use chancery_api::server::{JoinMeans, JoinNode, JoinToken, JoinedNode, RenewNode, ServerClient};
use chancery_api::tls::{CertificateHolder, TlsError, TlsIdentity, client_config, joining_config};
use chancery_api::{BoundClient, ClientError, Problem, TlsClient};
use chancery_crypto::{SVID_ALGORITHMS, SigningKey};
use chancery_identity::trust::VerifiedTrust;
use chancery_identity::{
    NodeChannel, NodeSpiffeId, SpiffeId, TrustDomain, X509Bundle, certificate_message,
    digests_above, node_key_signing_input, spki_der, verify_x509_svid,
};
use chancery_types::{Algorithm, Digest, Jwk, Secret, Timestamp, base64url, jws};
use tokio::sync::watch;

use crate::clock::{now, until};
use crate::server_issuer::bundles_of;
use crate::x509_source::renewal;
use crate::{Home, Issuer as _, PinnedTrust, ServerIssuer, TpmAddress, TpmError, TpmKeyKind, tpm};

const JOIN: &str = "/v1/node/join";
const RENEW: &str = "/v1/node/renew";

/// How long a server that does not answer, or refuses for now, is left alone: at first, and at most.
const RETRY_SECONDS: u64 = 2;
const LONGEST_RETRY_SECONDS: u64 = 30;

/// What a server says to whom it will never answer otherwise. Every other refusal may be over later,
/// and ends nothing before the SVID does.
const FINAL: [&str; 4] = ["node_evicted", "node_unknown", "join_refused", "not_a_node"];

/// The server holds the SVID to be over, whatever this host's clock says.
const OVER: &str = "node_svid_expired";

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Who asks whom to be a node.
#[derive(Debug)]
pub struct Joining {
    /// The server's node listener: `HOST:PORT`.
    pub server: String,
    /// What is believed.
    pub trust: PinnedTrust,
    /// What admits this host.
    pub means: Means,
}

/// What admits a host.
#[derive(Debug, Clone)]
pub enum Means {
    /// A token, which is good once.
    Token(JoinToken),
    /// A certificate that the host has already, and its key.
    X509(CertificateHolder),
    /// The TPM of this host, and which of its endorsement keys names it.
    Tpm(TpmAddress, TpmKeyKind),
}

/// A node of a deployment on another host. Its keys are in this value and nowhere else.
#[derive(Debug)]
pub struct Joined {
    spiffe_id: NodeSpiffeId,
    server: String,
    server_id: SpiffeId,
    means: Means,
    identity: TlsIdentity,
    client: TlsClient,
    issuer: Arc<ServerIssuer>,
    not_after: Timestamp,
    /// The digests of the certificates above its own.
    above: BTreeSet<Digest>,
}

/// Why a host is no node.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JoinError {
    /// The server is out of reach, or refuses.
    #[error(transparent)]
    Server(#[from] ClientError),
    /// The trust document is not usable.
    #[error("the trust document is not usable")]
    Trust(#[source] Failure),
    /// What the server answered is not what it was asked for.
    #[error("the server's answer is not acceptable")]
    Answer(#[source] Failure),
    /// TLS cannot be spoken.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The TPM does not do its part.
    #[error(transparent)]
    Tpm(#[from] TpmError),
}

/// How a node stopped being one.
#[derive(Debug)]
pub enum Ended {
    /// The server put it out, or does not know it any more.
    TurnedAway(Problem),
    /// The server was away until the node's own SVID was over, and it has nothing that admits it again.
    Expired,
}

/// A key, and what the server issued for it, verified.
struct Svid {
    spiffe_id: NodeSpiffeId,
    chain: Vec<Vec<u8>>,
    key: Secret,
    not_after: Timestamp,
    home: Home,
}

impl Joined {
    /// Joins: a fresh key, its proof, and what admits this host, on a connection to nobody but the
    /// server of the trust document.
    pub async fn join(joining: Joining) -> Result<Self, JoinError> {
        let Joining {
            server,
            trust,
            means,
        } = joining;
        let domain: TrustDomain = trust.trust().trust_domain.parse().map_err(trust_failed)?;
        let server_id: SpiffeId = format!("spiffe://{domain}/service/server")
            .parse()
            .map_err(trust_failed)?;
        let bundle = bundle(trust.trust(), &domain)?;
        let svid = ask(&server, &server_id, bundle.clone(), &means).await?;
        let above = digests_above(&svid.chain);
        let identity = TlsIdentity::new(svid.chain, &svid.key, bundle)?;
        let config = client_config(&identity, server_id.clone())?;
        let client = TlsClient::new(server.clone(), config);
        let asked = ServerClient::over(client.clone());
        let issuer = ServerIssuer::start_pinned(asked, svid.home, trust);
        Ok(Self {
            spiffe_id: svid.spiffe_id,
            server,
            server_id,
            means,
            identity,
            client,
            issuer,
            not_after: svid.not_after,
            above,
        })
    }

    /// Its SPIFFE ID.
    pub const fn spiffe_id(&self) -> &NodeSpiffeId {
        &self.spiffe_id
    }

    /// When its SVID is over.
    pub const fn not_after(&self) -> Timestamp {
        self.not_after
    }

    /// What issues to the instances of this node.
    pub const fn issuer(&self) -> &Arc<ServerIssuer> {
        &self.issuer
    }

    /// Keeps being a node: renews at half of the SVID's life with a fresh key, and looks for a server
    /// that is away. Ends when it is one no more.
    pub async fn keep(mut self) -> Ended {
        let client = self.client.clone();
        let renewing = async {
            let mut authorities = self.issuer.x509_bundle();
            self.identity_follows(&mut authorities);
            let mut tainted = self.issuer.tainted();
            let mut due = renewal(now(), self.not_after);
            let mut failed = 0;
            loop {
                tokio::select! {
                    () = until(due) => {}
                    changed = authorities.changed() => {
                        if changed.is_err() {
                            std::future::pending::<()>().await;
                        }
                        self.identity_follows(&mut authorities);
                        continue;
                    }
                    () = heard(&mut tainted) => {
                        // What stands below an authority that is not believed any more is due.
                        if !self.above.is_disjoint(&tainted.borrow_and_update()) {
                            due = now();
                        }
                        continue;
                    }
                }
                if self.is_over() {
                    return Ended::Expired;
                }
                match self.renew().await {
                    Ok(()) => {
                        failed = 0;
                        due = renewal(now(), self.not_after);
                    }
                    Err(JoinError::Server(ClientError::Refused(problem))) if is_final(&problem) => {
                        return Ended::TurnedAway(problem);
                    }
                    Err(error) => {
                        if refused_as(&error, OVER) {
                            self.not_after = Timestamp::from_micros(0);
                        }
                        tracing::warn!(
                            error = &error as &dyn std::error::Error,
                            "the node's x509-svid is not renewed"
                        );
                        if self.is_over() {
                            return Ended::Expired;
                        }
                        due = now().plus_seconds(pause(failed));
                        // Whoever ends with its SVID does so on time.
                        if now() <= self.not_after {
                            due = due.min(self.not_after.plus_seconds(1));
                        }
                        failed = failed.saturating_add(1);
                    }
                }
            }
        };
        tokio::select! {
            ended = renewing => ended,
            problem = client.turned_away() => Ended::TurnedAway(problem),
        }
    }

    /// Whether its SVID is over and nothing admits it again.
    fn is_over(&self) -> bool {
        now() > self.not_after && matches!(self.means, Means::Token(_))
    }

    fn identity_follows(&self, authorities: &mut watch::Receiver<Option<X509Bundle>>) {
        if let Some(bundle) = authorities.borrow_and_update().clone() {
            self.identity.trust(bundle);
        }
    }

    /// Another SVID over a fresh key: by the one that is valid still, else by what the host joined by.
    pub async fn renew(&mut self) -> Result<(), JoinError> {
        let bundle = X509Bundle::clone(&self.identity.bundle());
        let svid = if now() <= self.not_after {
            let key = SigningKey::generate(Algorithm::Es256).map_err(answer_failed)?;
            let config = client_config(&self.identity, self.server_id.clone())?;
            let renew = |channel| {
                Ok(RenewNode {
                    key: *key.public(),
                    proof: prove(&key, channel)?,
                })
            };
            let answer = TlsClient::post_bound(&self.server, config, RENEW, renew).await?;
            svid(answer, key, &bundle)?
        } else {
            ask(&self.server, &self.server_id, bundle.clone(), &self.means).await?
        };
        if svid.spiffe_id != self.spiffe_id {
            return Err(answer_failed("another node's svid"));
        }
        let above = digests_above(&svid.chain);
        self.identity.replace(svid.chain, &svid.key, bundle)?;
        self.above = above;
        self.not_after = svid.not_after;
        self.client.reconnect().await;
        tracing::info!(node = %self.spiffe_id, until = %self.not_after, "the node's x509-svid is renewed");
        Ok(())
    }
}

/// Asks to be a node.
async fn ask(
    server: &str,
    server_id: &SpiffeId,
    bundle: X509Bundle,
    means: &Means,
) -> Result<Svid, JoinError> {
    let key = SigningKey::generate(Algorithm::Es256).map_err(answer_failed)?;
    let config = joining_config(bundle.clone(), server_id.clone())?;
    // First, since whoever is connected is not heard for long.
    let tpm = match means {
        Means::Tpm(address, kind) => Some(tpm::open(address.clone(), *kind).await?),
        _ => None,
    };
    let mut bound = BoundClient::connect(server, config).await?;
    let channel = bound.channel();
    let means = match (means, tpm) {
        (_, Some(tpm)) => tpm::shown(&mut bound, tpm, *key.public()).await?,
        (means, None) => shown(means, channel, key.public()).map_err(answer_failed)?,
    };
    let join = JoinNode {
        key: *key.public(),
        proof: prove(&key, channel).map_err(answer_failed)?,
        means,
    };
    let answer = bound.post(JOIN, &join).await?;
    svid(answer, key, &bundle)
}

fn prove(key: &SigningKey, channel: NodeChannel) -> Result<String, Failure> {
    let input = node_key_signing_input(key.public(), channel)?;
    let signature = key.sign(input.as_bytes())?;
    Ok(jws::assemble(&input, &signature))
}

fn shown(means: &Means, channel: NodeChannel, key: &Jwk) -> Result<JoinMeans, Failure> {
    match means {
        Means::Token(token) => Ok(JoinMeans::Token(token.clone())),
        Means::X509(holder) => {
            let leaf = holder.chain().first().map(Vec::as_slice);
            let message = certificate_message(channel, key, leaf.unwrap_or_default());
            Ok(JoinMeans::X509 {
                chain: holder.chain().iter().map(base64url::encode).collect(),
                signature: base64url::encode(holder.sign(&message)?),
            })
        }
        Means::Tpm(..) => Err("a tpm is challenged first".into()),
    }
}

/// Takes an answer that is an SVID of a node of the trust domain over just this key.
fn svid(answer: JoinedNode, key: SigningKey, bundle: &X509Bundle) -> Result<Svid, JoinError> {
    let chain: Result<Vec<_>, _> = answer
        .chain
        .iter()
        .map(|der| base64url::decode(der))
        .collect();
    let chain = chain.map_err(answer_failed)?;
    let verified =
        verify_x509_svid(&chain, bundle, now(), SVID_ALGORITHMS).map_err(answer_failed)?;
    let spiffe_id = NodeSpiffeId::try_from(verified.spiffe_id()).map_err(answer_failed)?;
    if verified.spki_der() != spki_der(key.public()) {
        return Err(answer_failed("an svid over another key"));
    }
    Ok(Svid {
        spiffe_id,
        not_after: verified.not_after(),
        chain,
        key: key.pkcs8().clone(),
        home: Home {
            trust_domain: bundle.trust_domain().clone(),
            gateway_address: answer.gateway_address,
            gateway_spiffe_id: answer.gateway_spiffe_id.parse().map_err(answer_failed)?,
        },
    })
}

fn bundle(trust: &VerifiedTrust, domain: &TrustDomain) -> Result<X509Bundle, JoinError> {
    let bundles = bundles_of(trust, domain);
    let keys = bundles.ok_or_else(|| trust_failed("it has unreadable authorities"))?;
    Ok(keys.x509)
}

fn is_final(problem: &Problem) -> bool {
    FINAL.contains(&problem.reason.as_str())
}

fn refused_as(error: &JoinError, reason: &str) -> bool {
    matches!(error, JoinError::Server(ClientError::Refused(problem)) if problem.reason == reason)
}

/// How many seconds the server is left alone after so many failures in a row before this one.
const fn pause(failed: u32) -> u64 {
    match RETRY_SECONDS.checked_shl(failed) {
        Some(seconds) if failed < 8 && seconds < LONGEST_RETRY_SECONDS => seconds,
        _ => LONGEST_RETRY_SECONDS,
    }
}

/// Waits for a change; for ever where nobody changes it any more.
async fn heard<T>(changes: &mut watch::Receiver<T>) {
    if changes.changed().await.is_err() {
        std::future::pending().await
    }
}

fn trust_failed(error: impl Into<Failure>) -> JoinError {
    JoinError::Trust(error.into())
}

fn answer_failed(error: impl Into<Failure>) -> JoinError {
    JoinError::Answer(error.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_for_now_ends_nothing() {
        let said = |reason: &'static str| Problem::forbidden(reason, "no");
        for reason in ["node_evicted", "node_unknown", "join_refused", "not_a_node"] {
            assert!(is_final(&said(reason)), "{reason}");
        }
        for reason in [
            "join_rate",
            "node_rate",
            "node_instances",
            "node_svid_expired",
            "node_untrusted",
            "node_certificate",
            "unreadable",
        ] {
            assert!(!is_final(&said(reason)), "{reason}");
        }
    }

    #[test]
    fn is_patient_and_never_for_long() {
        let pauses: Vec<_> = [0, 1, 2, 3, 4, 5, 63, 64, u32::MAX].map(pause).into();
        assert_eq!(pauses, [2, 4, 8, 16, 30, 30, 30, 30, 30]);
    }
}
