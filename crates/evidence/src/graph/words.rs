//! What stands in boxes.

use std::collections::BTreeMap;

use chancery_audit::{CallKind, Verdict};
use chancery_types::Timestamp;

use super::shown::{counted, short, tail};
use super::sketch::{Asked, Branch, Mission, Revocations, Someone, TOOLS, Terms, Use};
use super::{Sketch, Withdrawal};

/// Most names that stand in a title.
const NAMES: usize = 20;

/// One line of a box and the classes of its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) text: String,
    pub(super) class: &'static str,
}

impl Line {
    pub(super) fn new(class: &'static str, text: impl Into<String>) -> Self {
        let text = text.into();
        Self { text, class }
    }
}

/// How a tool was used: what its edge and border look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    Could,
    Did,
    Refused,
    Both,
}

/// One box in the column of tools.
pub(super) struct Pill {
    pub(super) mark: Mark,
    pub(super) lines: Vec<Line>,
    pub(super) full: String,
    pub(super) answers: Vec<Line>,
    pub(super) answers_full: String,
}

/// The picture in words, for those who do not see it: one line for each box, under the one that it
/// hangs on.
pub(super) fn outline(sketch: &Sketch) -> String {
    let mut said = sketch.basis.clone();
    for mission in &sketch.missions {
        said.push(in_line(head_lines(mission)));
        if let Some(person) = &mission.person {
            said.push(in_line(person_lines(person).0));
        }
        for branch in &mission.branches {
            tell(branch, 1, sketch.everything, &mut said);
        }
    }
    said.extend(
        sketch
            .unknown
            .iter()
            .map(|text| format!("Not known: {text}")),
    );
    said.join("\n")
}

fn tell(branch: &Branch, depth: usize, everything: bool, said: &mut Vec<String>) {
    let space = "  ".repeat(depth);
    let (grant, holder) = branch_lines(branch);
    said.push(format!("{space}{} -> {}", in_line(grant), in_line(holder)));
    for pill in pills(branch, everything) {
        let texts = pill.lines.into_iter().chain(pill.answers).collect();
        said.push(format!("{space}    {}", in_line(texts)));
    }
    for below in &branch.below {
        tell(below, depth.saturating_add(1), everything, said);
    }
}

fn in_line(lines: Vec<Line>) -> String {
    let texts = lines.into_iter().map(|line| line.text);
    let texts: Vec<String> = texts.filter(|text| !text.is_empty()).collect();
    texts.join(" · ")
}

/// How many are in the stack.
pub(super) fn count(branch: &Branch) -> u64 {
    branch.grants.len().max(branch.instances.len()) as u64
}

pub(super) fn head_lines(mission: &Mission) -> Vec<Line> {
    let [session] = mission.sessions.as_slice() else {
        if mission.sessions.is_empty() {
            return vec![Line::new("b", "Outside of any session")];
        }
        let many = format!("{} sessions alike", mission.sessions.len());
        return vec![
            Line::new("b", format!("{many}{}", stack(mission.stack.as_deref()))),
            Line::new("s", under(mission)),
        ];
    };
    vec![
        Line::new("b", format!("Session {session}")),
        Line::new("s", under(mission)),
    ]
}

fn under(mission: &Mission) -> String {
    let mut said = Vec::new();
    if let Some((from, to)) = mission.opened {
        let range = if from == to {
            when(from)
        } else {
            format!("{} to {}", when(from), when(to))
        };
        said.push(format!("opened {range}"));
    }
    said.push(ends(&mission.ends));
    said.extend(revoked(&mission.revoked));
    let mut policies = mission.policies.iter();
    if let Some(policy) = policies.next() {
        said.push(format!("policy {policy}{}", more(policies.count())));
    }
    let mut missions = mission.missions.iter();
    if let Some(goal) = missions.next() {
        let goal: String = goal.chars().take(19).collect();
        said.push(format!("mission {goal}…{}", more(missions.count())));
    }
    said.join(" · ")
}

fn more(count: usize) -> String {
    match count {
        0 => String::new(),
        count => format!(" and {count} more"),
    }
}

fn stack(name: Option<&str>) -> String {
    name.map(|name| format!(" ({name})")).unwrap_or_default()
}

pub(super) fn person_lines(person: &Someone) -> (Vec<Line>, String) {
    let name = match &person.name {
        Some(name) => short(name),
        None => "not disclosed".to_owned(),
    };
    let basis = match person.assurance {
        "consent" => "consents by signature",
        "standing" => "by a standing consent",
        _ => "asserted: a sign-in alone",
    };
    let mut lines = vec![
        Line::new("b", "Person"),
        Line::new("m", name),
        Line::new("s", basis),
    ];
    lines.extend(bad(&person.revoked));
    (lines, person.id.clone())
}

/// The lines of a delegation, and those of its holder.
pub(super) fn branch_lines(branch: &Branch) -> (Vec<Line>, Vec<Line>) {
    let many = count(branch);
    let mut grant = Vec::new();
    if branch.grants.is_empty() {
        grant.push(Line::new("b", "Without a delegation"));
    } else {
        let kind = if branch.depth == 0 {
            "Root delegation"
        } else {
            "Delegation"
        };
        let times = match branch.grants.len() {
            1 => String::new(),
            many => format!(" ×{many}"),
        };
        grant.push(Line::new(
            "b",
            format!("{kind}{times}{}", stack(branch.stack.as_deref())),
        ));
        if let [only] = branch.grants.as_slice() {
            grant.push(Line::new("m", short(&only.name)));
        }
        if let Some((_, to)) = branch.expires {
            grant.push(Line::new("s", format!("until {}", when(to))));
        }
        let further = match branch.further {
            _ if branch.unknown.is_some() => Line::new("bad", "what it grants is not known"),
            Some(0) => Line::new("s", "may not be passed on"),
            Some(links) => Line::new("s", format!("may be passed on {links} deep")),
            None => Line::new("s", ""),
        };
        grant.push(further);
        grant.extend(bad(&branch.revoked));
        if branch.fallen {
            grant.push(Line::new("bad", "falls with what is revoked above"));
        }
    }
    let mut agents = branch.agents.iter();
    let agent = agents.next().map_or("agent not known", |agent| tail(agent));
    let mut holder = vec![Line::new("b", format!("{agent}{}", more(agents.count())))];
    match branch.instances.as_slice() {
        [only] if many > 1 => holder.push(Line::new("m", format!("{} (one)", short(only)))),
        [only] => holder.push(Line::new("m", short(only))),
        all => holder.push(Line::new("b", format!("{} instances", all.len()))),
    }
    holder.push(Line::new("s", ends(&branch.ends)));
    holder.extend(bad(&branch.holder_revoked));
    if !branch.refused.is_empty() {
        holder.push(Line::new(
            "bad",
            format!("refused entry: {}", reasons(&branch.refused)),
        ));
    }
    (grant, holder)
}

/// The ids behind a box.
pub(super) fn branch_title(branch: &Branch) -> String {
    let grants = branch.grants.iter().map(|grant| grant.id.as_str());
    let instances = branch.instances.iter().map(String::as_str);
    let mut said: Vec<&str> = grants.take(NAMES).chain(instances.take(NAMES)).collect();
    said.extend(branch.authorities.iter().map(String::as_str));
    if count(branch) > NAMES as u64 {
        said.push("and more");
    }
    said.join("\n")
}

/// The boxes of a holder's tools. Of many, those that were never called stand in one box.
pub(super) fn pills(branch: &Branch, everything: bool) -> Vec<Pill> {
    let many = count(branch);
    let known = branch.unknown.is_none();
    let single = |one: &Use| pill(one, many, known);
    if everything || branch.tools.len() <= TOOLS {
        return branch.tools.iter().map(single).collect();
    }
    let (called, never): (Vec<&Use>, Vec<&Use>) =
        branch.tools.iter().partition(|one| one.callers > 0);
    // Refusals are never the ones that are folded away, nor what was not enforced.
    let (refused, fine): (Vec<&Use>, Vec<&Use>) = called
        .into_iter()
        .partition(|one| one.denied > 0 || one.unenforced > 0);
    let (first, rest) = fine.split_at(fine.len().min(TOOLS));
    let shown = refused.into_iter().chain(first.iter().copied());
    let mut made: Vec<Pill> = shown.map(single).collect();
    if !rest.is_empty() {
        let allowed = rest.iter().map(|one| one.allowed).sum::<u64>();
        let text = format!("{} more tools called", rest.len());
        made.push(folded(Mark::Did, text, format!("{allowed} allowed"), rest));
    }
    if !never.is_empty() {
        let text = format!("{} more tools", never.len());
        made.push(folded(
            Mark::Could,
            text,
            "could, never called".to_owned(),
            &never,
        ));
    }
    made
}

fn folded(mark: Mark, text: String, under: String, uses: &[&Use]) -> Pill {
    let names: Vec<&str> = uses.iter().map(|one| one.id.as_str()).collect();
    Pill {
        mark,
        lines: vec![Line::new("b", text), Line::new("s", under)],
        full: names.join("\n"),
        answers: Vec::new(),
        answers_full: String::new(),
    }
}

/// `known`: whether it is known what was delegated.
fn pill(one: &Use, many: u64, known: bool) -> Pill {
    let kind = match one.call {
        CallKind::Tool => String::new(),
        other => format!("{} ", other.name()),
    };
    let mark = match (one.allowed > 0 || one.escalated > 0, one.denied > 0) {
        (true, false) => Mark::Did,
        (true, true) => Mark::Both,
        (false, true) => Mark::Refused,
        (false, false) => Mark::Could,
    };
    let mut lines = vec![Line::new("m", format!("{kind}{}/{}", one.server, one.name))];
    if one.could == 0 && known {
        lines.push(Line::new("bad", "outside of what was delegated"));
    } else if one.forbidden {
        lines.push(Line::new("bad", "forbidden by the chain"));
    }
    if one.callers == 0 {
        lines.push(Line::new("s", "could, never called"));
    } else {
        if one.allowed > 0 {
            let by = if many > 1 {
                format!(", by {} of {many}", one.callers)
            } else {
                String::new()
            };
            lines.push(Line::new("good", format!("{} allowed{by}", one.allowed)));
        }
        if one.unenforced > 0 {
            let text = format!("{} of them unenforced", one.unenforced);
            lines.push(Line::new("bad", text));
        }
        if one.denied > 0 {
            let text = format!("{} refused: {}", one.denied, reasons(&one.denied_for));
            lines.push(Line::new("bad", text));
        }
        if one.escalated > 0 {
            lines.push(Line::new(
                "ask",
                format!("{} waited for a person", one.escalated),
            ));
        }
    }
    if let Some(terms) = terms(one) {
        lines.push(Line::new("s", terms));
    }
    Pill {
        mark,
        lines,
        full: pill_title(one),
        answers: one.approvals.iter().map(answer).collect(),
        answers_full: answers_title(&one.approvals),
    }
}

/// What the arguments are held to, and whether somebody is asked.
fn terms(one: &Use) -> Option<String> {
    let mut said = Vec::new();
    let mut all = one.terms.iter();
    match (all.next(), all.len()) {
        (Some(Terms { args, limits }), 0) => {
            said.extend(args.iter().map(|(name, held)| format!("{name} {held}")));
            said.extend(limits.clone());
        }
        (Some(first), others) => {
            let names = first.args.keys().cloned().collect::<Vec<_>>().join(", ");
            let held = if names.is_empty() {
                "terms".to_owned()
            } else {
                names
            };
            said.push(format!("{held}: {} different", others.saturating_add(1)));
        }
        (None, _) => {}
    }
    if one.ask {
        said.push("asks a person".to_owned());
    }
    said.retain(|text| !text.is_empty());
    (!said.is_empty()).then(|| said.join(", "))
}

fn pill_title(one: &Use) -> String {
    let mut said = vec![one.id.clone()];
    said.extend(terms(one));
    let outcomes = one.outcomes.iter();
    let outcomes: Vec<String> = outcomes
        .map(|(name, count)| format!("{count} {name}"))
        .collect();
    if !outcomes.is_empty() {
        said.push(format!("outcomes: {}", outcomes.join(", ")));
    }
    said.extend(one.last.map(|at| format!("last {at}")));
    said.join("\n")
}

fn answer((asked, count): (&Asked, &u64)) -> Line {
    let times = if *count > 1 {
        format!("{count} ")
    } else {
        String::new()
    };
    match &asked.answer {
        Some((person, Verdict::Approve)) => {
            Line::new("ask", format!("{times}approved by {}", short(person)))
        }
        Some((person, Verdict::Deny)) => {
            Line::new("bad", format!("{times}refused by {}", short(person)))
        }
        None => Line::new("s", format!("{times}asked, no answer")),
    }
}

fn answers_title(approvals: &BTreeMap<Asked, u64>) -> String {
    let ids = approvals.keys().map(|asked| {
        let (person, _) = asked
            .answer
            .as_ref()
            .map_or(("nobody", ""), |it| (it.0.as_str(), ""));
        format!(
            "{} {person}",
            asked.approval.as_deref().unwrap_or("several")
        )
    });
    ids.collect::<Vec<_>>().join("\n")
}

fn reasons(counts: &BTreeMap<String, u64>) -> String {
    let said = counts.iter().map(|(reason, count)| match count {
        1 => reason.clone(),
        count => format!("{reason} ×{count}"),
    });
    said.collect::<Vec<_>>().join(", ")
}

fn ends(counts: &BTreeMap<String, u64>) -> String {
    let all: u64 = counts.values().sum();
    let said = counts.iter().map(|(state, count)| {
        if all > 1 {
            format!("{count} {state}")
        } else {
            state.clone()
        }
    });
    said.collect::<Vec<_>>().join(", ")
}

fn bad(revocations: &Revocations) -> impl Iterator<Item = Line> {
    revoked(revocations).map(|text| Line::new("bad", text))
}

/// What was revoked when, one text for each kind.
fn revoked(revocations: &Revocations) -> impl Iterator<Item = String> {
    revocations.iter().map(|(kind, times)| {
        let (many, first) = match times.count {
            1 => (String::new(), ""),
            many => (format!(" ×{many}"), "first "),
        };
        let lifted = if kind.lifted { ", lifted since" } else { "" };
        let (at, name) = (when(times.first), kind.what.name());
        let happened = match kind.what {
            Withdrawal::Revocation(_) => "revoked",
            Withdrawal::Epoch => "raised",
        };
        format!("{name} {happened}{many} {first}{at}{lifted}")
    })
}

/// To the minute.
pub(super) fn when(at: Timestamp) -> String {
    let text: String = at.to_string().chars().take(16).collect();
    format!("{} UTC", text.replace('T', " "))
}

/// The basis in one line.
pub(super) fn subtitle(sketch: &Sketch) -> String {
    let sessions: usize = sketch
        .missions
        .iter()
        .map(|mission| mission.sessions.len())
        .sum();
    let mut said: Vec<String> = sketch.basis.iter().take(1).cloned().collect();
    said.push(counted(sessions as u64, "session"));
    said.join(" · ")
}
