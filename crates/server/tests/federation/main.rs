//! What others reach of a server: trust domains that federate and nodes on other hosts, with real servers
//! on loopback and endpoints that misbehave.

#[cfg(test)]
mod authorities;
#[cfg(test)]
mod dam;
#[cfg(test)]
mod domain;
#[cfg(test)]
mod fetching;
#[cfg(test)]
mod instances;
#[cfg(test)]
mod nodes;
#[cfg(test)]
mod policies;
#[cfg(test)]
mod registrations;
#[cfg(test)]
mod relations;
#[cfg(test)]
mod revoking;
#[cfg(test)]
mod serving;
#[cfg(test)]
mod spawning;
#[cfg(test)]
mod together;
#[cfg(test)]
mod trap;
#[cfg(test)]
mod web;
