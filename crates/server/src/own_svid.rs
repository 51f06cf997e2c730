//! X.509-SVIDs of the server's own parts that others connect to.

use std::collections::BTreeSet;

use chancery_api::Problem;
use chancery_crypto::{SVID_ALGORITHMS, SigningKey};
use chancery_identity::{X509Bundle, digests_above, spki_der, verify_x509_svid};
use chancery_types::{Algorithm, Digest, Secret, Timestamp, base64url};

use crate::Server;
use crate::federation::own;

/// The service that they are the SVIDs of.
const SERVICE: &str = "server";

/// An SVID over a fresh key, verified.
pub(crate) struct OwnSvid {
    pub(crate) chain: Vec<Vec<u8>>,
    pub(crate) key: Secret,
    /// What it was verified with.
    pub(crate) bundle: X509Bundle,
    pub(crate) renewal: Renewal,
}

/// When another one is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Renewal {
    /// Half of its life.
    at: Timestamp,
    /// The digests of the certificates above the leaf.
    above: BTreeSet<Digest>,
}

impl OwnSvid {
    /// Enrols and signs one; `part` tells its holder from the server's other parts.
    pub(crate) async fn issue(server: &Server, part: Option<&str>) -> Result<Self, Problem> {
        let bundle = authorities(server)?;
        let key = SigningKey::generate(Algorithm::Es256)
            .map_err(|error| Problem::internal("key", &error))?;
        let now = server.now()?;
        let spki = base64url::encode(spki_der(key.public()));
        let issued = match part {
            Some(part) => server.issue_part(SERVICE, part, &spki).await?,
            None => server.issue_service(SERVICE, &spki).await?,
        };
        let chain = issued.chain.iter().map(|der| base64url::decode(der));
        let chain: Result<Vec<_>, _> = chain.collect();
        let chain = chain.map_err(|error| Problem::internal("svid", &error))?;
        // It may end before what was asked for: with the certificate above it.
        let svid = verify_x509_svid(&chain, &bundle, now, SVID_ALGORITHMS);
        let svid = svid.map_err(|error| Problem::internal("svid", &error))?;
        let half = svid.not_after().micros_since(now) / 2;
        Ok(Self {
            renewal: Renewal {
                at: Timestamp::from_micros(now.as_micros().saturating_add(half)),
                above: digests_above(&chain),
            },
            chain,
            key: key.pkcs8().clone(),
            bundle,
        })
    }
}

impl Renewal {
    /// Whether it is time, or an authority above it is not believed any more.
    pub(crate) async fn is_due(&self, server: &Server) -> bool {
        server.now().is_ok_and(|now| now >= self.at)
            || !self.above.is_disjoint(&server.tainted().await)
    }
}

/// The authorities in force.
pub(crate) fn authorities(server: &Server) -> Result<X509Bundle, Problem> {
    let keys = own::keys(&server.trust(), server.incubating);
    let keys = keys.map_err(|error| Problem::internal("x509_authorities", &error))?;
    Ok(keys.x509)
}
