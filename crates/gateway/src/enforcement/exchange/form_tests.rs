use super::*;

const PROOF: &str = "eyJhbGciOiJFZDI1NTE5IiwidHlwIjoiYWR0LXBvcCtqd3QifQ.eyJleGVjIjoiZSJ9.AA";

/// A form with these parameters in place of the usual ones, or beside them.
fn form(changes: &[(&str, &str)]) -> String {
    let usual = [
        ("grant_type", GRANT_TYPE),
        ("subject_token_type", CHAIN_TOKEN_TYPE),
        ("subject_token", "a,b"),
        ("audience", "https://api.example"),
        ("client_assertion_type", PROOF_ASSERTION_TYPE),
        ("client_assertion", PROOF),
    ];
    let mut written = form_urlencoded::Serializer::new(String::new());
    for (name, value) in usual {
        if !changes.iter().any(|(changed, _)| *changed == name) {
            written.append_pair(name, value);
        }
    }
    for (name, value) in changes {
        written.append_pair(name, value);
    }
    written.finish()
}

fn parse(changes: &[(&str, &str)]) -> Result<ExchangeForm, &'static str> {
    ExchangeForm::parse(form(changes).as_bytes())
}

#[test]
fn a_form_is_the_call_that_it_asks_for() {
    let details = r#"[{"type":"mcp_tool","server":"s","tool":"t"}]"#;
    let form = parse(&[("authorization_details", details), ("scope", "")]).unwrap();
    let call = form.to_call().unwrap();
    assert_eq!(call.target(), "https://api.example");
    assert_eq!(call.visit().server().as_str(), EXCHANGE_SERVER);
    assert_eq!(call.delegation(), Some(r#"["a","b"]"#));
    assert_eq!(call.proof(), Some(format!("\"{PROOF}\"").as_str()));
    let expected = format!(r#"{{"authorization_details":{details}}}"#);
    assert_eq!(call.arguments(), Some(expected.as_str()));
    let referred = parse(&[("subject_token", "sha256:00")]).unwrap();
    assert_eq!(
        referred.to_call().unwrap().delegation(),
        Some("\"sha256:00\"")
    );
    let both = ("resource", "https://api.example");
    assert!(parse(&[both]).is_ok());
    assert!(parse(&[("audience", ""), both]).is_ok());
    let more = [("requested_token_type", ACCESS_TOKEN_TYPE), ("vendor", "x")];
    assert!(parse(&more).is_ok());
}

#[test]
fn everything_else_has_its_code() {
    let other = "https://other.example";
    let cases: &[(&[(&str, &str)], &str)] = &[
        (
            &[("grant_type", "client_credentials")],
            "exchange_grant_type",
        ),
        (&[("grant_type", "")], FORM),
        (&[("actor_token", "x")], "exchange_actor"),
        (&[("actor_token_type", "x")], "exchange_actor"),
        (&[("scope", "all")], "exchange_scope"),
        (
            &[("subject_token_type", ACCESS_TOKEN_TYPE)],
            "exchange_token_type",
        ),
        (&[("subject_token_type", "")], FORM),
        (&[("subject_token", "")], FORM),
        (
            &[(
                "requested_token_type",
                "urn:ietf:params:oauth:token-type:refresh_token",
            )],
            "exchange_token_type",
        ),
        (&[("audience", "")], TARGET),
        (&[("audience", "api")], TARGET),
        (&[("audience", "https://api.example?x")], TARGET),
        (
            &[("audience", "https://a.example https://b.example")],
            TARGET,
        ),
        (&[("resource", other)], TARGET),
        (&[("client_assertion_type", "")], "pop_missing"),
        (
            &[(
                "client_assertion_type",
                "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            )],
            "pop_missing",
        ),
        (&[("client_assertion", "")], "pop_missing"),
        (&[("client_assertion", "x")], "malformed"),
        (
            &[(
                "client_assertion",
                "eyJhbGciOiJFZDI1NTE5IiwidHlwIjoidCJ9.e30.AA",
            )],
            "pop_mismatch",
        ),
    ];
    for (changes, code) in cases {
        assert_eq!(parse(changes).unwrap_err(), *code, "{changes:?}");
    }
    let api = "https://api.example";
    for (first, second) in [(api, api), (api, other)] {
        let twice = parse(&[("audience", first), ("audience", second)]);
        assert_eq!(twice.unwrap_err(), TARGET);
    }
    for name in ["subject_token", "client_assertion", "grant_type", "vendor"] {
        assert_eq!(
            parse(&[(name, "x"), (name, "x")]).unwrap_err(),
            FORM,
            "{name}"
        );
    }
}

#[test]
fn what_has_two_readings_is_refused() {
    let good = form(&[]);
    for bad in [
        format!("{good}&x=%"),
        format!("{good}&x=%4"),
        format!("{good}&x=%zz"),
        format!("{good}&x=%ff"),
        format!("{good}&x=\u{e9}"),
        format!("{good}\r\n"),
        format!("{good}&x=a b"),
        format!("{good}&%61udience=https://other.example"),
    ] {
        assert!(ExchangeForm::parse(bad.as_bytes()).is_err(), "{bad}");
    }
    let long = form(&[("vendor", &"x".repeat(MAX_BYTES))]);
    assert_eq!(ExchangeForm::parse(long.as_bytes()), Err("too_long"));
    for details in [
        "",
        "[",
        "[]]",
        r#"[]},"_meta":{"#,
        r#"[],"authorization_details":[]"#,
        "[]}}",
    ] {
        let form = parse(&[("authorization_details", details)]).unwrap();
        assert_eq!(form.to_call().is_ok(), details.is_empty(), "{details}");
    }
}
