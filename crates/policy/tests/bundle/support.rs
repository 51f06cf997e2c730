//! A small bundle and requests to it.

use std::collections::BTreeSet;

use chancery_policy::{
    Annotations, Bundle, BundleError, Decision, Files, Index, Kind, Principal, Request,
    SessionFacts, Target, schema_text,
};
use chancery_types::Timestamp;
use serde_json::Value;

pub(crate) const INDEX: &str = r#"{
  "name": "payments", "version": 1,
  "tools": {
    "bank/pay": {
      "args": {"amount": "long", "to": "string", "urgent": "bool?"},
      "clear": ["amount"], "cost_arg": "amount", "cost_unit": "cents"
    },
    "bank/list": {},
    "files/read": {"args": {"path": "string"}}
  }
}"#;

pub(crate) fn files(policies: &str) -> Files {
    let mut files = Files::from([
        ("bundle.json".to_owned(), INDEX.as_bytes().to_vec()),
        ("policies.cedar".to_owned(), policies.as_bytes().to_vec()),
    ]);
    let schema = schema_text(&Index::parse(&files).unwrap());
    files.insert("schema.cedarschema".to_owned(), schema.into_bytes());
    files
}

pub(crate) fn load(policies: &str) -> Result<Bundle, BundleError> {
    Bundle::load(&files(policies))
}

pub(crate) fn principal() -> Principal<'static> {
    Principal {
        instance: "spiffe://example.org/agent/clerk/instance/1",
        agent: "spiffe://example.org/agent/clerk",
        principal: "p1",
        mission: "m1",
        depth: 1,
        attestation_level: 2,
        isolated: true,
        asserted: false,
    }
}

pub(crate) fn ask(bundle: &Bundle, tool: &str, arguments: &Value, grants: &[&str]) -> Decision {
    let (server, name) = tool.split_once('/').unwrap();
    ask_for(
        bundle,
        Target {
            kind: Kind::Tool,
            server,
            name,
        },
        arguments,
        grants,
    )
}

pub(crate) fn ask_for(
    bundle: &Bundle,
    target: Target<'_>,
    arguments: &Value,
    grants: &[&str],
) -> Decision {
    let grants: BTreeSet<String> = grants.iter().map(|id| (*id).to_owned()).collect();
    bundle.decide(&Request {
        principal: principal(),
        target,
        annotations: Annotations::default(),
        arguments,
        session: SessionFacts {
            calls: 3,
            ..SessionFacts::default()
        },
        now: Timestamp::from_seconds(1_800_000_000),
        grants: &grants,
    })
}
