//! Tokens made and verified: one negative for each reason, and the properties of narrowing.
#![expect(
    clippy::disallowed_methods,
    reason = "vectors are files; the crate itself reads none"
)]
#![cfg(test)]

#[cfg(test)]
mod approvals;
#[cfg(test)]
mod consents;
#[cfg(test)]
mod drafts;
#[cfg(test)]
mod manifests;
#[cfg(test)]
mod narrowing;
#[cfg(test)]
mod proofs;
#[cfg(test)]
mod refusals;
#[cfg(test)]
mod scopes;
#[cfg(test)]
mod support;
#[cfg(test)]
mod vectors;
