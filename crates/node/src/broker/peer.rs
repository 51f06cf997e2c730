//! A broker at the other end of a connection.

use chancery_identity::broker::BrokerRule;
use chancery_identity::{InstanceSpiffeId, SpiffeId};
use chancery_types::Timestamp;
use tonic::Status;

use crate::clock::now;
use crate::{Launches, Withdrawn};

/// Who its X.509-SVID says that it is, until that ends.
#[derive(Debug)]
pub(crate) struct BrokerPeer {
    pub(super) spiffe_id: SpiffeId,
    pub(super) not_after: Timestamp,
    /// Whether its process ids are the node's.
    pub(super) same_pids: bool,
}

impl BrokerPeer {
    /// Whether it is revoked, itself or with its agent: its SVID outlives that.
    pub(super) fn is_revoked(&self, withdrawn: &Withdrawn) -> bool {
        let own = self.spiffe_id.as_str().parse::<InstanceSpiffeId>();
        own.is_ok_and(|own| withdrawn.covers(&own))
    }

    /// What it may, where it is a broker, is not revoked, and its SVID has not ended: a connection
    /// outlives an SVID.
    pub(super) fn rule(&self, launches: &Launches) -> Result<BrokerRule, Status> {
        if now() >= self.not_after {
            let said = "the broker's x509-svid has ended; connect again with another one";
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
