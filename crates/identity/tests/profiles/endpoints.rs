//! What a relationship is made of.

use chancery_identity::Relationship;
use chancery_identity::federation::{EndpointProfile, EndpointUrl, EndpointUrlError as U};
use serde_json::{Value, json};

use crate::support::with;

fn web() -> Value {
    json!({
        "trust_domain": "partner.example",
        "endpoint_url": "https://bundles.example/partner",
        "profile": "https_web",
    })
}

fn spiffe() -> Value {
    let named = with(&web(), "profile", Some(json!("https_spiffe")));
    with(
        &named,
        "endpoint_spiffe_id",
        Some(json!("spiffe://partner.example/bundle")),
    )
}

fn read(value: &Value) -> Result<Relationship, String> {
    serde_json::from_value(value.clone()).map_err(|error| error.to_string())
}

#[track_caller]
fn refused(value: &Value, said: &str) {
    let error = read(value).unwrap_err();
    assert!(error.contains(said), "{value}: {error}");
}

#[test]
fn f_07_name_url_and_profile_are_each_said() {
    let relationship = read(&web()).unwrap();
    assert_eq!(relationship.trust_domain().as_str(), "partner.example");
    assert_eq!(relationship.url().host(), "bundles.example");
    assert_eq!(relationship.profile(), &EndpointProfile::HttpsWeb);
    for name in ["trust_domain", "endpoint_url", "profile"] {
        refused(
            &with(&web(), name, None),
            &format!("missing field `{name}`"),
        );
        refused(&with(&web(), name, Some(json!(null))), "invalid type");
    }
    for profile in ["https", "web", "HTTPS_WEB", "https_web,https_spiffe", ""] {
        refused(
            &with(&web(), "profile", Some(json!(profile))),
            "unknown variant",
        );
    }
    let list = json!([
        "partner.example",
        "https://bundles.example/partner",
        "https_web"
    ]);
    refused(&list, "a federation relationship");
    refused(
        &with(&web(), "fallback_profile", Some(json!("https_spiffe"))),
        "unknown field",
    );
    refused(
        &with(&web(), "trust_domain", Some(json!("Partner.example"))),
        "trust domain",
    );
    let id = json!("spiffe://partner.example");
    refused(&with(&web(), "trust_domain", Some(id)), "trust domain");
}

#[test]
fn f_09_an_endpoint_is_https_without_a_user() {
    for (text, host, port) in [
        ("https://host.example", "host.example", 443),
        ("https://HOST.example:8443/a/b?c=d#e", "host.example", 8_443),
        ("HTTPS://1.2.3.4/", "1.2.3.4", 443),
        ("https://[::1]:9000/x", "[::1]", 9_000),
        ("https://host.example:/a@b", "host.example", 443),
        ("https://host_1.example?u@x", "host_1.example", 443),
        ("https://host.example/%20%40;a=1,2'()*", "host.example", 443),
    ] {
        let url: EndpointUrl = text
            .parse()
            .unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!((url.host(), url.port(), url.as_str()), (host, port, text));
    }
    let long = format!("https://host.example/{}", "a".repeat(2_048));
    for (text, error) in [
        ("http://host.example", U::Scheme),
        ("spiffe://host.example", U::Scheme),
        ("https:/host.example", U::Scheme),
        ("//host.example", U::Scheme),
        ("/bundle", U::Scheme),
        ("", U::Scheme),
        ("https://user@host.example", U::User),
        ("https://user:pass@host.example/x", U::User),
        ("https://@host.example", U::User),
        ("https://a@b@host.example", U::User),
        ("https://", U::Host),
        ("https:///bundle", U::Host),
        ("https://:443/", U::Host),
        ("https://?q", U::Host),
        ("https://host%2eexample", U::Host),
        ("https://[::1", U::Host),
        ("https://[zz]", U::Host),
        ("https://[::1]x", U::Port),
        ("https://host.example:0", U::Port),
        ("https://host.example:65536", U::Port),
        ("https://host.example:+1", U::Port),
        ("https://host.example:1:2", U::Port),
        ("https://host.example\\@evil.example", U::Character),
        ("https://host .example", U::Character),
        ("https://host.example/\n", U::Character),
        ("https://h\u{f6}st.example", U::Character),
        (&long, U::TooLong),
    ] {
        assert_eq!(text.parse::<EndpointUrl>(), Err(error), "{text:?}");
        refused(
            &with(&web(), "endpoint_url", Some(json!(text))),
            "endpoint url",
        );
    }
}

#[test]
fn f_10_the_web_profile_needs_nothing_else() {
    assert!(read(&web()).is_ok());
    refused(
        &with(&web(), "endpoint_spiffe_id", Some(Value::Null)),
        "invalid type",
    );
    let id = json!("spiffe://partner.example/bundle");
    let named = with(&web(), "endpoint_spiffe_id", Some(id));
    refused(&named, "https_web has no endpoint_spiffe_id");
}

#[test]
fn f_15_the_spiffe_profile_names_its_workload() {
    let relationship = read(&spiffe()).unwrap();
    assert!(relationship.is_self_serving());
    let text = serde_json::to_value(&relationship).unwrap();
    assert_eq!(text, spiffe());
    assert_eq!(serde_json::to_value(read(&web()).unwrap()).unwrap(), web());
    refused(
        &with(&spiffe(), "endpoint_spiffe_id", None),
        "needs endpoint_spiffe_id",
    );
    for bad in [
        "spiffe://partner.example",
        "https://partner.example/x",
        "SPIFFE://td/a",
        "",
    ] {
        let named = with(&spiffe(), "endpoint_spiffe_id", Some(json!(bad)));
        assert!(read(&named).is_err(), "{bad}");
    }
    let third = json!("spiffe://hosting.example/bundle");
    let third = with(&spiffe(), "endpoint_spiffe_id", Some(third));
    assert!(!read(&third).unwrap().is_self_serving());
}

#[test]
fn f_14_a_redirection_leads_to_an_endpoint_and_is_not_remembered() {
    let relationship = read(&web()).unwrap();
    let before = relationship.clone();
    let target = relationship
        .redirected("https://cdn.example/partner.json")
        .unwrap();
    assert_eq!(target.host(), "cdn.example");
    assert_eq!(relationship, before);
    assert_eq!(
        relationship.url().as_str(),
        "https://bundles.example/partner"
    );
    for bad in [
        "http://cdn.example/partner.json",
        "https://user@cdn.example/",
        "/partner.json",
        "//cdn.example/partner.json",
        "ftp://cdn.example",
        "javascript:alert(1)",
        "",
    ] {
        assert!(relationship.redirected(bad).is_err(), "{bad}");
    }
}
