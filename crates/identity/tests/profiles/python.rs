//! PyPI's `spiffe`, which `scripts/e2e-tools` installs.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use chancery_identity::JwtSvidClaims;
use chancery_types::id::CredentialId;
use chancery_types::jws::assemble;
use serde_json::{Value, json};

use crate::support::Domain;

/// Where the package is; says so where it is not, and fails where it must be.
fn library() -> Option<PathBuf> {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(
        || manifest.join("../../target"),
        |folder| manifest.join("../..").join(folder),
    );
    let folder = target.join("e2e-tools/spiffe");
    if folder.join("spiffe/spiffe_id").is_dir() {
        return Some(folder);
    }
    let said = format!("{} is missing; run scripts/e2e-tools", folder.display());
    let must = std::env::var_os("CI").is_some_and(|ci| ci == "true");
    assert!(!must, "{said}");
    println!("skipped: {said}");
    None
}

/// What the package answers; nothing, said aloud, where it is not there.
pub(crate) fn run(given: &Value) -> Option<Value> {
    let library = library()?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/profiles/other_spiffe.py");
    let mut child = Command::new("python3")
        .arg(script)
        .env("PYTHONPATH", library)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let text = given.to_string();
    let writing = std::thread::spawn(move || stdin.write_all(text.as_bytes()));
    let output = child.wait_with_output().unwrap();
    writing.join().unwrap().unwrap();
    assert!(output.status.success(), "{}", output.status);
    Some(serde_json::from_slice(&output.stdout).unwrap())
}

/// A token of ours, judged by a library that judges by the machine's clock.
#[test]
fn j_09_another_implementation_takes_our_tokens_and_keys() {
    let domain = Domain::new("td");
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let claims = JwtSvidClaims {
        aud: vec!["audience".parse().unwrap(), "other".parse().unwrap()],
        exp: now + 300,
        iat: now,
        iss: None,
        jti: CredentialId::from_random([1; 16]),
        sub: "spiffe://td/agent/a".parse().unwrap(),
    };
    let sign = |domain: &Domain| {
        let input = claims.signing_input(domain.jwt.public()).unwrap();
        assemble(&input, &domain.jwt.sign(input.as_bytes()).unwrap())
    };
    let ask = |token: String, audience: &str, bundle: String| {
        run(&json!({
            "do": "jwt", "trust_domain": "td", "token": token, "audience": audience,
            "bundle": bundle,
        }))
    };
    let bundle = domain.jwt_bundle().to_jwks();
    let Some(good) = ask(sign(&domain), "audience", bundle.clone()) else {
        return;
    };
    assert_eq!(
        good,
        json!({"spiffe_id": "spiffe://td/agent/a", "aud": ["audience", "other"]})
    );
    let forged = ask(sign(&Domain::new("td")), "audience", bundle.clone()).unwrap();
    assert!(forged["refused"].is_string(), "{forged}");
    let for_others = ask(sign(&domain), "nobody", bundle).unwrap();
    assert!(for_others["refused"].is_string(), "{for_others}");
    // The whole document has authorities without a name; that package wants each key named, so
    // that the Workload API never hands it one (Workload API section 6.2.2).
    let mixed = domain.document(1).to_json().unwrap();
    let mixed = ask(sign(&domain), "audience", mixed).unwrap();
    assert!(mixed["refused"].is_string(), "{mixed}");
}
