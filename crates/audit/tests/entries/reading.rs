use chancery_audit::{
    ClearValue, Entry, EntryError, Event, Label, Writer, documentation, markdown,
};
use chancery_types::limits::MAX_LOG_ENTRY_BYTES;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::samples::{decision, entry, samples};

fn text(entry: &Entry) -> String {
    String::from_utf8(entry.to_bytes().unwrap()).unwrap()
}

fn canonical(value: &Value) -> Vec<u8> {
    chancery_types::to_jcs(value).unwrap()
}

#[test]
fn every_type_reads_its_own_writing() {
    let samples = samples();
    for sample in &samples {
        let bytes = sample.to_bytes().unwrap();
        assert_eq!(&Entry::parse(&bytes).unwrap(), sample);
    }
    let mut names: Vec<&str> = samples
        .iter()
        .map(|sample| sample.event.type_name())
        .collect();
    names.sort_unstable();
    let mut known: Vec<&str> = documentation().iter().map(|kind| kind.name).collect();
    known.sort_unstable();
    assert_eq!(names, known, "one sample of every type");
}

#[test]
fn every_member_is_required_or_documented_as_optional() {
    for sample in samples() {
        let whole: Value = serde_json::from_slice(&sample.to_bytes().unwrap()).unwrap();
        let kind = documentation()
            .into_iter()
            .find(|kind| kind.name == sample.event.type_name())
            .unwrap();
        assert_eq!(kind.writer, sample.event.writer());
        for field in &kind.fields {
            assert!(
                !field.meaning.is_empty() && !field.kind.is_empty(),
                "{}",
                field.name
            );
            let mut less = whole.clone();
            less["body"].as_object_mut().unwrap().remove(field.name);
            assert_eq!(
                Entry::parse(&canonical(&less)).is_ok(),
                !field.required,
                "{} without {}",
                kind.name,
                field.name
            );
            for wrong in [
                json!(null),
                json!(1.5),
                json!([{}]),
                json!({"x": 1}),
                json!("\u{1}"),
            ] {
                let mut other = whole.clone();
                other["body"][field.name] = wrong.clone();
                assert!(
                    Entry::parse(&canonical(&other)).is_err(),
                    "{} with {} = {wrong}",
                    kind.name,
                    field.name
                );
            }
        }
        let named: Vec<&str> = kind.fields.iter().map(|field| field.name).collect();
        for member in whole["body"].as_object().unwrap().keys() {
            assert!(named.contains(&member.as_str()), "{member}");
        }
    }
}

#[test]
fn the_envelope_is_strict() {
    let whole: Value = serde_json::from_slice(&samples()[0].to_bytes().unwrap()).unwrap();
    for (member, wrong) in [
        ("v", json!(2)),
        ("v", json!(0)),
        ("v", json!("1")),
        ("type", json!("trust.changed")),
        ("type", json!("session.open")),
        ("type", json!("")),
        ("origin", json!("")),
        ("origin", json!("a\nb")),
        ("at", json!(-1)),
        ("at", json!("2027-01-15T08:00:00Z")),
        ("at", json!(1_u64 << 53)),
        ("body", json!([])),
        ("body", json!({})),
        ("more", json!(1)),
    ] {
        let mut other = whole.clone();
        other[member] = wrong.clone();
        assert!(
            Entry::parse(&canonical(&other)).is_err(),
            "{member} = {wrong}"
        );
    }
    for member in ["v", "type", "origin", "at", "body"] {
        let mut less = whole.clone();
        less.as_object_mut().unwrap().remove(member);
        assert!(Entry::parse(&canonical(&less)).is_err(), "without {member}");
    }
    let mut newer = whole.clone();
    newer["v"] = json!(2);
    assert!(matches!(
        Entry::parse(&canonical(&newer)),
        Err(EntryError::Version(2))
    ));
    let mut unknown = whole;
    unknown["type"] = json!("session.pause");
    assert!(matches!(
        Entry::parse(&canonical(&unknown)),
        Err(EntryError::UnknownType(_))
    ));
}

#[test]
fn one_spelling_only() {
    let good = text(&entry(decision()));
    for bad in [
        format!("{good}\n"),
        format!(" {good}"),
        good.replace("\"v\":1", "\"v\": 1"),
        good.replace("\"amount\":-5", "\"amount\":-5.0"),
        good.replace("\"bytes\":12", "\"bytes\":012"),
        good.replace('é', "\\u00e9"),
        good.replace("sha256:", "SHA256:"),
        good.replace("\"v\":1}", "\"v\":1,\"v\":1}"),
        good.replacen("{\"at\":", "{\"v\":1,\"at\":", 1),
        good.replace("exe_", "EXE_"),
    ] {
        assert!(
            bad == good || Entry::parse(bad.as_bytes()).is_err(),
            "{bad}"
        );
    }
    assert!(Entry::parse(b"").is_err());
    assert!(Entry::parse(b"\xff").is_err());
}

#[test]
fn entries_are_bounded_both_ways() {
    let mut large = decision();
    let name = |n: usize| format!("{n}").parse::<Label>().unwrap();
    for n in 0..80 {
        large
            .request
            .clear
            .insert(name(n), ClearValue::Text("x".repeat(1_000)));
    }
    assert!(matches!(entry(large).to_bytes(), Err(EntryError::TooLong)));
    let long = vec![b' '; MAX_LOG_ENTRY_BYTES + 1];
    assert!(matches!(Entry::parse(&long), Err(EntryError::TooLong)));
    let mut unsafe_integer = decision();
    unsafe_integer.cost_micros = 1 << 53;
    assert!(matches!(
        entry(unsafe_integer).to_bytes(),
        Err(EntryError::Canonical(_))
    ));
}

#[test]
fn the_page_has_every_type_and_member() {
    let page = markdown();
    for kind in documentation() {
        assert!(page.contains(&format!("## `{}`", kind.name)));
        for field in kind.fields {
            assert!(page.contains(&format!("| `{}`", field.name)));
        }
    }
    let gateway = documentation()
        .iter()
        .filter(|kind| kind.writer == Writer::Gateway)
        .count();
    assert_eq!(gateway, 19);
}

#[test]
fn entries_of_an_instance_name_session_and_place() {
    for sample in samples() {
        let linked = sample.event.instance_link().is_some();
        let has_link = text(&sample).contains("\"link\":{");
        assert_eq!(linked, has_link, "{}", sample.event.type_name());
        if let Some((session, ..)) = sample.event.instance_link() {
            assert_eq!(sample.event.session(), Some(session));
        }
    }
    assert!(matches!(samples()[0].event, Event::TrustChange(_)));
}

proptest! {
    #[test]
    fn no_flipped_bit_reads_as_the_same_entry(which in 0..19_usize, place in any::<prop::sample::Index>(), bit in 0..8_u8) {
        let sample = &samples()[which];
        let mut bytes = sample.to_bytes().unwrap();
        let place = place.index(bytes.len());
        bytes[place] ^= 1 << bit;
        if let Ok(read) = Entry::parse(&bytes) {
            prop_assert_ne!(&read, sample);
            prop_assert_eq!(read.to_bytes().unwrap(), bytes);
        }
    }

    #[test]
    fn any_bytes_are_answered(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Entry::parse(&bytes);
    }
}
