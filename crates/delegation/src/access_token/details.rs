//! Which of a chain's entries a relying party may be shown: those that mean to it what they mean here.

use serde_json::{Map, Value};

use super::{AUTHORIZATION_DETAILS, EXCHANGE_SERVER};
use crate::Reason;
use crate::chain::VerifiedChain;
use crate::token::{Entry, Limits};

/// Most entries of one token.
const MOST: usize = 64;

/// The leaf's entries of those servers that an access token carries.
///
/// An entry with limits is not among them, since it is counted at the home gateway alone; nor one
/// that a `forbid` or `ask` anywhere in the chain touches, since the relying party knows of neither;
/// nor one for exchanges: a token is not exchanged again.
pub fn carried(chain: &VerifiedChain, is_server: impl Fn(&str) -> bool) -> Vec<Entry> {
    let entries = chain.leaf().entries().iter();
    let entries = entries.filter(|entry| is_server(entry.server()) && is_carriable(chain, entry));
    entries.cloned().collect()
}

/// That an access token may carry these entries: each is within one that [`carried`] returns, and has
/// no limits of its own, which nobody would count.
pub fn check_carried(
    chain: &VerifiedChain,
    is_server: impl Fn(&str) -> bool,
    entries: &[Entry],
) -> Result<(), Reason> {
    let most = carried(chain, is_server);
    let mut entries = entries.iter();
    let within = entries.all(|entry| {
        entry.limits() == Limits::default() && most.iter().any(|known| known.subsumes(entry))
    });
    if within {
        Ok(())
    } else {
        Err(Reason::ScopeEscalation)
    }
}

/// The entries that an exchange asks for by its arguments; none where it leaves that open.
pub fn requested(arguments: &Map<String, Value>) -> Result<Option<Vec<Entry>>, Reason> {
    let Some(asked) = arguments.get(AUTHORIZATION_DETAILS) else {
        return Ok(None);
    };
    let asked = asked.as_array().filter(|asked| asked.len() <= MOST);
    let asked = asked.ok_or(Reason::ConstraintUnknown)?;
    asked
        .iter()
        .map(Entry::parse)
        .collect::<Result<_, _>>()
        .map(Some)
}

fn is_carriable(chain: &VerifiedChain, entry: &Entry) -> bool {
    let is_touched = chain.links().any(|link| {
        let restrictions = link.grant().forbid.iter().chain(&link.grant().ask);
        restrictions
            .into_iter()
            .any(|other| other.server() == entry.server() && other.target() == entry.target())
    });
    entry.server() != EXCHANGE_SERVER && entry.limits() == Limits::default() && !is_touched
}
