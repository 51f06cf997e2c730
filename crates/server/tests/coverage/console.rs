//! Every endpoint of the console: who is answered, and with which headers; and every way to sign in that is
//! none.

use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::Arc;

use chancery_api::OwnerListener;
use chancery_api::server::{ApprovalSubject, OpenApproval, ServerClient, SumView};
use chancery_crypto::SigningKey;
use chancery_delegation::{Assertion, SoftwareAuthenticator};
use chancery_identity::trust::{Person, PersonCredential, Role};
use chancery_server::{Audience, CONSOLE_ROUTES, Console, ConsoleConfig, ConsoleError};
use chancery_types::id::{ApprovalId, PersonId};
use chancery_types::{Algorithm, Digest, Timestamp};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::start;

const ORIGIN: &str = "http://localhost:8445";

/// A person with a passkey in software.
struct Holder {
    key: SigningKey,
    credential_id: &'static str,
    person: Person,
    counter: u32,
}

impl Holder {
    fn new(credential_id: &'static str, roles: Vec<Role>) -> Self {
        let key = SigningKey::generate(Algorithm::Es256).unwrap();
        let credential = PersonCredential {
            credential_id: credential_id.to_owned(),
            key: *key.public(),
            rp_id: "localhost".to_owned(),
            origin: ORIGIN.to_owned(),
            hardware: false,
            stand_in: false,
        };
        let number = credential_id.as_bytes()[0];
        let person = Person {
            id: PersonId::from_random([number; 16]),
            roles,
            credentials: vec![credential],
        };
        Self {
            key,
            credential_id,
            person,
            counter: 7,
        }
    }

    fn sign_at(&self, challenge: &Digest, rp_id: &str, origin: &str, counter: u32) -> Assertion {
        let mut software = SoftwareAuthenticator::new(self.credential_id, rp_id, origin, counter);
        software
            .assert(challenge, |message| self.key.sign_der(message))
            .unwrap()
    }

    fn sign(&mut self, challenge: &Digest) -> Assertion {
        self.counter += 1;
        self.sign_at(challenge, "localhost", ORIGIN, self.counter)
    }
}

/// A console with an approver and a principal.
struct Served {
    address: SocketAddr,
    approver: Holder,
    principal: Holder,
    /// What gateways open questions with.
    gateway: ServerClient,
    _folder: TempDir,
}

/// An answer: its status, its head, its body.
struct Answered {
    status: u16,
    head: String,
    body: String,
}

impl Answered {
    /// The reason of a refusal.
    fn reason(&self) -> String {
        let problem: Value = serde_json::from_str(&self.body).unwrap_or_default();
        problem["reason"].as_str().unwrap_or_default().to_owned()
    }

    fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines();
        lines.find_map(|line| {
            let (known, value) = line.split_once(": ")?;
            known.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    /// The value that stands behind that in a page.
    fn after(&self, mark: &str) -> String {
        let (_, rest) = self.body.split_once(mark).unwrap();
        rest.split('"').next().unwrap().to_owned()
    }
}

impl Served {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let approver = Holder::new("approver", vec![Role::Approver]);
        let principal = Holder::new("principal", vec![Role::Principal]);
        let people = vec![approver.person.clone(), principal.person.clone()];
        let server = start(folder.path(), people).await;
        let config = ConsoleConfig {
            listen: "127.0.0.1:0".parse().unwrap(),
            origin: ORIGIN.parse().unwrap(),
            certificate: None,
        };
        let socket = folder.path().join("server.sock");
        let listener = OwnerListener::bind(&socket).unwrap();
        tokio::spawn(Arc::clone(&server).serve(listener));
        let console = Console::bind(server, config).await.unwrap();
        let address = *console.addresses().unwrap().first().unwrap();
        tokio::spawn(console.serve());
        Self {
            address,
            approver,
            principal,
            gateway: ServerClient::new(socket),
            _folder: folder,
        }
    }

    async fn ask(&self, method: &str, path: &str, headers: &str, body: &str) -> Answered {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: localhost:8445\r\nconnection: close\r\n{headers}content-length: {length}\r\n\r\n{body}"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        let answer = String::from_utf8(answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        Answered {
            status: head.split(' ').nth(1).unwrap().parse().unwrap(),
            head: head.to_owned(),
            body: body.to_owned(),
        }
    }

    async fn page(&self, path: &str, cookie: &str) -> Answered {
        self.ask("GET", path, &format!("cookie: {cookie}\r\n"), "")
            .await
    }

    async fn post(&self, path: &str, cookie: &str, document: &Value) -> Answered {
        let headers =
            format!("origin: {ORIGIN}\r\ncontent-type: application/json\r\ncookie: {cookie}\r\n");
        self.ask("POST", path, &headers, &document.to_string())
            .await
    }

    async fn challenge(&self, path: &str) -> Digest {
        let page = self.page(path, "").await;
        Digest::from_base64url(&page.after("data-challenge=\"")).unwrap()
    }

    async fn try_sign_in(&self, challenge: &Digest, assertion: Assertion) -> Answered {
        let document = json!({"challenge": challenge, "assertion": assertion});
        self.post("/sign-in", "", &document).await
    }

    /// Has a gateway open a question.
    async fn open(&self, subject: ApprovalSubject) -> ApprovalId {
        let approval_id = chancery_crypto::random_id().unwrap();
        let request = OpenApproval {
            approval_id,
            session_id: chancery_crypto::random_id().unwrap(),
            execution_id: chancery_crypto::random_id().unwrap(),
            action_digest: Digest::of("action"),
            policy_digest: Digest::of("policy"),
            expires_at: Timestamp::from_seconds(4_000_000_000),
            subject,
        };
        self.gateway.open_approval(&request).await.unwrap();
        approval_id
    }

    /// The cookie of a visit.
    async fn sign_in(&mut self, is_approver: bool) -> String {
        let challenge = self.challenge("/sign-in").await;
        let holder = match is_approver {
            true => &mut self.approver,
            false => &mut self.principal,
        };
        let assertion = holder.sign(&challenge);
        let answered = self.try_sign_in(&challenge, assertion).await;
        assert_eq!(answered.status, 200, "{}", answered.body);
        answered.header("set-cookie").unwrap().to_owned()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_of_the_console_answers_its_audience_alone() {
    let mut served = Served::new().await;
    let approver = served.sign_in(true).await;
    let principal = served.sign_in(false).await;
    for (method, route, audience) in CONSOLE_ROUTES {
        let path = route.replace("{id}", "apv_7zzzzzzzzzzzzzzzzzzzzzzzzz");
        if *method == "GET" {
            let stranger = served.page(&path, "chancery=somebody").await;
            let own = served.page(&path, &principal).await;
            let answerer = served.page(&path, &approver).await;
            match audience {
                Audience::Anybody => assert_eq!(stranger.status, 200, "{path}"),
                Audience::SignedIn | Audience::Approver => {
                    assert_eq!(stranger.status, 303, "{path}");
                    assert_eq!(stranger.header("location"), Some("/sign-in"), "{path}");
                    assert!(stranger.body.is_empty(), "{path}");
                }
            }
            let refused = own.status == 403 && own.body.contains("not_an_approver");
            assert_eq!(
                refused,
                *audience == Audience::Approver,
                "{path}: {}",
                own.body
            );
            assert!(!answerer.body.contains("not_an_approver"), "{path}");
            continue;
        }
        let headers = "content-type: application/json\r\n";
        let bare = served.ask(method, &path, headers, "{}").await;
        assert_eq!(
            (bare.status, &*bare.reason()),
            (403, "foreign_page"),
            "{path}"
        );
        let from = format!("{headers}origin: http://localhost:1\r\ncookie: {approver}\r\n");
        let foreign = served.ask(method, &path, &from, "{}").await;
        assert_eq!(foreign.reason(), "foreign_page", "{path}");
        let site = format!("{headers}origin: {ORIGIN}\r\nsec-fetch-site: cross-site\r\n");
        let foreign = served.ask(method, &path, &site, "{}").await;
        assert_eq!(foreign.reason(), "foreign_page", "{path}");
        let stranger = served.post(&path, "chancery=somebody", &json!({})).await;
        let signed_in = served.post(&path, &approver, &json!({})).await;
        match audience {
            Audience::Anybody => assert_eq!(stranger.reason(), "malformed", "{path}"),
            _ => {
                assert_eq!(
                    (stranger.status, &*stranger.reason()),
                    (401, "not_signed_in"),
                    "{path}"
                );
                assert_eq!(signed_in.reason(), "form_token", "{path}");
            }
        }
    }
    let nothing = served.page("/other", &approver).await;
    assert_eq!(nothing.status, 404);
    assert_eq!(served.ask("DELETE", "/approvals", "", "").await.status, 405);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_says_what_browsers_are_held_to() {
    let mut served = Served::new().await;
    let cookie = served.sign_in(true).await;
    for path in [
        "/sign-in",
        "/approvals",
        "/console.js",
        "/console.css",
        "/other",
        "/",
    ] {
        let answered = served.page(path, &cookie).await;
        let policy = answered.header("content-security-policy").unwrap();
        assert!(
            policy.starts_with("default-src 'none'; script-src 'self'"),
            "{path}: {policy}"
        );
        assert!(
            policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"),
            "{path}"
        );
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("cache-control", "no-store"),
            ("x-frame-options", "DENY"),
        ] {
            assert_eq!(answered.header(name), Some(value), "{path}");
        }
        assert!(
            !answered.body.contains("<style") && !answered.body.contains("style="),
            "{path}"
        );
        assert!(
            !answered.body.contains("<script>") && !answered.body.contains("onclick"),
            "{path}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_has_no_passkey_of_this_console_does_not_sign_in() {
    let mut served = Served::new().await;
    let challenge = served.challenge("/sign-in").await;
    let of = |served: &Served, challenge: &Digest, rp_id: &str, origin: &str, counter| {
        served.approver.sign_at(challenge, rp_id, origin, counter)
    };
    let elsewhere = "https://localhost:8445";
    for (assertion, reason) in [
        (
            of(&served, &challenge, "localhost", elsewhere, 1),
            "passkey_origin",
        ),
        (
            of(&served, &challenge, "example.org", ORIGIN, 1),
            "passkey_relying_party",
        ),
        (
            of(&served, &Digest::of("other"), "localhost", ORIGIN, 1),
            "passkey_challenge",
        ),
    ] {
        assert_eq!(
            served.try_sign_in(&challenge, assertion).await.reason(),
            reason
        );
    }
    let mut unknown = of(&served, &challenge, "localhost", ORIGIN, 1);
    unknown.credential_id = "nobodys".to_owned();
    assert_eq!(
        served.try_sign_in(&challenge, unknown).await.reason(),
        "passkey_unknown"
    );
    let mut others = of(&served, &challenge, "localhost", ORIGIN, 1);
    others.credential_id = "principal".to_owned();
    assert_eq!(
        served.try_sign_in(&challenge, others).await.reason(),
        "passkey_signature"
    );
    let made_up = Digest::of("made up");
    let assertion = of(&served, &made_up, "localhost", ORIGIN, 1);
    assert_eq!(
        served.try_sign_in(&made_up, assertion).await.reason(),
        "challenge_unknown"
    );
    let to_enrol = served.challenge("/enrol").await;
    let assertion = of(&served, &to_enrol, "localhost", ORIGIN, 1);
    assert_eq!(
        served.try_sign_in(&to_enrol, assertion).await.reason(),
        "challenge_unknown"
    );

    let assertion = served.approver.sign(&challenge);
    let again = assertion.clone();
    assert_eq!(served.try_sign_in(&challenge, assertion).await.status, 200);
    assert_eq!(
        served.try_sign_in(&challenge, again).await.reason(),
        "challenge_reused"
    );
    let fresh = served.challenge("/sign-in").await;
    let copied = of(&served, &fresh, "localhost", ORIGIN, 7);
    assert_eq!(
        served.try_sign_in(&fresh, copied).await.reason(),
        "passkey_counter"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_visit_is_the_browsers_that_signed_in_and_ends() {
    let mut served = Served::new().await;
    let cookie = served.sign_in(true).await;
    assert!(
        cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"),
        "{cookie}"
    );
    let page = served.page("/approvals", &cookie).await;
    assert_eq!(page.status, 200);
    let twice = format!(
        "{}; {}",
        cookie.split(';').next().unwrap(),
        "chancery=other"
    );
    assert_eq!(served.page("/approvals", &twice).await.status, 303);
    let token = page.after("name=\"token\" value=\"");
    let more = json!({"token": token, "more": 1});
    assert_eq!(
        served.post("/sign-out", &cookie, &more).await.reason(),
        "malformed"
    );
    let other = served.sign_in(true).await;
    let crossed = served
        .post("/sign-out", &other, &json!({"token": token}))
        .await;
    assert_eq!(crossed.reason(), "form_token", "a token of another visit");
    let ended = served
        .post("/sign-out", &cookie, &json!({"token": token}))
        .await;
    assert_eq!(ended.status, 200);
    assert_eq!(served.page("/approvals", &cookie).await.status, 303);
    assert_eq!(served.page("/approvals", &other).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_tries_so_often() {
    let served = Served::new().await;
    let mut reasons = Vec::new();
    for _ in 0..22 {
        let nothing = json!({"code": "x", "challenge": Digest::of("x"), "registration": {
            "credential_id": "", "client_data_json": "", "authenticator_data": ""}});
        reasons.push(served.post("/enrol", "", &nothing).await.reason());
    }
    assert_eq!(reasons[0], "challenge_unknown");
    assert_eq!(reasons[21], "too_many_attempts");
    // Whoever has a passkey is let in whatever others of the same address tried.
    let mut served = served;
    let cookie = served.sign_in(true).await;
    assert_eq!(served.page("/approvals", &cookie).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn codes_that_nobody_waits_for_count_as_failed_attempts() {
    let served = Served::new().await;
    let mut reasons = Vec::new();
    for _ in 0..22 {
        let guessed = json!({"code": "0000-0000-0000-0000"});
        reasons.push(served.post("/enrol/code", "", &guessed).await.reason());
    }
    assert_eq!(reasons[0], "invitation_unknown");
    assert_eq!(reasons[21], "too_many_attempts");
    let more = json!({"code": "x", "challenge": Digest::of("x")});
    assert_eq!(
        served.post("/enrol/code", "", &more).await.reason(),
        "malformed"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_signs_in_again_leaves_no_visit_behind() {
    let mut served = Served::new().await;
    let earlier = served.sign_in(true).await;
    let other = served.sign_in(true).await;
    let challenge = served.challenge("/sign-in").await;
    let document = json!({"challenge": challenge, "assertion": served.approver.sign(&challenge)});
    let failed =
        json!({"challenge": challenge, "assertion": served.principal.sign(&Digest::of("other"))});
    assert_eq!(served.post("/sign-in", &earlier, &failed).await.status, 403);
    assert_eq!(served.page("/approvals", &earlier).await.status, 200);
    let again = served.post("/sign-in", &earlier, &document).await;
    assert_eq!(again.status, 200, "{}", again.body);
    assert_eq!(served.page("/approvals", &earlier).await.status, 303);
    assert_eq!(served.page("/approvals", &other).await.status, 200);
    let cookie = again.header("set-cookie").unwrap();
    assert_eq!(served.page("/approvals", cookie).await.status, 200);
}

fn question(arguments: &str, grant_seconds: Option<u64>) -> ApprovalSubject {
    ApprovalSubject {
        instance: "spiffe://example.org/agent/payer".into(),
        principal: "per_7zzzzzzzzzzzzzzzzzzzzzzzzz".into(),
        server: "ledger".into(),
        tool: "post".into(),
        arguments: arguments.into(),
        mission_s256: Digest::of("mission").to_string(),
        step: "adjust".into(),
        policies: vec!["large".into()],
        session_calls: 3,
        trust: 417,
        taint: vec!["web/fetch".into()],
        grant_seconds,
        sums: vec![SumView {
            name: "posted".into(),
            total: 1_200,
            limit: 5_000,
        }],
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_that_is_signed_is_shown() {
    let mut served = Served::new().await;
    let cookie = served.sign_in(true).await;
    let arguments = r#"{"State":"approved","amount":1.5,"code":"7","count":7,"memo":"رسوم"}"#;
    let once = served.open(question(arguments, None)).await;
    let page = served.page(&format!("/approvals/{once}"), &cookie).await;
    for shown in [
        "posted 1200 of 5000",
        "<dt>Trust</dt><dd>417</dd>",
        "web/fetch",
        "for this action, once",
        ">Approve exactly this, once</button>",
        "read from right to left",
        "<dt><code>State</code></dt><dd><code>&#34;approved&#34;</code></dd>",
        "<dt><code>amount</code></dt><dd><code>1.5</code></dd>",
        "<dt><code>code</code></dt><dd><code>&#34;7&#34;</code></dd>",
        "<dt><code>count</code></dt><dd><code>7</code></dd>",
    ] {
        assert!(page.body.contains(shown), "{shown}: {}", page.body);
    }
    let later = served.open(question("{}", Some(900))).await;
    let page = served.page(&format!("/approvals/{later}"), &cookie).await;
    for shown in [
        "for this tool and resource, 900 seconds",
        ">Approve this tool and resource for 900 seconds</button>",
    ] {
        assert!(page.body.contains(shown), "{shown}: {}", page.body);
    }
    for other in ["exactly this, once", "read from right to left", "U+202E"] {
        assert!(!page.body.contains(other), "{other}: {}", page.body);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_shows_how_long_arguments_begin() {
    let mut served = Served::new().await;
    let cookie = served.sign_in(true).await;
    let id = served.open(question(&"x".repeat(60_000), None)).await;
    let list = served.page("/approvals", &cookie).await;
    let more = format!("<a href=\"/approvals/{id}\">59800 more bytes</a>");
    assert!(list.body.contains(&more), "{}", list.body);
    assert!(!list.body.contains(&"x".repeat(201)));
    let page = served.page(&format!("/approvals/{id}"), &cookie).await;
    assert!(page.body.contains(&"x".repeat(60_000)));
}

fn at(listen: SocketAddr, origin: &str) -> ConsoleConfig {
    ConsoleConfig {
        listen,
        origin: origin.parse().unwrap(),
        certificate: None,
    }
}

#[test]
fn localhost_is_listened_to_on_both_loopback_addresses() {
    let heard = |listen: &str, origin: &str| {
        let listeners = at(listen.parse().unwrap(), origin).listen().unwrap();
        let addresses = listeners.iter().map(|one| one.local_addr().unwrap());
        addresses.collect::<Vec<_>>()
    };
    let both = heard("127.0.0.1:0", ORIGIN);
    let has_ipv6 = StdListener::bind("[::1]:0").is_ok();
    assert_eq!(both.len(), if has_ipv6 { 2 } else { 1 }, "{both:?}");
    assert!(both.iter().all(|one| one.port() == both[0].port()));
    assert_eq!(heard("127.0.0.1:0", "https://console.example").len(), 1);
    if has_ipv6 {
        assert_eq!(heard("[::1]:0", ORIGIN).len(), 2);
        assert_eq!(heard("[::]:0", ORIGIN).len(), 1);
        assert_eq!(heard("0.0.0.0:0", "https://localhost").len(), 2);
    }
}

#[tokio::test]
async fn nobody_else_is_the_console_at_the_other_loopback_address() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(folder.path(), Vec::new()).await;
    for (own, others) in [("127.0.0.1", "[::1]:0"), ("[::1]", "127.0.0.1:0")] {
        let Ok(stranger) = StdListener::bind(others) else {
            continue;
        };
        let taken = stranger.local_addr().unwrap();
        let config = at(format!("{own}:{}", taken.port()).parse().unwrap(), ORIGIN);
        let refused = Console::bind(server.clone(), config.clone())
            .await
            .unwrap_err();
        assert!(
            matches!(&refused, ConsoleError::Listen { address, source }
                if *address == taken && source.kind() == std::io::ErrorKind::AddrInUse),
            "{refused:?}"
        );
        drop(stranger);
        assert!(Console::bind(server.clone(), config).await.is_ok());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_reach_is_served_by_tls_alone() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(folder.path(), Vec::new()).await;
    let config = ConsoleConfig {
        listen: "0.0.0.0:0".parse().unwrap(),
        origin: ORIGIN.parse().unwrap(),
        certificate: None,
    };
    let bound = Console::bind(server, config).await;
    assert!(matches!(bound, Err(ConsoleError::Plain(_))), "{bound:?}");
}
