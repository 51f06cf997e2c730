//! SPIFFE IDs as three parsers read them: ours, the Rust crate `spiffe` and PyPI's `spiffe`. Every
//! difference is of a class that is known, and no class is empty.

use std::collections::{BTreeMap, BTreeSet};

use chancery_identity::SpiffeId;
use serde_json::json;

use crate::generator::strings;
use crate::python::run;

/// How many strings are judged.
const STRINGS: usize = 100_000;
/// Where they begin.
const SEED: u64 = 0x5350_4946_4645;

const SCHEME: &str = "spiffe://";
const LONGEST_DOMAIN: usize = 255;

/// How another parser takes what ours refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    /// Scheme or trust domain in upper case are read in lower case. Ours does so for what people
    /// type alone ([`SpiffeId::normalize`]).
    UpperCase,
    /// One line feed at the end of the trust domain or of a segment is taken.
    LineFeed,
    /// A trust domain is longer than 255 bytes.
    LongTrustDomain,
    /// The Kelvin sign, whose lower case is the letter k.
    KelvinSign,
}

/// What a parser that differs in these ways alone reads: the classes that it needed to, and the
/// ID as it writes it. None where it refuses.
fn lenient(text: &str, allowed: &[Class]) -> Option<(BTreeSet<Class>, String)> {
    let mut needed = BTreeSet::new();
    let scheme = text.get(..SCHEME.len())?;
    if !scheme.eq_ignore_ascii_case(SCHEME) {
        return None;
    }
    let rest = text.get(SCHEME.len()..)?;
    let end = rest.find('/').unwrap_or(rest.len());
    let (domain, path) = rest.split_at(end);
    let strip = |part: &str, needed: &mut BTreeSet<Class>| match part.strip_suffix('\n') {
        Some(stripped) if allowed.contains(&Class::LineFeed) => {
            needed.insert(Class::LineFeed);
            stripped.to_owned()
        }
        _ => part.to_owned(),
    };
    let mut bare_domain = strip(domain, &mut needed);
    if allowed.contains(&Class::KelvinSign) && bare_domain.contains('\u{212a}') {
        needed.insert(Class::KelvinSign);
        bare_domain = bare_domain.replace('\u{212a}', "k");
    }
    let lowered = bare_domain.to_ascii_lowercase();
    if scheme != SCHEME || lowered != bare_domain {
        needed.insert(Class::UpperCase);
    }
    let mut judged = lowered.clone();
    if allowed.contains(&Class::LongTrustDomain)
        && judged.len() > LONGEST_DOMAIN
        && judged.is_ascii()
    {
        needed.insert(Class::LongTrustDomain);
        // Its characters are looked at in pieces, each of which is short enough.
        let pieces = judged.as_bytes().chunks(LONGEST_DOMAIN);
        let good = |piece: &[u8]| {
            let piece = std::str::from_utf8(piece).unwrap();
            piece.parse::<chancery_identity::TrustDomain>().is_ok()
        };
        if !pieces.into_iter().all(good) {
            return None;
        }
        judged.truncate(LONGEST_DOMAIN);
    }
    let segment = |part: &str| match strip(part, &mut needed).as_str() {
        // With its line feed it was no dot segment.
        dots @ ("." | "..") if dots != part => "dots".to_owned(),
        other => other.to_owned(),
    };
    let segments: Vec<String> = path.split('/').map(segment).collect();
    let bare = format!("{SCHEME}{judged}{}", segments.join("/"));
    bare.parse::<SpiffeId>().ok()?;
    let written = domain.replace('\u{212a}', "k").to_ascii_lowercase();
    Some((needed, format!("{SCHEME}{written}{path}")))
}

/// Holds `others`, what another parser writes for each text or nothing, against ours.
fn compare(texts: &[String], others: &[Option<String>], allowed: &[Class]) {
    assert_eq!(texts.len(), others.len());
    let mut counts: BTreeMap<Class, usize> = BTreeMap::new();
    let (mut both, mut differ) = (0, 0);
    for (text, other) in texts.iter().zip(others) {
        let ours = text.parse::<SpiffeId>().ok();
        if let Some(id) = &ours {
            // What we take, everybody takes, and writes as we do.
            assert_eq!(other.as_deref(), Some(id.as_str()), "{text:?}");
            assert_eq!(id.as_str(), text);
            both += 1;
            continue;
        }
        let expected = lenient(text, allowed);
        let read = expected.as_ref().map(|(_, read)| read.as_str());
        assert_eq!(other.as_deref(), read, "{text:?}: {expected:?}");
        let Some((classes, _)) = expected else {
            continue;
        };
        assert!(
            !classes.is_empty(),
            "{text:?} is refused for no reason that is known"
        );
        differ += 1;
        for class in classes {
            *counts.entry(class).or_default() += 1;
        }
    }
    println!("{both} taken by both, {differ} by the other alone: {counts:?}");
    assert!(both > texts.len() / 5, "too few are IDs: {both}");
    let neither = texts.len() - both - differ;
    assert!(neither > texts.len() / 5, "too few are none: {neither}");
    let seen: Vec<_> = counts.into_keys().collect();
    assert_eq!(seen, allowed, "a class that no string shows");
}

#[test]
fn id_05_the_rust_crate_differs_in_upper_case_alone() {
    let texts = strings(SEED, STRINGS);
    let read = |text: &String| spiffe::SpiffeId::new(text).ok().map(|id| id.to_string());
    let others: Vec<_> = texts.iter().map(read).collect();
    compare(&texts, &others, &[Class::UpperCase]);
    // Upper case is read as the crate reads it where people type it.
    for text in &texts {
        let typed = SpiffeId::normalize(text).ok().map(|id| id.to_string());
        let other = spiffe::SpiffeId::new(text).ok().map(|id| id.to_string());
        assert_eq!(typed, other, "{text:?}");
    }
}

#[test]
fn id_05_the_python_package_differs_in_four_ways() {
    let texts = strings(SEED, STRINGS);
    let Some(answer) = run(&json!({"do": "ids", "ids": texts})) else {
        return;
    };
    let others: Vec<Option<String>> = serde_json::from_value(answer).unwrap();
    let allowed = [
        Class::UpperCase,
        Class::LineFeed,
        Class::LongTrustDomain,
        Class::KelvinSign,
    ];
    compare(&texts, &others, &allowed);
}

#[test]
fn id_05_the_strings_are_the_same_every_time() {
    let texts = strings(SEED, STRINGS);
    assert_eq!(texts, strings(SEED, STRINGS));
    let distinct: BTreeSet<_> = texts.iter().collect();
    assert!(distinct.len() > STRINGS * 9 / 10, "{}", distinct.len());
}
