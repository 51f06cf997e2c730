use super::VerifiedChain;
use crate::Reason;
use crate::token::{Call, Entry, Limits};

/// What a chain says about one call: which entries cover it, and which restrictions apply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    covered: Vec<Coverage>,
    forbidden: Vec<Restriction>,
    asked: Vec<Restriction>,
}

/// The entry of one link that covers a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coverage {
    /// Which link, the root being 0.
    pub link: usize,
    /// The link's `jti`: with `entry`, what calls and costs are counted against.
    pub jti: String,
    /// Which of its `authorization_details`.
    pub entry: usize,
    /// The entry's limits.
    pub limits: Limits,
}

/// A `forbid` or `ask` entry that applies to a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restriction {
    /// Which link, the root being 0.
    pub link: usize,
    /// The link's `jti`.
    pub jti: String,
    /// Which of its `forbid` or `ask`.
    pub entry: usize,
}

impl Scope {
    /// For each link, root first, the entry that covers the call, or [`Reason::NotInScope`]. Of
    /// several entries of the leaf that cover it the first one is named. A forbidden call may be
    /// covered all the same: ask [`Scope::forbidden`] first.
    pub fn covered(&self) -> Result<&[Coverage], Reason> {
        if self.covered.is_empty() {
            Err(Reason::NotInScope)
        } else {
            Ok(&self.covered)
        }
    }

    /// The prohibitions that apply; any one of them denies.
    pub fn forbidden(&self) -> &[Restriction] {
        &self.forbidden
    }

    /// The questions that apply; each one needs an approval.
    pub fn asked(&self) -> &[Restriction] {
        &self.asked
    }
}

/// Judges a call by a chain alone. Policy and session may only take away from what this covers.
pub fn authorise(chain: &VerifiedChain, call: &Call<'_>) -> Scope {
    Scope {
        covered: covered(chain, call).unwrap_or_default(),
        forbidden: restrictions(chain, call, |link| &link.grant().forbid),
        asked: restrictions(chain, call, |link| &link.grant().ask),
    }
}

fn covered(chain: &VerifiedChain, call: &Call<'_>) -> Option<Vec<Coverage>> {
    let entries = chain.leaf().entries().iter().enumerate();
    let mut permitting = entries.filter(|(_, entry)| entry.permits(call));
    permitting.find_map(|(at, _)| path_to_root(chain, call, at))
}

/// Follows an entry of the leaf up to the root by what subsumes it. Each entry on the way is asked
/// again, so that a call is covered by the intersection and not by an inference about it.
fn path_to_root(
    chain: &VerifiedChain,
    call: &Call<'_>,
    leaf_entry: usize,
) -> Option<Vec<Coverage>> {
    let mut path = Vec::new();
    let mut at = Some(leaf_entry);
    for (number, link) in chain.links().enumerate().rev() {
        let index = at?;
        let entry = link
            .entries()
            .get(index)
            .filter(|entry| entry.permits(call))?;
        path.push(Coverage {
            link: number,
            jti: link.jti().to_owned(),
            entry: index,
            limits: entry.limits(),
        });
        at = link.subsumed_by.get(index).copied();
    }
    path.reverse();
    Some(path)
}

fn restrictions(
    chain: &VerifiedChain,
    call: &Call<'_>,
    list: impl Fn(&super::VerifiedLink) -> &Vec<Entry>,
) -> Vec<Restriction> {
    let mut found = Vec::new();
    for (number, link) in chain.links().enumerate() {
        for (index, entry) in list(link).iter().enumerate() {
            if entry.applies_to(call) {
                found.push(Restriction {
                    link: number,
                    jti: link.jti().to_owned(),
                    entry: index,
                });
            }
        }
    }
    found
}
