use std::fmt;

use chancery_types::Digest;

const TAG: &[u8] = b"chancery/subject/v1";

/// Whom or what a kept value is about: a person, by their pseudonymous id, wherever one is
/// concerned; otherwise the thing itself. All values of a subject are erased together.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subject(String);

impl Subject {
    /// A person, by the identifier that roots name (`prn.sub`).
    pub fn person(id: impl fmt::Display) -> Self {
        Self(format!("person:{id}"))
    }

    /// Whoever runs the deployment: what concerns nobody else.
    pub fn operator() -> Self {
        Self("operator".to_owned())
    }

    /// A thing of that kind where no person is concerned, such as an instance or an agent.
    pub fn thing(kind: impl fmt::Display, id: impl fmt::Display) -> Self {
        Self(format!("{kind}:{id}"))
    }

    pub(crate) fn from_text(text: String) -> Self {
        Self(text)
    }

    /// The text, by which a note of an erasure names it.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The name of its key: SHA-256 over `chancery/subject/v1` and the subject's text.
    pub(crate) fn name(&self) -> Digest {
        Digest::of_parts([TAG, self.0.as_bytes()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_subjects_share_a_name() {
        let subjects = [
            Subject::person("a"),
            Subject::person("b"),
            Subject::operator(),
            Subject::thing("agent", "a"),
            Subject::thing("instance", "a"),
        ];
        for (at, one) in subjects.iter().enumerate() {
            for other in subjects.iter().skip(at + 1) {
                assert_ne!(one.name(), other.name());
            }
        }
        assert_eq!(
            Subject::from_text(subjects[0].as_str().to_owned()),
            subjects[0]
        );
    }
}
