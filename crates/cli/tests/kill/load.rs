//! What runs inside the sandbox: an MCP client that calls tools until its standard input ends, and
//! says what became of each call. It is this very test program, started by `chancery run`.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};

/// Where the bridge is.
const BRIDGE: &str = "CHANCERY_BRIDGE";

/// Between two calls of one connection.
const PACE: Duration = Duration::from_millis(50);

/// Before a connection that could not be made, or ended, is made again.
const AGAIN: Duration = Duration::from_secs(1);

/// What a client is told first.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Orders {
    /// What it calls itself.
    pub(crate) name: String,
    /// The book that it works on.
    pub(crate) book: String,
    /// How many connections it has.
    pub(crate) connections: usize,
    /// Whether it waits for a line before its first call.
    pub(crate) waits: bool,
}

/// What a client says.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "event")]
pub(crate) enum Told {
    /// A call succeeded.
    Ok {
        tool: String,
        arguments: String,
        /// The result as it came.
        result: String,
    },
    /// A call was refused or failed, with an answer.
    Refused {
        tool: String,
        code: i64,
        reason: String,
    },
    /// The connection ended before the answer.
    Broken,
    /// The session was ended.
    Ended { answer: Value },
}

impl Told {
    fn refused(tool: &str, error: &Value) -> Self {
        let (reason, message) = (&error["data"]["reason"], &error["message"]);
        let reason = reason.as_str().or(message.as_str());
        Self::Refused {
            tool: tool.to_owned(),
            code: error["code"].as_i64().unwrap_or_default(),
            reason: reason.unwrap_or_default().to_owned(),
        }
    }
}

/// The program. Does nothing outside of a sandbox.
pub(crate) fn program() {
    let Some(bridge) = std::env::var_os(BRIDGE).map(PathBuf::from) else {
        return;
    };
    let mut lines = std::io::stdin().lock().lines();
    let orders: Orders = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
    if orders.waits {
        lines.next().unwrap().unwrap();
    }
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for connection in 0..orders.connections {
            let (orders, bridge, stop) = (&orders, &bridge, &stop);
            scope.spawn(move || work(orders, bridge, connection, stop));
        }
        for _ in lines.map_while(Result::ok) {}
        stop.store(true, Ordering::Relaxed);
    });
    end(&bridge);
}

fn work(orders: &Orders, bridge: &PathBuf, connection: usize, stop: &AtomicBool) {
    let mut number = 0;
    while !stop.load(Ordering::Relaxed) {
        if let Some(mut client) = Client::connect(bridge) {
            while !stop.load(Ordering::Relaxed) {
                number += 1;
                let memo = format!("{} {connection} {number}", orders.name);
                let (tool, arguments) = match number % 3 {
                    0 => ("balance", json!({"book": orders.book})),
                    _ => {
                        let book = &orders.book;
                        (
                            "post",
                            json!({"book": book, "account": "suspense", "amount_cents": 1, "memo": memo}),
                        )
                    }
                };
                let told = client.call(number, tool, &arguments);
                let (is_ok, is_over) = (
                    matches!(told, Told::Ok { .. }),
                    matches!(told, Told::Broken),
                );
                tell(&told);
                if is_over {
                    break;
                }
                std::thread::sleep(if is_ok { PACE } else { PACE * 2 });
            }
        }
        std::thread::sleep(AGAIN);
    }
}

/// Ends the session, trying for as long as the gateway is away.
fn end(bridge: &PathBuf) {
    for _ in 0..20 {
        let answer = ask(bridge, &json!({"chancery": 1, "session": "end"}));
        if let Some(answer) = answer
            && answer.get("ended").is_some()
        {
            return tell(&Told::Ended { answer });
        }
        std::thread::sleep(Duration::from_millis(500));
    }
}

fn ask(bridge: &PathBuf, first: &Value) -> Option<Value> {
    let stream = UnixStream::connect(bridge).ok()?;
    writeln!(&stream, "{first}").ok()?;
    let mut line = String::new();
    BufReader::new(&stream).read_line(&mut line).ok()?;
    serde_json::from_str(&line).ok()
}

/// One line at a time: lines of several threads do not mix.
fn tell(told: &Told) {
    let line = serde_json::to_string(told).unwrap();
    let mut out = std::io::stdout().lock();
    writeln!(out, "\n{line}")
        .and_then(|()| out.flush())
        .unwrap();
}

/// An MCP connection through the bridge, one call at a time.
struct Client {
    lines: BufReader<UnixStream>,
}

#[derive(Deserialize)]
struct Response<'a> {
    id: Option<Value>,
    #[serde(borrow)]
    result: Option<&'a RawValue>,
    error: Option<Value>,
}

impl Client {
    fn connect(bridge: &PathBuf) -> Option<Self> {
        let stream = UnixStream::connect(bridge).ok()?;
        stream
            .set_read_timeout(Some(Duration::from_secs(60)))
            .ok()?;
        let mut client = Self {
            lines: BufReader::new(stream),
        };
        client.send(&json!({"chancery": 1, "connect": "ledger"}))?;
        let hello = json!({"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "load", "version": "1"}});
        client
            .send(&json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": hello}))?;
        let line = client.receive("0")?;
        let greeting: Response<'_> = serde_json::from_str(&line).ok()?;
        if let Some(error) = greeting.error {
            tell(&Told::refused("initialize", &error));
            return None;
        }
        client.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}))?;
        Some(client)
    }

    fn call(&mut self, id: u64, tool: &str, arguments: &Value) -> Told {
        let params = json!({"name": tool, "arguments": arguments});
        let call = json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params});
        let line = self
            .send(&call)
            .and_then(|()| self.receive(&id.to_string()));
        let Some(line) = line else {
            return Told::Broken;
        };
        let tool = tool.to_owned();
        let response: Response<'_> = serde_json::from_str(&line).unwrap();
        let Some(result) = response.result else {
            return Told::refused(&tool, &response.error.unwrap_or_default());
        };
        let read: Value = serde_json::from_str(result.get()).unwrap();
        if read["isError"] == json!(true) {
            return Told::Refused {
                tool,
                code: 0,
                reason: read["content"][0]["text"]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned(),
            };
        }
        Told::Ok {
            tool,
            arguments: arguments.to_string(),
            result: result.get().to_owned(),
        }
    }

    fn send(&mut self, message: &Value) -> Option<()> {
        writeln!(self.lines.get_mut(), "{message}").ok()
    }

    /// The response to the request of that id; what comes before is not of interest.
    fn receive(&mut self, id: &str) -> Option<String> {
        loop {
            let mut line = String::new();
            if self.lines.read_line(&mut line).ok()? == 0 {
                return None;
            }
            let response: Response<'_> = serde_json::from_str(&line).ok()?;
            let found = response.id.map(|found| found.to_string());
            if found.as_deref() == Some(id) {
                return Some(line);
            }
        }
    }
}
