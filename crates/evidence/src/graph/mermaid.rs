use std::fmt::Write as _;

use super::Sketch;
use super::shapes::{Shape, Shapes, Stroke};
use super::shown::visible;

/// The sketch as a Mermaid flowchart. Of what others wrote only letters, digits and a few marks stand
/// as they are; everything else is an entity by its number.
pub fn mermaid(sketch: &Sketch) -> String {
    let shapes = Shapes::of(sketch);
    let mut text = String::from("flowchart LR\n");
    let heading = std::iter::once(&sketch.title).chain(&sketch.basis);
    let unknown = sketch
        .unknown
        .iter()
        .map(|text| format!("Not known: {text}"));
    for line in heading.cloned().chain(unknown) {
        // Writing to a string does not fail.
        let _ = writeln!(text, "  %% {}", plain(&line));
    }
    for (number, node) in shapes.nodes.iter().enumerate() {
        let label = label(&node.lines);
        let _ = match node.shape {
            Shape::Person => writeln!(text, "  n{number}([{label}])"),
            Shape::Delegation => writeln!(text, "  n{number}[/{label}/]"),
            Shape::Instance => writeln!(text, "  n{number}[{label}]"),
            Shape::Tool => writeln!(text, "  n{number}[[{label}]]"),
            Shape::Approval => writeln!(text, "  n{number}{{{{{label}}}}}"),
        };
    }
    for (number, group) in shapes.groups.iter().enumerate() {
        let heading = label(std::slice::from_ref(&group.heading));
        let _ = writeln!(text, "  subgraph s{number}[{heading}]");
        for member in &group.members {
            let _ = writeln!(text, "    n{member}");
        }
        text.push_str("  end\n");
    }
    for line in &shapes.lines {
        let label = label(std::slice::from_ref(&line.label));
        let arrow = match line.stroke {
            Stroke::Authority => "-->",
            Stroke::Could => "-.->",
            Stroke::Did => "==>",
            Stroke::Refused => "-.-x",
            Stroke::Asked => "--o",
        };
        let _ = writeln!(text, "  n{} {arrow}|{label}| n{}", line.from, line.to);
    }
    text
}

/// A comment is not shown and cannot end before its line.
fn plain(text: &str) -> String {
    visible(text)
        .chars()
        .map(|one| if is_plain(one) { one } else { '.' })
        .collect()
}

fn label(lines: &[String]) -> String {
    let lines: Vec<String> = lines.iter().map(|line| entities(line)).collect();
    format!("\"{}\"", lines.join("<br/>"))
}

fn entities(text: &str) -> String {
    let mut made = String::with_capacity(text.len());
    for one in visible(text).chars() {
        if is_plain(one) {
            made.push(one);
        } else {
            let _ = write!(made, "#{};", u32::from(one));
        }
    }
    made
}

const fn is_plain(one: char) -> bool {
    one.is_ascii_alphanumeric() || matches!(one, ' ' | '.' | ',' | '/' | '_')
}
