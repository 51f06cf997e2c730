/// The two shapes of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Era {
    /// Up to 2025-11-25: `initialize`, `Mcp-Session-Id`, requests from the server.
    Legacy,
    /// From 2026-07-28: every request stands for itself.
    Stateless,
}

impl Era {
    /// The first stateless revision.
    pub(crate) const FIRST_STATELESS: &'static str = "2026-07-28";

    /// The era of a protocol version. Versions are dates; what is not a date is nobody's version.
    pub(crate) fn of_version(version: &str) -> Option<Self> {
        let is_date = version.len() == 10
            && version
                .bytes()
                .enumerate()
                .all(|(place, byte)| match place {
                    4 | 7 => byte == b'-',
                    _ => byte.is_ascii_digit(),
                });
        if !is_date {
            None
        } else if version >= Self::FIRST_STATELESS {
            Some(Self::Stateless)
        } else {
            Some(Self::Legacy)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_dates() {
        assert_eq!(Era::of_version("2025-11-25"), Some(Era::Legacy));
        assert_eq!(Era::of_version("2026-07-28"), Some(Era::Stateless));
        assert_eq!(Era::of_version("2099-01-01"), Some(Era::Stateless));
        for bad in ["", "2", "9999", "2026-07-2x", "2026/07/28", "2026-07-288"] {
            assert_eq!(Era::of_version(bad), None, "{bad}");
        }
    }
}
