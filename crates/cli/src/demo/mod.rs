//! `chancery demo`: one governed mission, from a person to an offline proof.

pub(crate) mod agents;
mod assets;
mod mission;
mod office;
mod person;
mod plan;
mod report;
mod run_folder;
mod story;
mod withdrawal;

pub(crate) use agents::run as run_agent;
pub(crate) use mission::run;

/// Where an agent finds the socket of its bridge.
pub(crate) const BRIDGE_VARIABLE: &str = "CHANCERY_BRIDGE";
