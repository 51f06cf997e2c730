use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn client(text: &str) -> Result<Message, EnvelopeError> {
    Message::from_client(text.as_bytes().to_vec())
}

fn forwarded(text: &str) -> String {
    client(text).unwrap().forwarded().into_owned()
}

#[test]
fn tells_the_kinds_apart() {
    let request = client(r#"{"jsonrpc":"2.0","id":"a","method":"ping"}"#).unwrap();
    assert_eq!(request.id(), Some(&RequestId::Text("a".into())));
    assert_eq!(request.method(), Some("ping"));
    let told = client(r#"{"method":"x/y","jsonrpc":"2.0","params":{}}"#).unwrap();
    assert!(matches!(told.kind(), Kind::Notification { .. }));
    let answer = client(r#"{"jsonrpc":"2.0","id":-1,"result":{"a":1.50}}"#).unwrap();
    assert_eq!(answer.body().unwrap().get(), r#"{"a":1.50}"#);
    let error = client(r#"{"jsonrpc":"2.0","id":null,"error":{"code":1}}"#).unwrap();
    let expected = Kind::Response {
        id: None,
        is_error: true,
    };
    assert_eq!(error.kind(), &expected);
}

#[test]
fn refuses_what_has_no_single_reading() {
    use EnvelopeError::*;
    let deep = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"m","params":{{"a":{}1{}}}}}"#,
        "[".repeat(70),
        "]".repeat(70)
    );
    for (bad, error) in [
        (r#"{"jsonrpc":"2.0","id":1,"id":1,"method":"m"}"#, Ambiguous),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"m","m\u0065thod":"x"}"#,
            Ambiguous,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"m","Method":"x"}"#,
            Ambiguous,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"m","param\u017f":{}}"#,
            Ambiguous,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"m","params":{"name":"a","name":"b"}}"#,
            Ambiguous,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"m","params":{"name":"a","Name":"b"}}"#,
            Ambiguous,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"m","params":{"_meta":{"a":1,"a":2}}}"#,
            Ambiguous,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"m","params":{"arguments":{"a":1,"a":2}}}"#,
            Ambiguous,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"m","params":{"arguments":{"a":[{"b":1,"b":2}]}}}"#,
            Ambiguous,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"m","x":{"a":1,"a":2}}"#,
            Ambiguous,
        ),
        (deep.as_str(), TooDeep),
        (r#"[{"jsonrpc":"2.0","id":1,"method":"m"}]"#, Batch),
        ("[]", Batch),
        (r#""x""#, NotObject),
        ("", NotJson),
        ("{", NotJson),
        (r#"{"jsonrpc":"2.0","id":1,"method":"m"}{}"#, NotJson),
        (r#"{"id":1,"method":"m"}"#, Version),
        (r#"{"jsonrpc":"1.0","id":1,"method":"m"}"#, Version),
        (r#"{"jsonrpc":2.0,"id":1,"method":"m"}"#, Version),
        (r#"{"jsonrpc":"2.0","id":null,"method":"m"}"#, Id),
        (r#"{"jsonrpc":"2.0","id":1.5,"method":"m"}"#, Id),
        (r#"{"jsonrpc":"2.0","id":{},"method":"m"}"#, Id),
        (r#"{"jsonrpc":"2.0","result":{}}"#, Id),
        (r#"{"jsonrpc":"2.0","id":1}"#, Shape),
        (r#"{"jsonrpc":"2.0","id":1,"method":7}"#, Shape),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"m","result":{}}"#,
            Shape,
        ),
        (r#"{"jsonrpc":"2.0","id":1,"result":{},"error":{}}"#, Shape),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"m","params":[1]}"#,
            Params,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"m","params":null}"#,
            Params,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"m","params":{"_meta":7}}"#,
            Params,
        ),
    ] {
        assert_eq!(client(bad).unwrap_err(), error, "{bad}");
    }
    assert_eq!(
        Message::from_client(b"\"\xff\"".to_vec()).unwrap_err(),
        NotJson
    );
}

#[test]
fn servers_are_read_by_their_envelope_only() {
    let message = r#"{"jsonrpc":"2.0","id":1,"result":{"a":1,"a":2}}"#;
    assert!(client(message).is_err());
    assert!(Message::from_server(message.as_bytes().to_vec()).is_ok());
    assert!(
        Message::from_server(br#"{"jsonrpc":"2.0","id":1,"id":2,"result":{}}"#.to_vec()).is_err()
    );
    assert!(Message::from_server(b"listening on stdio".to_vec()).is_err());
}

#[test]
fn forwards_every_other_byte() {
    let odd = r#" { "x":[1.50, 1E+2 ,-0.0,12345678901234567890123] , "jsonrpc":"2.0","method":"tools/call", "id" : 7,"params":{"future":{"\u0061":"\/"},"name":"t","_meta":{ "k":1 }} } "#;
    assert_eq!(forwarded(odd), odd);
}

#[test]
fn takes_out_delegation_and_proof_and_nothing_else() {
    let wrap = |meta: &str| {
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"m","params":{{"a":1.0,{meta}"z":2}}}}"#)
    };
    let with = |inner: &str| wrap(&format!(r#""_meta":{inner},"#));
    for (given, left) in [
        (
            r#"{"io.chancery/delegation":["x"],"k": 1}"#,
            with(r#"{"k": 1}"#),
        ),
        (r#"{"k": 1 , "io.chancery/proof":"y"}"#, with(r#"{"k": 1}"#)),
        (
            r#"{"a":1,"io.chancery/proof":"y","b":{},"io.chancery/delegation":[]}"#,
            with(r#"{"a":1,"b":{}}"#),
        ),
        (
            r#"{"io.chancery\/delegation":"x","k":1}"#,
            with(r#"{"k":1}"#),
        ),
        (
            r#"{"io.chancery/delegation":"x" , "io.chancery/proof":"y" }"#,
            wrap(""),
        ),
        (
            r#"{"io.chancery/step":"s","k":1,"io.chancery/opinion":{"verdict":"deny"}}"#,
            with(r#"{"k":1}"#),
        ),
        (r#"{"io.chancery/step":"s"}"#, wrap("")),
        (r#"{"io.chancery/opinion":[]}"#, wrap("")),
        ("{}", with("{}")),
    ] {
        assert_eq!(forwarded(&with(given)), left, "{given}");
    }
    let only =
        r#"{"jsonrpc":"2.0","id":1,"method":"m","params":{"_meta":{"io.chancery/proof":"y"}}}"#;
    let message = client(only).unwrap();
    assert_eq!(message.proof(), Some("\"y\""));
    assert_eq!(message.delegation(), None);
    assert_eq!(
        message.forwarded(),
        r#"{"jsonrpc":"2.0","id":1,"method":"m","params":{}}"#
    );
}

#[test]
fn a_credential_elsewhere_is_not_one() {
    let text = r#"{"jsonrpc":"2.0","id":1,"method":"m","params":{"arguments":{"_meta":{"io.chancery/proof":"y"}}}}"#;
    let message = client(text).unwrap();
    assert_eq!(message.proof(), None);
    assert_eq!(message.forwarded(), text);
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,6}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-z\"\\\\é]{0,4}", inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn arbitrary_bytes_are_read_or_refused(bytes in any::<Vec<u8>>()) {
        if let Ok(message) = Message::from_client(bytes.clone()) {
            prop_assert_eq!(message.text().as_bytes(), &bytes[..]);
        }
        let _ = Message::from_server(bytes);
    }

    #[test]
    fn only_our_members_are_taken_out(
        meta in prop::collection::btree_map("[a-z]{1,3}", value(), 0..4),
        other in value(),
        delegation in prop::option::of(value()),
        proof in prop::option::of(value()),
        step in prop::option::of(value()),
        opinion in prop::option::of(value()),
        pretty in any::<bool>(),
    ) {
        let message = |meta: Option<Value>| {
            let mut message = json!({"jsonrpc": "2.0", "id": 1, "method": "m", "params": {"z": other}});
            if let Some(meta) = meta {
                message["params"]["_meta"] = meta;
            }
            message
        };
        let mut full = Value::Object(meta.clone().into_iter().collect());
        let ours = [
            (DELEGATION, &delegation),
            (PROOF, &proof),
            (STEP, &step),
            (OPINION, &opinion),
        ];
        for (name, value) in ours {
            if let Some(value) = value {
                full[name] = value.clone();
            }
        }
        let untouched = ours.iter().all(|(_, value)| value.is_none());
        let left = (untouched || !meta.is_empty())
            .then(|| Value::Object(meta.into_iter().collect()));
        let full = message(Some(full));
        let text = if pretty { format!("{full:#}") } else { full.to_string() };
        let read = client(&text).unwrap();
        let forwarded = read.forwarded();
        prop_assert_eq!(serde_json::from_str::<Value>(&forwarded).unwrap(), message(left));
        prop_assert_eq!(read.delegation().map(|raw| raw.parse::<Value>().unwrap()), delegation.clone());
        prop_assert_eq!(read.proof().map(|raw| raw.parse::<Value>().unwrap()), proof.clone());
        prop_assert_eq!(read.opinion().map(|raw| raw.parse::<Value>().unwrap()), opinion.clone());
    }
}
