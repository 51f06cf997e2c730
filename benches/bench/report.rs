//! What was measured, as a table for people or as JSON.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::sample::Series;

/// Everything of one run.
#[derive(Debug, Default)]
pub(crate) struct Report(Vec<Section>);

/// Measurements that were taken in turns with each other.
#[derive(Debug)]
pub(crate) struct Section {
    title: &'static str,
    rows: Vec<Row>,
    remarks: Vec<String>,
}

/// One measurement.
#[derive(Debug)]
pub(crate) struct Row {
    name: String,
    time: Series,
    beside: Option<Beside>,
}

/// A measurement beside its floor.
#[derive(Debug)]
struct Beside {
    floor: String,
    ratio: Series,
    added: Series,
}

impl Row {
    /// A measurement with no floor.
    pub(crate) fn alone(name: impl Into<String>, time: &Series) -> Self {
        Self {
            name: name.into(),
            time: time.clone(),
            beside: None,
        }
    }

    /// A measurement beside the floor of the same rounds.
    pub(crate) fn beside(
        name: impl Into<String>,
        time: &Series,
        floor: impl Into<String>,
        floor_time: &Series,
    ) -> Self {
        Self {
            name: name.into(),
            time: time.clone(),
            beside: Some(Beside {
                floor: floor.into(),
                ratio: time.with(floor_time, |time, floor| time / floor),
                added: time.with(floor_time, |time, floor| time - floor),
            }),
        }
    }
}

impl Section {
    /// An empty section.
    pub(crate) const fn new(title: &'static str) -> Self {
        Self {
            title,
            rows: Vec::new(),
            remarks: Vec::new(),
        }
    }

    pub(crate) fn row(&mut self, row: Row) {
        self.rows.push(row);
    }

    pub(crate) fn remark(&mut self, remark: impl Into<String>) {
        self.remarks.push(remark.into());
    }
}

impl Report {
    pub(crate) fn push(&mut self, section: Section) {
        self.0.push(section);
    }

    /// The table: medians over the rounds, smallest and largest round in brackets.
    pub(crate) fn to_text(&self) -> String {
        let mut text = String::new();
        for section in &self.0 {
            let head = [section.title, "time", "", "beside", "ratio", "", "added"];
            let mut lines = vec![head.map(str::to_owned)];
            lines.extend(section.rows.iter().map(cells));
            text.push_str(&aligned(&lines));
            for remark in &section.remarks {
                let _ = writeln!(text, "  {remark}");
            }
            text.push('\n');
        }
        text
    }

    /// The same as JSON: times in nanoseconds.
    pub(crate) fn to_json(&self) -> Value {
        let sections: Vec<_> = self
            .0
            .iter()
            .map(|section| {
                let rows: Vec<_> = section.rows.iter().map(row_json).collect();
                json!({"title": section.title, "rows": rows, "remarks": section.remarks})
            })
            .collect();
        json!({"unit": "ns", "sections": sections})
    }
}

fn row_json(row: &Row) -> Value {
    let spread = |series: &Series| json!({"median": series.median(), "min": series.min(), "max": series.max()});
    let beside = row.beside.as_ref().map(|beside| {
        json!({
            "floor": beside.floor,
            "ratio": spread(&beside.ratio),
            "added": spread(&beside.added),
        })
    });
    json!({"name": row.name, "time": spread(&row.time), "beside": beside})
}

fn cells(row: &Row) -> [String; 7] {
    let range = |series: &Series, shown: fn(f64) -> String| {
        format!("[{} .. {}]", shown(series.min()), shown(series.max()))
    };
    let (floor, ratio, ratios, added) = match &row.beside {
        None => Default::default(),
        Some(beside) => (
            beside.floor.clone(),
            factor(beside.ratio.median()),
            range(&beside.ratio, factor),
            time(beside.added.median()),
        ),
    };
    [
        row.name.clone(),
        time(row.time.median()),
        range(&row.time, time),
        floor,
        ratio,
        ratios,
        added,
    ]
}

fn factor(ratio: f64) -> String {
    format!("{ratio:.2}")
}

/// Nanoseconds in a unit that people read.
pub(crate) fn time(nanos: f64) -> String {
    match nanos.abs() {
        below if below < 1e3 => format!("{nanos:.0} ns"),
        below if below < 1e6 => format!("{:.1} us", nanos / 1e3),
        below if below < 1e9 => format!("{:.2} ms", nanos / 1e6),
        _ => format!("{:.2} s", nanos / 1e9),
    }
}

fn aligned(lines: &[[String; 7]]) -> String {
    let mut widths = [0; 7];
    for line in lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = cell.chars().count().max(*width);
        }
    }
    let mut text = String::new();
    for (at, line) in lines.iter().enumerate() {
        let mut written = String::new();
        for (column, (width, cell)) in widths.iter().zip(line).enumerate() {
            let _ = match column {
                0 | 3 => write!(written, "{cell:<width$}  "),
                _ => write!(written, "{cell:>width$}  "),
            };
        }
        let written = written.trim_end();
        let _ = writeln!(text, "{written}");
        if at == 0 {
            let _ = writeln!(text, "{}", "-".repeat(widths.iter().sum::<usize>() + 12));
        }
    }
    text
}
