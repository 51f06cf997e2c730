//! Folding: what is alike becomes one stack with a count.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::grow::add;
use super::{Asked, Branch, Expand, Mission, Revocations, Use};

/// How many rows a picture has at most before it is folded further.
const ROWS: usize = 60;

/// Most siblings that are drawn when nothing else helps.
const SIBLINGS: usize = 12;

/// What must be alike, from almost everything to almost nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Likeness {
    /// Nothing is folded.
    Same,
    /// Agent, terms, what was called and how it went.
    Terms,
    /// Agent, tools and which arguments are held to something, what was refused and why.
    Tools,
    /// Agent, and whether anything was refused.
    Agent,
    /// Whether anything was refused; and no more than a few siblings.
    Anything,
}

const LIKENESSES: [Likeness; 5] = [
    Likeness::Same,
    Likeness::Terms,
    Likeness::Tools,
    Likeness::Agent,
    Likeness::Anything,
];

/// Folds as little as gives few rows. Answers with the names of stacks that were asked for and are
/// not there.
pub(super) fn fold(missions: Vec<Mission>, expand: &Expand) -> (Vec<Mission>, Vec<String>) {
    let Expand::Stacks(wanted) = expand else {
        let levels: &[Likeness] = match expand {
            Expand::Everything => &[Likeness::Same],
            _ => &LIKENESSES,
        };
        return (smallest(&missions, levels).1, Vec::new());
    };
    let (level, drawn) = smallest(&missions, &LIKENESSES);
    let mut open = BTreeSet::new();
    let mut found = BTreeSet::new();
    for mission in &drawn {
        if let Some(name) = mission.stack.as_ref().filter(|name| wanted.contains(*name)) {
            open.extend(mission.sessions.iter().cloned());
            found.insert(name.clone());
        }
        for branch in &mission.branches {
            opened(branch, wanted, &mut open, &mut found);
        }
    }
    let missing = wanted.difference(&found).cloned().collect();
    (folded(missions, level, &open), missing)
}

/// The delegations of the stacks that are to be open.
fn opened(
    branch: &Branch,
    wanted: &BTreeSet<String>,
    open: &mut BTreeSet<String>,
    found: &mut BTreeSet<String>,
) {
    if let Some(name) = branch.stack.as_ref().filter(|name| wanted.contains(*name)) {
        open.extend(branch.grants.iter().map(|grant| grant.id.clone()));
        open.extend(branch.instances.iter().cloned());
        found.insert(name.clone());
    }
    for below in &branch.below {
        opened(below, wanted, open, found);
    }
}

fn smallest(missions: &[Mission], levels: &[Likeness]) -> (Likeness, Vec<Mission>) {
    let mut last = (Likeness::Same, missions.to_vec());
    for level in levels {
        last = (*level, folded(missions.to_vec(), *level, &BTreeSet::new()));
        let rows = last
            .1
            .iter()
            .flat_map(|mission| &mission.branches)
            .map(rows);
        if rows.sum::<usize>() <= ROWS {
            break;
        }
    }
    last
}

/// How many rows a branch takes.
fn rows(branch: &Branch) -> usize {
    let below: usize = branch.below.iter().map(rows).sum();
    branch
        .tools
        .len()
        .min(super::TOOLS)
        .saturating_add(below)
        .max(1)
}

fn folded(missions: Vec<Mission>, level: Likeness, open: &BTreeSet<String>) -> Vec<Mission> {
    let mut groups: Vec<(String, Vec<Mission>)> = Vec::new();
    for mut mission in missions {
        let alone = mission
            .sessions
            .iter()
            .any(|session| open.contains(session));
        mission.branches = siblings(mission.branches, level, open);
        let key = match (level, alone) {
            (Likeness::Same, _) | (_, true) => mission.sessions.concat(),
            _ => mission_key(&mission, level),
        };
        match groups.iter_mut().find(|(known, _)| *known == key) {
            Some((_, group)) => group.push(mission),
            None => groups.push((key, vec![mission])),
        }
    }
    let mut folded: Vec<Mission> = groups
        .into_iter()
        .filter_map(|(_, group)| merge_missions(group, level, open))
        .collect();
    let mut names = 0_u64;
    for mission in &mut folded {
        if mission.sessions.len() > 1 {
            mission.stack = Some(next(&mut names));
        }
        for branch in &mut mission.branches {
            name(branch, &mut names);
        }
    }
    folded
}

fn next(names: &mut u64) -> String {
    *names = names.saturating_add(1);
    format!("k{names}")
}

fn name(branch: &mut Branch, names: &mut u64) {
    let many = branch.grants.len().max(branch.instances.len()) > 1;
    branch.stack = many.then(|| next(names));
    for below in &mut branch.below {
        name(below, names);
    }
}

/// Folds siblings, deepest first.
fn siblings(branches: Vec<Branch>, level: Likeness, open: &BTreeSet<String>) -> Vec<Branch> {
    let mut groups: Vec<(String, Vec<Branch>)> = Vec::new();
    for mut branch in branches {
        branch.below = siblings(branch.below, level, open);
        let mut names = branch.grants.iter().map(|grant| &grant.id);
        let alone = names.any(|id| open.contains(id))
            || branch
                .instances
                .iter()
                .any(|instance| open.contains(instance));
        let key = match (level, alone) {
            (Likeness::Same, _) | (_, true) => branch.path.clone(),
            _ => branch_key(&branch, level),
        };
        match groups.iter_mut().find(|(known, _)| *known == key) {
            Some((_, group)) => group.push(branch),
            None => groups.push((key, vec![branch])),
        }
    }
    if level == Likeness::Anything && groups.len() > SIBLINGS {
        let rest = groups.split_off(SIBLINGS);
        let rest = rest.into_iter().flat_map(|(_, group)| group).collect();
        groups.push((String::new(), rest));
    }
    groups
        .into_iter()
        .filter_map(|(_, group)| merge(group, level, open))
        .collect()
}

fn mission_key(mission: &Mission, level: Likeness) -> String {
    let person = mission.person.as_ref().map(|person| person.id.as_str());
    let mut key = format!("{person:?}|{:?}", mission.revoked.kinds());
    if level <= Likeness::Tools {
        let _ = write!(key, "|{:?}|{:?}", mission.ends, mission.policies);
    }
    let below: BTreeSet<String> = mission
        .branches
        .iter()
        .map(|branch| branch_key(branch, level))
        .collect();
    let _ = write!(key, "|{below:?}");
    key
}

/// Equal for branches that are alike.
fn branch_key(branch: &Branch, level: Likeness) -> String {
    let (refused, fallen, unknown) = (was_refused(branch), branch.fallen, branch.unknown.is_some());
    let revoked = [&branch.revoked, &branch.holder_revoked].map(Revocations::kinds);
    let mut key = format!("{}|{refused}|{fallen}|{revoked:?}|{unknown}", branch.depth);
    if level == Likeness::Anything {
        return key;
    }
    let _ = write!(key, "|{:?}", branch.agents);
    if level <= Likeness::Tools {
        let states: Vec<_> = branch.ends.keys().collect();
        let _ = write!(key, "|{states:?}|{:?}", branch.refused.keys());
        let uses: BTreeSet<String> = branch.tools.iter().map(|one| use_key(one, level)).collect();
        let _ = write!(key, "|{uses:?}");
    }
    let below: BTreeSet<String> = branch
        .below
        .iter()
        .map(|below| branch_key(below, level))
        .collect();
    let _ = write!(key, "|{below:?}");
    key
}

fn use_key(one: &Use, level: Likeness) -> String {
    let refused: Vec<_> = one.denied_for.keys().collect();
    let mut key = format!("{}|{}|{refused:?}|{}", one.id, one.could > 0, one.forbidden);
    if level == Likeness::Terms {
        let _ = write!(
            key,
            "|{:?}|{}|{}|{}",
            one.terms,
            one.allowed > 0,
            one.unenforced > 0,
            one.escalated > 0
        );
    } else {
        let held: BTreeSet<_> = one
            .terms
            .iter()
            .flat_map(|terms| terms.args.keys())
            .collect();
        let _ = write!(key, "|{held:?}");
    }
    key
}

/// Whether anything was refused to the holder itself.
fn was_refused(branch: &Branch) -> bool {
    !branch.refused.is_empty() || branch.tools.iter().any(|one| one.denied > 0)
}

fn merge(group: Vec<Branch>, level: Likeness, open: &BTreeSet<String>) -> Option<Branch> {
    let mut group = group.into_iter();
    let mut made = group.next()?;
    let mut many = false;
    for other in group {
        many = true;
        made.grants.extend(other.grants);
        made.authorities.extend(other.authorities);
        made.expires = joined(made.expires, other.expires);
        made.further = made.further.max(other.further);
        made.unknown = made.unknown.or(other.unknown);
        made.agents.extend(other.agents);
        for instance in other.instances {
            if !made.instances.contains(&instance) {
                made.instances.push(instance);
            }
        }
        made.joined = made.joined.saturating_add(other.joined);
        add(&mut made.ends, &other.ends);
        add(&mut made.refused, &other.refused);
        made.revoked.extend(&other.revoked);
        made.holder_revoked.extend(&other.holder_revoked);
        for one in other.tools {
            merge_use(&mut made.tools, one);
        }
        made.below.extend(other.below);
    }
    if many {
        made.below = siblings(made.below, level, open);
    }
    Some(made)
}

fn joined<T: Ord + Copy>(one: Option<(T, T)>, other: Option<(T, T)>) -> Option<(T, T)> {
    match (one, other) {
        (Some((low, high)), Some((from, to))) => Some((low.min(from), high.max(to))),
        (one, other) => one.or(other),
    }
}

fn merge_use(uses: &mut Vec<Use>, other: Use) {
    let Some(one) = uses.iter_mut().find(|known| known.id == other.id) else {
        uses.push(other);
        return;
    };
    one.forbidden &= other.forbidden;
    one.ask |= other.ask;
    one.could = one.could.saturating_add(other.could);
    one.terms.extend(other.terms);
    one.callers = one.callers.saturating_add(other.callers);
    one.allowed = one.allowed.saturating_add(other.allowed);
    one.unenforced = one.unenforced.saturating_add(other.unenforced);
    one.denied = one.denied.saturating_add(other.denied);
    one.escalated = one.escalated.saturating_add(other.escalated);
    add(&mut one.denied_for, &other.denied_for);
    add(&mut one.outcomes, &other.outcomes);
    one.last = one.last.max(other.last);
    let mut approvals: BTreeMap<Asked, u64> = BTreeMap::new();
    for (asked, count) in one.approvals.iter().chain(&other.approvals) {
        // Of several only the answers are told apart.
        let asked = Asked {
            answer: asked.answer.clone(),
            approval: None,
        };
        add(&mut approvals, &BTreeMap::from([(asked, *count)]));
    }
    one.approvals = approvals;
}

fn merge_missions(
    group: Vec<Mission>,
    level: Likeness,
    open: &BTreeSet<String>,
) -> Option<Mission> {
    let mut group = group.into_iter();
    let mut made = group.next()?;
    let mut many = false;
    for other in group {
        many = true;
        made.sessions.extend(other.sessions);
        made.opened = joined(made.opened, other.opened);
        add(&mut made.ends, &other.ends);
        made.revoked.extend(&other.revoked);
        made.policies.extend(other.policies);
        made.missions.extend(other.missions);
        made.branches.extend(other.branches);
    }
    if many {
        made.branches = siblings(made.branches, level, open);
    }
    Some(made)
}
