//! The own bridge, asked for what it must not give.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::attempts;
use crate::orders::{Attempt, Orders, Outcome};

const PATIENCE: Duration = Duration::from_secs(60);

/// What of a call is not as a plain client makes it.
#[derive(Default)]
struct Twist<'a> {
    chain: Option<&'a [String]>,
    meta: Option<Value>,
}

pub(crate) fn all(orders: &Orders, bridge: &Path) -> Vec<Attempt> {
    let mut heard = String::new();
    let neighbour = &orders.neighbour;
    let book = &neighbour.arguments;
    let chain = neighbour.chain.as_slice();
    let mut made = Vec::new();
    let mut call = |attack, tool, arguments: &Value, twist| {
        let answer = called(bridge, tool, arguments, twist);
        heard.push_str(&answer);
        made.extend(attempts(attack, [(tool.to_owned(), outcome(&answer))]));
    };
    let presented = Twist {
        chain: Some(chain),
        ..Twist::default()
    };
    call(
        "present the neighbour's delegation",
        "balance",
        book,
        presented,
    );
    call(
        "call beyond the own delegation",
        "balance",
        book,
        Twist::default(),
    );
    let posting = json!({"book": "west", "account": "suspense", "amount_cents": 1, "memo": "mine"});
    call(
        "call beyond the own delegation",
        "post",
        &posting,
        Twist::default(),
    );
    let carried = Twist {
        meta: Some(json!({
            "io.chancery/delegation": chain, "io.chancery/proof": neighbour.proof
        })),
        ..Twist::default()
    };
    call(
        "bring the neighbour's proof along",
        "balance",
        book,
        carried,
    );

    let end = format!("../v1/sessions/{}/end", neighbour.session);
    let answer = ask(bridge, &json!({"chancery": 1, "connect": end}));
    made.extend(attempts(
        "reach another endpoint through the bridge",
        [(end, outcome(&answer))],
    ));
    heard.push_str(&answer);
    let seen = match ["chancery/proof", "pop+jwt", neighbour.proof.as_str()]
        .iter()
        .find(|text| heard.contains(**text))
    {
        Some(text) => Outcome::Succeeded((*text).to_owned()),
        None => Outcome::Refused("none was heard".to_owned()),
    };
    made.extend(attempts("see a proof", [("answers".to_owned(), seen)]));
    made
}

/// Has children started.
pub(crate) fn spawns(orders: &Orders, bridge: &Path) -> Vec<Attempt> {
    let secret = orders.files[0].to_str().unwrap();
    let reviewed = orders.program.to_str().unwrap();
    let own = r#"{"type":"mcp_tool","server":"ledger","tool":"balance","args":{"book":{"exact":"west"}}}"#;
    let spawn = |agent: &str, allow: &str, argv: &[&str]| {
        let request = json!({"agent": agent, "allow": [allow], "argv": argv});
        outcome(&ask(bridge, &json!({"chancery": 1, "spawn": request})))
    };
    let script = ["/bin/sh", secret];
    let program = [reviewed, "--exact", "agent", "--ignored"];
    let mut made = attempts(
        "start a program that nobody reviewed",
        [
            ("a key as a script".to_owned(), spawn("load", own, &script)),
            (
                "a key as a program".to_owned(),
                spawn("load", own, &[secret]),
            ),
            (
                "a shell".to_owned(),
                spawn("hostile", own, &["/bin/sh", "-c", "id"]),
            ),
        ],
    );
    made.extend(attempts(
        "pass on more than the own authority",
        [(
            "ledger/post".to_owned(),
            spawn("load", "ledger/post", &program),
        )],
    ));
    made
}

/// The own delegation: the bridge shows it, for it is good for nobody but its holder.
pub(crate) fn own_chain(bridge: &Path) -> Vec<String> {
    let answer = ask(bridge, &json!({"chancery": 1, "session": "chain"}));
    let answer: Value = serde_json::from_str(&answer).unwrap();
    serde_json::from_value(answer["chain"].clone()).unwrap()
}

fn called(bridge: &Path, tool: &str, arguments: &Value, twist: Twist<'_>) -> String {
    let mut first = json!({"chancery": 1, "connect": "ledger"});
    if let Some(chain) = twist.chain {
        first["chain"] = json!(chain);
    }
    let hello = json!({"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "hostile", "version": "1"}});
    let mut params = json!({"name": tool, "arguments": arguments});
    if let Some(meta) = twist.meta {
        params["_meta"] = meta;
    }
    let mut talk = Talk::open(bridge, &first);
    talk.say(&json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello}));
    let greeting = talk.hear(Some(1));
    if !greeting.contains("\"result\"") {
        return greeting;
    }
    talk.say(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
    talk.say(&json!({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": params}));
    talk.hear(Some(2))
}

fn ask(bridge: &Path, first: &Value) -> String {
    Talk::open(bridge, first).hear(None)
}

struct Talk(BufReader<UnixStream>);

impl Talk {
    fn open(bridge: &Path, first: &Value) -> Self {
        let stream = UnixStream::connect(bridge).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut talk = Self(BufReader::new(stream));
        talk.say(first);
        talk
    }

    fn say(&mut self, message: &Value) {
        writeln!(self.0.get_mut(), "{message}").unwrap();
    }

    /// The next line, or the next one about that request; empty at the end.
    fn hear(&mut self, id: Option<u64>) -> String {
        loop {
            let mut line = String::new();
            if self.0.read_line(&mut line).unwrap() == 0 {
                return line;
            }
            let message: Value = serde_json::from_str(&line).unwrap();
            if id.is_none() || message["id"] == json!(id) || message["id"].is_null() {
                return line;
            }
        }
    }
}

/// What an answer says: of the bridge, of MCP, or of a tool.
pub(crate) fn outcome(answer: &str) -> Outcome {
    let message: Value = serde_json::from_str(answer).unwrap_or_default();
    let error = &message["error"];
    match [&error["data"]["reason"], &error["reason"]]
        .into_iter()
        .find_map(Value::as_str)
    {
        Some(reason) => {
            let text = error["message"].as_str().unwrap_or_default();
            Outcome::Refused(format!("{reason}: {text}"))
        }
        None if answer.is_empty() => Outcome::Refused("hung up".to_owned()),
        None => Outcome::Succeeded(answer.to_owned()),
    }
}
