use chancery_delegation::{Call, Limits, Reason, Scope, Target, authorise};
use serde_json::{Value, json};

use crate::support::*;

fn judge(chain: &[String], server: &str, target: Target<'_>, args: Value) -> Scope {
    let args = args.as_object().unwrap();
    authorise(
        &verify(chain).unwrap(),
        &Call {
            server,
            target,
            args,
        },
    )
}

fn tool(name: &str, args: Value) -> Value {
    json!({"type": "mcp_tool", "server": "fs", "tool": name, "args": args})
}

/// A root with two entries, a link that narrows the second one, and a leaf with the same.
fn narrowed() -> Vec<String> {
    let wide = json!({
        "type": "mcp_tool", "server": "fs", "tool": "read_file",
        "args": {"path": {"path_prefix": "/src"}}, "limits": {"max_calls": 50}
    });
    let narrow = json!({
        "type": "mcp_tool", "server": "fs", "tool": "read_file",
        "args": {"path": {"path_prefix": "/src/api"}}, "limits": {"max_calls": 5}
    });
    let write = tool("write_file", json!({"path": {"path_prefix": "/src"}}));
    let root = root_draft(vec![entry(write), entry(wide)]);
    let mut made = vec![make_root(&root).unwrap()];
    for at in 1..=2 {
        let mut link = terms(at, vec![entry(narrow.clone())]);
        if at == 1 {
            link.forbid = vec![entry(tool(
                "read_file",
                json!({"path": {"path_prefix": "/src/api/keys"}}),
            ))];
            link.ask = vec![entry(tool(
                "read_file",
                json!({"encoding": {"exact": "raw"}}),
            ))];
        }
        made.push(make_link(&made, link).unwrap());
    }
    made
}

#[test]
fn each_link_names_the_entry_to_count_against() {
    let chain = narrowed();
    let args = json!({"path": "/src/api/a", "encoding": "utf-8"});
    let scope = judge(&chain, "fs", Target::Tool("read_file"), args);
    let covered = scope.covered().unwrap();
    let found: Vec<_> = covered
        .iter()
        .map(|cover| (cover.link, &*cover.jti, cover.entry, cover.limits))
        .collect();
    let limits = |calls| Limits {
        max_calls: Some(calls),
        max_cost_micros: None,
    };
    assert_eq!(
        found,
        [
            (0, "jti-0", 1, limits(50)),
            (1, "jti-1", 0, limits(5)),
            (2, "jti-2", 0, limits(5))
        ]
    );
    assert!(scope.forbidden().is_empty() && scope.asked().is_empty());
}

#[test]
fn what_the_leaf_does_not_hold_is_not_in_scope() {
    let chain = narrowed();
    let path = |path: Value| json!({"path": path, "encoding": "utf-8"});
    for (server, target, args) in [
        ("fs", Target::Tool("write_file"), path(json!("/src/a"))),
        ("fs", Target::Tool("read_file"), path(json!("/src/a"))),
        (
            "fs",
            Target::Tool("read_file"),
            path(json!("/src/api/../../etc")),
        ),
        (
            "fs",
            Target::Tool("read_file"),
            path(json!("/src/api%2f..")),
        ),
        ("fs", Target::Tool("read_file"), path(json!(["/src/api/a"]))),
        ("fs", Target::Tool("read_file"), json!({})),
        ("FS", Target::Tool("read_file"), path(json!("/src/api/a"))),
        ("fs", Target::Tool("Read_File"), path(json!("/src/api/a"))),
        ("fs", Target::Prompt("read_file"), path(json!("/src/api/a"))),
        (
            "fs",
            Target::Resource("read_file"),
            path(json!("/src/api/a")),
        ),
    ] {
        let scope = judge(&chain, server, target, args.clone());
        assert_eq!(
            scope.covered(),
            Err(Reason::NotInScope),
            "{server} {target:?} {args}"
        );
    }
}

#[test]
fn restrictions_apply_to_all_below_and_to_what_cannot_be_judged() {
    let chain = narrowed();
    let read = Target::Tool("read_file");
    let counts = |args: Value| {
        let scope = judge(&chain, "fs", read, args);
        (scope.forbidden().len(), scope.asked().len())
    };
    assert_eq!(
        counts(json!({"path": "/src/api/a", "encoding": "utf-8"})),
        (0, 0)
    );
    assert_eq!(
        counts(json!({"path": "/src/api/keys/k", "encoding": "utf-8"})),
        (1, 0)
    );
    assert_eq!(
        counts(json!({"path": "/src/api/./keys", "encoding": "utf-8"})),
        (1, 0)
    );
    assert_eq!(counts(json!({"path": 7, "encoding": "raw"})), (1, 1));
    assert_eq!(counts(json!({"path": "/src/api/a"})), (0, 1));
    assert_eq!(counts(json!({})), (1, 1));
    let above = judge(&chain[..1], "fs", read, json!({"path": "/src/api/keys/k"}));
    assert!(above.forbidden().is_empty());
}

#[test]
fn grants_are_not_combined() {
    let entries = ["a", "b"].map(|repo| {
        tool(
            "open",
            json!({"repo": {"exact": repo}, "mode": {"exact": repo}}),
        )
    });
    let made = vec![make_root(&root_draft(entries.map(entry).to_vec())).unwrap()];
    let open = Target::Tool("open");
    let covered = |args| judge(&made, "fs", open, args).covered().is_ok();
    assert!(covered(json!({"repo": "a", "mode": "a"})));
    assert!(!covered(json!({"repo": "a", "mode": "b"})));
    let both = entry(tool(
        "open",
        json!({"repo": {"one_of": ["a", "b"]}, "mode": {"exact": "a"}}),
    ));
    assert!(make_link(&made, terms(1, vec![both])).is_err());
}

#[test]
fn nothing_is_granted_by_an_empty_list() {
    let made = vec![make_root(&root_draft(Vec::new())).unwrap()];
    let scope = judge(
        &made,
        "fs",
        Target::Tool("read_file"),
        json!({"path": "/src/a"}),
    );
    assert_eq!(scope.covered(), Err(Reason::NotInScope));
}

#[test]
fn a_name_with_a_delimiter_is_one_name() {
    let names = ["read,write", "read|write", "read write", "fs/read"];
    for name in names {
        let made = vec![make_root(&root_draft(vec![entry(tool(name, json!({})))])).unwrap()];
        let covered = |server, name| {
            let scope = judge(&made, server, Target::Tool(name), json!({}));
            scope.covered().is_ok()
        };
        assert!(covered("fs", name));
        for (server, part) in [
            ("fs", "read"),
            ("fs", "write"),
            ("fs", ""),
            ("fs/fs", "read"),
            ("fs,fs", name),
        ] {
            assert!(!covered(server, part), "{name}: {server} {part}");
        }
        let parts = ["read", "write"].map(|part| entry(tool(part, json!({}))));
        for part in parts {
            assert!(make_link(&made, terms(1, vec![part])).is_err(), "{name}");
        }
    }
}
