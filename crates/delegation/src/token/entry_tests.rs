use serde_json::json;

use super::*;

fn entry(value: Value) -> Entry {
    Entry::parse(&value).unwrap()
}

fn read_file() -> Entry {
    entry(json!({
        "type": "mcp_tool", "server": "fs", "tool": "read_file",
        "args": {"path": {"path_prefix": "/src"}}, "limits": {"max_calls": 5}
    }))
}

#[test]
fn reads_its_own_writing() {
    for value in [
        read_file().to_json(),
        json!({"type": "mcp_resource", "server": "fs", "uri": "file:///a?b=c"}),
        json!({"type": "mcp_prompt", "server": "fs", "prompt": "p", "args": {"a": {"exact": 1}}}),
    ] {
        assert_eq!(entry(value.clone()).to_json(), value);
    }
}

#[test]
fn refuses_what_it_does_not_know() {
    for bad in [
        json!({"server": "fs", "tool": "t"}),
        json!({"type": "mcp_tool", "tool": "t"}),
        json!({"type": "mcp_tool", "server": "fs"}),
        json!({"type": "shell", "server": "fs", "tool": "t"}),
        json!({"type": "mcp_tool", "server": "fs", "tool": "*"}),
        json!({"type": "mcp_tool", "server": "fs", "tool": "issues.*"}),
        json!({"type": "mcp_tool", "server": "fs", "tool": "t?"}),
        json!({"type": "mcp_tool", "server": "*", "tool": "t"}),
        json!({"type": "mcp_tool", "server": "", "tool": "t"}),
        json!({"type": "mcp_tool", "server": "fs", "tool": "t\n"}),
        json!({"type": "mcp_tool", "server": "fs", "tool": ["t"]}),
        json!({"type": "mcp_tool", "server": "fs", "tool": "t", "uri": "u"}),
        json!({"type": "mcp_tool", "server": "fs", "tool": "t", "args": []}),
        json!({"type": "mcp_tool", "server": "fs", "tool": "t", "args": {"a": {"regex": "."}}}),
        json!({"type": "mcp_tool", "server": "fs", "tool": "t", "limits": {"max_calls": true}}),
        json!({"type": "mcp_tool", "server": "fs", "tool": "t", "actions": ["x"]}),
        json!({"type": "mcp_resource", "server": "fs", "uri": "file:///*"}),
        json!({"type": "mcp_resource", "server": "fs", "uri": "u", "args": {"a": {"exact": 1}}}),
        json!({"type": "mcp_resource", "server": "fs", "tool": "u"}),
        json!("mcp_tool"),
        json!(null),
    ] {
        assert_eq!(Entry::parse(&bad), Err(Reason::ConstraintUnknown), "{bad}");
    }
}

#[test]
fn a_child_keeps_every_constraint() {
    let parent = read_file();
    let narrower = json!({
        "type": "mcp_tool", "server": "fs", "tool": "read_file",
        "args": {"path": {"exact": "/src/a"}, "mode": {"exact": "r"}}, "limits": {"max_calls": 4}
    });
    assert!(parent.subsumes(&parent));
    assert!(parent.subsumes(&entry(narrower.clone())));
    for (pointer, value) in [
        ("/type", json!("mcp_prompt")),
        ("/server", json!("fs2")),
        ("/tool", json!("write_file")),
        ("/args", json!({"mode": {"exact": "r"}})),
        ("/args/path", json!({"path_prefix": "/src-secret"})),
        ("/limits", json!({})),
        ("/limits/max_calls", json!(6)),
    ] {
        let mut wider = narrower.clone();
        *wider.pointer_mut(pointer).unwrap() = value.clone();
        if pointer == "/type" {
            wider["prompt"] = json!("read_file");
            wider.as_object_mut().unwrap().remove("tool");
        }
        assert!(!parent.subsumes(&entry(wider)), "{pointer} {value}");
    }
}

#[test]
fn permits_only_what_it_can_judge_and_forbids_the_rest() {
    let entry = read_file();
    let judged = |tool, args: Value| {
        let args = args.as_object().unwrap();
        let call = Call {
            server: "fs",
            target: tool,
            args,
        };
        (entry.permits(&call), entry.applies_to(&call))
    };
    let tool = Target::Tool("read_file");
    assert_eq!(
        judged(tool, json!({"path": "/src/a", "other": 1})),
        (true, true)
    );
    assert_eq!(judged(tool, json!({"path": "/etc/passwd"})), (false, false));
    assert_eq!(judged(tool, json!({"path": "/src/../etc"})), (false, true));
    assert_eq!(judged(tool, json!({"path": ["/src"]})), (false, true));
    assert_eq!(judged(tool, json!({})), (false, true));
    assert_eq!(
        judged(Target::Tool("write_file"), json!({"path": "/src/a"})),
        (false, false)
    );
    assert_eq!(
        judged(Target::Prompt("read_file"), json!({"path": "/src/a"})),
        (false, false)
    );
}
