//! Where everything stands. Columns are fixed; a branch takes the rows of its tools and of what is
//! below it, so that no line crosses a box.

use super::paint::{Area, LINE, PAD, Page, RIM};
use crate::graph::Sketch;
use crate::graph::sketch::{Branch, Mission};
use crate::graph::words::{self, Line, Mark, Pill};

const MARGIN: i64 = 24;
const GAP: i64 = 66;
const SPACE: i64 = 16;
const PERSON: i64 = 190;
const HOLDER: i64 = 248;
const TOOL: i64 = 340;
const ANSWER: i64 = 248;
const HEAD: i64 = 96;
const BAND_HEAD: i64 = 54;

/// Everything with its place.
pub(super) struct Drawing {
    pub(super) width: i64,
    pub(super) height: i64,
    title: String,
    subtitle: String,
    headings: Vec<(i64, String)>,
    bands: Vec<Band>,
    foot: Vec<Line>,
    foot_at: i64,
}

struct Band {
    area: Area,
    head: Vec<Line>,
    stacked: bool,
    person: Option<(Area, Vec<Line>, String)>,
    boxes: Vec<Holder>,
    arrows: Vec<Arrow>,
    pills: Vec<(Area, Pill, Option<Area>)>,
}

struct Holder {
    area: Area,
    grant: Vec<Line>,
    holder: Vec<Line>,
    title: String,
    stacked: bool,
}

struct Arrow {
    class: &'static str,
    from: (i64, i64),
    to: (i64, i64),
}

/// Where the columns are.
struct Columns {
    holders: Vec<i64>,
    tools: i64,
    answers: i64,
}

impl Drawing {
    pub(super) fn of(sketch: &Sketch) -> Self {
        let branches = || sketch.missions.iter().flat_map(|mission| &mission.branches);
        let depth = branches().map(deepest).max().unwrap_or(1);
        let mut x = MARGIN + PAD + PERSON + GAP;
        let mut columns = Columns {
            holders: Vec::new(),
            tools: 0,
            answers: 0,
        };
        let mut headings = vec![(MARGIN + PAD, "On whose behalf".to_owned())];
        for level in 0..depth {
            let text = match level {
                0 => "First holder".to_owned(),
                level => format!("Passed on, {level} below"),
            };
            headings.push((x, text));
            columns.holders.push(x);
            x += HOLDER + GAP;
        }
        columns.tools = x;
        headings.push((x, "Tools: could, and did".to_owned()));
        x += TOOL;
        if branches().any(has_answers) {
            columns.answers = x + GAP;
            headings.push((columns.answers, "Approvals".to_owned()));
            x += GAP + ANSWER;
        }
        let width = x + PAD + MARGIN;
        let mut y = HEAD;
        let mut bands = Vec::new();
        for mission in &sketch.missions {
            let band = Band::of(mission, &columns, y, width, sketch.everything);
            y = band.area.bottom() + 2 * SPACE;
            bands.push(band);
        }
        let foot = foot(sketch);
        let lines = i64::try_from(foot.len()).unwrap_or_default();
        Self {
            width,
            height: y + LEGEND + lines * LINE + 2 * MARGIN,
            title: sketch.title.clone(),
            subtitle: words::subtitle(sketch),
            headings,
            bands,
            foot,
            foot_at: y,
        }
    }

    pub(super) fn paint(&self, page: &mut Page) {
        let whole = |y, height| Area {
            x: MARGIN - PAD,
            y,
            width: self.width - 2 * (MARGIN - PAD),
            height,
        };
        let head = [Line::new("h", self.title.clone())];
        page.clipped(whole(8, 32), &head);
        page.clipped(whole(34, 28), &[Line::new("s", self.subtitle.clone())]);
        for (x, text) in &self.headings {
            page.text_at("b s", *x, HEAD - 12, text);
        }
        for band in &self.bands {
            band.paint(page);
        }
        legend(page, self.foot_at);
        let lines = i64::try_from(self.foot.len()).unwrap_or_default();
        page.clipped(
            whole(self.foot_at + LEGEND, lines * LINE + 2 * RIM),
            &self.foot,
        );
    }
}

/// Height of the legend.
const LEGEND: i64 = 44;

fn legend(page: &mut Page, y: i64) {
    let at = y + 16;
    let mut x = MARGIN;
    for (class, text) in [
        ("", "delegates"),
        (
            "could",
            "could: the chain covers it, policy decides each call",
        ),
        ("did", "did: allowed"),
        ("no", "tried and was refused"),
        ("asked", "waited for a person"),
    ] {
        page.arrow(class, (x, at), (x + 42, at));
        page.text_at("s", x + 50, at + 4, text);
        let letters = i64::try_from(text.len()).unwrap_or_default();
        x += 74 + letters * 7;
    }
}

fn foot(sketch: &Sketch) -> Vec<Line> {
    let unknown = sketch.unknown.iter();
    let unknown = unknown.map(|text| Line::new("bad", format!("Not known: {text}")));
    let logs = sketch.basis.iter().skip(1);
    let logs = logs.map(|text| Line::new("m s", text.clone()));
    let note =
        "Several alike are drawn as one (k1, k2, ...); `--expand k1` or `--expand all` draws each.";
    let stacks = sketch
        .missions
        .iter()
        .any(|mission| mission.stack.is_some() || mission.branches.iter().any(has_stack));
    let note = stacks.then(|| Line::new("s", note));
    unknown.chain(note).chain(logs).collect()
}

fn has_stack(branch: &Branch) -> bool {
    branch.stack.is_some() || branch.below.iter().any(has_stack)
}

fn has_answers(branch: &Branch) -> bool {
    branch.tools.iter().any(|one| !one.approvals.is_empty()) || branch.below.iter().any(has_answers)
}

fn deepest(branch: &Branch) -> usize {
    branch
        .below
        .iter()
        .map(deepest)
        .max()
        .unwrap_or(0)
        .saturating_add(1)
}

fn tall(lines: &[Line]) -> i64 {
    i64::try_from(lines.len()).unwrap_or_default() * LINE + 2 * RIM
}

impl Band {
    fn of(mission: &Mission, columns: &Columns, y: i64, width: i64, everything: bool) -> Self {
        let mut band = Self {
            area: Area {
                x: MARGIN,
                y,
                width: width - 2 * MARGIN,
                height: 0,
            },
            head: words::head_lines(mission),
            stacked: mission.stack.is_some(),
            person: None,
            boxes: Vec::new(),
            arrows: Vec::new(),
            pills: Vec::new(),
        };
        let top = y + BAND_HEAD;
        let mut from = None;
        let mut bottom = top;
        if let Some(person) = &mission.person {
            let (lines, full) = words::person_lines(person);
            let area = Area {
                x: MARGIN + PAD,
                y: top,
                width: PERSON,
                height: tall(&lines),
            };
            from = Some((area.right(), area.y + area.height / 2));
            bottom = area.bottom();
            band.person = Some((area, lines, full));
        }
        let mut next = top;
        for branch in &mission.branches {
            let start = from.filter(|_| !branch.grants.is_empty());
            next = band.branch(branch, columns, 0, next, start, everything) + SPACE;
        }
        band.area.height = bottom.max(next - SPACE) + SPACE - y;
        band
    }

    /// Places a branch from that row on; answers with the row where it ends.
    fn branch(
        &mut self,
        branch: &Branch,
        columns: &Columns,
        level: usize,
        y: i64,
        from: Option<(i64, i64)>,
        everything: bool,
    ) -> i64 {
        let (grant, holder) = words::branch_lines(branch);
        let x = columns.holders.get(level).copied().unwrap_or(MARGIN);
        let area = Area {
            x,
            y,
            width: HOLDER,
            height: tall(&grant) + tall(&holder),
        };
        if let Some(from) = from {
            let to = (x, y + tall(&grant) / 2);
            self.arrows.push(Arrow {
                class: "",
                from,
                to,
            });
        }
        let start = (area.right(), area.bottom() - tall(&holder) / 2);
        let mut next = y;
        for pill in words::pills(branch, everything) {
            next = self.pill(pill, columns, next, start) + SPACE;
        }
        self.boxes.push(Holder {
            area,
            grant,
            holder,
            title: words::branch_title(branch),
            stacked: branch.stack.is_some(),
        });
        for below in &branch.below {
            next = self.branch(below, columns, level + 1, next, Some(start), everything) + SPACE;
        }
        area.bottom().max(next - SPACE)
    }

    fn pill(&mut self, pill: Pill, columns: &Columns, y: i64, from: (i64, i64)) -> i64 {
        let area = Area {
            x: columns.tools,
            y,
            width: TOOL,
            height: tall(&pill.lines),
        };
        let middle = y + area.height / 2;
        let mut arrow = |class, from, to| self.arrows.push(Arrow { class, from, to });
        match pill.mark {
            Mark::Could => arrow("could", from, (area.x, middle)),
            Mark::Did => arrow("did", from, (area.x, middle)),
            Mark::Refused => arrow("no", from, (area.x, middle)),
            Mark::Both => {
                arrow("did", from, (area.x, middle - 5));
                arrow("no", from, (area.x, middle + 5));
            }
        }
        let answers = (!pill.answers.is_empty()).then(|| Area {
            x: columns.answers,
            y,
            width: ANSWER,
            height: tall(&pill.answers),
        });
        let mut bottom = area.bottom();
        if let Some(answers) = answers {
            let row = answers.y + answers.height.min(area.height) / 2;
            arrow("asked", (area.right(), row), (answers.x, row));
            bottom = bottom.max(answers.bottom());
        }
        self.pills.push((area, pill, answers));
        bottom
    }

    fn paint(&self, page: &mut Page) {
        if self.stacked {
            page.rect("band", shifted(self.area, 4), 10);
        }
        page.rect("band", self.area, 10);
        let head = Area {
            height: BAND_HEAD,
            ..self.area
        };
        page.clipped(head, &self.head);
        for arrow in &self.arrows {
            page.arrow(arrow.class, arrow.from, arrow.to);
        }
        if let Some((area, lines, full)) = &self.person {
            page.lines("box", *area, full, lines);
        }
        for holder in &self.boxes {
            holder.paint(page);
        }
        for (area, pill, answers) in &self.pills {
            let class = match pill.mark {
                Mark::Could => "box could",
                Mark::Did => "box did",
                Mark::Refused | Mark::Both => "box no",
            };
            page.lines(class, *area, &pill.full, &pill.lines);
            if let Some(answers) = answers {
                page.lines("box asked", *answers, &pill.answers_full, &pill.answers);
            }
        }
    }
}

const fn shifted(area: Area, by: i64) -> Area {
    Area {
        x: area.x + by,
        y: area.y + by,
        ..area
    }
}

impl Holder {
    fn paint(&self, page: &mut Page) {
        if self.stacked {
            page.rect("box", shifted(self.area, 8), 6);
            page.rect("box", shifted(self.area, 4), 6);
        }
        page.lines("box", self.area, &self.title, &[]);
        let strip = Area {
            x: self.area.x + 1,
            y: self.area.y + 1,
            width: self.area.width - 2,
            height: tall(&self.grant) - 1,
        };
        page.rect("grant", strip, 5);
        let grant = Area {
            height: tall(&self.grant),
            ..self.area
        };
        page.clipped(grant, &self.grant);
        let holder = Area {
            y: grant.bottom(),
            height: tall(&self.holder),
            ..self.area
        };
        page.clipped(holder, &self.holder);
    }
}
