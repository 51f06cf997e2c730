//! A tool server for the tests that shows the bytes it receives: `raw_server LOG [legacy]`.
//!
//! Every line of its input is appended to LOG as it came. What it answers depends on the name of
//! the tool.

use std::error::Error;
use std::fs::OpenOptions;
use std::io::{BufRead as _, Write as _, stdin, stdout};

use serde_json::{Value, json};

const TOOLS: &str = r#"{"ttlMs":1.0e3,"tools":[{"name":"echo","inputSchema":{"type":"object"},"future":1.50}, {"name":"hidden","inputSchema":{"type":"object"}} ,{"name":"crash","inputSchema":{"type":"object"}}],"cacheScope":"public","resultType":"complete"}"#;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().ok_or("usage: raw_server LOG [legacy]")?;
    let legacy = arguments.next().is_some();
    let mut log = OpenOptions::new().create(true).append(true).open(path)?;
    let mut asking = Value::Null;
    for line in stdin().lock().lines() {
        let line = line?;
        writeln!(log, "{line}")?;
        log.flush()?;
        let message: Value = serde_json::from_str(&line)?;
        let id = at(&message, "/id");
        let result = match at(&message, "/method").as_str() {
            Some(_) if id.is_null() => continue,
            Some("initialize") => json!({
                "protocolVersion": at(&message, "/params/protocolVersion"),
                "capabilities": {"tools": {}},
                "serverInfo": {"name": "raw", "version": "1"},
            })
            .to_string(),
            Some("server/discover") if !legacy => json!({
                "supportedVersions": ["2026-07-28"],
                "capabilities": {"tools": {}},
                "resultType": "complete",
                "ttlMs": 0,
                "cacheScope": "private",
            })
            .to_string(),
            Some("tools/list") => TOOLS.to_owned(),
            Some("ping") => "{}".to_owned(),
            Some("tools/call" | "resources/read" | "prompts/get") => {
                match call(&message, &line, &mut asking)? {
                    Some(result) => result,
                    None => continue,
                }
            }
            Some(_) => {
                say(&format!(
                    r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":-32601,"message":"no","data":[1.0]}}}}"#
                ))?;
                continue;
            }
            None => {
                let answer = json!({"content": [], "answer": at(&message, "/result")});
                say(&format!(
                    r#"{{"jsonrpc":"2.0","id":{asking},"result":{answer}}}"#
                ))?;
                continue;
            }
        };
        say(&format!(
            r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#
        ))?;
    }
    Ok(())
}

fn call(message: &Value, line: &str, asking: &mut Value) -> Result<Option<String>, Box<dyn Error>> {
    let plain = r#"{"content":[]}"#.to_owned();
    match at(message, "/params/name").as_str().unwrap_or_default() {
        "crash" => std::process::exit(3),
        "silent" => return Ok(None),
        "huge" => {
            let mut out = stdout().lock();
            let _ = out.write_all(&vec![b' '; 64 << 20]);
            return Ok(None);
        }
        "noise" => say("starting\n\n[1]\n{\"jsonrpc\":\"2.0\",\"id\":99,\"result\":{}}")?,
        "fails" => return Ok(Some(r#"{"content":[],"isError":true}"#.to_owned())),
        "progress" => {
            let token = at(message, "/params/_meta/progressToken");
            for step in 1..=2 {
                say(&format!(
                    r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{{"progressToken":{token},"progress":{step}.0}}}}"#
                ))?;
            }
        }
        "ask" => {
            *asking = at(message, "/id").clone();
            say(r#"{"jsonrpc":"2.0","id":"ask-1","method":"roots/list"}"#)?;
            return Ok(None);
        }
        "environment" => {
            let names: Vec<_> = std::env::vars().map(|(name, _)| name).collect();
            return Ok(Some(json!({"content": [], "names": names}).to_string()));
        }
        "process" => {
            std::thread::sleep(std::time::Duration::from_millis(200));
            return Ok(Some(
                json!({"content": [], "process": std::process::id()}).to_string(),
            ));
        }
        _ => {
            let received = Value::from(line);
            return Ok(Some(format!(
                r#"{{ "content":[] ,"received":{received},"n":1.50}}"#
            )));
        }
    }
    Ok(Some(plain))
}

fn say(line: &str) -> Result<(), Box<dyn Error>> {
    let mut out = stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()?;
    Ok(())
}

fn at<'m>(message: &'m Value, path: &str) -> &'m Value {
    message.pointer(path).unwrap_or(&Value::Null)
}
