//! A policy bundle, whole.

use std::ops::Deref;

use chancery_delegation::{ChainRules, ChainRulesError};
use chancery_policy::{Bundle, BundleError, DELEGATION_FILE, Files};

/// A policy bundle with the rules for chains that travel in it. Both come from the same files, so
/// that one signature, one digest and one version stand for both.
#[derive(Debug, Clone)]
pub struct Rulebook {
    bundle: Bundle,
    chains: ChainRules,
}

/// Why files are no rulebook.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RulebookError {
    /// The bundle is refused.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// The rules for chains are refused.
    #[error("{DELEGATION_FILE}: {0}")]
    Chains(#[from] ChainRulesError),
}

impl Rulebook {
    /// Reads and checks both. A bundle without `delegation.json` has no rules for chains.
    pub fn load(files: &Files) -> Result<Self, RulebookError> {
        let chains = match files.get(DELEGATION_FILE) {
            Some(bytes) => ChainRules::parse(bytes)?,
            None => ChainRules::default(),
        };
        let bundle = Bundle::load(files)?;
        Ok(Self { bundle, chains })
    }

    /// What decides calls.
    pub const fn bundle(&self) -> &Bundle {
        &self.bundle
    }

    /// What chains are held to.
    pub const fn chains(&self) -> &ChainRules {
        &self.chains
    }
}

impl Deref for Rulebook {
    type Target = Bundle;

    fn deref(&self) -> &Bundle {
        &self.bundle
    }
}
