use std::collections::HashMap;

use crate::json::{Flaw, Member, Span, members};

/// Whether one of `names` is a case variant of one of `known` without being it, or of another of
/// `names`. Some JSON readers match member names without regard to case, Unicode folding included,
/// and would let such a member speak for the one that was judged. No two of `known` are variants of
/// each other.
pub(crate) fn ambiguous<'n>(mut names: impl Iterator<Item = &'n str>, known: &[&'n str]) -> bool {
    let known = known.iter().map(|name| (fold(name), *name));
    let mut spelled: HashMap<String, &str> = known.collect();
    names.any(|name| *spelled.entry(fold(name)).or_insert(name) != name)
}

/// The members of an object about none of which readers could disagree.
pub(crate) fn unambiguous<'t>(
    text: &'t str,
    object: &Span,
    known: &[&str],
) -> Result<Vec<Member<'t>>, Flaw> {
    let members = members(text, object)?;
    match ambiguous(members.iter().map(|it| it.name.as_ref()), known) {
        true => Err(Flaw::Duplicate),
        false => Ok(members),
    }
}

/// A name as readers without regard to case compare it.
pub(crate) fn fold(name: &str) -> String {
    name.chars()
        .flat_map(char::to_lowercase)
        .flat_map(char::to_uppercase)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_variants_are_found_by_any_folding() {
        let known = ["params", "task"];
        for bad in ["Params", "PARAMS", "param\u{17f}", "tas\u{212a}"] {
            assert!(ambiguous([bad].into_iter(), &known), "{bad}");
        }
        assert!(ambiguous(["path", "x", "Path"].into_iter(), &[]));
        assert!(!ambiguous(["params", "param", "x"].into_iter(), &known));
        assert!(ambiguous(["x", "params", "Params"].into_iter(), &known));
        assert!(ambiguous(["Params", "params"].into_iter(), &[]));
        assert!(!ambiguous(["x", "x", "params"].into_iter(), &known));
    }
}
