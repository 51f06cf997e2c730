//! JSON text, looked at and added to without being rebuilt.

mod members;
mod splice;

pub(crate) use members::{Member, NotAnObject, Span, members, part};
pub(crate) use splice::insert_first;
