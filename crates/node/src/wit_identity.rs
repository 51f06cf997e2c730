use chancery_crypto::{AwsLc, SigningKey, random_bytes};
use chancery_identity::{Leeway, RegistrationTerms, WitSvidBundle, verify_wit_svid};
use chancery_types::jws::Compact;
use chancery_types::{Algorithm, Secret, Timestamp};

use crate::clock::now;
use crate::x509_source::{issued_by, renewal};
use crate::{Issuer, IssuerError, Launch};

/// By how much a clock may be corrected without anything of before being of a time to come.
const SET_SECONDS: u64 = 2;

/// A WIT-SVID of a launch with a key of its own, verified: made for one stream of one process, and for
/// nobody else. The key is never the agent key.
#[derive(Debug)]
pub(crate) struct WitIdentity {
    /// The compact JWS.
    pub(crate) token: String,
    /// The key as a private JSON web key.
    pub(crate) key: Secret,
    /// When it was judged.
    issued: Timestamp,
    pub(crate) not_after: Timestamp,
    pub(crate) renew_at: Timestamp,
    /// Which authority signed.
    kid: String,
    /// What it was issued by.
    pub(crate) terms: RegistrationTerms,
}

impl WitIdentity {
    /// Has one issued for a key that is made here, and judges the answer: it is of that launch, of that
    /// key, and by an authority of the bundle.
    pub(crate) async fn issue(
        launch: &Launch,
        issuer: &dyn Issuer,
        bundle: &WitSvidBundle,
    ) -> Result<Self, IssuerError> {
        let failed = |error| IssuerError::Unavailable(error);
        let now = now();
        let key = SigningKey::generate(Algorithm::Es256).map_err(|error| failed(error.into()))?;
        let terms = issued_by(launch, issuer);
        let token = issuer.issue_wit_svid(launch, key.public()).await?;
        let svid = verify_wit_svid(&token, bundle, now, Leeway::NONE, &AwsLc)
            .map_err(|error| failed(error.into()))?;
        // The token is bound to the very key that goes with it.
        let challenge = random_bytes::<32>().map_err(|error| failed(error.into()))?;
        let proof = key.sign(&challenge).map_err(|error| failed(error.into()))?;
        let svid = svid
            .prove(&challenge, &proof, &AwsLc)
            .map_err(|error| failed(error.into()))?;
        if *svid.spiffe_id() != launch.instance().to_spiffe_id() {
            return Err(failed(
                "the issuer's wit-svid is of another spiffe id".into(),
            ));
        }
        let header = Compact::parse(&token).map_err(|error| failed(error.into()))?;
        Ok(Self {
            key: (key.to_private_jwk()).map_err(|error| failed(error.into()))?,
            issued: now,
            not_after: svid.expires(),
            renew_at: renewal(now, svid.expires()),
            kid: header.header.kid.unwrap_or_default(),
            terms,
            token,
        })
    }

    /// Whether it is good, and its authority is known still: it is not over, nor, after the clock was set
    /// back, of a time to come.
    pub(crate) fn is_valid(&self, bundle: &WitSvidBundle, now: Timestamp) -> bool {
        let is_of_now = self.issued <= now.plus_seconds(SET_SECONDS) && now < self.not_after;
        is_of_now && bundle.key(&self.kid).is_some()
    }
}
