use std::fmt;
use std::str::FromStr;

/// An absolute path with one reading: at least one segment, no empty one, no `.`, no `..`, and none
/// of `%`, `\` and NUL anywhere. Displays as it was read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CleanPath(String);

/// Why a text is not a clean path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an absolute path without empty or dot segments, percent signs and backslashes")]
pub struct CleanPathError;

impl CleanPath {
    /// Whether `other` is this path or lies below it, by whole segments.
    pub fn covers(&self, other: &Self) -> bool {
        other
            .0
            .strip_prefix(&self.0)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for CleanPath {
    type Err = CleanPathError;

    fn from_str(text: &str) -> Result<Self, CleanPathError> {
        let below_root = text.strip_prefix('/').ok_or(CleanPathError)?;
        let clean = below_root
            .split('/')
            .all(|segment| !matches!(segment, "" | "." | ".."))
            && !below_root.contains(['%', '\\', '\0']);
        if clean {
            Ok(Self(text.to_owned()))
        } else {
            Err(CleanPathError)
        }
    }
}

impl fmt::Display for CleanPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn covers_by_segments() {
        let path = |text: &str| text.parse::<CleanPath>().unwrap();
        assert!(path("/src").covers(&path("/src")));
        assert!(path("/src").covers(&path("/src/api/a.rs")));
        for outside in ["/src-secret", "/sr", "/Src/a", "/etc/src"] {
            assert!(!path("/src").covers(&path(outside)), "{outside}");
        }
    }

    #[test]
    fn has_one_reading() {
        for bad in [
            "",
            "/",
            "src",
            "//src",
            "/src/",
            "/src//a",
            "/src/./a",
            "/src/..",
            "/src/../etc",
            "/src/%2e%2e/etc",
            "/src\\..\\etc",
            "/src/a\0b",
            "\u{ff0f}src",
        ] {
            assert_eq!(bad.parse::<CleanPath>(), Err(CleanPathError), "{bad:?}");
        }
    }
}
