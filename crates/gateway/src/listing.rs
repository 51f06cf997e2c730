use crate::envelope::{Message, unambiguous};
use crate::json::{Edit, Flaw, Span, apply, guard, items, part, removals};

/// What a list is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ListingKind {
    /// `tools/list`.
    Tools,
    /// `prompts/list`.
    Prompts,
    /// `resources/list`.
    Resources,
    /// `resources/templates/list`.
    ResourceTemplates,
}

impl ListingKind {
    const fn array(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::Prompts => "prompts",
            Self::Resources => "resources",
            Self::ResourceTemplates => "resourceTemplates",
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Tools | Self::Prompts => "name",
            Self::Resources => "uri",
            Self::ResourceTemplates => "uriTemplate",
        }
    }
}

/// Why a server's list is not passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ListingError {
    /// The result has no single reading.
    #[error("the server's list is ambiguous or not JSON")]
    Unreadable,
    /// The result holds no list of the expected kind.
    #[error("the server's answer holds no list")]
    NoList,
    /// An entry has no name, or two have the same.
    #[error("an entry of the server's list has no name of its own")]
    Unnamed,
}

impl From<Flaw> for ListingError {
    fn from(_: Flaw) -> Self {
        Self::Unreadable
    }
}

/// One entry of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    name: String,
    span: Span,
}

impl Entry {
    /// The name of the tool or prompt, the URI of the resource, the URI template.
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// A server's answer to a list request, with one reading: every entry has a name of its own.
#[derive(Debug)]
pub struct Listing {
    kind: ListingKind,
    text: String,
    array: Span,
    entries: Vec<Entry>,
    cache_scope: Option<Span>,
}

impl Listing {
    /// Reads the result in `response`.
    pub(crate) fn new(kind: ListingKind, response: Message) -> Result<Self, ListingError> {
        let result = response.body_span().cloned().ok_or(ListingError::NoList)?;
        let text = response.into_text();
        guard(part(&text, &result))?;
        let (mut array, mut cache_scope) = (None, None);
        let known = [kind.array(), "nextCursor", "cacheScope", "ttlMs"];
        for member in unambiguous(&text, &result, &known)? {
            match member.name.as_ref() {
                name if name == kind.array() => array = Some(member.value),
                "cacheScope" => cache_scope = Some(member.value),
                _ => {}
            }
        }
        let array = array
            .filter(|span| part(&text, span).starts_with('['))
            .ok_or(ListingError::NoList)?;
        let mut entries: Vec<Entry> = Vec::new();
        for span in items(&text, &array)? {
            let name = name(&text, &span, kind.name())?;
            entries.push(Entry { name, span });
        }
        let mut names: Vec<_> = entries.iter().map(Entry::name).collect();
        names.sort_unstable();
        if names.is_sorted_by(|one, next| one < next) {
            Ok(Self {
                kind,
                array,
                entries,
                cache_scope,
                text,
            })
        } else {
            Err(ListingError::Unnamed)
        }
    }

    /// What the list is of.
    pub fn kind(&self) -> ListingKind {
        self.kind
    }

    /// The entries, in the server's order.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The raw JSON of an entry, as the server wrote it.
    pub fn raw(&self, entry: &Entry) -> &str {
        part(&self.text, &entry.span)
    }

    /// The response with only the entries that `keep` keeps; those it says nothing about go. It is
    /// no longer public: it depends on who asked.
    pub(crate) fn filtered(&self, keep: &[bool]) -> String {
        let keep = keep.iter().copied().chain(std::iter::repeat(false));
        let marked = self
            .entries
            .iter()
            .zip(keep)
            .map(|(entry, keep)| (entry.span.clone(), !keep));
        let mut edits = removals(&self.text, &self.array, marked);
        if let Some(span) = &self.cache_scope {
            edits.push(Edit {
                span: span.clone(),
                replacement: "\"private\"",
            });
        }
        edits.sort_by_key(|edit| edit.span.start);
        apply(&self.text, &edits)
    }
}

fn name(text: &str, entry: &Span, member: &str) -> Result<String, ListingError> {
    if !part(text, entry).starts_with('{') {
        return Err(ListingError::Unnamed);
    }
    unambiguous(text, entry, &[member, "title", "description"])?
        .into_iter()
        .find(|known| known.name == member)
        .and_then(|known| serde_json::from_str(part(text, &known.value)).ok())
        .ok_or(ListingError::Unnamed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(result: &str) -> Result<Listing, ListingError> {
        let text = format!(r#"{{"jsonrpc":"2.0","id":1,"result":{result}}}"#);
        Listing::new(
            ListingKind::Tools,
            Message::from_server(text.into_bytes()).unwrap(),
        )
    }

    #[test]
    fn hides_entries_and_keeps_the_rest_as_written() {
        let list = listing(
            r#"{"ttlMs":1.0,"tools":[ {"name":"a","x":1E1}, {"name":"b"} ,{"y":{},"name":"c"}],"cacheScope":"public","z":0}"#,
        )
        .unwrap();
        let names: Vec<_> = list.entries().iter().map(Entry::name).collect();
        assert_eq!(names, ["a", "b", "c"]);
        assert_eq!(list.raw(&list.entries()[0]), r#"{"name":"a","x":1E1}"#);
        assert_eq!(
            list.filtered(&[true, false, true]),
            r#"{"jsonrpc":"2.0","id":1,"result":{"ttlMs":1.0,"tools":[ {"name":"a","x":1E1} ,{"y":{},"name":"c"}],"cacheScope":"private","z":0}}"#
        );
        assert_eq!(
            list.filtered(&[]),
            r#"{"jsonrpc":"2.0","id":1,"result":{"ttlMs":1.0,"tools":[],"cacheScope":"private","z":0}}"#
        );
    }

    #[test]
    fn refuses_lists_with_more_than_one_reading() {
        for (bad, error) in [
            ("{}", ListingError::NoList),
            (r#"{"tools":{}}"#, ListingError::NoList),
            (r#"{"tools":[],"tools":[]}"#, ListingError::Unreadable),
            (
                r#"{"tools":[{"name":"a","name":"b"}]}"#,
                ListingError::Unreadable,
            ),
            // Some readers match names without regard to case.
            (r#"{"tools":[],"Tools":[]}"#, ListingError::Unreadable),
            (r#"{"tools":[],"nextcursor":"2"}"#, ListingError::Unreadable),
            (
                r#"{"tools":[],"cacheScope":"private","CacheScope":"public"}"#,
                ListingError::Unreadable,
            ),
            (
                r#"{"tools":[{"name":"a","Name":"b"}]}"#,
                ListingError::Unreadable,
            ),
            (
                r#"{"tools":[{"name":"a","DESCRIPTION":"b"}]}"#,
                ListingError::Unreadable,
            ),
            (r#"{"tools":[{"n":"a"}]}"#, ListingError::Unnamed),
            (r#"{"tools":["a"]}"#, ListingError::Unnamed),
            (
                r#"{"tools":[{"name":"a"},{"name":"a"}]}"#,
                ListingError::Unnamed,
            ),
        ] {
            assert_eq!(listing(bad).unwrap_err(), error, "{bad}");
        }
    }
}
