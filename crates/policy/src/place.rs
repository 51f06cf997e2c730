//! Where in a file something stands.

use std::fmt;

use serde::Serialize;

/// A place in one file of a bundle: line and column count from one, columns in characters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(into = "String")]
pub struct Place {
    file: String,
    position: Option<(usize, usize)>,
}

impl Place {
    /// The file as a whole.
    pub fn file(file: &str) -> Self {
        Self {
            file: file.to_owned(),
            position: None,
        }
    }

    /// The byte `offset` of `text`; the end of the text when it lies behind it.
    pub fn at(file: &str, text: &str, offset: usize) -> Self {
        let before = text
            .char_indices()
            .take_while(|(index, _)| *index < offset)
            .fold((1, 1), |(line, column), (_, letter)| {
                if letter == '\n' {
                    (line + 1, 1)
                } else {
                    (line, column + 1)
                }
            });
        Self {
            file: file.to_owned(),
            position: Some(before),
        }
    }

    /// The path inside of the bundle.
    pub fn path(&self) -> &str {
        &self.file
    }

    /// Line and column, where they are known.
    pub const fn position(&self) -> Option<(usize, usize)> {
        self.position
    }
}

impl From<Place> for String {
    fn from(place: Place) -> Self {
        place.to_string()
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.position {
            Some((line, column)) => write!(f, "{}:{line}:{column}", self.file),
            None => f.write_str(&self.file),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_lines_and_characters_from_one() {
        let text = "é\nab";
        for (offset, place) in [
            (0, (1, 1)),
            (2, (1, 2)),
            (3, (2, 1)),
            (4, (2, 2)),
            (99, (2, 3)),
        ] {
            assert_eq!(Place::at("f", text, offset).position(), Some(place));
        }
        assert_eq!(Place::at("a/b.cedar", text, 4).to_string(), "a/b.cedar:2:2");
    }
}
