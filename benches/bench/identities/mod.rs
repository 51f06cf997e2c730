//! Identities: how soon an open stream has a granted one and loses a revoked one, how many a node hands
//! out in a second, and what ten thousand of them take.
//!
//! Signer, server, node and every workload are processes of their own, as in a deployment. The workloads
//! are attested by the node as any other, and speak gRPC over its socket.

mod delays;
mod deployment;
mod fleet;
mod floors;
mod instances;
mod parts;
mod usage;
mod workload;

pub(crate) use delays::measure as measure_delays;
pub(crate) use instances::measure as measure_instances;

/// What this program is when it is started under that name.
pub(crate) type Part = fn(Vec<String>) -> anyhow::Result<()>;

/// The part of that name.
pub(crate) fn part(name: &str) -> Option<Part> {
    match name {
        parts::SIGNER => Some(parts::signer),
        parts::SERVER => Some(parts::server),
        parts::NODE => Some(parts::node),
        workload::WORKLOAD => Some(workload::run),
        _ => None,
    }
}

/// The machine's monotonic clock, which is the same one in every process: nanoseconds.
pub(crate) fn monotonic() -> u64 {
    let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC);
    now.map_or(0, |now| {
        let nanos = u64::try_from(now.tv_nsec()).unwrap_or_default();
        u64::try_from(now.tv_sec()).unwrap_or_default() * 1_000_000_000 + nanos
    })
}

/// The name of the numbered agent.
pub(crate) fn agent(number: usize) -> String {
    format!("spiffe://{}/agent/worker-{number}", crate::plane::DOMAIN)
}
