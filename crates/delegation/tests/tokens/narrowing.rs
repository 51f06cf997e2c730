use chancery_delegation::{
    Call, Constraint, DraftError, Entry, Judgement, Reason, Target, authorise,
};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::*;

/// A constraint with one that is narrower or equal, one that is wider, and a value of the narrower.
#[derive(Debug, Clone)]
struct Family {
    parent: Value,
    narrower: Value,
    wider: Value,
    inside: Value,
}

fn family() -> impl Strategy<Value = Family> {
    prop_oneof![paths(), ranges(), sets(), networks()]
}

fn paths() -> impl Strategy<Value = Family> {
    let segment = "[a-z]{1,4}";
    (
        prop::collection::vec(segment, 1..4),
        prop::collection::vec(segment, 0..3),
        any::<bool>(),
    )
        .prop_map(|(base, below, exact)| {
            let parent = format!("/{}", base.join("/"));
            let inside = below
                .iter()
                .fold(parent.clone(), |path, part| format!("{path}/{part}"));
            let kind = if exact { "exact" } else { "path_prefix" };
            Family {
                narrower: json!({ kind: inside }),
                wider: json!({"path_prefix": format!("{parent}x")}),
                parent: json!({"path_prefix": parent}),
                inside: json!(inside),
            }
        })
}

fn ranges() -> impl Strategy<Value = Family> {
    (-1_000..1_000_i64, 0..100_i64, 0..100_i64, 0..100_i64).prop_map(|(low, a, b, c)| {
        let (from, to, high) = (low + a, low + a + b, low + a + b + c);
        Family {
            parent: json!({"int_range": [low, high]}),
            narrower: json!({"int_range": [from, to]}),
            wider: json!({"int_range": [low, high + 1]}),
            inside: json!(from),
        }
    })
}

fn sets() -> impl Strategy<Value = Family> {
    let members = prop::collection::btree_set("[a-z]{1,3}", 1..6);
    (members, any::<prop::sample::Index>()).prop_map(|(members, index)| {
        let members: Vec<_> = members.into_iter().collect();
        let chosen = members[..=index.index(members.len())].to_vec();
        let wider: Vec<_> = members
            .iter()
            .cloned()
            .chain(["WIDER".to_owned()])
            .collect();
        Family {
            inside: json!(chosen[0]),
            narrower: json!({"one_of": chosen}),
            wider: json!({"one_of": wider}),
            parent: json!({"one_of": members}),
        }
    })
}

fn networks() -> impl Strategy<Value = Family> {
    (any::<u32>(), 1..=32_u32, 0..=32_u32).prop_map(|(bits, prefix, more)| {
        let network = |prefix: u32| {
            let mask = u32::MAX.checked_shl(32 - prefix).unwrap_or(0);
            format!("{}/{prefix}", std::net::Ipv4Addr::from_bits(bits & mask))
        };
        Family {
            parent: json!({"cidr": network(prefix)}),
            narrower: json!({"cidr": network((prefix + more).min(32))}),
            wider: json!({"cidr": network(prefix - 1)}),
            inside: json!(std::net::Ipv4Addr::from_bits(bits).to_string()),
        }
    })
}

fn entry_of(constraint: &Value, calls: Option<u64>) -> Entry {
    let limits = calls.map_or_else(|| json!({}), |calls| json!({"max_calls": calls}));
    entry(json!({
        "type": "mcp_tool", "server": "s", "tool": "t",
        "args": {"a": constraint}, "limits": limits
    }))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn a_child_made_by_narrowing_always_verifies(
        family in family(), calls in 0..100_u64, fewer in 0..100_u64,
    ) {
        let root = root_draft(vec![entry_of(&family.parent, Some(calls))]);
        let mut made = vec![make_root(&root).unwrap()];
        let child = entry_of(&family.narrower, Some(calls.min(fewer)));
        for at in 1..=2 {
            made.push(make_link(&made, terms(at, vec![child.clone()])).unwrap());
        }
        let chain = verify(&made).unwrap();
        let args = json!({"a": family.inside});
        let call = Call { server: "s", target: Target::Tool("t"), args: args.as_object().unwrap() };
        prop_assert_eq!(authorise(&chain, &call).covered().unwrap().len(), 3);
    }

    #[test]
    fn any_widening_is_refused_by_maker_and_verifier(family in family(), calls in 0..100_u64) {
        let parent = vec![entry_of(&family.parent, Some(calls))];
        let made = vec![make_root(&root_draft(parent.clone())).unwrap()];
        let narrowed = make_link(&made, terms(1, parent)).unwrap();
        let honest = [made[0].clone(), narrowed];
        for wider in [
            entry_of(&family.wider, Some(calls)),
            entry_of(&family.parent, Some(calls + 1)),
            entry_of(&family.parent, None),
            entry(json!({"type": "mcp_tool", "server": "s", "tool": "t", "limits": {"max_calls": calls}})),
        ] {
            let refused = make_link(&made, terms(1, vec![wider.clone()]));
            prop_assert!(
                matches!(&refused, Err(DraftError::Refused(refusal)) if refusal.reason == Reason::ScopeEscalation)
            );
            let forged = altered(&honest, 1, |members| {
                members.insert("authorization_details".to_owned(), json!([wider.to_json()]));
            });
            prop_assert_eq!(verify(&forged).unwrap_err().reason, Reason::ScopeEscalation);
        }
    }

    /// Subsumption is sound: what satisfies the child satisfies the parent, whatever the value.
    #[test]
    fn nothing_escapes_a_parent_through_its_child(
        one in family(), other in family(), values in prop::collection::vec(family(), 1..8),
    ) {
        let read = |value: &Value| {
            let entry = entry_of(value, None);
            entry.args()["a"].clone()
        };
        let constraints: Vec<Constraint> = [&one, &other]
            .into_iter()
            .flat_map(|family| [&family.parent, &family.narrower, &family.wider])
            .map(read)
            .collect();
        for parent in &constraints {
            prop_assert!(parent.subsumes(parent));
            for child in constraints.iter().filter(|child| parent.subsumes(child)) {
                for value in values.iter().chain([&one, &other]).map(|family| &family.inside) {
                    let inside = child.judge(Some(value)) == Judgement::Holds;
                    prop_assert!(!inside || parent.judge(Some(value)) == Judgement::Holds);
                }
            }
        }
    }

    #[test]
    fn reading_never_panics(text in any::<String>(), number in any::<i64>()) {
        for value in [json!(text), json!(number), json!([text, number]), json!({ text.clone(): number })] {
            for kind in ["exact", "one_of", "path_prefix", "int_range", "cidr", &text] {
                let entry = json!({
                    "type": "mcp_tool", "server": "s", "tool": "t", "args": {"a": { kind: value }}
                });
                if let Ok(entry) = Entry::parse(&entry) {
                    prop_assert_eq!(Entry::parse(&entry.to_json()).unwrap(), entry);
                }
            }
        }
        prop_assert!(verify(&[text]).is_err());
    }
}
