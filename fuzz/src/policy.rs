//! Policy bundles.

use std::collections::BTreeSet;

use chancery_policy::{
    Annotations, BUNDLE_FILE, Bundle, Files, Index, Kind, Principal, Request, SessionFacts, Target,
    bundle_digest, cmcp_digest, schema_text,
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
