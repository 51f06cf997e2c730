//! A gateway, an agent and a hostile tool server, on which cases are played.

use std::path::PathBuf;
use std::time::Duration;

use chancery_audit::{Entry, Event};
use chancery_crypto::random_id;
use chancery_delegation::access_token::access_token_prefix;
use chancery_delegation::{Call, ProofDraft, Target, read_arguments};
use chancery_types::Digest;
use chancery_types::id::ProofKind;
use serde_json::{Map, Value, json};

use super::corpus::{Expect, Proven, Request, Step};
use super::text;
use crate::agent::GATEWAY;
use crate::plane::now;
use crate::world::{Opened, World, tool};

const POLICIES: &str = r#"
@id("use") permit (principal, action, resource);
@id("no-wipe") forbid (principal, action == Chancery::Action::"fs/wipe", resource);
@id("not-urgent")
forbid (principal, action == Chancery::Action::"fs/note", resource)
when { context.args has urgent && context.args.urgent };
"#;

const MISSION: &str = include_str!("../../adversarial/mission.json");

/// The headers that a client mirrors its body in.
const STATELESS: &str = "2026-07-28";
const LEGACY: &str = "2025-11-25";

/// What a message can be answered with at most: a hostile server sends more.
const RESPONSE_BYTES: usize = 1 << 20;

pub(super) struct Scene {
    world: World,
    opened: Opened,
    /// The transport session of the legacy era.
    transport: Option<String>,
    requests: u64,
    /// How much of what the tool server received was looked at.
    looked: usize,
    decisions: Vec<String>,
    outcomes: Vec<String>,
}

/// What came of one request.
struct Played {
    status: u16,
    heard: String,
    /// The last message that was heard.
    message: Value,
    received: Vec<String>,
}

fn granted() -> Vec<Value> {
    let mut granted = ["note", "wipe", "slow", "change", "absent"]
        .map(tool)
        .to_vec();
    let held = |name: &str, args: Value| {
        let mut held = tool(name);
        held["args"] = args;
        held
    };
    granted.push(held("read", json!({"path": {"path_prefix": "/data"}})));
    granted.push(held("pay", json!({"amount": {"int_range": [0, 9]}})));
    granted.push(held("list", json!({"folder": {"exact": "\u{dc}bung"}})));
    granted.push(json!({"type": "mcp_resource", "server": "fs", "uri": "file:///data/a"}));
    granted.push(json!({"type": "mcp_prompt", "server": "fs", "prompt": "review"}));
    granted
}

impl Scene {
    pub(super) async fn start() -> Self {
        let mut world = World::plane().await;
        world.plane.publish_sessions(2, POLICIES, json!({})).await;
        let manifest = world.plane.manifest(|_| {}).await;
        world.plane.register(&manifest).await;
        world
            .start_gateway(|config| config.limits.response_bytes = RESPONSE_BYTES)
            .await;
        let opened = world.open_for(&granted(), MISSION).await;
        Self {
            world,
            opened,
            transport: None,
            requests: 1_000,
            looked: 0,
            decisions: Vec::new(),
            outcomes: Vec::new(),
        }
    }

    /// Plays steps, and then asks for what policy forbids: whatever came before, that is denied.
    pub(super) async fn play(&mut self, label: &str, steps: &[Step]) {
        for (place, step) in steps.iter().enumerate() {
            let label = format!("{label}, step {place}");
            self.script(&step.answer, &step.lists, step.request.method.as_deref());
            let mut played = self.send(&step.request).await;
            self.listen(&mut played, &step.expect.receives).await;
            self.check(&label, &played, &step.expect);
        }
        let last = steps
            .last()
            .and_then(|step| step.expect.decision.as_deref());
        let denied_for = match last {
            // It waits for the tools to be known: once is enough.
            Some("catalog_unavailable") => return,
            Some("catalog_changed") => "catalog_changed",
            _ => "policy_forbid",
        };
        let probe = Request {
            name: Some("wipe".to_owned()),
            arguments: Some("{}".to_owned()),
            ..Request::default()
        };
        let played = self.send(&probe).await;
        let expect = Expect {
            decision: Some(denied_for.to_owned()),
            code: Some(4403),
            ..Expect::default()
        };
        self.check(&format!("{label}, probe"), &played, &expect);
    }

    /// Waits for what the tool server is to receive: what wants no answer may come after ours.
    async fn listen(&mut self, played: &mut Played, parts: &[String]) {
        for _ in 0..200 {
            let received = played.received.join("\n");
            if parts.iter().all(|part| received.contains(part)) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
            played.received.extend(self.newly_received());
        }
    }

    /// Has the tool server list its tools as they were pinned, and waits until that is known.
    pub(super) async fn restore(&mut self) {
        let changed = json!(r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#);
        let listing = Request {
            method: Some("tools/list".to_owned()),
            params: Some(String::new()),
            ..Request::default()
        };
        self.script(&[changed, json!(text::LISTING)], &[], Some("tools/list"));
        self.send(&listing).await;
        // Until the tools are known again; the answer of the first one may have been filtered before.
        self.script(&[], &[], None);
        let told = self.send(&listing).await;
        assert!(told.heard.contains(r#""name":"note""#), "{}", told.heard);
    }

    fn script(&self, answer: &[Value], lists: &[Value], method: Option<&str>) {
        let file = self.received().with_extension("script");
        let lines = |lines: &[Value]| -> Vec<Value> {
            let expanded = lines.iter().map(|line| match line.as_str() {
                Some(line) => {
                    let next = (self.requests + 2).to_string();
                    text::expand(line).replace("$NEXT", &next).into()
                }
                None => line.clone(),
            });
            expanded.collect()
        };
        let mut script = Map::new();
        if !lists.is_empty() {
            script.insert("tools/list".to_owned(), lines(lists).into());
        }
        if !answer.is_empty() {
            let method = method.unwrap_or("tools/call").to_owned();
            script.insert(method, lines(answer).into());
        }
        let next = file.with_extension("next");
        std::fs::write(&next, Value::Object(script).to_string()).unwrap();
        std::fs::rename(next, file).unwrap();
    }

    fn received(&self) -> PathBuf {
        self.world.folder.path().join("received")
    }

    async fn send(&mut self, request: &Request) -> Played {
        self.requests += 1;
        if request.legacy && self.transport.is_none() {
            self.initialize().await;
        }
        let body = self.body(request);
        let headers = self.headers(request);
        let headers: Vec<_> = headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let verb = request.verb.as_deref().unwrap_or("POST");
        let path = request.path.as_deref().unwrap_or("/mcp/fs");
        let connection = &mut self.opened.connection;
        let (status, heard) = connection.raw(verb, path, &headers, body).await;
        let heard = String::from_utf8_lossy(&heard).into_owned();
        let message = text::last_message(&heard);
        Played {
            status: status.as_u16(),
            message,
            heard,
            received: self.newly_received(),
        }
    }

    async fn initialize(&mut self) {
        let body = json!({
            "jsonrpc": "2.0", "id": 999, "method": "initialize",
            "params": {"protocolVersion": LEGACY, "capabilities": {}, "clientInfo": {"name": "x", "version": "1"}},
        });
        let headers = [("accept", "application/json, text/event-stream")];
        let (transport, _) = self
            .opened
            .connection
            .opening("/mcp/fs", &headers, body.to_string())
            .await;
        self.transport = Some(transport);
    }

    fn body(&self, request: &Request) -> Vec<u8> {
        let arguments = request.arguments.as_deref().unwrap_or(r#"{"text":"x"}"#);
        let arguments = arguments
            .replace("$ESCAPED_TOKEN", &text::escaped(&self.token()))
            .replace("$TOKEN", &self.token());
        let name = request.name.as_deref().unwrap_or("note");
        let id = request.id.clone().unwrap_or(self.requests.to_string());
        let id = match id.as_str() {
            "" => String::new(),
            id => format!(r#""id":{id},"#),
        };
        let method = request.method.as_deref().unwrap_or("tools/call");
        let version = match request.legacy {
            true => String::new(),
            false => format!(
                r#""io.modelcontextprotocol/protocolVersion":"{STATELESS}","io.modelcontextprotocol/clientCapabilities":{{}}"#
            ),
        };
        let own = r#""io.chancery/delegation":["$CHAIN"],"io.chancery/proof":"$PROOF""#;
        let meta = text::joined(&[&version, request.meta.as_deref().unwrap_or(own)]);
        let params = match &request.params {
            Some(params) => params.clone(),
            None => format!(r#""name":{},"arguments":{arguments}"#, Value::from(name)),
        };
        let params = text::joined(&[&params, &format!(r#""_meta":{{{meta}}}"#)]);
        let honest =
            format!(r#"{{"jsonrpc":"2.0",{id}"method":"{method}","params":{{{params}}}}}"#);
        let body = request.body.clone().unwrap_or(honest);
        let body = body
            .replace("$META", &meta)
            .replace("$CHAIN", &self.opened.chain[0])
            .replace(
                "$REFERENCE",
                &Digest::of(self.opened.chain.join(",")).to_string(),
            )
            .replace("$REQUEST", &self.requests.to_string())
            .replace("$ESCAPED_TOKEN", &text::escaped(&self.token()))
            .replace("$TOKEN", &self.token());
        let body = match body.contains("$PROOF") {
            true => body.replace("$PROOF", &self.proof(name, &arguments, &request.proven)),
            false => body,
        };
        text::bytes(&text::expand(&body))
    }

    /// What begins as every access token of the deployment does.
    fn token(&self) -> String {
        let authority = &self.world.plane.trust.access_token_authorities[0];
        format!("{}e30.AAAA", access_token_prefix(&authority.key))
    }

    fn proof(&self, name: &str, arguments: &str, proven: &Proven) -> String {
        let none = Map::new();
        let sent = read_arguments(&text::expand(arguments)).map(|(arguments, _)| arguments);
        let args = match &proven.arguments {
            Some(arguments) => arguments.as_object().unwrap().clone(),
            None => sent.unwrap_or(none),
        };
        let target = match (&proven.resource, &proven.prompt) {
            (Some(uri), _) => Target::Resource(uri),
            (None, Some(prompt)) => Target::Prompt(prompt),
            _ => Target::Tool(proven.tool.as_deref().unwrap_or(name)),
        };
        let agent = &self.opened.agent;
        let draft = ProofDraft {
            audience: GATEWAY,
            issued_at: now(),
            jti: &random_id::<ProofKind>().unwrap().to_string(),
            chain: Digest::of(self.opened.chain.join(",")),
            call: Call {
                server: "fs",
                target,
                args: &args,
            },
            execution: None,
            step: (!proven.stepless).then_some("keep"),
        };
        draft
            .sign(agent.key.public(), &|message| agent.key.sign(message))
            .unwrap()
    }

    fn headers(&self, request: &Request) -> Vec<(String, String)> {
        let method = request.method.as_deref().unwrap_or("tools/call");
        let mut headers = vec![("accept", "application/json".to_owned())];
        match (request.legacy, &self.transport) {
            (true, Some(transport)) => headers.extend([
                ("mcp-protocol-version", LEGACY.to_owned()),
                ("mcp-session-id", transport.clone()),
            ]),
            _ => headers.extend([
                ("mcp-protocol-version", STATELESS.to_owned()),
                ("mcp-method", method.to_owned()),
            ]),
        }
        if method == "tools/call" && !request.legacy {
            let name = request.name.as_deref().unwrap_or("note");
            headers.push(("mcp-name", name.to_owned()));
        }
        let mut headers: Vec<(String, String)> = headers
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect();
        let transport = self.transport.as_deref().unwrap_or_default();
        for (name, value) in &request.headers {
            headers.retain(|(known, _)| known != name);
            let values = match value {
                Value::Array(values) => values.clone(),
                Value::Null => Vec::new(),
                value => vec![value.clone()],
            };
            headers.extend(values.iter().map(|value| {
                let value = value.as_str().unwrap();
                let value = value
                    .replace("$UPPER", &transport.to_uppercase())
                    .replace("$TRANSPORT", transport);
                (name.clone(), value)
            }));
        }
        headers
    }

    /// The lines that reached the tool server since this was asked last, but those of the gateway's own
    /// looks at its tools.
    fn newly_received(&mut self) -> Vec<String> {
        let received = std::fs::read(self.received()).unwrap_or_default();
        let new = String::from_utf8_lossy(received.get(self.looked..).unwrap_or_default());
        let lines: Vec<_> = new.lines().map(str::to_owned).collect();
        self.looked = received.len();
        let of_agent = |line: &String| {
            let message: Value = serde_json::from_str(line).unwrap_or_default();
            let own = message["id"].as_u64().is_some_and(|id| id < 1_000);
            !own && message["method"] != "notifications/initialized"
        };
        lines.into_iter().filter(of_agent).collect()
    }

    fn check(&mut self, label: &str, played: &Played, expect: &Expect) {
        let heard: String = played.heard.chars().take(2_000).collect();
        let status = expect.status.unwrap_or(200);
        assert_eq!(played.status, status, "{label}: {heard}");
        let error = &played.message["error"];
        assert_eq!(error["code"].as_i64(), expect.code, "{label}: {heard}");
        let said = error["message"].as_str().unwrap_or_default();
        let says = expect.says.as_deref().unwrap_or_default();
        assert!(
            said.contains(says),
            "{label}: {says:?} is not said: {heard}"
        );
        let told = expect.reason.as_ref().or(expect.decision.as_ref());
        let told = told.filter(|_| !expect.is_allowed());
        let reason = error["data"]["reason"].as_str();
        if expect.code == Some(4403) || expect.reason.is_some() {
            assert_eq!(reason, told.map(String::as_str), "{label}: {heard}");
        }
        for part in &expect.hears {
            assert!(
                played.heard.contains(part),
                "{label}: {part:?} is not heard: {heard}"
            );
        }
        for part in &expect.deaf {
            assert!(
                !played.heard.contains(part),
                "{label}: {part:?} is heard: {heard}"
            );
        }
        let received = played.received.join("\n");
        let is_received = !played.received.is_empty();
        assert_eq!(
            is_received,
            expect.is_received(),
            "{label}: received {received}"
        );
        for part in &expect.receives {
            assert!(
                received.contains(part),
                "{label}: {part:?} is not received: {received}"
            );
        }
        for part in &expect.lacks {
            assert!(
                !received.contains(part),
                "{label}: {part:?} is received: {received}"
            );
        }
        self.decisions.extend(expect.decision.clone());
        if expect.is_allowed() {
            let outcome = expect.outcome.as_deref().unwrap_or("completed");
            self.outcomes.push(outcome.to_owned());
        }
    }

    /// The log holds exactly the decisions and outcomes that were expected, in order, and a stranger comes
    /// to the same.
    pub(super) async fn end(mut self) {
        let ended = self.opened.end().await;
        assert_eq!(ended.reason(), "ok", "{ended:?}");
        let log = self.world.log().await;
        assert_eq!(decided(&log), self.decisions);
        assert_eq!(ended_as(&log), self.outcomes);
        let report = self.world.report(&self.opened.session).await;
        assert_eq!(report.findings, [], "{report:?}");
    }
}

fn decided(log: &[Entry]) -> Vec<&str> {
    let decisions = log.iter().filter_map(|entry| match &entry.event {
        Event::Decision(decision) => Some(decision.reason.as_str()),
        _ => None,
    });
    decisions.collect()
}

fn ended_as(log: &[Entry]) -> Vec<&str> {
    let outcomes = log.iter().filter_map(|entry| match &entry.event {
        Event::Outcome(outcome) => Some(outcome.status.name()),
        _ => None,
    });
    outcomes.collect()
}
