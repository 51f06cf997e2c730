/// Whether one of `names` is a case variant of one of `known` without being it, or of another of
/// `names`. Some JSON readers match member names without regard to case, Unicode folding included,
/// and would let such a member speak for the one that was judged.
pub(crate) fn ambiguous<'n>(names: impl Iterator<Item = &'n str> + Clone, known: &[&str]) -> bool {
    let variant = |one: &str, other: &str| one != other && fold(one) == fold(other);
    names.clone().enumerate().any(|(place, name)| {
        known.iter().any(|known| variant(name, known))
            || names
                .clone()
                .skip(place + 1)
                .any(|other| variant(name, other))
    })
}

fn fold(name: &str) -> String {
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
    }
}
