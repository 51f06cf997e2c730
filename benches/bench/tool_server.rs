//! The tool server of the measured calls: MCP over stdio, and no work behind it.

use std::io::{BufRead as _, Write as _};

use serde_json::{Value, json};

/// The argument that makes this program the tool server.
pub(crate) const ARGUMENT: &str = "serve-tools";

/// What it lists.
pub(crate) fn tools() -> Vec<Value> {
    vec![json!({
        "name": "read",
        "description": "Reads a report.",
        "inputSchema": {
            "type": "object",
            "properties": {"path": {"type": "string"}},
            "additionalProperties": false
        },
        "annotations": {"readOnlyHint": true}
    })]
}

/// Answers until the input ends.
pub(crate) fn serve() -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        let message: Value = serde_json::from_str(&line?)?;
        let Some(id) = message.get("id") else {
            continue;
        };
        let result = match message.get("method").and_then(Value::as_str) {
            Some("initialize") => json!({
                "protocolVersion": message.pointer("/params/protocolVersion"),
                "capabilities": {"tools": {}},
                "serverInfo": {"name": "reports", "version": "1"},
            }),
            Some("tools/list") => json!({"tools": tools()}),
            Some("tools/call") => {
                let path = message.pointer("/params/arguments/path");
                let text = path.and_then(Value::as_str).unwrap_or_default();
                json!({"content": [{"type": "text", "text": text}], "resultType": "complete"})
            }
            _ => json!({}),
        };
        writeln!(
            out,
            "{}",
            json!({"jsonrpc": "2.0", "id": id, "result": result})
        )?;
        out.flush()?;
    }
    Ok(())
}
