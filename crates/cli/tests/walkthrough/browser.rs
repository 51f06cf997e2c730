use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::place::{Place, Started, free_port, until};

/// What keeps a browser from looking for anything but what a test asks for.
const QUIET: [&str; 9] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
];

/// How a browser names an element (WebDriver, section 12).
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A headless Chromium with a virtual authenticator, driven over WebDriver.
#[derive(Debug)]
pub(crate) struct Browser {
    driver: Started,
    port: String,
    session: String,
    authenticator: String,
}

impl Browser {
    /// A fresh one, which knows nobody. `scripts/browser` installs it.
    pub(crate) fn new(place: &Place) -> Self {
        let port = free_port();
        let mut command = place.command("chromedriver");
        command.args([&format!("--port={port}"), "--allowed-ips=127.0.0.1"]);
        let driver = Started::new(&mut command, place);
        until("chromedriver", || {
            TcpStream::connect(format!("127.0.0.1:{port}")).ok()
        });
        let profile = place.at(format!("profile-{port}"));
        let mut arguments: Vec<_> = QUIET.map(str::to_owned).into();
        arguments.push(format!("--user-data-dir={}", profile.display()));
        let wanted = json!({"capabilities": {"alwaysMatch": {
            "browserName": "chrome",
            "webauthn:virtualAuthenticators": true,
            "goog:chromeOptions": {"args": arguments},
        }}});
        let opened = ask(&port, "POST", "/session", &wanted).unwrap();
        let mut browser = Self {
            driver,
            port,
            session: opened["sessionId"].as_str().unwrap().to_owned(),
            authenticator: String::new(),
        };
        browser.plug_in();
        browser
    }

    /// Puts a fresh authenticator in the place of the one before, as a person's device that was lost.
    pub(crate) fn plug_in(&mut self) {
        if !self.authenticator.is_empty() {
            let path = format!("webauthn/authenticator/{}", self.authenticator);
            self.said("DELETE", &path, &Value::Null);
        }
        let kind = json!({
            "protocol": "ctap2", "transport": "internal", "hasResidentKey": true,
            "hasUserVerification": true, "isUserConsenting": true, "isUserVerified": true,
        });
        let made = self.said("POST", "webauthn/authenticator", &kind);
        self.authenticator = made.as_str().unwrap().to_owned();
    }

    /// The credentials of the authenticator, with their keys and counters.
    pub(crate) fn credentials(&self) -> Vec<Value> {
        let path = format!("webauthn/authenticator/{}/credentials", self.authenticator);
        let known = self.said("GET", &path, &Value::Null);
        known.as_array().unwrap().clone()
    }

    /// Copies a credential into the authenticator.
    pub(crate) fn copy_in(&self, credential: &Value) {
        let path = format!("webauthn/authenticator/{}/credential", self.authenticator);
        self.said("POST", &path, credential);
    }

    pub(crate) fn open(&self, url: &str) {
        self.said("POST", "url", &json!({"url": url}));
    }

    pub(crate) fn url(&self) -> String {
        let url = self.said("GET", "url", &Value::Null);
        url.as_str().unwrap().to_owned()
    }

    /// Waits until the page is another one.
    pub(crate) fn arrives(&self, end: &str) {
        until(end, || {
            let url = self.url();
            assert!(self.alert().is_empty(), "{}", self.alert());
            url.ends_with(end).then_some(())
        });
        until("the page", || {
            let state = self.run("return document.readyState", &[]);
            (state == "complete").then_some(())
        });
    }

    /// What the page says of a refusal.
    pub(crate) fn alert(&self) -> String {
        let find = "return [...document.querySelectorAll('[role=alert]')].map((it) => it.textContent).join('')";
        self.run(find, &[]).as_str().unwrap_or_default().to_owned()
    }

    /// Everything that a person reads on the page.
    pub(crate) fn text(&self) -> String {
        let text = self.run("return document.body.innerText", &[]);
        text.as_str().unwrap().to_owned()
    }

    pub(crate) fn click(&self, selector: &str) {
        let element = self.find(selector);
        self.said("POST", &format!("element/{element}/click"), &json!({}));
    }

    pub(crate) fn write(&self, selector: &str, text: &str) {
        let element = self.find(selector);
        self.said(
            "POST",
            &format!("element/{element}/value"),
            &json!({"text": text}),
        );
    }

    /// Runs a script in the page.
    pub(crate) fn run(&self, script: &str, arguments: &[Value]) -> Value {
        let script = json!({"script": script, "args": arguments});
        self.said("POST", "execute/sync", &script)
    }

    /// Runs the body of an asynchronous function in the page: what it comes to, or what it throws.
    pub(crate) fn run_async(&self, body: &str, arguments: &[Value]) -> Value {
        let script = format!(
            "const done = arguments[arguments.length - 1]; const given = [...arguments].slice(0, -1);
             (async (...given) => {{ {body} }})(...given)
               .then(done, (error) => done(`${{error.name}}: ${{error.message}}`));"
        );
        let script = json!({"script": script, "args": arguments});
        self.said("POST", "execute/async", &script)
    }

    fn find(&self, selector: &str) -> String {
        let by = json!({"using": "css selector", "value": selector});
        let found = self.said("POST", "element", &by);
        found[ELEMENT].as_str().unwrap().to_owned()
    }

    #[track_caller]
    fn said(&self, method: &str, path: &str, body: &Value) -> Value {
        let path = format!("/session/{}/{path}", self.session);
        ask(&self.port, method, &path, body).unwrap()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let path = format!("/session/{}", self.session);
        let _ = ask(&self.port, "DELETE", &path, &Value::Null);
        self.driver.signal(Signal::SIGTERM);
    }
}

/// One command of WebDriver: its value, or the error that it names.
fn ask(port: &str, method: &str, path: &str, body: &Value) -> Result<Value, String> {
    let mut stream = TcpStream::connect(format!("127.0.0.1:{port}")).unwrap();
    let body = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).unwrap();
    // The driver keeps the connection, whatever it is asked.
    let mut answer = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert_ne!(answer.read_line(&mut head).unwrap(), 0, "{head}");
    }
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.trim().parse::<usize>())
    });
    let mut body = vec![0; length.unwrap().unwrap()];
    answer.read_exact(&mut body).unwrap();
    let body = String::from_utf8(body).unwrap();
    let answer: Value = serde_json::from_str(&body).map_err(|error| format!("{error}: {body}"))?;
    match head.split(' ').nth(1) {
        Some("200") => Ok(answer["value"].clone()),
        _ => Err(answer["value"].to_string()),
    }
}
