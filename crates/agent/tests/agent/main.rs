//! The bridge and the hand-over against a gateway and a node that answer as they are told.

#[cfg(test)]
mod approvals;
#[cfg(test)]
mod clients;
#[cfg(test)]
mod control;
#[cfg(test)]
#[path = "../../examples/two_agents/domain.rs"]
mod domain;
#[cfg(test)]
mod handover;
#[cfg(test)]
mod handshakes;
#[cfg(test)]
mod node;
#[cfg(test)]
mod refusals;
#[cfg(test)]
mod splice;
#[cfg(test)]
mod support;
