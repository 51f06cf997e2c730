use std::fmt::Write as _;

use super::Sketch;
use super::shapes::{Shape, Shapes, Stroke};
use super::shown::visible;

/// The sketch in the DOT language. What others wrote stands in quoted strings alone, which it cannot
/// leave.
pub fn dot(sketch: &Sketch) -> String {
    let shapes = Shapes::of(sketch);
    let mut text = String::from("digraph chancery {\n");
    let title = [sketch.title.clone(), sketch.basis.join("; ")];
    let unknown = sketch
        .unknown
        .iter()
        .map(|text| format!("Not known: {text}"));
    let label: Vec<String> = title.into_iter().chain(unknown).collect();
    // Writing to a string does not fail.
    let _ = writeln!(
        text,
        "  graph [rankdir=LR, labelloc=t, label={}];\n  node [shape=box, fontname=\"sans-serif\"];\n  \
         edge [fontname=\"sans-serif\", fontsize=11];",
        quoted(&label)
    );
    for (number, node) in shapes.nodes.iter().enumerate() {
        let shape = match node.shape {
            Shape::Person => "shape=oval",
            Shape::Delegation => "shape=note",
            Shape::Instance => "shape=box",
            Shape::Tool => "shape=component",
            Shape::Approval => "shape=octagon",
        };
        let _ = writeln!(
            text,
            "  n{number} [{shape}, label={}];",
            quoted(&node.lines)
        );
    }
    for (number, group) in shapes.groups.iter().enumerate() {
        let members: Vec<String> = group.members.iter().map(|one| format!("n{one};")).collect();
        let heading = quoted(std::slice::from_ref(&group.heading));
        let members = members.join(" ");
        let _ = writeln!(
            text,
            "  subgraph cluster_{number} {{ label={heading}; {members} }}"
        );
    }
    for line in &shapes.lines {
        let style = match line.stroke {
            Stroke::Authority => "style=solid",
            Stroke::Could => "style=dashed, color=\"#4f5968\"",
            Stroke::Did => "style=bold, color=\"#1d6b43\"",
            Stroke::Refused => "style=dotted, color=\"#a12a2a\", fontcolor=\"#a12a2a\"",
            Stroke::Asked => "style=solid, color=\"#80510a\"",
        };
        let label = quoted(std::slice::from_ref(&line.label));
        let _ = writeln!(
            text,
            "  n{} -> n{} [label={label}, {style}];",
            line.from, line.to
        );
    }
    text.push_str("}\n");
    text
}

/// A quoted string of lines. Backslashes are doubled, because labels know escapes; ampersands are
/// entities, because labels know those.
fn quoted(lines: &[String]) -> String {
    let mut text = String::from("\"");
    for (number, line) in lines.iter().enumerate() {
        if number > 0 {
            text.push_str("\\n");
        }
        for one in visible(line).chars() {
            match one {
                '"' => text.push_str("\\\""),
                '\\' => text.push_str("\\\\"),
                '&' => text.push_str("&amp;"),
                other => text.push(other),
            }
        }
    }
    text.push('"');
    text
}
