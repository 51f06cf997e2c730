//! The conformance checklist of SPIFFE, row by row: the name of a test begins with the number of
//! its row. `docs/reference/spiffe.md` says which rows these are and which are tested elsewhere.
#![expect(
    clippy::disallowed_methods,
    reason = "other implementations are processes and judge by the clock; the crate itself uses neither"
)]
#![cfg(test)]

#[cfg(test)]
mod bundle_map;
#[cfg(test)]
mod bundles;
#[cfg(test)]
mod endpoints;
#[cfg(test)]
mod federation;
#[cfg(test)]
mod generator;
#[cfg(test)]
mod ids;
#[cfg(test)]
mod jwt;
#[cfg(test)]
mod jwt_headers;
#[cfg(test)]
mod jwt_minting;
#[cfg(test)]
mod parsers;
#[cfg(test)]
mod publishing;
#[cfg(test)]
mod python;
#[cfg(test)]
mod servers;
#[cfg(test)]
mod support;
#[cfg(test)]
mod wit_claims;
#[cfg(test)]
mod wit_minting;
#[cfg(test)]
mod wits;
#[cfg(test)]
mod x509;
