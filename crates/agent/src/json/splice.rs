use super::{Span, part};

/// `text` with `members` put in front of what the object at `object` holds. Every other byte stays
/// where it was, so that whoever takes the members and their comma out has the text again.
pub(crate) fn insert_first(text: &str, object: &Span, members: &str) -> Option<String> {
    let inner = part(text, object).strip_prefix('{')?;
    let at = object.start.checked_add(1)?;
    let (before, after) = text.split_at_checked(at)?;
    let comma = if inner.trim_start().starts_with('}') {
        ""
    } else {
        ","
    };
    Some([before, members, comma, after].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adds_one_comma_where_something_follows() {
        for (text, expected) in [
            ("{}", r#"{"x":1}"#),
            ("{ }", r#"{"x":1 }"#),
            (r#"{ "a" : 1.0 }"#, r#"{"x":1, "a" : 1.0 }"#),
            (r#"{"}":"{"}"#, r#"{"x":1,"}":"{"}"#),
        ] {
            assert_eq!(
                insert_first(text, &(0..text.len()), r#""x":1"#).unwrap(),
                expected
            );
        }
    }

    #[test]
    fn adds_nothing_to_what_is_no_object() {
        for (text, span) in [("[]", 0..2), ("", 0..0), ("{}", 1..2), ("{}", 5..9)] {
            assert_eq!(insert_first(text, &span, r#""x":1"#), None);
        }
    }
}
