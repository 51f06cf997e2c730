//! Errors as text for people.

use std::error::Error;

/// An error with its causes in their order, in one line: what could not be done stands first, and behind
/// each `: ` why. Causes that say the same are told each.
pub fn causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        text.push_str(": ");
        text.push_str(&next.to_string());
        cause = next.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    enum Failed {
        #[error("the log is not opened")]
        Log(#[source] Box<Failed>),
        #[error("the file is not read")]
        File(#[from] std::fmt::Error),
        #[error("nothing is there")]
        Nothing,
    }

    #[test]
    fn every_cause_is_told_in_its_order() {
        let error = Failed::Log(Box::new(Failed::File(std::fmt::Error)));
        let expected = format!(
            "the log is not opened: the file is not read: {}",
            std::fmt::Error
        );
        assert_eq!(causes(&error), expected);
    }

    #[test]
    fn an_error_without_a_cause_is_told_as_it_is() {
        assert_eq!(causes(&Failed::Nothing), "nothing is there");
    }

    #[test]
    fn causes_that_say_the_same_are_told_each() {
        let error = Failed::Log(Box::new(Failed::Log(Box::new(Failed::Nothing))));
        let expected = "the log is not opened: the log is not opened: nothing is there";
        assert_eq!(causes(&error), expected);
    }
}
