//! Policy bundles.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use chancery_policy::{
    Annotations, BUNDLE_FILE, Bundle, Files, Index, Kind, Principal, Question, Request,
    SCHEMA_FILE, SessionFacts, Table, Target, bundle_digest, cmcp_digest, schema_text,
};
use serde_json::json;

use crate::sections::sections;
use crate::world::NOW;

/// An index that is read has a schema.
pub(crate) fn index(input: &[u8]) -> bool {
    let files = Files::from([(BUNDLE_FILE.to_owned(), input.to_vec())]);
    let Ok(index) = Index::parse(&files) else {
        return false;
    };
    assert!(!index.name().is_empty());
    assert!(!schema_text(&index).is_empty());
    true
}

/// A bundle that is loaded decides whatever it is asked.
pub(crate) fn bundle(input: &[u8]) -> bool {
    let files: Files = sections(input).into_iter().collect();
    let _ = cmcp_digest(&files);
    let Ok(bundle) = Bundle::load(&files) else {
        return false;
    };
    assert_eq!(bundle_digest(&files).ok(), Some(bundle.digest()));
    let (arguments, grants) = (json!({"amount": 1, "path": "/a"}), BTreeSet::new());
    let tools = bundle.index().tools().keys();
    for (server, name) in tools.filter_map(|tool| tool.split_once('/')).take(8) {
        for kind in [Kind::Tool, Kind::Resource, Kind::Prompt] {
            let request = Request {
                principal: Principal {
                    instance: "spiffe://acme.example/agent/clerk/instance/1",
                    agent: "spiffe://acme.example/agent/clerk",
                    principal: "p",
                    mission: "m",
                    depth: 1,
                    attestation_level: 1,
                    isolated: true,
                    asserted: false,
                },
                target: Target { kind, server, name },
                annotations: Annotations::default(),
                arguments: &arguments,
                session: SessionFacts::default(),
                now: NOW,
                grants: &grants,
            };
            assert_eq!(bundle.decide(&request), bundle.decide(&request));
        }
    }
    true
}

/// A table that is read has rows; what a row asks is written as it is read, and decided by whichever
/// bundle.
pub(crate) fn table(input: &[u8]) -> bool {
    let Some(table) = std::str::from_utf8(input)
        .ok()
        .and_then(|text| Table::parse("tests/a.json", text).ok())
    else {
        return false;
    };
    assert!(!table.rows().is_empty());
    let bundle = EMPTY.as_ref();
    for row in table.rows() {
        let written = serde_json::to_vec(row.question()).unwrap_or_default();
        assert_eq!(Question::parse(&written).as_ref(), Ok(row.question()));
        assert!(bundle.is_some_and(|bundle| row.run(bundle) == row.run(bundle)));
    }
    true
}

static EMPTY: LazyLock<Option<Bundle>> = LazyLock::new(|| {
    let index = br#"{"name": "empty", "version": 1, "tools": {}}"#.to_vec();
    let mut files = Files::from([(BUNDLE_FILE.to_owned(), index)]);
    let schema = schema_text(&Index::parse(&files).ok()?);
    files.insert(SCHEMA_FILE.to_owned(), schema.into_bytes());
    Bundle::load(&files).ok()
});
