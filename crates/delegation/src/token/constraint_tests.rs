use serde_json::json;

use super::*;

fn constraint(value: Value) -> Constraint {
    Constraint::parse(&Json::of(&value)).unwrap()
}

#[test]
fn reads_its_own_writing() {
    for value in [
        json!({"exact": "a"}),
        json!({"exact": 1}),
        json!({"exact": false}),
        json!({"one_of": [true, 1, "a"]}),
        json!({"path_prefix": "/a/b"}),
        json!({"int_range": [-1, 1]}),
        json!({"cidr": "10.0.0.0/8"}),
    ] {
        assert_eq!(constraint(value.clone()).to_json(), value);
    }
}

#[test]
fn refuses_what_it_does_not_know() {
    for bad in [
        json!({}),
        json!([]),
        json!("a"),
        json!(null),
        json!({"regex": ".*"}),
        json!({"exact": "a", "one_of": ["a"]}),
        json!({"exact": null}),
        json!({"exact": 1.5}),
        json!({"exact": ["a"]}),
        json!({"exact": 9_007_199_254_740_992_i64}),
        json!({"one_of": []}),
        json!({"one_of": "a"}),
        json!({"one_of": ["a", null]}),
        json!({"path_prefix": "/"}),
        json!({"path_prefix": "/src/%2e%2e/etc"}),
        json!({"path_prefix": 1}),
        json!({"int_range": [2, 1]}),
        json!({"int_range": [1]}),
        json!({"int_range": [1, 2, 3]}),
        json!({"int_range": [1.0, 2]}),
        json!({"int_range": [true, 2]}),
        json!({"cidr": "10.0.0.1/8"}),
        json!({"cidr": "10.0.0.0"}),
        json!({"cidr": 10}),
    ] {
        assert_eq!(
            Constraint::parse(&Json::of(&bad)),
            Err(Reason::ConstraintUnknown),
            "{bad}"
        );
    }
}

#[test]
fn narrows_by_the_table() {
    for (parent, child) in [
        (json!({"exact": "a"}), json!({"exact": "a"})),
        (json!({"one_of": ["a", "b"]}), json!({"exact": "a"})),
        (json!({"one_of": ["a", "b"]}), json!({"one_of": ["b"]})),
        (json!({"path_prefix": "/a"}), json!({"path_prefix": "/a"})),
        (json!({"path_prefix": "/a"}), json!({"path_prefix": "/a/b"})),
        (json!({"path_prefix": "/a"}), json!({"exact": "/a/b"})),
        (
            json!({"path_prefix": "/a"}),
            json!({"one_of": ["/a", "/a/b"]}),
        ),
        (json!({"int_range": [0, 9]}), json!({"int_range": [0, 9]})),
        (json!({"int_range": [0, 9]}), json!({"exact": 9})),
        (
            json!({"cidr": "10.0.0.0/8"}),
            json!({"cidr": "10.1.0.0/16"}),
        ),
        (json!({"cidr": "10.0.0.0/8"}), json!({"exact": "10.1.2.3"})),
    ] {
        assert!(
            constraint(parent.clone()).subsumes(&constraint(child.clone())),
            "{parent} {child}"
        );
    }
    for (parent, child) in [
        (json!({"exact": "a"}), json!({"exact": "b"})),
        (json!({"exact": "1"}), json!({"exact": 1})),
        (json!({"exact": "a"}), json!({"one_of": ["a"]})),
        (json!({"exact": "/a"}), json!({"path_prefix": "/a"})),
        (json!({"one_of": ["a"]}), json!({"one_of": ["a", "b"]})),
        (json!({"one_of": ["a"]}), json!({"exact": "b"})),
        (json!({"path_prefix": "/a"}), json!({"path_prefix": "/ab"})),
        (json!({"path_prefix": "/a/b"}), json!({"path_prefix": "/a"})),
        (json!({"path_prefix": "/a"}), json!({"exact": "/a/../b"})),
        (json!({"path_prefix": "/a"}), json!({"exact": "a"})),
        (
            json!({"path_prefix": "/a"}),
            json!({"one_of": ["/a/b", "/b"]}),
        ),
        (json!({"int_range": [0, 9]}), json!({"int_range": [0, 10]})),
        (json!({"int_range": [0, 9]}), json!({"int_range": [-1, 9]})),
        (json!({"int_range": [0, 9]}), json!({"exact": 10})),
        (json!({"int_range": [0, 9]}), json!({"exact": "5"})),
        (json!({"int_range": [0, 9]}), json!({"one_of": [5]})),
        (json!({"cidr": "10.0.0.0/8"}), json!({"cidr": "0.0.0.0/0"})),
        (
            json!({"cidr": "10.0.0.0/8"}),
            json!({"exact": "::ffff:10.0.0.1"}),
        ),
        (json!({"cidr": "10.0.0.0/8"}), json!({"exact": "host"})),
        (
            json!({"cidr": "10.0.0.0/8"}),
            json!({"one_of": ["10.0.0.1"]}),
        ),
    ] {
        assert!(
            !constraint(parent.clone()).subsumes(&constraint(child.clone())),
            "{parent} {child}"
        );
    }
}

#[test]
fn judges_only_what_it_understands() {
    use Judgement::{Fails, Holds, Unclear};
    for (constraint_json, value, judgement) in [
        (json!({"exact": "a"}), json!("a"), Holds),
        (json!({"exact": "a"}), json!("A"), Fails),
        (json!({"exact": 5}), json!(5.0), Unclear),
        (json!({"exact": 5}), json!("5"), Unclear),
        (json!({"exact": true}), json!(1), Unclear),
        (json!({"one_of": ["a", 1]}), json!(1), Holds),
        (json!({"one_of": ["a", "b"]}), json!("c"), Fails),
        (json!({"one_of": ["a", 1]}), json!("c"), Unclear),
        (json!({"one_of": ["a"]}), json!(["a"]), Unclear),
        (json!({"path_prefix": "/a"}), json!("/a/b"), Holds),
        (json!({"path_prefix": "/a"}), json!("/b"), Fails),
        (json!({"path_prefix": "/a"}), json!("/a/../b"), Unclear),
        (json!({"path_prefix": "/a"}), json!("a"), Unclear),
        (json!({"path_prefix": "/a"}), json!(null), Unclear),
        (json!({"int_range": [0, 9]}), json!(9), Holds),
        (json!({"int_range": [0, 9]}), json!(10), Fails),
        (json!({"int_range": [0, 9]}), json!(9.5), Unclear),
        (json!({"int_range": [0, 9]}), json!(u64::MAX), Unclear),
        (json!({"cidr": "10.0.0.0/8"}), json!("10.0.0.1"), Holds),
        (json!({"cidr": "10.0.0.0/8"}), json!("11.0.0.1"), Fails),
        (json!({"cidr": "10.0.0.0/8"}), json!("host"), Unclear),
    ] {
        let found = constraint(constraint_json.clone()).judge(Some(&value));
        assert_eq!(found, judgement, "{constraint_json} {value}");
    }
    assert_eq!(constraint(json!({"exact": 1})).judge(None), Unclear);
}
