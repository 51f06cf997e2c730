//! A broker at the other end of a connection.

use chancery_crypto::SVID_ALGORITHMS;
use chancery_identity::broker::BrokerRule;
use chancery_identity::{InstanceSpiffeId, SpiffeId, X509Bundle, verify_x509_svid};
use chancery_types::Timestamp;
use tonic::Status;

use crate::clock::now;
use crate::{Launches, Withdrawn};

/// Who its X.509-SVID says that it is, until that ends.
#[derive(Debug)]
pub(crate) struct BrokerPeer {
    pub(super) spiffe_id: SpiffeId,
    pub(super) not_after: Timestamp,
    /// What it presented, leaf first; asked again whether the authorities of now verify it.
    pub(super) chain: Vec<Vec<u8>>,
    /// Whether its process ids are the node's.
    pub(super) same_pids: bool,
}

impl BrokerPeer {
    /// Whether it is revoked, itself or with its agent: its SVID outlives that.
    pub(super) fn is_revoked(&self, withdrawn: &Withdrawn) -> bool {
        let own = self.spiffe_id.as_str().parse::<InstanceSpiffeId>();
        own.is_ok_and(|own| withdrawn.covers(&own))
    }

    /// Whether the trust domain's authorities of now verify what it presented.
    pub(super) fn stands(&self, launches: &Launches) -> bool {
        let bundle = launches.issuer().x509_bundle();
        let bundle = bundle.borrow();
        let verifies = |bundle: &X509Bundle| {
            verify_x509_svid(&self.chain, bundle, now(), SVID_ALGORITHMS).is_ok()
        };
        bundle.as_ref().is_some_and(verifies)
    }

    /// What it may, where it is a broker, is not revoked, and its SVID has not ended: a connection
    /// outlives an SVID.
    pub(super) fn rule(&self, launches: &Launches) -> Result<BrokerRule, Status> {
        if now() >= self.not_after {
            let said = "the broker's x509-svid has ended; connect again with another one";
            return Err(Status::unauthenticated(said));
        }
        if !self.stands(launches) {
            let said = "the broker's x509-svid is below no authority any more; connect again";
            return Err(Status::unauthenticated(said));
        }
        if self.is_revoked(&launches.issuer().withdrawn().borrow()) {
            tracing::warn!(broker = %self.spiffe_id, "revoked");
            return Err(Status::permission_denied("not a broker"));
        }
        let rules = launches.issuer().brokers();
        let rule = rules.borrow().of(&self.spiffe_id).cloned();
        rule.ok_or_else(|| {
            tracing::warn!(broker = %self.spiffe_id, "no broker");
            Status::permission_denied("not a broker")
        })
    }
}
