//! What SPIFFE has not yet called stable.

/// The revision of the WIT-SVID specification that is implemented: a commit of the repository of
/// the SPIFFE standards. The document is incubating and may change (STABILITY section 2.3).
pub const WIT_SVID_REVISION: &str = "665a28f3253ecdce59f26f3ef29c0d6408b37c3d";

/// Which incubating specifications a reader of bundles opted in to; none by default. Keys of what
/// was not opted in to are of an unknown use, and so ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Incubating {
    wit_svid: bool,
}

impl Incubating {
    /// Stable specifications alone.
    pub const NONE: Self = Self { wit_svid: false };

    /// WIT-SVIDs as well, as of [`WIT_SVID_REVISION`].
    pub const WIT_SVID: Self = Self { wit_svid: true };

    /// Whether WIT-SVIDs are among it.
    pub const fn wit_svid(self) -> bool {
        self.wit_svid
    }
}
