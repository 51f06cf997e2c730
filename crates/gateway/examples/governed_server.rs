//! A tool server for the tests of enforcement: `governed_server LOG`.
//!
//! Every line of its input is appended to LOG as it came. Once its tool `change` was called, every
//! run of it lists one tool more.

use std::error::Error;
use std::fs::OpenOptions;
use std::io::{BufRead as _, Write as _, stdin, stdout};
use std::path::PathBuf;
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
    let mut log = OpenOptions::new().create(true).append(true).open(&path)?;
    for line in stdin().lock().lines() {
        let line = line?;
        // One write: several servers write into the same file.
        log.write_all(format!("{line}\n").as_bytes())?;
        let message: Value = serde_json::from_str(&line)?;
        let Some(id) = message.get("id") else {
            continue;
        };
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
