//! Metrics, health and readiness of a running deployment, read by a program of others.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::clients::{NORTH, python_again, python_client};
use super::deployment::Deployment;
use super::foreign::python;
use super::place::{Ran, checkout, until};
use super::tools::{Tools, python_package};

const PARTS: [&str; 4] = ["signer", "server", "node", "gateway"];

/// Where a deployment shows them: host and port.
fn address(deployment: &Deployment) -> String {
    let url = deployment.opened["metrics"].as_str().unwrap();
    let rest = url.strip_prefix("http://").unwrap();
    rest.strip_suffix("/metrics").unwrap().to_owned()
}

/// Status, head and body of an answer.
fn ask(deployment: &Deployment, method: &str, path: &str) -> (u16, String, String) {
    let mut stream = TcpStream::connect(address(deployment)).unwrap();
    let request = format!("{method} {path} HTTP/1.0\r\nHost: here\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, head.to_owned(), body.to_owned())
}

/// The families, as a program of others reads them.
fn families(deployment: &Deployment) -> Option<Value> {
    let package = python_package("prometheus-client")?;
    let mut reader = python(&deployment.place, "metrics.py", &package);
    reader.arg(format!("http://{}/metrics", address(deployment)));
    Some(Ran::to_the_end(&mut reader, &deployment.place).json())
}

/// The sum of the samples of that name which have this label.
fn sum(families: &Value, family: &str, sample: &str, label: (&str, &str)) -> f64 {
    let samples = families[family]["samples"].as_array();
    let matching = samples
        .into_iter()
        .flatten()
        .filter(|one| one[0] == sample && one[1][label.0] == label.1);
    matching.map(|one| one[2].as_f64().unwrap()).sum()
}

#[test]
fn a_program_of_others_reads_what_happened_and_every_family_is_documented() {
    let Some(tools) = Tools::find() else {
        return;
    };
    let deployment = Deployment::with_person();
    let allowed = python_client(&deployment, &tools, &["balance", r#"{"book":"north"}"#]);
    deployment.delegate(&[NORTH]);
    allowed.ended().ok();
    let denied = python_again(&deployment, &tools, &["balance", r#"{"book":"west"}"#]);
    deployment.delegate(&[NORTH]);
    // The client tells of the refusal and goes on.
    denied.ended().ok();
    let Some(seen) = families(&deployment) else {
        return;
    };
    let decisions = |decision| {
        let label = ("decision", decision);
        sum(
            &seen,
            "chancery_decisions",
            "chancery_decisions_total",
            label,
        )
    };
    assert!(
        decisions("allow") >= 1.0 && decisions("deny") >= 1.0,
        "{seen:#}"
    );
    let denials = seen["chancery_decisions"]["samples"].as_array().unwrap();
    let denial = denials
        .iter()
        .find(|one| one[1]["decision"] == "deny")
        .unwrap();
    let reasons = checkout().join("docs/reference/reasons.md");
    let reasons = std::fs::read_to_string(reasons).unwrap();
    let reason = denial[1]["reason"].as_str().unwrap();
    assert!(reasons.contains(&format!("| `{reason}` |")), "{reason}");
    let issued = ("route", "POST /v1/issue/x509");
    assert!(
        sum(
            &seen,
            "chancery_requests",
            "chancery_requests_total",
            issued
        ) >= 2.0
    );
    let took = ("decision", "allow");
    let count = sum(
        &seen,
        "chancery_decision_seconds",
        "chancery_decision_seconds_count",
        took,
    );
    assert!(count >= 1.0, "{seen:#}");
    for part in PARTS {
        let up = sum(
            &seen,
            "chancery_part_up",
            "chancery_part_up",
            ("part", part),
        );
        assert_eq!(up, 1.0, "{part}");
    }

    let page = checkout().join("docs/reference/metrics.md");
    let page = std::fs::read_to_string(page).unwrap();
    let documented: BTreeSet<_> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
        .map(|name| name.trim_end_matches("_total").to_owned())
        .collect();
    let shown: BTreeSet<_> = seen.as_object().unwrap().keys().cloned().collect();
    assert_eq!(shown, documented);
    // Nothing in it says who or what was acted on.
    let (_, _, text) = ask(&deployment, "GET", "/metrics");
    for secret in [
        "north",
        "west",
        "balance",
        "ledger",
        "spiffe://",
        "per_",
        "ses_",
    ] {
        assert!(!text.contains(secret), "{secret}: {text}");
    }
}

#[test]
fn readiness_follows_the_parts_and_their_ends_are_counted() {
    let deployment = Deployment::new();
    let (status, _, body) = ask(&deployment, "GET", "/healthz");
    assert_eq!((status, body.as_str()), (200, "ok\n"));
    let ready = || {
        let (status, _, body) = ask(&deployment, "GET", "/readyz");
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(status == 200, body["ready"] == true, "{body}");
        body
    };
    until("all parts are ready", || {
        (ready()["ready"] == true).then_some(())
    });
    let pid = deployment.opened["processes"]["server"].as_i64().unwrap();
    kill(Pid::from_raw(pid.try_into().unwrap()), Signal::SIGSTOP).unwrap();
    until("a server that hangs is seen", || {
        (ready()["parts"]["server"] == false).then_some(())
    });
    let down = ask(&deployment, "GET", "/metrics").2;
    assert!(
        down.contains("chancery_part_up{part=\"server\"} 0"),
        "{down}"
    );
    assert!(
        down.contains("chancery_part_up{part=\"signer\"} 1"),
        "{down}"
    );
    kill(Pid::from_raw(pid.try_into().unwrap()), Signal::SIGKILL).unwrap();
    until("another server is ready", || {
        (ready()["ready"] == true).then_some(())
    });
    let text = ask(&deployment, "GET", "/metrics").2;
    assert!(
        text.contains("chancery_part_restarts_total{part=\"server\"} 1"),
        "{text}"
    );
    assert!(
        text.contains("chancery_part_restarts_total{part=\"signer\"} 0"),
        "{text}"
    );
}

#[test]
fn nothing_else_is_answered_and_the_parts_sockets_are_their_owners() {
    let deployment = Deployment::new();
    assert_eq!(ask(&deployment, "GET", "/v1/status").0, 404);
    assert_eq!(ask(&deployment, "GET", "/").0, 404);
    for path in ["/metrics", "/healthz", "/readyz"] {
        assert_eq!(ask(&deployment, "POST", path).0, 405, "{path}");
        assert_eq!(ask(&deployment, "DELETE", path).0, 405, "{path}");
    }
    for part in PARTS {
        let socket = format!("chancery-data/run/{part}.metrics.sock");
        let metadata = std::fs::metadata(deployment.place.at(socket)).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o777, 0o600, "{part}");
    }
    let taken = address(&deployment);
    let free = super::place::free_port();
    let arguments = [
        "up",
        "--data",
        "other",
        "--gateway-port",
        &free,
        "--metrics",
        &taken,
    ];
    deployment
        .place
        .chancery(&arguments)
        .refused(1, &["--metrics", &taken, "choose another"]);
    let arguments = ["up", "--data", "other", "--metrics", "nowhere"];
    deployment
        .place
        .chancery(&arguments)
        .refused(2, &["--metrics"]);
}
