//! The console in a real browser: a person enrols and signs in with a passkey, looks at what an agent asks
//! for and answers; and whatever is not that answer is refused.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::slice::from_ref;

use serde_json::{Value, json};

use super::browser::Browser;
use super::deployment::Deployment;
use super::place::{Started, chancery, checkout, free_port, until};

/// Signs a challenge with the page's passkey, as the console's own script does.
const SIGN: &str = r#"
const decode = (text) => Uint8Array.from(
  atob(text.replaceAll("-", "+").replaceAll("_", "/")), (letter) => letter.charCodeAt(0));
const encode = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer)))
  .replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
const sign = async (challenge, id) => {
  const made = await navigator.credentials.get({ publicKey: {
    challenge: decode(challenge), rpId: "localhost", userVerification: "required",
    allowCredentials: [{ type: "public-key", id: decode(id) }] } });
  return {
    credential_id: encode(made.rawId),
    client_data_json: encode(made.response.clientDataJSON),
    authenticator_data: encode(made.response.authenticatorData),
    signature: encode(made.response.signature),
  };
};
const post = async (path, sent) => {
  const response = await fetch(path, { method: "POST",
    headers: { "content-type": "application/json" }, body: JSON.stringify(sent) });
  const answer = await response.json();
  return answer.reason ?? "taken";
};
const token = () => document.querySelector("form.choices [name=token]").value;
const statement = () => JSON.parse(document.querySelector("button.approve").dataset.statement);
// The challenge of a statement: SHA-256 over a tag and its canonical form.
const challengeOf = async (statement) => {
  const names = Object.keys(statement).sort();
  const canonical = "{" + names.map((it) => JSON.stringify(it) + ":" + JSON.stringify(statement[it])).join(",") + "}";
  const bytes = new TextEncoder().encode("chancery/approval/v1\0" + canonical);
  return encode(await crypto.subtle.digest("SHA-256", bytes));
};
const answer = async (id, change) => {
  const changed = { ...statement(), ...change };
  const assertion = await sign(await challengeOf(changed), id);
  return { token: token(), statement: changed, assertion };
};
"#;

/// A deployment with a console, and where that is.
fn with_console() -> (Deployment, String) {
    let port = free_port();
    let deployment = Deployment::with(&["--console", &format!("127.0.0.1:{port}")]);
    let origin = deployment.opened["console"].as_str().unwrap().to_owned();
    assert_eq!(origin, format!("http://localhost:{port}"));
    (deployment, origin)
}

/// Enrols a passkey of the browser under a code, and signs in with it.
fn enrol(browser: &Browser, origin: &str, code: &str) {
    browser.open(&format!("{origin}/enrol"));
    browser.write("#code", code);
    browser.click("main button");
    browser.arrives("/sign-in");
    sign_in(browser, origin);
}

fn sign_in(browser: &Browser, origin: &str) {
    browser.open(&format!("{origin}/sign-in"));
    browser.click("main button");
    until("signed in", || {
        assert_eq!(browser.alert(), "");
        (!browser.url().ends_with("/sign-in")).then_some(())
    });
}

/// Tries to sign in: the reason why not.
fn refused_at_sign_in(browser: &Browser, origin: &str) -> String {
    browser.open(&format!("{origin}/sign-in"));
    browser.click("main button");
    until("refused", || {
        Some(browser.alert()).filter(|said| !said.is_empty())
    })
}

/// Invites somebody: the running command and the code.
fn invite(deployment: &Deployment, arguments: &[&str]) -> (Started, String) {
    let mut command = deployment.place.command(chancery());
    command
        .args(["--format", "json", "trust", "invite"])
        .args(arguments);
    let invited = Started::new(&mut command, &deployment.place);
    let code = until("a code", || {
        let said = invited.err();
        let (_, code) = said.split_once("and enter ")?;
        Some(code.lines().next()?.to_owned())
    });
    (invited, code)
}

fn waiting(deployment: &Deployment) -> Option<String> {
    let listed = deployment
        .place
        .chancery(&["--format", "json", "approvals", "list"])
        .json();
    let mut all = listed["approvals"].as_array()?.iter();
    let waits = all.find(|one| one["state"] == "pending")?;
    Some(waits["request"]["approval_id"].as_str()?.to_owned())
}

#[test]
fn a_person_approves_in_the_browser_and_the_call_goes_on() {
    let (deployment, origin) = with_console();
    deployment.enrol(&deployment.code()).ok();
    let mut browser = Browser::new(&deployment.place);
    let (invited, code) = invite(&deployment, &["--role", "approver"]);
    enrol(&browser, &origin, &code);
    let admitted = invited.ended().json();
    let (person, passkey) = (&admitted["person"], admitted["credential"].clone());
    browser.arrives("/approvals");
    assert!(
        browser.text().contains("Nothing waits."),
        "{}",
        browser.text()
    );

    // The mission names the person of the browser: nobody answers for themselves.
    let mission = std::fs::read_to_string(checkout().join("demo/mission.json")).unwrap();
    let named = mission.replace(
        r#""approver": {"role": "approver"}"#,
        &format!(r#""approver": {{"person": {person}}}"#),
    );
    assert_ne!(mission, named);
    let mission = deployment.place.write("mission.json", named);
    let agent = checkout().join("demo/agent.sh");
    let agent = agent.to_str().unwrap();
    deployment.agent("payer", agent);
    let posting = |cents: u64, memo: &str| {
        json!({"book": "north", "account": "bank-fees", "amount_cents": cents, "memo": memo})
            .to_string()
    };
    let (first, second) = (
        posting(960_000, "fee\u{202e}eef"),
        posting(970_000, "another"),
    );
    let run = deployment.run(&[
        "--agent", "payer", "--", agent, "post", &first, "post", &second,
    ]);
    deployment.delegate_for(&mission, &["ledger/post"]);
    let one = until("a question", || waiting(&deployment));
    let own = [
        "approvals",
        "approve",
        &one,
        "--authenticator",
        "me.authenticator",
        "--yes",
    ];
    deployment
        .place
        .chancery(&own)
        .refused(1, &["approval_other_person"]);

    browser.open(&format!("{origin}/approvals"));
    browser.click("main a");
    browser.arrives(&one);
    let text = browser.text();
    for shown in [
        "ledger/post",
        "960000",
        "bank-fees",
        "U+202E",
        "Look closely",
        "large-postings-need-a-person",
        "Close the month",
        "adjust",
        "/agent/payer/instance/ins_",
    ] {
        assert!(text.contains(shown), "{shown} is not shown: {text}");
    }
    refuses_what_is_no_answer(&mut browser, &origin, &one, &passkey);

    browser.open(&format!("{origin}/approvals/{one}"));
    let kept = browser.run_async(
        &format!("{SIGN} return answer(given[0], {{}});"),
        from_ref(&passkey),
    );
    browser.click("button.approve");
    browser.arrives("/approvals");
    let other = until("the second question", || waiting(&deployment));
    browser.open(&format!("{origin}/approvals/{other}"));
    let replay =
        format!("{SIGN} return post(location.pathname, {{ ...given[0], token: token() }});");
    let said = browser.run_async(&replay, &[kept]);
    assert_eq!(
        said, "approval_mismatch",
        "an answer is replayed on another action"
    );
    browser.click("button.deny");
    browser.arrives("/approvals");
    let ended = run.ended().ok();
    assert!(ended.contains("\"result\""), "{ended}");
    assert!(ended.contains("approval_denied"), "{ended}");
    let granted = deployment.logged("approval.grant");
    let granted: Vec<_> = granted
        .iter()
        .map(|one| (&one["verdict"], &one["approver"]))
        .collect();
    assert_eq!(
        granted,
        [(&json!("approve"), person), (&json!("deny"), person)]
    );

    browser.click("header button");
    browser.arrives("/sign-in");
    browser.open(&format!("{origin}/approvals"));
    browser.arrives("/sign-in");
}

/// Answers that a browser can be made to send, and that nobody gave to this question.
fn refuses_what_is_no_answer(browser: &mut Browser, origin: &str, id: &str, passkey: &Value) {
    let page = format!("{origin}/approvals/{id}");
    let digest = format!("sha256:{}", "0".repeat(64));
    for (change, reason) in [
        (json!({"display": digest}), "approval_mismatch"),
        (json!({"action": digest}), "approval_mismatch"),
        (
            json!({"id": "apv_7zzzzzzzzzzzzzzzzzzzzzzzzz"}),
            "approval_mismatch",
        ),
        (json!({"expires_at": 1}), "approval_expired"),
    ] {
        browser.open(&page);
        let script =
            format!("{SIGN} return post(location.pathname, await answer(given[0], given[1]));");
        let said = browser.run_async(&script, &[passkey.clone(), change.clone()]);
        assert_eq!(said, reason, "{change}");
    }
    for (what, change, reason) in [
        (
            "another verdict",
            "sent.statement.verdict = 'deny'",
            "passkey_challenge",
        ),
        ("no token", "delete sent.token", "form_token"),
        (
            "another path's token",
            "sent.token = document.querySelector('header [name=token]').value",
            "form_token",
        ),
        (
            "another signature",
            "sent.assertion.signature = sent.assertion.client_data_json.slice(0, 96)",
            "passkey_signature",
        ),
        ("more", "sent.more = 1", "malformed"),
    ] {
        browser.open(&page);
        let script = format!(
            "{SIGN} const sent = await answer(given[0], {{}}); {change}; return post(location.pathname, sent);"
        );
        let said = browser.run_async(&script, from_ref(passkey));
        assert_eq!(said, reason, "{what}");
    }

    // Another page of the same relying party signs what the console asks for.
    browser.open(&page);
    let asked = browser.run(
        "return document.querySelector('button.approve').dataset.challenge",
        &[],
    );
    let elsewhere = blank_page();
    browser.open(&elsewhere);
    let script = format!("{SIGN} return sign(given[0], given[1]);");
    let signed = browser.run_async(&script, &[asked, passkey.clone()]);
    assert!(signed.is_object(), "{signed}");
    browser.open(&page);
    let script = format!(
        "{SIGN} return post(location.pathname, {{ token: token(), statement: statement(), assertion: given[0] }});"
    );
    assert_eq!(browser.run_async(&script, &[signed]), "passkey_origin");

    // A copy of the authenticator that was made a while ago.
    let copied = browser.credentials().remove(0);
    browser.open(&format!("{origin}/sign-in"));
    sign_in(browser, origin);
    sign_in(browser, origin);
    browser.plug_in();
    browser.copy_in(&copied);
    let said = refused_at_sign_in(browser, origin);
    assert!(said.contains("passkey_counter"), "{said}");
    browser.open(&page);
    let script = format!("{SIGN} return post(location.pathname, await answer(given[0], {{}}));");
    let said = browser.run_async(&script, from_ref(passkey));
    assert_eq!(said, "passkey_counter");
    // The owner's own authenticator went on counting.
    let mut own = copied;
    own["signCount"] = json!(own["signCount"].as_u64().unwrap() + 100);
    browser.plug_in();
    browser.copy_in(&own);
}

/// Where a page of nobody's is served, on this machine's own name.
fn blank_page() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten().take(8) {
            answer_blank(stream);
        }
    });
    format!("http://localhost:{port}/")
}

fn answer_blank(mut stream: TcpStream) {
    let mut request = [0; 4_096];
    let _ = stream.read(&mut request);
    let _ = stream.write_all(
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\nContent-Length: 9\r\n\r\n<p>hi</p>",
    );
}

#[test]
fn the_first_person_enrols_in_the_browser_and_only_with_the_code() {
    let (deployment, origin) = with_console();
    let browser = Browser::new(&deployment.place);
    let said = {
        browser.open(&format!("{origin}/enrol"));
        browser.write("#code", "0000-0000-0000-0000");
        browser.click("main button");
        until("refused", || {
            Some(browser.alert()).filter(|said| !said.is_empty())
        })
    };
    assert!(said.contains("invitation_unknown"), "{said}");
    // No passkey was made that the authenticator would offer from then on.
    assert_eq!(browser.credentials(), [] as [Value; 0]);
    enrol(&browser, &origin, &deployment.code());
    browser.arrives("/approvals");
    let shown = deployment
        .place
        .chancery(&["--format", "json", "trust", "show"])
        .json();
    let person = &shown["trust"]["people"][0];
    assert_eq!(person["roles"], json!(["principal", "approver"]));
    assert_eq!(person["credentials"][0]["origin"], origin.as_str());
    assert_eq!(person["credentials"][0]["hardware"], false);
    deployment
        .enrol(&deployment.code())
        .refused(1, &["one-time code"]);

    // A principal who answers for nobody sees no questions.
    let (invited, code) = invite(&deployment, &["--role", "principal"]);
    let other = Browser::new(&deployment.place);
    enrol(&other, &origin, &code);
    invited.ended().ok();
    other.arrives("/authority");
    other.open(&format!("{origin}/approvals"));
    assert!(other.text().contains("not_an_approver"), "{}", other.text());
    assert!(!other.text().contains("Approvals"), "{}", other.text());
    // A session, an instance or a consent of somebody else's is not theirs to end.
    let revoke = format!(
        "{SIGN} return post('/authority/revoke', {{ token: document.querySelector('[data-token]')?.dataset.token ?? '', what: given[0] }});"
    );
    let what = json!({"kind": "session", "id": "ses_7zzzzzzzzzzzzzzzzzzzzzzzzz"});
    assert_eq!(other.run_async(&revoke, &[what]), "form_token");
}
