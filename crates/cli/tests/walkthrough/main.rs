//! The command as people use it: the walk-through of the README, unmodified clients, and what they
//! are told when something is wrong.

#[cfg(test)]
mod blocks;
#[cfg(test)]
mod browser;
#[cfg(test)]
mod clients;
#[cfg(test)]
mod console;
#[cfg(test)]
mod damage;
#[cfg(test)]
mod database;
#[cfg(test)]
mod demo;
#[cfg(test)]
mod deployment;
#[cfg(test)]
mod erasing;
#[cfg(test)]
mod failing;
#[cfg(test)]
mod federating;
#[cfg(test)]
mod foreign;
#[cfg(test)]
#[path = "../evidence/forger.rs"]
mod forger;
#[cfg(test)]
mod indexed;
#[cfg(test)]
mod joining;
#[cfg(test)]
mod joining_by_tpm;
#[cfg(test)]
#[path = "../../../journal/tests/witness/litewitness.rs"]
mod litewitness;
#[cfg(test)]
mod logs;
#[cfg(test)]
mod metrics;
#[cfg(test)]
mod pages;
#[cfg(test)]
mod people;
#[cfg(test)]
mod place;
#[cfg(test)]
mod policies;
#[cfg(test)]
#[path = "../../../store/tests/contract/postgres.rs"]
mod postgres;
#[cfg(test)]
mod readme;
#[cfg(test)]
mod refusals;
#[cfg(test)]
mod registrations;
#[cfg(test)]
mod remembering;
#[cfg(test)]
mod rotating;
#[cfg(test)]
mod spawning;
#[cfg(test)]
mod spiffe;
#[cfg(test)]
mod succession;
#[cfg(test)]
mod tools;
#[cfg(test)]
mod unisolated;
