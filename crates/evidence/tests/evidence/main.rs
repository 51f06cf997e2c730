//! Evidence of a whole session, verified, told, and tampered with.

#[cfg(test)]
mod asked;
#[cfg(test)]
mod completeness;
#[cfg(test)]
mod erased;
#[cfg(test)]
mod foreign;
#[cfg(test)]
mod graph_revocations;
#[cfg(test)]
mod graphs;
#[cfg(test)]
mod log_writer;
#[cfg(test)]
mod mesh;
#[cfg(test)]
mod observed;
#[cfg(test)]
mod presented;
#[cfg(test)]
mod revoked;
#[cfg(test)]
mod scene;
#[cfg(test)]
mod standing;
#[cfg(test)]
mod succession;
#[cfg(test)]
mod tampered;
#[cfg(test)]
mod whole;
#[cfg(test)]
mod withdrawals;
#[cfg(test)]
mod witnessed;
