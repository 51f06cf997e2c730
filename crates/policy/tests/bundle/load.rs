//! What a bundle may not be, and that the refusal says where and what to do.

use chancery_policy::{Bundle, BundleError, MAX_BUNDLE_BYTES, bundle_digest};

use crate::support::{INDEX, files, load};

const PERMIT: &str = "@id(\"all\")\npermit (principal, action, resource);\n";

fn refusal(policies: &str) -> BundleError {
    load(policies).unwrap_err()
}

fn index_refusal(index: &str) -> BundleError {
    let mut files = files(PERMIT);
    files.insert("bundle.json".to_owned(), index.as_bytes().to_vec());
    Bundle::load(&files).unwrap_err()
}

#[test]
fn every_policy_has_its_own_id() {
    assert_eq!(
        refusal("\n  permit (principal, action, resource);").to_string(),
        "policies.cedar:2:3: the policy has no id: put @id(\"...\") before it"
    );
    for bad in ["", " ", "-a", ".a", "a b", "a/b", "é"] {
        let text = format!("@id(\"{bad}\") permit (principal, action, resource);");
        assert!(matches!(refusal(&text), BundleError::BadId(_)), "{bad:?}");
    }
    let twice = refusal(&format!("{PERMIT}{PERMIT}"));
    assert!(matches!(twice, BundleError::DuplicateId { .. }));
    assert!(
        twice.to_string().starts_with("policies.cedar:3:1:"),
        "{twice}"
    );
    let mut across = files(PERMIT);
    across.insert("z/more.cedar".to_owned(), PERMIT.as_bytes().to_vec());
    let across = Bundle::load(&across).unwrap_err().to_string();
    assert!(across.starts_with("z/more.cedar:1:1:") && across.contains("policies.cedar:1:1"));
}

#[test]
fn annotations_are_known_ones() {
    for bad in [
        "@id(\"a\") @effect(\"deny\") permit (principal, action, resource);",
        "@id(\"a\") @effect permit (principal, action, resource);",
        "@id(\"a\") @effect(\"Ask\") permit (principal, action, resource);",
        "@id(\"a\") @effect(\"ask\") forbid (principal, action, resource);",
    ] {
        assert!(matches!(refusal(bad), BundleError::BadEffect(_)), "{bad}");
    }
    for bad in [
        "decision(\"escalate\")",
        "Id(\"b\")",
        "effects(\"ask\")",
        "ttl(\"5m\")",
    ] {
        let error = refusal(&format!(
            "@id(\"a\") @{bad} permit (principal, action, resource);"
        ));
        assert!(
            matches!(error, BundleError::UnknownAnnotation { .. }),
            "{error}"
        );
    }
}

#[test]
fn validation_is_strict_and_warnings_refuse() {
    for bad in [
        // An argument that is not declared, of another type, or not always there.
        "permit (principal, action == Chancery::Action::\"bank/pay\", resource) when { context.args.memo == \"x\" };",
        "permit (principal, action == Chancery::Action::\"bank/pay\", resource) when { context.args.amount == \"x\" };",
        "permit (principal, action == Chancery::Action::\"bank/pay\", resource) when { context.args.urgent };",
        // Only some actions have the argument.
        "forbid (principal, action, resource) when { context.args.amount > 5 };",
        // Names that are not declared.
        "permit (principal, action == Chancery::Action::\"bank/pya\", resource);",
        "permit (principal == Chancery::Human::\"x\", action, resource);",
        "permit (principal, action, resource) when { principal.trusted };",
        // Could never match.
        "forbid (principal, action == Chancery::Action::\"bank/pay\", resource is Chancery::Prompt);",
        "forbid (principal, action, resource) when { false };",
    ] {
        let error = refusal(&format!("@id(\"a\")\n{bad}"));
        assert!(matches!(error, BundleError::Invalid { .. }), "{error}");
        assert!(error.to_string().starts_with("policies.cedar:"), "{error}");
    }
    let error =
        refusal("@id(\"a\")\npermit (principal, action, resource)\nwhen { principal.trusted };");
    assert!(
        error.to_string().starts_with("policies.cedar:3:8:"),
        "{error}"
    );
}

#[test]
fn a_misspelt_tool_is_refused() {
    for bad in [
        "forbid (principal, action, resource == Chancery::Tool::\"bank/pya\");",
        "forbid (principal, action, resource) when { resource == Chancery::Tool::\"bank/pya\" };",
    ] {
        let error = refusal(&format!("@id(\"a\") {bad}"));
        assert!(matches!(error, BundleError::UnknownTool { .. }), "{error}");
    }
}

#[test]
fn syntax_errors_and_templates_name_their_place() {
    let error = refusal("@id(\"a\")\npermit (principal, action resource);");
    assert!(matches!(error, BundleError::Syntax { .. }));
    assert!(
        error.to_string().starts_with("policies.cedar:2:"),
        "{error}"
    );
    let error = refusal("\n@id(\"a\") permit (principal == ?principal, action, resource);");
    assert!(matches!(error, BundleError::Template(_)));
    assert!(
        error.to_string().starts_with("policies.cedar:2:1:"),
        "{error}"
    );
    let twice = refusal("@id(\"a\") @id(\"b\") permit (principal, action, resource);");
    assert!(matches!(twice, BundleError::Syntax { .. }), "{twice}");
}

#[test]
fn a_bundle_holds_its_files_and_no_others() {
    for missing in ["bundle.json", "schema.cedarschema"] {
        let mut files = files(PERMIT);
        files.remove(missing);
        let error = Bundle::load(&files).unwrap_err();
        assert!(matches!(error, BundleError::Missing(_)), "{error}");
    }
    // Rules for delegations and sessions travel in a bundle, change its digest, and are nothing to
    // policies.
    let without = Bundle::load(&files(PERMIT)).unwrap();
    for rules in ["delegation.json", "session.json"] {
        let mut with = files(PERMIT);
        with.insert(rules.to_owned(), b"{}".to_vec());
        assert_ne!(
            Bundle::load(&with).unwrap().digest(),
            without.digest(),
            "{rules}"
        );
    }
    for path in [
        "README.md",
        "a/delegation.json",
        "a/session.json",
        "a/bundle.json",
        "policies.cedar.bak",
        "cedar",
    ] {
        let mut files = files(PERMIT);
        files.insert(path.to_owned(), Vec::new());
        let error = Bundle::load(&files).unwrap_err();
        assert!(matches!(error, BundleError::UnknownFile(_)), "{error}");
    }
    for path in [
        "/a.cedar",
        "../a.cedar",
        "a//b.cedar",
        ".cedar",
        "a\\b.cedar",
        "a b.cedar",
        "",
    ] {
        let mut files = files(PERMIT);
        files.insert(path.to_owned(), Vec::new());
        let error = Bundle::load(&files).unwrap_err();
        assert!(matches!(error, BundleError::Path(_)), "{error}");
    }
    let mut large = files(PERMIT);
    large.insert("big.cedar".to_owned(), vec![b' '; MAX_BUNDLE_BYTES]);
    assert_eq!(Bundle::load(&large).unwrap_err(), BundleError::TooLarge);
    let mut latin = files(PERMIT);
    latin.insert("latin.cedar".to_owned(), b"// \xe9".to_vec());
    assert!(matches!(
        Bundle::load(&latin).unwrap_err(),
        BundleError::Encoding(_)
    ));
}

#[test]
fn the_index_is_strict() {
    let tool = |body: &str| format!(r#"{{"name":"n","version":1,"tools":{{"s/t":{body}}}}}"#);
    for bad in [
        "",
        "[]",
        "{}",
        r#"{"name":"n","version":1}"#,
        r#"{"name":"","version":1,"tools":{}}"#,
        r#"{"name":"a b","version":1,"tools":{}}"#,
        r#"{"name":"n","version":-1,"tools":{}}"#,
        r#"{"name":"n","version":1.0,"tools":{}}"#,
        r#"{"name":"n","version":"1","tools":{}}"#,
        r#"{"name":"n","version":1,"tools":{},"more":1}"#,
        r#"{"name":"n","version":1,"version":2,"tools":{}}"#,
        r#"{"name":"n","version":1,"tools":{"tool":{}}}"#,
        r#"{"name":"n","version":1,"tools":{"/tool":{}}}"#,
        r#"{"name":"n","version":1,"tools":{"s/":{}}}"#,
        r#"{"name":"n","version":1,"tools":{"s/t\"":{}}}"#,
        &tool(r#"{"args":{"a":"decimal"}}"#),
        &tool(r#"{"args":{"a":null}}"#),
        &tool(r#"{"args":{"":"long"}}"#),
        &tool(r#"{"args":{"a\"b":"long"}}"#),
        &tool(r#"{"clear":["a"]}"#),
        &tool(r#"{"cost_arg":"a"}"#),
        &tool(r#"{"args":{"a":"string"},"cost_arg":"a"}"#),
        &tool(r#"{"args":{"a":"long?"},"cost_arg":"a"}"#),
        &tool(r#"{"args":{"a":"long"},"cost_unit":"cents"}"#),
        &tool(r#"{"args":{"a":"long"},"cost_arg":"a","cost_unit":"euro"}"#),
        &tool(r#"{"args":{"a":"long"},"cost_arg":null}"#),
        &tool(r#"{"hidden":[]}"#),
    ] {
        let error = index_refusal(bad);
        assert!(matches!(error, BundleError::Index { .. }), "{bad}: {error}");
        assert!(error.to_string().starts_with("bundle.json: "), "{error}");
    }
}

#[test]
fn the_schema_fits_the_requests() {
    let good = String::from_utf8(files(PERMIT)["schema.cedarschema"].clone()).unwrap();
    for (from, to) in [
        ("\"amount\": Long", "\"amount\": String"),
        ("\"urgent\"?: Bool", "\"urgent\": Bool"),
        ("\"to\": String", "\"other\": String"),
        ("now: datetime", "now: Long"),
        ("session: Session,", ""),
        ("isolated: Bool", "isolated: String"),
        ("read_only: Bool,", ""),
        ("entity Prompt in [Server] {", "entity Prompt in [Agent] {"),
        ("action \"bank/list\"", "action \"bank/lost\""),
    ] {
        let mut files = files(PERMIT);
        assert!(good.contains(from), "{from}");
        files.insert(
            "schema.cedarschema".to_owned(),
            good.replace(from, to).into_bytes(),
        );
        let error = Bundle::load(&files).unwrap_err();
        assert!(
            matches!(error, BundleError::SchemaMismatch { .. }),
            "{from}: {error}"
        );
    }
    let mut broken = files(PERMIT);
    broken.insert(
        "schema.cedarschema".to_owned(),
        b"namespace Chancery {\n  entity ;\n}".to_vec(),
    );
    let error = Bundle::load(&broken).unwrap_err();
    assert!(
        error.to_string().starts_with("schema.cedarschema:2:"),
        "{error}"
    );
}

#[test]
fn the_digest_names_every_byte_and_name() {
    let base = files(PERMIT);
    let digest = bundle_digest(&base).unwrap();
    assert_eq!(Bundle::load(&base).unwrap().digest(), digest);
    for path in base.keys() {
        for place in 0..base[path].len() {
            let mut other = base.clone();
            other.get_mut(path).unwrap()[place] ^= 1;
            assert_ne!(bundle_digest(&other).unwrap(), digest);
        }
        let mut other = base.clone();
        other.remove(path);
        assert_ne!(bundle_digest(&other).unwrap(), digest);
    }
    let mut other = base.clone();
    let bytes = other.remove("policies.cedar").unwrap();
    other.insert("policy.cedar".to_owned(), bytes);
    assert_ne!(bundle_digest(&other).unwrap(), digest);
    let bundle = Bundle::load(&base).unwrap();
    assert_eq!(
        (bundle.index().name(), bundle.index().version()),
        ("payments", 1)
    );
    assert!(INDEX.contains(bundle.index().name()));
}
