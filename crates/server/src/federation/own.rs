//! The bundle that is published of one's own trust domain.

use chancery_identity::bundle::KeyName;
use chancery_identity::trust::TrustDocument;
use chancery_identity::{
    BundleDocument, BundleKeys, Incubating, JwtBundle, PublishedBundle, TrustDomain, WitSvidBundle,
    X509Bundle,
};
use chancery_store::{Store, StoreError};
use chancery_types::{SvidKey, Timestamp, base64url};
use serde::{Deserialize, Serialize};

/// Where what was published is stored.
const META: &str = "bundle";

/// The trust document's authorities are none.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OwnKeysError {
    #[error("the trust document names no trust domain")]
    Name(#[from] chancery_identity::SpiffeIdError),
    #[error("an authority of the trust document is not base64url")]
    Base64(#[from] chancery_types::base64url::Base64UrlError),
    #[error(transparent)]
    X509(#[from] chancery_identity::X509BundleError),
    #[error("a token authority of the trust document signs no svids")]
    Token(#[from] chancery_types::SvidKeyError),
}

/// What was published last, and since when each key is told.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Note {
    document: String,
    since: Vec<(KeyName, Timestamp)>,
}

/// The keys of SVIDs that the trust document names. WIT-SVIDs are no SVIDs of the stable profiles:
/// their keys are among them only where the deployment opted in.
pub(crate) fn keys(
    trust: &TrustDocument,
    incubating: Incubating,
) -> Result<BundleKeys, OwnKeysError> {
    let domain: TrustDomain = trust.trust_domain.parse()?;
    let authorities = trust.x509_authorities.iter();
    let authorities = authorities
        .map(|der| base64url::decode(der))
        .collect::<Result<Vec<_>, _>>()?;
    let jwt = trust.jwt_authorities.iter().map(SvidKey::try_from);
    let jwt = jwt.collect::<Result<Vec<_>, _>>()?;
    let tokens = trust.token_authorities.iter();
    let tokens = tokens
        .filter(|_| incubating.wit_svid())
        .map(SvidKey::try_from);
    let wit = tokens.collect::<Result<Vec<_>, _>>()?;
    Ok(BundleKeys {
        x509: X509Bundle::new(domain.clone(), authorities)?,
        jwt: JwtBundle::new(domain.clone(), jwt),
        wit: WitSvidBundle::new(domain, wit),
    })
}

/// What was published before, continued by `keys`; stored where that changed it.
pub(crate) async fn load(
    store: &Store,
    domain: TrustDomain,
    keys: BundleKeys,
    refresh_hint: u64,
    now: Timestamp,
) -> Result<PublishedBundle, StoreError> {
    // One that cannot be read fails: a sequence that begins anew is refused by who knows the former.
    let before = match store.meta(META).await? {
        Some(text) => Some(read(domain.clone(), &text, now)?),
        None => None,
    };
    let published = match before.clone() {
        Some(before) => before.publish(keys, refresh_hint, now),
        None => PublishedBundle::first(domain, keys, refresh_hint, now),
    };
    if before.as_ref() != Some(&published) {
        self::store(store, &published).await?;
    }
    Ok(published)
}

fn read(domain: TrustDomain, text: &str, now: Timestamp) -> Result<PublishedBundle, StoreError> {
    let note: Note = serde_json::from_str(text).map_err(|error| row(error.into()))?;
    // Whatever was published counts, so that its sequence rises where keys are published no longer.
    let document = BundleDocument::parse(domain, note.document.as_bytes(), Incubating::WIT_SVID);
    let document = document.map_err(|error| row(error.into()))?;
    Ok(PublishedBundle::resume(document, note.since, now))
}

fn row(source: Box<dyn std::error::Error + Send + Sync>) -> StoreError {
    StoreError::Row {
        table: "meta",
        source,
    }
}

/// Stores what is published, so that its sequence goes on after a restart.
pub(crate) async fn store(store: &Store, published: &PublishedBundle) -> Result<(), StoreError> {
    let since = published.since();
    let note = Note {
        document: published.document().to_json().map_err(|e| row(e.into()))?,
        since: since.map(|(name, at)| (name.clone(), at)).collect(),
    };
    let text = serde_json::to_string(&note).map_err(|e| row(e.into()))?;
    store.set_meta(META, &text).await
}
