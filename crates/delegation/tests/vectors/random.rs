use serde_json::{Value, json};

use crate::mutation::Dice;

/// A JSON text that may hold anything, and may be none.
pub(crate) fn text(dice: &mut Dice) -> String {
    let mut text = value_text(dice, 0);
    if dice.below(6) == 0 {
        const CHARACTERS: &[char] = &[
            '"', '\\', ',', ':', '{', ']', '-', '.', 'e', ' ', '\n', '\u{7f}', 'é',
        ];
        let places: Vec<_> = text.char_indices().map(|(place, _)| place).collect();
        text.insert(*dice.pick(&places), *dice.pick(CHARACTERS));
    }
    text
}

fn value_text(dice: &mut Dice, depth: usize) -> String {
    match dice.below(if depth > 3 { 6 } else { 9 }) {
        0..=2 => number_text(dice),
        3..=4 => string_text(dice),
        5 => (*dice.pick(&["true", "false", "null", "{}", "[]"])).to_owned(),
        6 => {
            let items: Vec<_> = (0..dice.below(4))
                .map(|_| value_text(dice, depth + 1))
                .collect();
            format!("[{}]", items.join(","))
        }
        _ => {
            let members: Vec<_> = (0..dice.below(4))
                .map(|_| format!("{}:{}", string_text(dice), value_text(dice, depth + 1)))
                .collect();
            format!("{{{}}}", members.join(","))
        }
    }
}

/// Floats of every size in several spellings, and integers of at most 64 bits: a larger one is a
/// float to one reader and an integer to the other, and an argument to neither (`read_arguments`
/// refuses it, which the vectors hold).
fn number_text(dice: &mut Dice) -> String {
    let float = f64::from_bits(dice.next());
    let small = (dice.next() % 2_000_000) as f64 / 1_000.0 - 1_000.0;
    match dice.below(9) {
        0 if float.is_finite() => format!("{float:e}"),
        1 if float.is_finite() => format!("{float:.17e}"),
        2 => format!("{small}"),
        3 => format!("{small:e}"),
        4 => format!("{}e{}", dice.next() % 1_000_000_000, dice.below(40)),
        5 => format!("0.{}{}", "0".repeat(dice.below(12)), dice.next() >> 4),
        6 => format!("{}", dice.next() as i64),
        7 => format!("{}", dice.next() >> 1 >> dice.below(63)),
        _ => (*dice.pick(&[
            "0", "-0", "1.0", "-0.0", "1e21", "1e400", "5e-324", "01", "1.", "NaN",
        ]))
        .to_owned(),
    }
}

fn string_text(dice: &mut Dice) -> String {
    const PIECES: &[&str] = &[
        "a",
        "b",
        "B",
        "1",
        "\\n",
        "\\u000b",
        "\\u001f",
        "\\u007f",
        "\\\"",
        "\\\\",
        "\\/",
        "é",
        "e\\u0301",
        "\\u00e9",
        "\u{20ac}",
        "\u{fb33}",
        "\u{1f600}",
        "\\ud83d\\ude00",
        "\\ud800",
        "\\udc00",
        "\u{2028}",
        "\u{80}",
    ];
    let pieces: String = (0..dice.below(4)).map(|_| *dice.pick(PIECES)).collect();
    format!("\"{pieces}\"")
}

/// A constraint, with a child or a value.
pub(crate) fn constraint_case(dice: &mut Dice) -> Value {
    let constraint = constraint(dice);
    match dice.below(3) {
        0 => json!({"constraint": constraint, "child": self::constraint(dice)}),
        1 => {
            let child = sibling(dice, &constraint);
            json!({"constraint": constraint, "child": child})
        }
        _ => json!({"constraint": constraint, "value": scalar(dice)}),
    }
}

fn constraint(dice: &mut Dice) -> Value {
    match dice.below(6) {
        0 => json!({"exact": scalar(dice)}),
        1 => {
            let values: Vec<_> = (0..dice.below(4)).map(|_| scalar(dice)).collect();
            json!({ "one_of": values })
        }
        2 => json!({"path_prefix": path(dice)}),
        3 => json!({"int_range": [integer(dice), integer(dice)]}),
        _ => json!({"cidr": network(dice)}),
    }
}

/// A constraint that is near the other: the same kind, or the other's value as an exact one.
fn sibling(dice: &mut Dice, other: &Value) -> Value {
    let (kind, held) = other.as_object().unwrap().iter().next().unwrap();
    match (dice.below(3), kind.as_str()) {
        (0, "int_range") => json!({"exact": held[dice.below(2)]}),
        (0, _) => json!({"exact": held}),
        (_, "path_prefix") => {
            json!({"path_prefix": format!("{}/{}", held.as_str().unwrap(), segment(dice))})
        }
        (_, "cidr") => json!({"cidr": network(dice)}),
        (_, "int_range") => json!({"int_range": [integer(dice), held[1]]}),
        _ => other.clone(),
    }
}

fn scalar(dice: &mut Dice) -> Value {
    match dice.below(7) {
        0 => json!(integer(dice)),
        1 => json!(dice.below(2) == 0),
        2 => json!(path(dice)),
        3 => json!(address(dice)),
        4 => json!(network(dice)),
        5 => dice
            .pick(&[
                json!(null),
                json!(1.5),
                json!(5.0),
                json!([]),
                json!(u64::MAX),
                json!(""),
            ])
            .clone(),
        _ => json!(*dice.pick(&["a", "A", "1", "true", "é", "e\u{301}"])),
    }
}

fn integer(dice: &mut Dice) -> i64 {
    const EDGE: i64 = 1 << 53;
    *dice.pick(&[0, 1, -1, 5, 9, 10, EDGE, EDGE - 1, -EDGE, 1 - EDGE])
}

fn segment(dice: &mut Dice) -> &'static str {
    const SEGMENTS: &[&str] = &[
        "a", "b", "ab", "..", ".", "", "...", "a b", "%2e", "a\\b", "é", "a\0", "*",
    ];
    let segment: &&str = dice.pick(SEGMENTS);
    segment
}

fn path(dice: &mut Dice) -> String {
    let segments: Vec<_> = (0..=dice.below(3)).map(|_| segment(dice)).collect();
    let start = dice.pick(&["/", "/", "/", "", "//", "~/"]);
    format!("{start}{}", segments.join("/"))
}

fn address(dice: &mut Dice) -> String {
    let part =
        |dice: &mut Dice| (*dice.pick(&["0", "1", "10", "255", "256", "01", "", "a"])).to_owned();
    if dice.below(2) == 0 {
        let parts: Vec<_> = (0..[4, 4, 4, 4, 3, 5][dice.below(6)])
            .map(|at| if at == 0 { "10".to_owned() } else { part(dice) })
            .collect();
        return parts.join(".");
    }
    const GROUPS: &[&str] = &[
        "0", "0", "0", "1", "a", "ffff", "FFFF", "0db8", "db8", "2001", "2002", "10.0.0.1",
    ];
    let count = dice.below(9);
    let mut groups: Vec<_> = (0..count).map(|_| *dice.pick(GROUPS)).collect();
    if dice.below(3) > 0 && !groups.is_empty() {
        let place = dice.below(groups.len());
        groups[place] = "";
    }
    let start = dice.pick(&["", "", "::", "::ffff:", "64:ff9b::", "2001:db8::"]);
    format!("{start}{}", groups.join(":"))
}

fn network(dice: &mut Dice) -> String {
    const PLAIN: &[&str] = &[
        "10.0.0.0/8",
        "10.1.0.0/16",
        "0.0.0.0/0",
        "10.0.0.1/32",
        "192.0.2.0/24",
        "::/0",
        "2001:db8::/32",
        "2001:db8:1::/48",
        "::ffff:10.0.0.0/104",
        "::/96",
        "64:ff9b::/96",
        "2002::/16",
        "fe80::/10",
        "::1/128",
    ];
    if dice.below(3) > 0 {
        return (*dice.pick(PLAIN)).to_owned();
    }
    let prefix = dice.pick(&["0", "8", "08", "32", "33", "128", "129", "", "+8", "a"]);
    format!("{}/{prefix}", address(dice))
}
