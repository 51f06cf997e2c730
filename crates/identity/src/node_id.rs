//! The IDs of nodes on other hosts.

use std::fmt;
use std::str::FromStr;

use chancery_types::id::NodeId;

use crate::{SpiffeId, SpiffeIdError, TrustDomain};

const PREFIX: &str = "/service/node/";

/// The ID of one node that joined from another host: `spiffe://<trust domain>/service/node/<node id>`.
/// It is the ID of no agent's instance: those end in `/instance/<instance id>`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeSpiffeId {
    id: SpiffeId,
    node: NodeId,
}

impl NodeSpiffeId {
    /// The ID of that node.
    pub fn new(trust_domain: &TrustDomain, node: NodeId) -> Result<Self, SpiffeIdError> {
        format!("{}{PREFIX}{node}", trust_domain.to_spiffe_id()).parse()
    }

    /// The last segment.
    pub const fn node(&self) -> NodeId {
        self.node
    }

    /// The trust domain.
    pub const fn trust_domain(&self) -> &TrustDomain {
        self.id.trust_domain()
    }

    /// The whole ID.
    pub fn as_str(&self) -> &str {
        self.id.as_str()
    }

    /// The whole as a SPIFFE ID.
    pub const fn as_spiffe_id(&self) -> &SpiffeId {
        &self.id
    }
}

impl TryFrom<&SpiffeId> for NodeSpiffeId {
    type Error = SpiffeIdError;

    fn try_from(id: &SpiffeId) -> Result<Self, SpiffeIdError> {
        let node = id.path().strip_prefix(PREFIX);
        let node = node.and_then(|node| node.parse().ok());
        Ok(Self {
            id: id.clone(),
            node: node.ok_or(SpiffeIdError::NotANode)?,
        })
    }
}

impl FromStr for NodeSpiffeId {
    type Err = SpiffeIdError;

    fn from_str(text: &str) -> Result<Self, SpiffeIdError> {
        Self::try_from(&text.parse::<SpiffeId>()?)
    }
}

impl fmt::Display for NodeSpiffeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.id, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::InstanceSpiffeId;

    #[test]
    fn names_a_node_and_nothing_else() {
        let domain: TrustDomain = "example.org".parse().unwrap();
        let node = NodeSpiffeId::new(&domain, NodeId::from_random([7; 16])).unwrap();
        assert_eq!(node.to_string().parse::<NodeSpiffeId>().unwrap(), node);
        assert!(node.as_str().parse::<InstanceSpiffeId>().is_err());
        for bad in [
            "spiffe://example.org/service/node".to_owned(),
            "spiffe://example.org/service/node/".to_owned(),
            "spiffe://example.org/service/node/host-1".to_owned(),
            "spiffe://example.org/service/server".to_owned(),
            format!("{node}/instance/{}", "ins_7zzzzzzzzzzzzzzzzzzzzzzzzz"),
            format!("spiffe://example.org/agent/a/service/node/{}", node.node()),
            node.to_string().to_uppercase(),
        ] {
            assert!(bad.parse::<NodeSpiffeId>().is_err(), "{bad}");
        }
    }
}
