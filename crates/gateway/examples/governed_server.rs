//! A tool server for the tests of enforcement: `governed_server LOG`.
//!
//! Every line of its input is appended to LOG as it came. Once its tool `change` was called, every
//! run of it lists one tool more. Where a file LOG with the extension `script` is there, it says
//! what is answered to a method: lines as they are written, `$ID` being the request's id.

use std::error::Error;
use std::fs::OpenOptions;
use std::io::{BufRead as _, Write as _, stdin, stdout};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

const TOOLS: &str = include_str!("../tests/enforcement/tools.json");

fn main() -> Result<(), Box<dyn Error>> {
    let path = PathBuf::from(
        std::env::args()
            .nth(1)
            .ok_or("usage: governed_server LOG")?,
    );
    let changed = path.with_extension("changed");
    let script = path.with_extension("script");
    let mut log = OpenOptions::new().create(true).append(true).open(&path)?;
    for line in stdin().lock().lines() {
        let line = line?;
        // One write: several servers write into the same file.
        log.write_all(format!("{line}\n").as_bytes())?;
        let message: Value = serde_json::from_str(&line)?;
        let Some(id) = message.get("id") else {
            continue;
        };
        if say_as_scripted(&script, &message, id)? {
            continue;
        }
        let result = match message.get("method").and_then(Value::as_str) {
            Some("initialize") => json!({
                "protocolVersion": message.pointer("/params/protocolVersion"),
                "capabilities": {"tools": {"listChanged": true}},
                "serverInfo": {"name": "governed", "version": "1"},
            }),
            Some("tools/list") => json!({"tools": tools(changed.exists())?}),
            Some("tools/call") => {
                let tool = message.pointer("/params/name").and_then(Value::as_str);
                match tool {
                    Some("slow") => std::thread::sleep(Duration::from_secs(5)),
                    Some("change") => {
                        std::fs::write(&changed, [])?;
                        say(
                            &json!({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"}),
                        )?;
                    }
                    _ => {}
                }
                json!({"content": [{"type": "text", "text": "done"}], "resultType": "complete"})
            }
            _ => json!({}),
        };
        say(&json!({"jsonrpc": "2.0", "id": id, "result": result}))?;
    }
    Ok(())
}

/// Whether the script says what is answered to this request, and it was.
fn say_as_scripted(script: &Path, request: &Value, id: &Value) -> Result<bool, Box<dyn Error>> {
    let Ok(script) = std::fs::read(script) else {
        return Ok(false);
    };
    let script: Value = serde_json::from_slice(&script)?;
    let method = request["method"].as_str().unwrap_or_default();
    let Some(lines) = script.get(method).and_then(Value::as_array) else {
        return Ok(false);
    };
    let mut out = stdout().lock();
    for line in lines {
        match (line.as_str(), line["hex"].as_str()) {
            (Some(text), _) => out.write_all(text.replace("$ID", &id.to_string()).as_bytes())?,
            (None, Some(hex)) => out.write_all(&bytes(hex)?)?,
            _ => return Err("a line is a text, or an object with hex".into()),
        }
        out.write_all(b"\n")?;
    }
    out.flush()?;
    Ok(true)
}

fn bytes(hex: &str) -> Result<Vec<u8>, Box<dyn Error>> {
    let pairs = (0..hex.len()).step_by(2);
    let byte = |at| u8::from_str_radix(hex.get(at..at + 2).unwrap_or_default(), 16);
    Ok(pairs.map(byte).collect::<Result<_, _>>()?)
}

fn tools(changed: bool) -> Result<Value, Box<dyn Error>> {
    let mut tools: Value = serde_json::from_str(TOOLS)?;
    if let Some(tools) = tools.as_array_mut().filter(|_| changed) {
        tools.push(json!({"name": "new", "inputSchema": {"type": "object"}}));
    }
    Ok(tools)
}

fn say(message: &Value) -> Result<(), Box<dyn Error>> {
    let mut out = stdout().lock();
    writeln!(out, "{message}")?;
    out.flush()?;
    Ok(())
}
