//! A broker at the other end of a connection.

use chancery_identity::SpiffeId;
use chancery_identity::broker::BrokerRule;
use chancery_types::Timestamp;
use tonic::Status;

use crate::Launches;
use crate::clock::now;

/// Who its X.509-SVID says that it is, until that ends.
#[derive(Debug)]
pub(crate) struct BrokerPeer {
    pub(super) spiffe_id: SpiffeId,
    pub(super) not_after: Timestamp,
    /// Whether its process ids are the node's.
    pub(super) same_pids: bool,
}

impl BrokerPeer {
    /// What it may, where it is a broker and its SVID has not ended: a connection outlives an SVID.
    pub(super) fn rule(&self, launches: &Launches) -> Result<BrokerRule, Status> {
        if now() >= self.not_after {
            let said = "the broker's x509-svid has ended; connect again with another one";
            return Err(Status::unauthenticated(said));
        }
        let rules = launches.issuer().brokers();
        let rule = rules.borrow().of(&self.spiffe_id).cloned();
        rule.ok_or_else(|| {
            tracing::warn!(broker = %self.spiffe_id, "no broker");
            Status::permission_denied("not a broker")
        })
    }
}
