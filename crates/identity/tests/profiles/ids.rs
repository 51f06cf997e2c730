use chancery_identity::spiffe_id::MAX_MINTED_ID_BYTES;
use chancery_identity::x509_profile::ProfileError;
use chancery_identity::{
    JwtBundles, JwtSvidError, SpiffeId, SpiffeIdError as E, TrustDomain, X509Authority,
    X509SvidError,
};
use rcgen::CertificateParams;
use serde_json::json;

use crate::support::{Authority, Domain, judge_jwt, uri, with};

#[track_caller]
fn refused(text: &str, error: E) {
    assert_eq!(text.parse::<SpiffeId>(), Err(error), "{text:?}");
    let json = json!(text).to_string();
    assert!(serde_json::from_str::<SpiffeId>(&json).is_err(), "{text:?}");
}

#[track_caller]
fn accepted(text: &str) -> SpiffeId {
    let id: SpiffeId = text
        .parse()
        .unwrap_or_else(|error| panic!("{text:?}: {error}"));
    assert_eq!(id.to_string(), text);
    id
}

#[test]
fn id_01_the_scheme_is_spiffe() {
    accepted("spiffe://td/a");
    for text in [
        "",
        "spiffe",
        "spiffe:",
        "spiffe:/td/a",
        "spiffe:td/a",
        "//td/a",
        "td/a",
        "http://td/a",
        "https://td/a",
        "spiffes://td/a",
        "spiff://td/a",
        "Spiffe://td/a",
        " spiffe://td/a",
        "\u{feff}spiffe://td/a",
        "urn:spiffe://td/a",
        "spi\u{fb00}e://td/a",
    ] {
        refused(text, E::Scheme);
    }
}

#[test]
fn id_02_a_trust_domain_is_not_empty() {
    for text in ["spiffe://", "spiffe:///", "spiffe:///a", "spiffe:////"] {
        refused(text, E::EmptyTrustDomain);
    }
    assert_eq!("".parse::<TrustDomain>(), Err(E::EmptyTrustDomain));
}

#[test]
fn id_03_neither_query_nor_fragment() {
    for text in [
        "spiffe://td/a?",
        "spiffe://td/a#",
        "spiffe://td/a?q=1",
        "spiffe://td/a#f",
    ] {
        refused(text, E::PathCharacter);
    }
    for text in [
        "spiffe://td?",
        "spiffe://td#",
        "spiffe://td?q",
        "spiffe://td#f/a",
    ] {
        refused(text, E::TrustDomainCharacter);
    }
}

#[test]
fn id_04_neither_user_nor_port() {
    for text in [
        "spiffe://u@td/a",
        "spiffe://u:p@td/a",
        "spiffe://@td/a",
        "spiffe://:@td/a",
        "spiffe://td:80/a",
        "spiffe://td:/a",
        "spiffe://td:",
        "spiffe://td@/a",
    ] {
        refused(text, E::TrustDomainCharacter);
    }
}

#[test]
fn id_05_a_trust_domain_is_lower_case_and_never_encoded() {
    for text in [
        "spiffe://Td/a",
        "spiffe://TD",
        "spiffe://t%64/a",
        "spiffe://%74d/a",
        "spiffe://[::1]/a",
        "spiffe://[fe80::1%25eth0]/a",
        "spiffe://t d/a",
        "spiffe://t\u{e9}/a",
        "spiffe://td\n/a",
        "spiffe://td\n",
        "spiffe://\u{212a}/a",
        "spiffe://t\0d/a",
        "spiffe://t*/a",
        "spiffe://td\\a",
        "spiffe://t~/a",
        "spiffe://t+d/a",
        "spiffe://t,d/a",
    ] {
        refused(text, E::TrustDomainCharacter);
    }
}

#[test]
fn id_06_no_name_is_treated_specially() {
    for name in [
        "1.2.3.4",
        "999.999.999.999",
        "-td-",
        ".",
        "..",
        "a..b",
        "my_td",
        "_",
        "0",
        "localhost",
        "td.",
        ".td",
        "xn--a",
        "127.0.0.1",
    ] {
        let id = accepted(&format!("spiffe://{name}/a"));
        assert_eq!(id.trust_domain().as_str(), name);
        accepted(&format!("spiffe://{name}"));
    }
}

#[test]
fn id_07_a_path_has_one_spelling() {
    for text in [
        "spiffe://td/...",
        "spiffe://td/.hidden",
        "spiffe://td/a.",
        "spiffe://td/..a",
    ] {
        accepted(text);
    }
    for text in [
        "spiffe://td/",
        "spiffe://td//",
        "spiffe://td//a",
        "spiffe://td/a//b",
        "spiffe://td/a/",
    ] {
        refused(text, E::EmptySegment);
    }
    for text in [
        "spiffe://td/.",
        "spiffe://td/..",
        "spiffe://td/./a",
        "spiffe://td/a/../b",
    ] {
        refused(text, E::DotSegment);
    }
    for text in [
        "spiffe://td/%61",
        "spiffe://td/a%2Fb",
        "spiffe://td/%2e%2e",
        "spiffe://td/a%",
    ] {
        refused(text, E::PathCharacter);
    }
}

#[test]
fn id_08_a_segment_has_letters_digits_dots_dashes_and_underscores() {
    accepted("spiffe://td/AZaz09.-_");
    let others = "~:@+,=!*\\ ;&$'()[]{}<>|\"^`%?#\u{e9}\u{200b}\u{2025}\u{212a}\0\n\r\t\u{7f}";
    for other in others.chars() {
        refused(&format!("spiffe://td/a{other}b"), E::PathCharacter);
        refused(&format!("spiffe://td/{other}"), E::PathCharacter);
        refused(&format!("spiffe://td/a{other}"), E::PathCharacter);
    }
}

#[test]
fn id_09_long_ids_are_read_and_not_made() {
    let of_length = |length: usize| format!("spiffe://td/{}", "a".repeat(length - 12));
    assert!(accepted(&of_length(MAX_MINTED_ID_BYTES)).is_mintable());
    assert!(!accepted(&of_length(MAX_MINTED_ID_BYTES + 1)).is_mintable());
    accepted(&format!("spiffe://{}", "a".repeat(255)));
    refused(
        &format!("spiffe://{}", "a".repeat(256)),
        E::TrustDomainTooLong,
    );
    refused(
        &format!("spiffe://{}/a", "a".repeat(4_096)),
        E::TrustDomainTooLong,
    );
}

#[test]
fn id_10_only_scheme_and_trust_domain_are_case_insensitive() {
    let id = SpiffeId::normalize("SPIFFE://Example.ORG/Path").unwrap();
    assert_eq!(id.as_str(), "spiffe://example.org/Path");
    assert_eq!(id, accepted("spiffe://example.org/Path"));
    assert_ne!(accepted("spiffe://td/a"), accepted("spiffe://td/A"));
    for bad in [
        "SPIFFE://",
        "SPIFFE://td:1/a",
        "SPIFFE://td/a\n",
        "SPIFFE://\u{212a}/a",
        "x",
    ] {
        assert!(SpiffeId::normalize(bad).is_err(), "{bad:?}");
    }
}

#[test]
fn id_11_an_authority_is_named_by_the_trust_domain() {
    let td: TrustDomain = "td".parse().unwrap();
    assert_eq!(td.to_spiffe_id().as_str(), "spiffe://td");
    let named = |name: &str| {
        let change = |params: &mut CertificateParams| params.subject_alt_names = vec![uri(name)];
        X509Authority::new(&td, Authority::root(&td, change).der)
    };
    assert!(named("spiffe://td").is_ok());
    for path in ["spiffe://td/ca", "spiffe://td/spire/server"] {
        assert_eq!(named(path), Err(ProfileError::AuthorityWithPath), "{path}");
    }
    assert_eq!(named("spiffe://other"), Err(ProfileError::WrongTrustDomain));
}

#[test]
fn id_12_the_id_and_the_key_are_signed() {
    let domain = Domain::new("td");
    let leaf = domain.root.leaf("spiffe://td/agent/a", |_| {});
    let id = b"spiffe://td/agent/a";
    let at = leaf
        .windows(id.len())
        .position(|window| window == id)
        .unwrap();
    let mut renamed = leaf.clone();
    renamed[at + id.len() - 1] = b'b';
    assert_eq!(domain.judge_x509(&[renamed]), Err(X509SvidError::Untrusted));
    let spki = domain.judge_x509(std::slice::from_ref(&leaf)).unwrap();
    let at = leaf
        .windows(spki.spki_der().len())
        .position(|window| window == spki.spki_der());
    let mut rekeyed = leaf;
    let last_of_key = at.unwrap() + spki.spki_der().len() - 1;
    rekeyed[last_of_key] ^= 1;
    assert_eq!(domain.judge_x509(&[rekeyed]), Err(X509SvidError::Untrusted));

    let bundles: JwtBundles = [domain.jwt_bundle()].into_iter().collect();
    let claims = domain.jwt_claims();
    let token = domain.jwt_svid(&domain.jwt_header(), &claims);
    let other = with(&claims, "sub", Some(json!("spiffe://td/agent/b")));
    let other = domain.jwt_svid(&domain.jwt_header(), &other);
    let payload = other.split('.').nth(1).unwrap();
    let mut parts: Vec<_> = token.split('.').collect();
    assert!(judge_jwt(&token, &bundles, 0).is_ok());
    parts[1] = payload;
    let spliced = judge_jwt(&parts.join("."), &bundles, 0);
    assert_eq!(spliced, Err(JwtSvidError::BadSignature));
}

#[test]
fn id_13_only_documents_of_the_own_trust_domains_authorities() {
    let (domain, other) = (Domain::new("td"), Domain::new("other"));
    let foreign = other.root.leaf("spiffe://td/agent/a", |_| {});
    assert_eq!(domain.judge_x509(&[foreign]), Err(X509SvidError::Untrusted));
    let foreign = domain.root.leaf("spiffe://other/agent/a", |_| {});
    assert_eq!(
        domain.judge_x509(&[foreign]),
        Err(X509SvidError::WrongTrustDomain)
    );
    let bundles: JwtBundles = [domain.jwt_bundle(), other.jwt_bundle()]
        .into_iter()
        .collect();
    let foreign = other.jwt_svid(&other.jwt_header(), &domain.jwt_claims());
    assert_eq!(
        judge_jwt(&foreign, &bundles, 0),
        Err(JwtSvidError::UnknownKey)
    );
    // No other kind of document is one, whatever it says.
    for other_kind in [
        "spiffe://td/agent/a",
        "{\"sub\":\"spiffe://td/agent/a\"}",
        "a.b",
    ] {
        assert_eq!(
            judge_jwt(other_kind, &bundles, 0),
            Err(JwtSvidError::Malformed)
        );
        let der = other_kind.as_bytes().to_vec();
        let refused = domain.judge_x509(&[der]);
        assert_eq!(refused, Err(X509SvidError::Leaf(ProfileError::Malformed)));
    }
}
