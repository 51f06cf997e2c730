//! JSON text, looked at without being rebuilt: where its parts stand, and how to cut some out.

mod guard;
mod members;
mod splice;

pub(crate) use guard::{Flaw, guard};
pub(crate) use members::{Member, items, members};
pub(crate) use splice::{Edit, apply, removals};

/// A part of a text, as byte offsets into it.
pub(crate) type Span = std::ops::Range<usize>;

/// The part of `text` at `span`; empty when the span is not one of this text.
pub(crate) fn part<'t>(text: &'t str, span: &Span) -> &'t str {
    text.get(span.clone()).unwrap_or_default()
}
