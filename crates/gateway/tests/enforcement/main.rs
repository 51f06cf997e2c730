//! The gateway against a real signer, server and tool server: what is refused, what is enrolled.

#[cfg(test)]
mod adopting;
#[cfg(test)]
mod adversarial;
#[cfg(test)]
mod agent;
#[cfg(test)]
mod approvals;
#[cfg(test)]
mod brakes;
#[cfg(test)]
mod brokers;
#[cfg(test)]
mod calls;
#[cfg(test)]
mod ending;
#[cfg(test)]
mod erasing;
#[cfg(test)]
mod erasing_turns;
#[cfg(test)]
mod evidence;
#[cfg(test)]
mod exchanges;
#[cfg(test)]
mod exchanges_refused;
#[cfg(test)]
mod exchanges_signed;
#[cfg(test)]
mod forged_policy;
#[cfg(test)]
mod indexing;
#[cfg(test)]
mod intermediary;
#[cfg(test)]
mod missions;
#[cfg(test)]
mod observing;
#[cfg(test)]
mod online_keys;
#[cfg(test)]
mod outage;
#[cfg(test)]
mod plane;
#[cfg(test)]
mod policy_quorum;
#[cfg(test)]
mod presentations;
#[cfg(test)]
mod revoking;
#[cfg(test)]
mod rules;
#[cfg(test)]
mod said;
#[cfg(test)]
mod session_rules;
#[cfg(test)]
mod standing;
#[cfg(test)]
mod visits;
#[cfg(test)]
mod waiting;
#[cfg(test)]
mod world;
