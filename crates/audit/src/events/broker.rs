//! Who may obtain the SVIDs of other workloads.

use crate::Label;

body! {
    /// A broker is admitted from now on, or what it may has changed: it obtains SVIDs, with their keys, of
    /// workloads that are not itself.
    pub struct BrokerAllow = "broker.allow" in Server {
        /// The SPIFFE ID of the broker, or of the agent whose instances are.
        broker: Label,
        /// How it may name workloads: `pid`, `agent`.
        references: Vec<Label>,
        /// The SPIFFE IDs that its workloads are below.
        within: Vec<Label>,
    }
}

body! {
    /// A broker is none any more.
    pub struct BrokerRemove = "broker.remove" in Server {
        /// The SPIFFE ID that was admitted.
        broker: Label,
    }
}
