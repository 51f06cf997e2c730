//! Wrong input to a deployment that runs: each is named, with what helps, and nothing is lost.

use super::deployment::{Deployment, text};
use super::place::{Place, Started, chancery, checkout, free_port, until};

#[test]
fn wrong_usage_ends_with_two() {
    let place = Place::new();
    place
        .chancery(&["up", "--no-such-flag"])
        .refused(2, &["--no-such-flag", "--help"]);
    place.chancery(&[]).refused(2, &["Usage"]);
    place
        .chancery(&["run", "--agent", "desk"])
        .refused(2, &["<CMD>"]);
    place
        .chancery(&["evidence", "ses_1", "--out", "evidence"])
        .refused(2, &["ses_1", "not an identifier"]);
    place
        .chancery(&["why", "ses_1", "--evidence", "evidence"])
        .refused(2, &["ses_1"]);
    place
        .chancery(&["graph", "--evidence", "evidence"])
        .refused(2, &["--session"]);
    place
        .chancery(&["graph", "--person", "ses_1"])
        .refused(2, &["ses_1"]);
    place
        .chancery(&["verify", "evidence", "--format", "svg"])
        .refused(2, &["svg", "chancery graph"]);
    assert!(!place.at("chancery-data").exists());
}

#[test]
fn without_a_deployment_every_command_says_how_to_make_one() {
    let place = Place::new();
    for command in [
        vec!["trust", "show"],
        vec!["agent", "list"],
        vec!["approvals", "list"],
        vec!["log", "check"],
        vec!["graph", "--agent", "desk"],
        vec!["erase", "per_7zzzzzzzzzzzzzzzzzzzzzzzzz", "--dry-run"],
        vec!["run", "--agent", "desk", "--", "true"],
        vec!["connect", "ledger", "--agent", "desk"],
    ] {
        place
            .chancery(&command)
            .refused(1, &["chancery-data", "chancery up --data"]);
    }
    assert!(!place.at("chancery-data").exists());
}

#[test]
fn what_is_not_evidence_is_not_verified() {
    let place = Place::new();
    place
        .chancery(&["verify", "nowhere"])
        .refused(1, &["nowhere", "not a folder"]);
    std::fs::create_dir(place.at("folder")).unwrap();
    place.write("folder/letter.txt", "dear auditor");
    place
        .chancery(&["verify", "folder"])
        .refused(1, &["folder", "no evidence", "chancery evidence"]);
    place.write("folder/index.json", "{}");
    place.write("trust.json", "{}");
    place
        .chancery(&["verify", "folder", "--trust", "trust.json"])
        .refused(1, &["trust.json", "not a trust document"]);
    let ran = place.chancery(&["verify", "folder"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.out.starts_with("self-asserted"), "{ran:?}");
    let execution = format!("exe_{}", "0".repeat(26));
    let ran = place.chancery(&["why", &execution, "--evidence", "folder"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
}

#[test]
fn wrong_input_to_a_deployment_is_named_with_what_helps() {
    let deployment = Deployment::with_person();
    let place = &deployment.place;
    deployment.agent("desk", "/bin/true");

    let manifest = std::fs::read(place.at("desk.manifest")).unwrap();
    let mut flipped = manifest.clone();
    flipped[manifest.len() / 2] ^= 1;
    place.write("flipped.manifest", flipped);
    place.write("cut.manifest", &manifest[..manifest.len() / 2]);
    place.write("empty.manifest", "");
    for file in [
        "flipped.manifest",
        "cut.manifest",
        "empty.manifest",
        "no.manifest",
    ] {
        place
            .chancery(&["agent", "register", file])
            .refused(1, &[file]);
    }
    let listed = place
        .chancery(&["--format", "json", "agent", "list"])
        .json();
    assert_eq!(listed["agents"].as_array().unwrap().len(), 1);

    let run =
        |agent: &str, program: &str| place.chancery(&["run", "--agent", agent, "--", program]);
    run("nobody", "/bin/true").refused(1, &["agent_unknown", "chancery agent register"]);
    run("desk", "/bin/echo").refused(1, &["code_mismatch", "manifest"]);
    run("desk", "no-such-program").refused(1, &["no-such-program", "PATH"]);
    run("not a name", "/bin/true").refused(1, &["--agent not a name"]);
    place
        .chancery(&[
            "run",
            "--agent",
            "desk",
            "--read",
            "no-file",
            "--",
            "/bin/true",
        ])
        .refused(1, &["--read no-file"]);
    place
        .chancery(&[
            "run",
            "--agent",
            "desk",
            "--read",
            "/proc",
            "--",
            "/bin/true",
        ])
        .refused(1, &["/proc", "elsewhere"]);
    place
        .chancery(&["connect", "ledger"])
        .refused(1, &["--agent"]);
    place
        .chancery(&["spawn", "--agent", "desk", "--allow", "a/b", "--", "true"])
        .refused(1, &["chancery run"]);

    let unknown = format!("ses_{}", "0".repeat(26));
    place
        .chancery(&["evidence", &unknown, "--out", "evidence"])
        .refused(1, &[&unknown, "has not ended"]);
    assert!(!place.at("evidence").exists());
    let unknown = format!("apv_{}", "0".repeat(26));
    place
        .chancery(&["approvals", "show", &unknown])
        .refused(1, &[&unknown]);

    place.write("mission.md", "# A mission\n");
    let good = std::fs::read_to_string(checkout().join("demo/mission.json")).unwrap();
    place.write("mission.json", &good);
    place.write(
        "wrong.json",
        good.replace("\"calls\": 5000", "\"calls\": 0"),
    );
    let check = |file: &str| place.chancery(&["mission", "check", file]);
    check("mission.json").ok();
    check("no.md").refused(1, &["no.md"]);
    check("mission.md").refused(1, &["mission.md", "document", "JSON"]);
    check("wrong.json").refused(1, &["wrong.json", "budget.calls", "from 1"]);
    let delegate = |mission: &str, allow: &str, authenticator: &str| {
        place.chancery(&[
            "delegate",
            "--to",
            "latest",
            "--mission",
            mission,
            "--allow",
            allow,
            "--authenticator",
            authenticator,
            "--yes",
        ])
    };
    let me = "me.authenticator";
    delegate("no.md", "ledger/list", me).refused(1, &["no.md"]);
    delegate("mission.md", "ledger/list", me).refused(1, &["mission.md", "document"]);
    delegate("wrong.json", "ledger/list", me).refused(1, &["wrong.json", "budget.calls"]);
    delegate("mission.json", "ledger", me).refused(1, &["--allow ledger", "SERVER/TOOL"]);
    delegate("mission.json", "{", me).refused(1, &["--allow {"]);
    delegate("mission.json", "ledger/list", "no.key").refused(1, &["no.key"]);
    delegate("mission.json", "ledger/list", "mission.md").refused(1, &["mission.md", "chmod 600"]);
    delegate("mission.json", "ledger/list", me).refused(1, &["latest", "chancery run", "--wait"]);

    slips(&deployment);
    place
        .chancery(&["log", "prove", "999999"])
        .refused(1, &["999999"]);
    place.chancery(&["log", "--log", "server", "check"]).ok();
    assert!(deployment.logged("session.open").is_empty());
}

/// Each is a slip of whoever types a command.
fn slips(deployment: &Deployment) {
    let place = &deployment.place;
    let revoke = |kind: &str, id: &str| place.chancery(&["revoke", kind, id, "--reason", "a slip"]);
    revoke("agent", "nonsense").refused(1, &["\"nonsense\" names no agent", "SPIFFE ID"]);
    revoke("session", "nonsense").refused(1, &["names no session", "ses_"]);
    for (kind, id) in [
        ("token", "nonsense"),
        ("agent", "spiffe://chancery.example/agent/nobody"),
    ] {
        let ran = revoke(kind, id);
        assert!(
            ran.err.contains("it is revoked should it appear"),
            "{ran:?}"
        );
        assert!(ran.ok().contains("is revoked, as entry"));
    }
    let known = revoke("agent", "spiffe://chancery.example/agent/desk");
    assert!(!known.err.contains("should it appear"), "{known:?}");
    known.ok();
    let refused = place.chancery(&["run", "--agent", "desk", "--", "/bin/true"]);
    refused.refused(1, &["instance_refused", "chancery revoke list"]);
    let shown = place.chancery(&["agent", "show", "desk"]).ok();
    let expires = shown.lines().find(|line| line.starts_with("expires_at"));
    assert!(expires.unwrap().ends_with('Z'), "{shown}");

    place.write("there", "mine");
    let tokens = || {
        let all = ["log", "--log", "server", "entries", "--count", "1000"];
        let listed = place.chancery(&[&["--format", "json"], &all[..]].concat());
        listed.ok().matches("\"node.token\"").count()
    };
    let token = |out: &str| place.chancery(&["node", "token", "--out", out]);
    let before = tokens();
    token("there").refused(1, &["there exists already; name another"]);
    token("token").ok();
    // The log shows what is published, once a second.
    until("the token", || (tokens() > before).then_some(()));
    let manifest = |name: &str, out: &str| {
        let program = ["--program", "/bin/true", "--intent", "a slip"];
        let all = ["agent", "manifest", "--name", name, "--out", out];
        place.chancery(&[&all[..], &program].concat())
    };
    manifest("other", "there").refused(1, &["there exists already; name another"]);
    manifest("Bad Name", "bad.manifest").refused(1, &["--name \"Bad Name\"", "letters, digits"]);
    assert_eq!(std::fs::read_to_string(place.at("there")).unwrap(), "mine");

    let admit = |tpm: &str| place.chancery(&["node", "admit-tpm", tpm]);
    admit("sha256:abc").refused(
        1,
        &[
            "sha256:abc: neither a digest",
            "64 hex digits",
            "nor a file",
        ],
    );
    place
        .chancery(&["node", "tpm", "--tpm", "/dev/no-such-tpm"])
        .refused(1, &["/dev/no-such-tpm", "shows no TPM", "--tpm"]);
    let params = rcgen::CertificateParams::new(vec!["host".to_owned()]).unwrap();
    let own = params.self_signed(&rcgen::KeyPair::generate().unwrap());
    place.write("host.pem", own.unwrap().pem());
    place
        .chancery(&["node", "admit-ca", "host.pem"])
        .refused(1, &["host.pem", "CA:TRUE", "keyCertSign"]);

    // The gateway's port in place of the one for nodes.
    let server = format!("127.0.0.1:{}", deployment.port);
    let join = ["node", "join", "--data", "host", "--token-file", "token"];
    let trust = ["--trust", "chancery-data/trust.json", "--server", &server];
    place
        .chancery(&[&join[..], &trust].concat())
        .refused(3, &[&server, "is this the address of `up --nodes`?"]);
    // One token was made: none where it could not be written.
    assert_eq!(tokens(), before + 1);
}

#[test]
fn a_tool_server_that_does_not_start_says_why() {
    for (server, said) in [
        (
            "broken=/bin/sh -c 'echo cannot read the books >&2; exit 3'",
            "cannot read the books",
        ),
        ("absent=/no/such-program", "/no/such-program"),
    ] {
        let place = Place::new();
        let mut command = place.command(chancery());
        command.args(["up", "--gateway-port", &free_port()]);
        let policy = checkout().join("demo/policy");
        command.args(["--policy", text(&policy), "--tool-server", server]);
        let mut up = Started::new(&mut command, &place);
        until(said, || {
            assert!(up.exit().is_none(), "up ended: {}", up.err());
            up.err().contains(said).then_some(())
        });
    }
}
