//! Nodes and edges of a sketch for formats whose programs do the layout. Tools and people are shared.

use std::collections::BTreeMap;

use super::shown::{cut, short};
use super::sketch::{Branch, Mission, Use};
use super::{Sketch, words};

/// Most characters of a line of a label.
const WIDTH: usize = 60;

/// How a node looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Shape {
    Person,
    Delegation,
    Instance,
    Tool,
    Approval,
}

/// How an edge looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stroke {
    Authority,
    Could,
    Did,
    Refused,
    Asked,
}

#[derive(Debug)]
pub(super) struct Drawn {
    pub(super) shape: Shape,
    pub(super) lines: Vec<String>,
}

#[derive(Debug)]
pub(super) struct Line {
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) stroke: Stroke,
    pub(super) label: String,
}

/// A group of nodes with a heading.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) heading: String,
    pub(super) members: Vec<usize>,
}

/// Everything to be drawn, by number.
#[derive(Debug, Default)]
pub(super) struct Shapes {
    pub(super) nodes: Vec<Drawn>,
    pub(super) lines: Vec<Line>,
    pub(super) groups: Vec<Group>,
    shared: BTreeMap<(Shape, String), usize>,
}

impl Shapes {
    pub(super) fn of(sketch: &Sketch) -> Self {
        let mut shapes = Self::default();
        for mission in &sketch.missions {
            shapes.mission(mission);
        }
        shapes
    }

    fn add(&mut self, shape: Shape, lines: impl IntoIterator<Item = String>) -> usize {
        let lines = lines.into_iter().filter(|line| !line.is_empty());
        let lines = lines.map(|line| cut(&line, WIDTH)).collect();
        self.nodes.push(Drawn { shape, lines });
        self.nodes.len().saturating_sub(1)
    }

    fn share(&mut self, shape: Shape, id: &str, lines: Vec<String>) -> usize {
        let key = (shape, id.to_owned());
        if let Some(known) = self.shared.get(&key) {
            return *known;
        }
        let made = self.add(shape, lines);
        self.shared.insert(key, made);
        made
    }

    fn line(&mut self, from: usize, to: usize, stroke: Stroke, label: impl Into<String>) {
        let label = cut(&label.into(), WIDTH);
        self.lines.push(Line {
            from,
            to,
            stroke,
            label,
        });
    }

    fn mission(&mut self, mission: &Mission) {
        let person = mission.person.as_ref().map(|person| {
            let (lines, full) = words::person_lines(person);
            let lines = lines.into_iter().map(|line| line.text).collect();
            self.share(Shape::Person, &full, lines)
        });
        let heading = words::head_lines(mission).into_iter().map(|line| line.text);
        let mut members = Vec::new();
        for branch in &mission.branches {
            let above = person.map(|person| (person, "consents"));
            let above = above.filter(|_| !branch.grants.is_empty());
            self.branch(branch, above, &mut members);
        }
        self.groups.push(Group {
            heading: heading.collect::<Vec<_>>().join(" · "),
            members,
        });
    }

    fn branch(&mut self, branch: &Branch, above: Option<(usize, &str)>, members: &mut Vec<usize>) {
        let (grant, holder) = words::branch_lines(branch);
        let holder = self.add(Shape::Instance, holder.into_iter().map(|line| line.text));
        if !branch.grants.is_empty() {
            let grant = self.add(Shape::Delegation, grant.into_iter().map(|line| line.text));
            members.push(grant);
            if let Some((from, what)) = above {
                self.line(from, grant, Stroke::Authority, what);
            }
            self.line(grant, holder, Stroke::Authority, "held by");
        }
        members.push(holder);
        for one in &branch.tools {
            self.tool(holder, one, words::count(branch));
        }
        for below in &branch.below {
            self.branch(below, Some((holder, "delegates")), members);
        }
    }

    fn tool(&mut self, holder: usize, one: &Use, many: u64) {
        let name = format!("{} {}/{}", one.call.name(), one.server, one.name);
        let tool = self.share(Shape::Tool, &one.id, vec![name]);
        let by = if many > 1 {
            format!(" by {} of {many}", one.callers)
        } else {
            String::new()
        };
        if one.callers == 0 {
            let text = if one.forbidden {
                "forbidden by the chain"
            } else {
                "could"
            };
            self.line(holder, tool, Stroke::Could, text);
        }
        if one.allowed > 0 {
            let mut text = format!("{} allowed{by}", one.allowed);
            if one.unenforced > 0 {
                text.push_str(&format!(", {} unenforced", one.unenforced));
            }
            self.line(holder, tool, Stroke::Did, text);
        }
        if one.denied > 0 {
            let reasons: Vec<&str> = one.denied_for.keys().map(String::as_str).collect();
            let text = format!("{} refused: {}", one.denied, reasons.join(", "));
            self.line(holder, tool, Stroke::Refused, text);
        }
        for (asked, count) in &one.approvals {
            let (id, text) = match (&asked.answer, &asked.approval) {
                (Some((person, verdict)), approval) => {
                    let answered = match verdict {
                        chancery_audit::Verdict::Approve => "approved",
                        chancery_audit::Verdict::Deny => "refused",
                    };
                    let text = format!("{answered} by {}", short(person));
                    (
                        approval
                            .clone()
                            .unwrap_or_else(|| format!("{person} {answered}")),
                        text,
                    )
                }
                (None, approval) => {
                    let id = approval.clone().unwrap_or_else(|| "several".to_owned());
                    (id, "no answer".to_owned())
                }
            };
            let lines = vec![short(&id), text];
            let approval = self.share(Shape::Approval, &format!("{id} {}", one.id), lines);
            self.line(holder, approval, Stroke::Asked, format!("{count} asked"));
            self.line(approval, tool, Stroke::Asked, "about");
        }
    }
}
