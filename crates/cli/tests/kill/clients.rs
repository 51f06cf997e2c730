//! The clients from outside: started, delegated to, listened to.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use chancery_types::{Digest, to_jcs};
use serde_json::{Value, json};

use crate::deployment::Deployment;
use crate::load::{Orders, Told};

/// The agent that the clients are instances of.
pub(crate) const AGENT: &str = "load";

/// A call that the client saw succeed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Acknowledged {
    pub(crate) session: String,
    pub(crate) arguments: Digest,
    pub(crate) result: Digest,
}

/// What a client has said so far.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    pub(crate) ok: Vec<(String, Digest, Digest)>,
    pub(crate) refused: BTreeMap<String, usize>,
    pub(crate) ended: bool,
}

/// A program under `chancery run`, with a session of its own.
pub(crate) struct Client {
    pub(crate) name: String,
    pub(crate) instance: String,
    pub(crate) session: String,
    process: Child,
    input: Option<ChildStdin>,
    heard: Arc<Mutex<Heard>>,
    listening: Option<JoinHandle<()>>,
}

impl Client {
    /// Starts a client and delegates to it what its calls need.
    pub(crate) fn start(deployment: &Deployment, folder: &Path, orders: &Orders) -> Self {
        let this = std::env::current_exe().unwrap();
        let log = File::create(folder.join(format!("{}.log", orders.name))).unwrap();
        let mut process = deployment
            .command(
                "run",
                &["--agent", AGENT, "--isolation", "best-effort", "--"],
            )
            .arg(this)
            .args(["--exact", "agent", "--ignored", "--nocapture"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut input = process.stdin.take().unwrap();
        writeln!(input, "{}", serde_json::to_string(orders).unwrap()).unwrap();
        let grant = |tool: &str| json!({"type": "mcp_tool", "server": "ledger", "tool": tool, "args": {"book": {"exact": orders.book}}});
        let delegated = deployment.delegate(&[grant("post"), grant("balance")]);
        let text = |name: &str| delegated[name].as_str().unwrap().to_owned();
        let heard = Arc::new(Mutex::new(Heard::default()));
        let (output, theirs) = (process.stdout.take().unwrap(), Arc::clone(&heard));
        let listening = std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if let Ok(told) = serde_json::from_str(&line) {
                    theirs.lock().unwrap().take(told);
                }
            }
        });
        Self {
            name: orders.name.clone(),
            instance: text("instance"),
            session: text("session"),
            process,
            input: Some(input),
            heard,
            listening: Some(listening),
        }
    }

    /// Lets a client that waits begin.
    pub(crate) fn go(&mut self) {
        writeln!(self.input.as_mut().unwrap(), "go").unwrap();
    }

    /// How often a tool was called with success.
    pub(crate) fn count(&self, tool: &str) -> usize {
        let heard = self.heard.lock().unwrap();
        heard
            .ok
            .iter()
            .filter(|(called, _, _)| called == tool)
            .count()
    }

    /// How often a call was refused for that reason.
    pub(crate) fn refused(&self, reason: &str) -> usize {
        let heard = self.heard.lock().unwrap();
        heard.refused.get(reason).copied().unwrap_or_default()
    }

    pub(crate) fn refusals(&self) -> BTreeMap<String, usize> {
        self.heard.lock().unwrap().refused.clone()
    }

    /// Everything that it saw succeed so far.
    pub(crate) fn acknowledged(&self) -> Vec<Acknowledged> {
        let heard = self.heard.lock().unwrap();
        let calls = heard.ok.iter().map(|(_, arguments, result)| Acknowledged {
            session: self.session.clone(),
            arguments: *arguments,
            result: *result,
        });
        calls.collect()
    }

    /// Waits until a tool has been called `more` times again.
    pub(crate) fn goes_on(&self, tool: &str, more: usize, patience: Duration) {
        let (before, start) = (self.count(tool), Instant::now());
        while self.count(tool) < before + more {
            assert!(
                start.elapsed() < patience,
                "{} does not go on with {tool}: {:?}",
                self.name,
                self.refusals()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Lets the client end its session and itself; says whether the session was ended.
    pub(crate) fn finish(&mut self) -> bool {
        drop(self.input.take());
        self.process.wait().unwrap();
        self.listening.take().unwrap().join().unwrap();
        self.heard.lock().unwrap().ended
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Heard {
    fn take(&mut self, told: Told) {
        match told {
            Told::Ok {
                tool,
                arguments,
                result,
            } => {
                let arguments: Value = serde_json::from_str(&arguments).unwrap();
                let arguments = Digest::of(to_jcs(&arguments).unwrap());
                self.ok.push((tool, arguments, Digest::of(result)));
            }
            Told::Refused { reason, .. } => *self.refused.entry(reason).or_default() += 1,
            Told::Broken => *self.refused.entry("broken".to_owned()).or_default() += 1,
            Told::Ended { .. } => self.ended = true,
        }
    }
}
