//! Pictures of hostile names, read by parsers that we did not write.

#![expect(
    clippy::disallowed_methods,
    reason = "other people's programs read files"
)]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use chancery_audit::{Ruling, Verdict};
use chancery_evidence::graph::{Expand, Graph, Sketch, Subject, dot, mermaid, svg};
use serde_json::Value;

use crate::graphs::drawn;
use crate::mesh::{Mesh, closing, tool};
use crate::scene::{Scene, id};

/// Names that would leave the text that they stand in.
const HOSTILE: [&str; 16] = [
    "</text></svg><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "\" onload=\"alert(1)",
    "' onload='alert(1)",
    "]]><!--",
    "&lt;b&gt;&#60;script&#62;&amp;",
    "x\"]; evil [label=\"owned",
    "x\\\"]; evil; \\\\",
    "\\N \\G \\l \\r",
    "\"] --> evil[\"owned",
    "`**markdown**` #35;quot; #lt;",
    "end %% click n0 href \"javascript:alert(1)\"",
    "%%{init: {\"theme\": \"dark\"}}%%",
    "\u{202e}gpj.exe\u{2066}\u{200b}hidden\u{feff}",
    "e\u{0301}\u{0301}\u{0301}\u{0301}漢字かな🦀 العربية",
    "::: style n0 fill:#f00; classDef x",
];

/// A session in which every name is hostile.
fn hostile() -> Graph {
    let mut mesh = Mesh::new();
    let long = "w".repeat(300);
    let names = HOSTILE.iter().copied().chain([long.as_str()]);
    let names: Vec<&str> = names.collect();
    let chief = mesh.root("chief", &[tool("books", "read")]);
    for (at, name) in names.iter().enumerate() {
        // Wildcards are no names of a token; such a tool is called and refused.
        if name.contains(['*', '?']) || at > 9 {
            mesh.call(&chief, (name, name), Ruling::Deny, name);
            continue;
        }
        mesh.call(&chief, (name, name), Ruling::Allow, "permit");
    }
    mesh.escalate(&chief, (names[0], names[1]), Verdict::Approve);
    for name in &names {
        mesh.refuse("stranger", name);
    }
    drawn(&mesh.files(), &mesh.trust, &Subject::Session(mesh.session))
}

fn pictures() -> Vec<(&'static str, Graph)> {
    let scene = Scene::new();
    let five = drawn(&scene.files(), &scene.trust, &Subject::Session(id(1)));
    let mesh = closing(500);
    let many = drawn(&mesh.files(), &mesh.trust, &Subject::Session(mesh.session));
    vec![("five", five), ("many", many), ("hostile", hostile())]
}

fn folder() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("graphs");
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

fn write(name: &str, text: &str) -> PathBuf {
    let path = folder().join(name);
    std::fs::write(&path, text).unwrap();
    path
}

fn run(program: &str, arguments: &[&str]) -> Option<String> {
    let ran = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output();
    let output = ran.ok()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{program} {arguments:?}: {said}");
    Some(String::from_utf8(output.stdout).unwrap())
}

/// Every element and text of the document, by Python's expat.
const READ_XML: &str = r#"
import json, sys, xml.etree.ElementTree as tree
root = tree.parse(sys.argv[1]).getroot()
def bare(one): return one.tag.split('}')[-1]
names, attributes = set(), set()
for one in root.iter():
    names.add(bare(one)); attributes |= set(one.attrib)
texts = [one.text or '' for one in root.iter() if bare(one) in ('text', 'title', 'desc')]
print(json.dumps({'names': sorted(names), 'attributes': sorted(attributes), 'texts': texts}))
"#;

#[test]
fn an_xml_parser_reads_the_svg_and_finds_nothing_but_shapes_and_text() {
    for (name, graph) in pictures() {
        for expand in [Expand::Nothing, Expand::Everything] {
            let picture = svg(&Sketch::new(&graph, &expand));
            let all = if expand == Expand::Everything {
                "-all"
            } else {
                ""
            };
            let path = write(&format!("{name}{all}.svg"), &picture);
            let Some(read) = run("python3", &["-c", READ_XML, path.to_str().unwrap()]) else {
                println!("skipped: no python3 to read SVG with");
                return;
            };
            let read: Value = serde_json::from_str(&read).unwrap();
            let elements = [
                "desc", "g", "path", "polygon", "rect", "style", "svg", "text", "title",
            ];
            for found in read["names"].as_array().unwrap() {
                assert!(elements.contains(&found.as_str().unwrap()), "{found}");
            }
            for found in read["attributes"].as_array().unwrap() {
                let found = found.as_str().unwrap();
                assert!(
                    !found.starts_with("on") && !found.contains("href"),
                    "{found}"
                );
            }
            if name == "hostile" {
                let texts = read["texts"].to_string();
                assert!(texts.contains("<script>alert(1)</script>"), "{texts}");
                assert!(texts.contains("<U+202E>"), "{texts}");
                assert!(!picture.contains('\u{202e}'));
            }
        }
    }
}

/// No text is wider than its box, by the widest letter of the font of one width.
#[test]
fn no_text_is_wider_than_its_box() {
    for (_, graph) in pictures() {
        let picture = svg(&Sketch::new(&graph, &Expand::Nothing));
        let mut room = 0_usize;
        let mut texts = 0;
        for line in picture.lines() {
            if line.starts_with("<svg x=") {
                let (_, rest) = line.split_once("width=\"").unwrap();
                room = rest.split_once('"').unwrap().0.parse::<usize>().unwrap() - 20;
            } else if line == "</svg>" {
                room = usize::MAX;
            } else if line.starts_with("<text") {
                let inside = line
                    .split_once('>')
                    .unwrap()
                    .1
                    .strip_suffix("</text>")
                    .unwrap();
                let plain = inside
                    .replace("&amp;", "&")
                    .replace("&lt;", "<")
                    .replace("&gt;", ">")
                    .replace("&quot;", "\"")
                    .replace("&#39;", "'");
                let cells: usize = plain
                    .chars()
                    .map(|one| 1 + usize::from(one > '\u{2e80}'))
                    .sum();
                assert!(cells * 8 <= room.saturating_add(16), "{line}");
                texts += 1;
            }
        }
        assert!(texts > 20);
    }
}

/// The folder of the packages of npm that `scripts/e2e-tools` installs, and its Node.
fn npm() -> Option<(PathBuf, PathBuf)> {
    let tools = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .parent()?
        .join("e2e-tools");
    let there = ["mermaid", "jsdom", "@hpcc-js/wasm-graphviz"]
        .iter()
        .all(|name| tools.join("npm/node_modules").join(name).exists());
    if there {
        return Some((tools.join("bin/node"), tools.join("npm")));
    }
    let said = "mermaid, jsdom and wasm-graphviz are missing; run scripts/e2e-tools";
    assert!(
        std::env::var_os("CI").is_none_or(|ci| ci != "true"),
        "{said}"
    );
    println!("skipped: {said}");
    None
}

const READ_MERMAID: &str = r#"
import { readFileSync } from 'node:fs';
import { JSDOM } from 'jsdom';
const dom = new JSDOM('<!doctype html><body></body>');
globalThis.window = dom.window;
globalThis.document = dom.window.document;
const mermaid = (await import('mermaid')).default;
mermaid.initialize({ startOnLoad: false, maxTextSize: 10000000, maxEdges: 100000 });
await mermaid.parse('flowchart LR\n a-->b');
const diagram = await mermaid.mermaidAPI.getDiagramFromText(readFileSync(process.argv[2], 'utf8'));
const nodes = [...diagram.db.getVertices().values()].map((node) => [node.id, node.text, node.link ?? '']);
console.log(JSON.stringify({ type: diagram.type, nodes, edges: diagram.db.getEdges().length }));
"#;

#[test]
fn mermaid_reads_the_flowchart_and_finds_our_nodes_alone() {
    let Some((node, npm)) = npm() else {
        return;
    };
    let script = npm.join("read-mermaid.mjs");
    std::fs::write(&script, READ_MERMAID).unwrap();
    for (name, graph) in pictures() {
        let picture = mermaid(&Sketch::new(&graph, &Expand::Nothing));
        let path = write(&format!("{name}.mmd"), &picture);
        let arguments = [script.to_str().unwrap(), path.to_str().unwrap()];
        let read = run(node.to_str().unwrap(), &arguments).expect("node");
        let read: Value = serde_json::from_str(&read).unwrap();
        assert_eq!(read["type"], "flowchart-v2");
        let nodes = read["nodes"].as_array().unwrap();
        assert_eq!(nodes.len(), own_nodes(&picture, "  n"), "{name}");
        for one in nodes {
            let (id, text) = (one[0].as_str().unwrap(), one[1].as_str().unwrap());
            assert!(id.strip_prefix('n').unwrap().parse::<u32>().is_ok(), "{id}");
            assert_eq!(one[2], "", "a link");
            // Line breaks are ours; no other element is left.
            assert!(!text.replace("<br>", "").contains('<'), "{text}");
        }
    }
}

const READ_DOT: &str = r#"
import { readFileSync } from 'node:fs';
import { Graphviz } from '@hpcc-js/wasm-graphviz';
const graphviz = await Graphviz.load();
const read = JSON.parse(graphviz.layout(readFileSync(process.argv[2], 'utf8'), 'dot_json'));
const nodes = (read.objects ?? []).filter((one) => !('nodes' in one) && !one.name.startsWith('cluster'));
console.log(JSON.stringify(nodes.map((one) => [one.name, one.label])));
"#;

#[test]
fn graphviz_reads_the_dot_and_finds_our_nodes_alone() {
    let Some((node, npm)) = npm() else {
        return;
    };
    let script = npm.join("read-dot.mjs");
    std::fs::write(&script, READ_DOT).unwrap();
    for (name, graph) in pictures() {
        let picture = dot(&Sketch::new(&graph, &Expand::Nothing));
        let path = write(&format!("{name}.dot"), &picture);
        let arguments = [script.to_str().unwrap(), path.to_str().unwrap()];
        let read = run(node.to_str().unwrap(), &arguments).expect("node");
        let read: Value = serde_json::from_str(&read).unwrap();
        let nodes = read.as_array().unwrap();
        assert_eq!(
            nodes.len(),
            own_nodes(&picture, "  n") - edges(&picture),
            "{name}"
        );
        for one in nodes {
            let id = one[0].as_str().unwrap();
            assert!(id.strip_prefix('n').unwrap().parse::<u32>().is_ok(), "{id}");
        }
        if name == "hostile" {
            let labels = read.to_string();
            assert!(labels.contains("evil [label="), "{labels}");
        }
    }
}

/// Lines that begin so: one for each node, and of DOT one for each edge.
fn own_nodes(picture: &str, prefix: &str) -> usize {
    let lines = picture.lines().filter(|line| line.starts_with(prefix));
    let nodes = lines.filter(|line| !line.contains("-->|") && !line.contains("-.->|"));
    nodes
        .filter(|line| !line.contains("==>|") && !line.contains("-.-x|") && !line.contains("--o|"))
        .filter(|line| !line.starts_with("  node ["))
        .count()
}

fn edges(picture: &str) -> usize {
    let lines = picture.lines().filter(|line| line.starts_with("  n"));
    lines.filter(|line| line.contains(" -> n")).count()
}
