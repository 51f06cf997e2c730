use super::*;
use SpiffeIdError as E;

#[test]
fn accepts() {
    let longest_domain = format!("spiffe://{}/a", "a".repeat(255));
    let longest = format!("spiffe://td/{}", "a".repeat(2_048 - 12));
    let longer = format!("{longest}a");
    for text in [
        "spiffe://example.org",
        "spiffe://example.org/a",
        "spiffe://example.org/a/b/c",
        "spiffe://1.2.3.4/a",
        "spiffe://-td-/a",
        "spiffe://./a",
        "spiffe://../a",
        "spiffe://a..b/a",
        "spiffe://my_td/a",
        "spiffe://0/0",
        "spiffe://_/_",
        "spiffe://td/...",
        "spiffe://td/.hidden",
        "spiffe://td/a.",
        "spiffe://td/..a",
        "spiffe://td/UPPER/lower",
        "spiffe://td/a-b_c.d",
        "spiffe://td/-",
        "spiffe://td/9eebccd2-12bf-40a6-b262-65fe0487d453",
        &longest_domain,
        &longest,
        &longer,
    ] {
        let id: SpiffeId = text.parse().unwrap();
        assert_eq!(id.to_string(), text);
        assert_eq!(format!("spiffe://{}{}", id.trust_domain(), id.path()), text);
        assert_eq!(SpiffeId::normalize(text).unwrap(), id);
        assert_eq!(id.is_mintable(), text.len() <= 2_048);
    }
}

#[test]
fn refuses() {
    let long_domain = format!("spiffe://{}/a", "a".repeat(256));
    for (text, error) in [
        ("", E::Scheme),
        ("spiffe", E::Scheme),
        ("spiffe:", E::Scheme),
        ("spiffe:/td/a", E::Scheme),
        ("spiffe:td/a", E::Scheme),
        ("://td/a", E::Scheme),
        ("//td/a", E::Scheme),
        ("td/a", E::Scheme),
        ("http://td/a", E::Scheme),
        ("https://td/a", E::Scheme),
        ("spiffes://td/a", E::Scheme),
        ("SPIFFE://td/a", E::Scheme),
        ("Spiffe://td/a", E::Scheme),
        (" spiffe://td/a", E::Scheme),
        ("\u{feff}spiffe://td/a", E::Scheme),
        ("urn:spiffe://td/a", E::Scheme),
        ("spiffe://", E::EmptyTrustDomain),
        ("spiffe:///", E::EmptyTrustDomain),
        ("spiffe:///a", E::EmptyTrustDomain),
        (&long_domain, E::TrustDomainTooLong),
        ("spiffe://Example.org/a", E::TrustDomainCharacter),
        ("spiffe://TD/a", E::TrustDomainCharacter),
        ("spiffe://u@td/a", E::TrustDomainCharacter),
        ("spiffe://u:p@td/a", E::TrustDomainCharacter),
        ("spiffe://@td/a", E::TrustDomainCharacter),
        ("spiffe://td:80/a", E::TrustDomainCharacter),
        ("spiffe://td:/a", E::TrustDomainCharacter),
        ("spiffe://[::1]/a", E::TrustDomainCharacter),
        ("spiffe://[fe80::1]:80/a", E::TrustDomainCharacter),
        ("spiffe://t%64/a", E::TrustDomainCharacter),
        ("spiffe://t d/a", E::TrustDomainCharacter),
        ("spiffe://t\u{e9}/a", E::TrustDomainCharacter),
        ("spiffe://\u{ff54}d/a", E::TrustDomainCharacter),
        ("spiffe://t\0d/a", E::TrustDomainCharacter),
        ("spiffe://td\n/a", E::TrustDomainCharacter),
        ("spiffe://td\n", E::TrustDomainCharacter),
        ("spiffe://td?q", E::TrustDomainCharacter),
        ("spiffe://td#f", E::TrustDomainCharacter),
        ("spiffe://td?", E::TrustDomainCharacter),
        ("spiffe://td#", E::TrustDomainCharacter),
        ("spiffe://td\\a", E::TrustDomainCharacter),
        ("spiffe://td~/a", E::TrustDomainCharacter),
        ("spiffe://t*/a", E::TrustDomainCharacter),
        ("spiffe://td/", E::EmptySegment),
        ("spiffe://td//", E::EmptySegment),
        ("spiffe://td//a", E::EmptySegment),
        ("spiffe://td/a//b", E::EmptySegment),
        ("spiffe://td/a/", E::EmptySegment),
        ("spiffe://td/.", E::DotSegment),
        ("spiffe://td/..", E::DotSegment),
        ("spiffe://td/./a", E::DotSegment),
        ("spiffe://td/a/../b", E::DotSegment),
        ("spiffe://td/a/..", E::DotSegment),
        ("spiffe://td/a?", E::PathCharacter),
        ("spiffe://td/a#", E::PathCharacter),
        ("spiffe://td/a?q=1", E::PathCharacter),
        ("spiffe://td/a#f", E::PathCharacter),
        ("spiffe://td/%61", E::PathCharacter),
        ("spiffe://td/a%2Fb", E::PathCharacter),
        ("spiffe://td/a%", E::PathCharacter),
        ("spiffe://td/~a", E::PathCharacter),
        ("spiffe://td/a:b", E::PathCharacter),
        ("spiffe://td/a@b", E::PathCharacter),
        ("spiffe://td/a+b", E::PathCharacter),
        ("spiffe://td/a,b", E::PathCharacter),
        ("spiffe://td/a=b", E::PathCharacter),
        ("spiffe://td/a!", E::PathCharacter),
        ("spiffe://td/*", E::PathCharacter),
        ("spiffe://td/a\\b", E::PathCharacter),
        ("spiffe://td/a b", E::PathCharacter),
        ("spiffe://td/a ", E::PathCharacter),
        ("spiffe://td/\u{e9}", E::PathCharacter),
        ("spiffe://td/a\u{200b}", E::PathCharacter),
        ("spiffe://td/a\0", E::PathCharacter),
        ("spiffe://td/a\n", E::PathCharacter),
        ("spiffe://td/a\r\n", E::PathCharacter),
        ("spiffe://td/\u{2025}", E::PathCharacter),
    ] {
        assert_eq!(text.parse::<SpiffeId>(), Err(error), "{text:?}");
        let json = serde_json::to_string(text).unwrap();
        assert!(serde_json::from_str::<SpiffeId>(&json).is_err(), "{text:?}");
    }
}

#[test]
fn only_typed_text_is_normalised() {
    let id = SpiffeId::normalize("SPIFFE://Example.ORG/Path").unwrap();
    assert_eq!(id.as_str(), "spiffe://example.org/Path");
    for bad in [
        "SPIFFE://",
        "SPIFFE://td:1/a",
        "spiffe:/\u{e9}/",
        "x",
        "SPIFFE://td/a\n",
    ] {
        assert!(SpiffeId::normalize(bad).is_err(), "{bad:?}");
    }
}

#[test]
fn paths_are_case_sensitive() {
    let lower: SpiffeId = "spiffe://td/a".parse().unwrap();
    let upper: SpiffeId = "spiffe://td/A".parse().unwrap();
    assert_ne!(lower, upper);
}

#[test]
fn a_trust_domain_is_a_name_and_nothing_else() {
    for bad in ["", "spiffe://td", "td/", "td/a", "TD", "td:1", "td "] {
        assert!(bad.parse::<TrustDomain>().is_err(), "{bad:?}");
    }
    let td: TrustDomain = "td".parse().unwrap();
    assert_eq!(td.to_spiffe_id().as_str(), "spiffe://td");
    assert_eq!(td.to_spiffe_id().path(), "");
    assert!(SpiffeId::from_parts(td, "a").is_err());
}
