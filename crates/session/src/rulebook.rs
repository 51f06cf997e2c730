//! A policy bundle, whole.

use std::ops::Deref;

use chancery_delegation::access_token::EXCHANGE_SERVER;
use chancery_delegation::{ChainRules, ChainRulesError};
use chancery_policy::{ArgType, Bundle, BundleError, DELEGATION_FILE, Files, SESSION_FILE};

use crate::{SessionRules, SessionRulesError};

/// A policy bundle with the rules for chains and for sessions that travel in it. All come from the
/// same files, so that one signature, one digest and one version stand for them.
#[derive(Debug, Clone)]
pub struct Rulebook {
    bundle: Bundle,
    chains: ChainRules,
    sessions: SessionRules,
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
    /// The rules for sessions are refused.
    #[error("{SESSION_FILE}: {0}")]
    Sessions(#[from] SessionRulesError),
    /// The rules for sessions speak of a server of which the bundle has no tool.
    #[error("{SESSION_FILE}: untrusted_servers: bundle.json declares no tool of {0:?}")]
    Server(String),
    /// The rules for sessions observe what is not observed.
    #[error("{SESSION_FILE}: observe.tools: {tool}: {problem}")]
    Observe {
        /// The tool.
        tool: String,
        /// What is wrong.
        problem: String,
    },
    /// The rules for sessions speak of what the bundle does not have.
    #[error("{SESSION_FILE}: tools.{tool}: {problem}")]
    Tool {
        /// The tool.
        tool: String,
        /// What is wrong.
        problem: String,
    },
}

impl Rulebook {
    /// Reads and checks all. A bundle without `delegation.json` has no rules for chains, one without
    /// `session.json` none for sessions.
    pub fn load(files: &Files) -> Result<Self, RulebookError> {
        let chains = match files.get(DELEGATION_FILE) {
            Some(bytes) => ChainRules::parse(bytes)?,
            None => ChainRules::default(),
        };
        let sessions = match files.get(SESSION_FILE) {
            Some(bytes) => SessionRules::parse(bytes)?,
            None => SessionRules::default(),
        };
        let bundle = Bundle::load(files)?;
        check_tools(&sessions, &bundle)?;
        check_observed(&sessions, &bundle)?;
        Ok(Self {
            bundle,
            chains,
            sessions,
        })
    }

    /// What decides calls.
    pub const fn bundle(&self) -> &Bundle {
        &self.bundle
    }

    /// What chains are held to.
    pub const fn chains(&self) -> &ChainRules {
        &self.chains
    }

    /// What sessions are held to.
    pub const fn sessions(&self) -> &SessionRules {
        &self.sessions
    }
}

/// A name that is spelled wrong would be a rule about nothing.
fn check_tools(rules: &SessionRules, bundle: &Bundle) -> Result<(), RulebookError> {
    for server in rules.untrusted_servers() {
        let prefix = format!("{server}/");
        let mut tools = bundle.index().tools().keys();
        if !tools.any(|tool| tool.starts_with(&prefix)) {
            return Err(RulebookError::Server(server.clone()));
        }
    }
    for (name, rules) in rules.tools() {
        let refused = |problem: String| RulebookError::Tool {
            tool: name.clone(),
            problem,
        };
        let known = bundle.index().tools().get(name);
        let known = known.ok_or_else(|| refused("bundle.json does not declare it".to_owned()))?;
        let declared = |argument: &str, kinds: &[ArgType]| {
            known
                .args()
                .get(argument)
                .is_some_and(|it| kinds.contains(&it.kind()))
        };
        if let Some(argument) = rules.resource_arg()
            && !declared(argument, &[ArgType::String, ArgType::Long])
        {
            let problem = format!("resource_arg: {argument:?} is no string or long of its args");
            return Err(refused(problem));
        }
        if let Some(argument) = rules.rows_arg()
            && !declared(argument, &[ArgType::Long])
        {
            return Err(refused(format!(
                "rows_arg: {argument:?} is no long of its args"
            )));
        }
        let mut unless = rules.irreversible().into_iter().flatten();
        if let Some(policy) = unless.find(|policy| {
            bundle.is_ask(policy) || !bundle.policy_ids().any(|id| id == policy.as_str())
        }) {
            let problem = format!("irreversible_unless: there is no permit {policy:?}");
            return Err(refused(problem));
        }
    }
    Ok(())
}

/// What is observed is declared, and can be undone: irreversible actions are never observed by name.
fn check_observed(rules: &SessionRules, bundle: &Bundle) -> Result<(), RulebookError> {
    let Some(observe) = rules.observe() else {
        return Ok(());
    };
    for tool in observe.tools() {
        let refused = |problem: &str| RulebookError::Observe {
            tool: tool.to_owned(),
            problem: problem.to_owned(),
        };
        if !bundle.index().tools().contains_key(tool) {
            return Err(refused("bundle.json does not declare it"));
        }
        if tool
            .split_once('/')
            .is_some_and(|(server, _)| server == EXCHANGE_SERVER)
        {
            return Err(refused(
                "what is signed for others is not observed: leave it out",
            ));
        }
        let known = rules.tools().get(tool);
        if known.is_some_and(|known| known.irreversible().is_some()) {
            return Err(refused(
                "what cannot be undone is not observed: leave it out, it asks a person",
            ));
        }
    }
    Ok(())
}

impl Deref for Rulebook {
    type Target = Bundle;

    fn deref(&self) -> &Bundle {
        &self.bundle
    }
}
