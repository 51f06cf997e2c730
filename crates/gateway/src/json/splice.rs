use super::Span;

/// A part of a text, and what stands there instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Edit {
    pub(crate) span: Span,
    pub(crate) replacement: &'static str,
}

impl Edit {
    /// Leaves out what stands at `span`.
    pub(crate) fn cut(span: Span) -> Self {
        Self {
            span,
            replacement: "",
        }
    }
}

/// The cuts that take the marked values out of the object or array at `container`, each with its
/// name and one comma, so that what remains is the same JSON without them.
///
/// `values` are the spans of all members or items, in order, each with whether it goes.
pub(crate) fn removals(
    text: &str,
    container: &Span,
    values: impl IntoIterator<Item = (Span, bool)>,
) -> Vec<Edit> {
    let mut cuts = Vec::new();
    let mut before = container.start + 1;
    let mut kept_one = false;
    for (value, goes) in values {
        if !goes {
            kept_one = true;
            before = value.end;
            continue;
        }
        let end = if kept_one {
            value.end
        } else {
            after_comma(text, value.end).unwrap_or(value.end)
        };
        cuts.push(Edit::cut(before..end));
        before = end;
    }
    cuts
}

/// `text` with `edits` made, which are in order and do not overlap. Every other byte stays.
pub(crate) fn apply(text: &str, edits: &[Edit]) -> String {
    let mut edited = String::with_capacity(text.len());
    let mut from = 0;
    for edit in edits {
        edited.push_str(text.get(from..edit.span.start).unwrap_or_default());
        edited.push_str(edit.replacement);
        from = edit.span.end;
    }
    edited.push_str(text.get(from..).unwrap_or_default());
    edited
}

fn after_comma(text: &str, from: usize) -> Option<usize> {
    let rest = text.get(from..)?;
    let spaces = rest.len() - rest.trim_start().len();
    rest.trim_start()
        .starts_with(',')
        .then_some(from + spaces + 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{items, members, part};
    use super::*;

    fn without(text: &str, gone: &[&str]) -> String {
        let whole = 0..text.len();
        let marked = members(text, &whole)
            .unwrap()
            .into_iter()
            .map(|member| (member.value, gone.contains(&member.name.as_ref())));
        apply(text, &removals(text, &whole, marked))
    }

    #[test]
    fn takes_one_comma_with_each_member() {
        let text = r#"{ "a" : 1 , "b":[ ] ,"c":"}" }"#;
        assert_eq!(without(text, &[]), text);
        assert_eq!(without(text, &["a"]), r#"{ "b":[ ] ,"c":"}" }"#);
        assert_eq!(without(text, &["b"]), r#"{ "a" : 1 ,"c":"}" }"#);
        assert_eq!(without(text, &["c"]), r#"{ "a" : 1 , "b":[ ] }"#);
        assert_eq!(without(text, &["a", "b"]), r#"{"c":"}" }"#);
        assert_eq!(without(text, &["a", "c"]), r#"{ "b":[ ] }"#);
        assert_eq!(without(text, &["a", "b", "c"]), "{ }");
    }

    proptest! {
        #[test]
        fn what_remains_is_what_was_kept(
            values in prop::collection::vec(("[ \n]{0,2}-?[1-9][0-9]{0,3}(\\.[0-9]{1,3})?[ \t]{0,2}", any::<bool>()), 0..8),
        ) {
            let text = format!("[{}]", values.iter().map(|(value, _)| value.as_str()).collect::<Vec<_>>().join(","));
            let whole = 0..text.len();
            let spans = items(&text, &whole).unwrap();
            let marked = spans.into_iter().zip(values.iter().map(|(_, goes)| *goes));
            let edited = apply(&text, &removals(&text, &whole, marked));
            let left = items(&edited, &(0..edited.len())).unwrap();
            let left: Vec<_> = left.into_iter().map(|span| part(&edited, &span).to_owned()).collect();
            let kept: Vec<_> = values.iter().filter(|(_, goes)| !goes).map(|(value, _)| value.trim().to_owned()).collect();
            prop_assert_eq!(left, kept);
        }
    }
}
