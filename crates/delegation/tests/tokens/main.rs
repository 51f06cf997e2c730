//! Tokens made and verified: one negative for each reason, and the properties of narrowing.
#![cfg(test)]

#[cfg(test)]
mod access_tokens;
#[cfg(test)]
mod approvals;
#[cfg(test)]
mod consents;
#[cfg(test)]
mod drafts;
#[cfg(test)]
mod five_hops;
#[cfg(test)]
mod handshakes;
#[cfg(test)]
mod http_signatures;
#[cfg(test)]
mod manifests;
#[cfg(test)]
mod narrowing;
#[cfg(test)]
mod proofs;
#[cfg(test)]
mod random_chains;
#[cfg(test)]
mod refusals;
#[cfg(test)]
mod revocations;
#[cfg(test)]
mod scopes;
#[cfg(test)]
mod standing;
#[cfg(test)]
mod support;
#[cfg(test)]
mod wits;
