//! Shapes as text. Everything that others wrote goes through [`escaped`].

use std::fmt::Write as _;

use super::style::STYLE;
use crate::graph::shown::{cut, visible};
use crate::graph::words::Line;

/// Width of a character, rounded up: what texts are cut by.
pub(super) const CELL: i64 = 8;

/// Height of a line.
pub(super) const LINE: i64 = 17;

/// Space inside of a box.
pub(super) const PAD: i64 = 10;

/// Space above the first and below the last line of a box.
pub(super) const RIM: i64 = 7;

/// Where something stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Area {
    pub(super) x: i64,
    pub(super) y: i64,
    pub(super) width: i64,
    pub(super) height: i64,
}

impl Area {
    pub(super) const fn right(self) -> i64 {
        self.x + self.width
    }

    pub(super) const fn bottom(self) -> i64 {
        self.y + self.height
    }
}

/// The document while it is written.
pub(super) struct Page {
    text: String,
    width: i64,
    height: i64,
}

impl Page {
    pub(super) const fn new(width: i64, height: i64) -> Self {
        let text = String::new();
        Self {
            text,
            width,
            height,
        }
    }

    fn put(&mut self, part: std::fmt::Arguments<'_>) {
        // Writing to a string does not fail.
        let _ = self.text.write_fmt(part);
        self.text.push('\n');
    }

    pub(super) fn open(&mut self, title: &str, description: &str) {
        let (width, height) = (self.width, self.height);
        self.put(format_args!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"cg\" role=\"img\" \
             aria-labelledby=\"cg-title cg-desc\" width=\"{width}\" height=\"{height}\" \
             viewBox=\"0 0 {width} {height}\">"
        ));
        self.put(format_args!(
            "<title id=\"cg-title\">{}</title>",
            escaped(title)
        ));
        self.put(format_args!(
            "<desc id=\"cg-desc\">{}</desc>",
            escaped(description)
        ));
        self.put(format_args!("<style>{STYLE}</style>"));
        let whole = Area {
            x: 0,
            y: 0,
            width,
            height,
        };
        self.rect("ground", whole, 0);
    }

    pub(super) fn close(mut self) -> String {
        self.text.push_str("</svg>\n");
        self.text
    }

    pub(super) fn rect(&mut self, class: &str, area: Area, round: i64) {
        let Area {
            x,
            y,
            width,
            height,
        } = area;
        self.put(format_args!(
            "<rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" \
             rx=\"{round}\"/>"
        ));
    }

    /// A box with lines, none of which leaves it: cut to its width, and clipped to its area.
    pub(super) fn lines(&mut self, class: &str, area: Area, full: &str, lines: &[Line]) {
        self.put(format_args!("<g><title>{}</title>", escaped(full)));
        self.rect(class, area, 6);
        self.clipped(area, lines);
        self.put(format_args!("</g>"));
    }

    /// Lines within an area and never outside of it.
    pub(super) fn clipped(&mut self, area: Area, lines: &[Line]) {
        let Area {
            x,
            y,
            width,
            height,
        } = area;
        self.put(format_args!(
            "<svg x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" overflow=\"hidden\">"
        ));
        let most = usize::try_from((width - 2 * PAD) / CELL).unwrap_or_default();
        let mut at = RIM + 13;
        for line in lines {
            self.text_at(line.class, PAD, at, &cut(&line.text, most));
            at += LINE;
        }
        self.put(format_args!("</svg>"));
    }

    pub(super) fn text_at(&mut self, class: &str, x: i64, y: i64, text: &str) {
        let class = match class {
            "" => String::new(),
            class => format!(" class=\"{class}\""),
        };
        self.put(format_args!(
            "<text{class} x=\"{x}\" y=\"{y}\">{}</text>",
            escaped(text)
        ));
    }

    /// A curve from the right side of one thing to the left side of another, with its tip.
    pub(super) fn arrow(&mut self, class: &str, from: (i64, i64), to: (i64, i64)) {
        let ((x, y), (right, end)) = (from, to);
        let tip = right - 7;
        // Bends in the gap behind its start, and goes straight from there.
        let bend = (x + 58).min(tip);
        let middle = x + (bend - x) / 2;
        self.put(format_args!(
            "<path class=\"{class}\" d=\"M{x} {y}C{middle} {y} {middle} {end} {bend} {end}H{tip}\"/>\
             <polygon class=\"tip {class}\" points=\"{tip},{} {right},{end} {tip},{}\"/>",
            end - 4,
            end + 4
        ));
    }
}

/// Text as it may stand in XML, in an attribute too.
pub(super) fn escaped(text: &str) -> String {
    let mut made = String::with_capacity(text.len());
    for one in text
        .split('\n')
        .map(visible)
        .collect::<Vec<_>>()
        .join("\n")
        .chars()
    {
        match one {
            '&' => made.push_str("&amp;"),
            '<' => made.push_str("&lt;"),
            '>' => made.push_str("&gt;"),
            '"' => made.push_str("&quot;"),
            '\'' => made.push_str("&#39;"),
            other => made.push(other),
        }
    }
    made
}
