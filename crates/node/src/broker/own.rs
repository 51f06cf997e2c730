//! The node's own X.509-SVID, by which brokers know it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use chancery_api::tls::{TlsError, TlsIdentity};
use chancery_crypto::{SVID_ALGORITHMS, SigningKey};
use chancery_identity::{X509Bundle, spki_der, verify_x509_svid};
use chancery_types::{Algorithm, Digest, Timestamp};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::clock::{now, until};
use crate::x509_source::{RETRY_SECONDS, X509Identity};
use crate::{Issuer, IssuerError};

/// The path of its SPIFFE ID.
const PATH: &str = "/service/node";

/// The node's own SVID, renewed until this is dropped.
#[derive(Debug)]
pub(super) struct OwnSvid {
    tls: TlsIdentity,
    following: JoinHandle<()>,
}

impl Drop for OwnSvid {
    fn drop(&mut self) {
        self.following.abort();
    }
}

impl OwnSvid {
    /// Has one issued, however long that takes, and follows its end and the trust domain's authorities.
    pub(super) async fn follow(issuer: Arc<dyn Issuer>) -> Result<Self, TlsError> {
        let mut bundles = issuer.x509_bundle();
        let (held, bundle) = loop {
            let Some(bundle) = bundles.borrow_and_update().clone() else {
                if bundles.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
                continue;
            };
            match issue(&*issuer, &bundle).await {
                Ok(held) => break (held, bundle),
                Err(error) => {
                    tracing::warn!(error = describe(&error), "brokers are not served yet");
                    sleep(Duration::from_secs(RETRY_SECONDS)).await;
                }
            }
        };
        let tls = TlsIdentity::new(held.chain.clone(), &held.key, bundle.clone())?;
        let following = tokio::spawn(renew(issuer, tls.clone(), bundles, (held, bundle)));
        Ok(Self { tls, following })
    }

    pub(super) const fn tls(&self) -> &TlsIdentity {
        &self.tls
    }
}

async fn renew(
    issuer: Arc<dyn Issuer>,
    tls: TlsIdentity,
    mut bundles: watch::Receiver<Option<X509Bundle>>,
    (mut held, mut bundle): (X509Identity, X509Bundle),
) {
    let mut tainted = issuer.tainted();
    let (mut watched, mut retry_at) = (true, None);
    loop {
        let stands = is_good(&held, &bundle, &tainted.borrow_and_update(), now());
        let due = match stands {
            true => held.renew_at,
            false => now(),
        };
        let due = retry_at.unwrap_or(due);
        tokio::select! {
            () = until(due) => {
                let issued = issue(&*issuer, &bundle).await;
                // Not the time before the wait: what is new would not be valid yet.
                let now = now();
                let again = now.plus_seconds(RETRY_SECONDS);
                match issued {
                    Ok(next) => {
                        let stands = is_good(&next, &bundle, &tainted.borrow(), now);
                        retry_at = (!stands).then_some(again);
                        held = next;
                    }
                    Err(error) => {
                        tracing::warn!(error = describe(&error), "the node keeps its x509-svid");
                        retry_at = Some(again);
                        continue;
                    }
                }
            }
            changed = bundles.changed() => {
                if changed.is_err() {
                    return;
                }
                match bundles.borrow_and_update().clone() {
                    Some(next) => bundle = next,
                    None => continue,
                }
            }
            changed = tainted.changed(), if watched => {
                watched = changed.is_ok();
                continue;
            }
        }
        if let Err(error) = tls.replace(held.chain.clone(), &held.key, bundle.clone()) {
            tracing::error!(%error, "the node's x509-svid cannot be used");
        }
    }
}

async fn issue(issuer: &dyn Issuer, bundle: &X509Bundle) -> Result<X509Identity, IssuerError> {
    let failed = |error| IssuerError::Unavailable(error);
    let now = now();
    let key = SigningKey::generate(Algorithm::Es256).map_err(|error| failed(error.into()))?;
    let chain = issuer.issue_own(&spki_der(key.public())).await?;
    let verified = verify_x509_svid(&chain, bundle, now, SVID_ALGORITHMS);
    let answer = (chain, verified.map(Into::into));
    X509Identity::judged(answer, &key, bundle, now, |id| id.path() == PATH)
}

/// Whether whoever has the bundle believes it, and no authority above it is tainted.
fn is_good(
    held: &X509Identity,
    bundle: &X509Bundle,
    tainted: &BTreeSet<Digest>,
    now: Timestamp,
) -> bool {
    held.above.is_disjoint(tainted) && held.stands(bundle, now)
}

fn describe(error: &IssuerError) -> String {
    match error {
        IssuerError::Refused { reason } => reason.clone(),
        IssuerError::Unavailable(source) => source.to_string(),
    }
}
