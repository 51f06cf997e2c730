use chancery_identity::bundle::{BundleMapError, MAX_BUNDLE_MAP_DOMAINS};
use chancery_identity::{BundleDocumentError, BundleMap, Incubating};
use serde_json::json;

use crate::support::Domain;

fn read(text: &str) -> Result<BundleMap, BundleMapError> {
    BundleMap::parse(text.as_bytes(), Incubating::WIT_SVID)
}

#[test]
fn b_08_a_map_names_each_trust_domain_once() {
    let (one, two) = (Domain::new("one"), Domain::new("two"));
    let map: BundleMap = [one.document(4), two.document(9)].into_iter().collect();
    let text = map.to_json().unwrap();
    let again = read(&text).unwrap();
    assert_eq!(again.iter().count(), 2);
    for domain in [&one, &two] {
        let document = again.of(&domain.name).unwrap();
        assert_eq!(document.trust_domain(), &domain.name);
        assert_eq!(document.keys(), &domain.keys());
    }
    assert_eq!(again.of(&two.name).unwrap().sequence(), Some(9));
    assert!(again.of(&"three".parse().unwrap()).is_none());
    let empty = r#"{"keys":[]}"#;
    for twice in [
        format!(r#"{{"trust_domains":{{"a":{empty},"a":{empty}}}}}"#),
        format!(r#"{{"trust_domains":{{"a":{empty},"\u0061":{empty}}}}}"#),
        format!(r#"{{"trust_domains":{{}},"trust_domains":{{"a":{empty}}}}}"#),
    ] {
        assert!(
            matches!(read(&twice), Err(BundleMapError::Json(_))),
            "{twice}"
        );
    }
}

#[test]
fn b_08_a_map_has_trust_domains_and_may_have_none() {
    assert_eq!(read(r#"{"trust_domains":{}}"#).unwrap().iter().count(), 0);
    let more = r#"{"trust_domains":{},"generated":"today","n":1.5}"#;
    assert_eq!(read(more).unwrap(), BundleMap::default());
    for bad in [
        "{}",
        "[]",
        r#"{"trust_domains":[]}"#,
        r#"{"trust_domains":null}"#,
        "null",
    ] {
        assert!(
            matches!(read(bad), Err(BundleMapError::NoTrustDomains)),
            "{bad}"
        );
    }
}

#[test]
fn b_08_hints_of_bundles_say_nothing_about_the_map() {
    let domain = Domain::new("td");
    let map: BundleMap = [domain.document(1)].into_iter().collect();
    let text = map.to_json().unwrap();
    assert!(!text.contains("spiffe_refresh_hint"), "{text}");
    // One that is there is read and changes nothing: a map has no hint to ask for.
    let hinted = json!({"trust_domains": {"td": domain.served(1)}});
    let document = read(&hinted.to_string()).unwrap();
    assert_eq!(document.of(&domain.name).unwrap().refresh_hint(), Some(300));
}

#[test]
fn b_08_a_map_is_taken_whole_or_not_at_all() {
    let good = Domain::new("td").served(1);
    for name in ["TD", "spiffe://td", "", "a/b", "td:1", "td "] {
        let map = json!({"trust_domains": {"good": good, name: good}});
        let refused = read(&map.to_string());
        assert!(matches!(refused, Err(BundleMapError::Name(_))), "{name:?}");
    }
    let map = json!({"trust_domains": {"good": good, "bad": {"spiffe_sequence": 1}}});
    match read(&map.to_string()) {
        Err(BundleMapError::Bundle {
            trust_domain,
            source,
        }) => {
            assert_eq!(trust_domain.as_str(), "bad");
            assert!(matches!(source, BundleDocumentError::NoKeys));
        }
        other => panic!("{other:?}"),
    }
    let names = (0..=MAX_BUNDLE_MAP_DOMAINS).map(|number| (format!("td{number}"), json!({})));
    let many = json!({"trust_domains": names.collect::<serde_json::Map<_, _>>()});
    let refused = read(&many.to_string());
    assert!(matches!(refused, Err(BundleMapError::TooManyTrustDomains)));
}
