//! What SPIFFE has not yet called stable.

/// The revision of the WIT-SVID specification that is implemented: a commit of the repository of
/// the SPIFFE standards. The document is incubating and may change (STABILITY section 2.3).
pub const WIT_SVID_REVISION: &str = "665a28f3253ecdce59f26f3ef29c0d6408b37c3d";

/// The revision of the Broker Endpoint and the Broker API that is implemented, in the same way.
pub const BROKER_API_REVISION: &str = "665a28f3253ecdce59f26f3ef29c0d6408b37c3d";

/// Which incubating specifications somebody opted in to; none by default. Keys of bundles of what was
/// not opted in to are of an unknown use, and so ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Incubating {
    wit_svid: bool,
    broker_api: bool,
}

impl Incubating {
    /// Stable specifications alone.
    pub const NONE: Self = Self {
        wit_svid: false,
        broker_api: false,
    };

    /// WIT-SVIDs as well, as of [`WIT_SVID_REVISION`].
    pub const WIT_SVID: Self = Self::NONE.with_wit_svid();

    /// The same, and WIT-SVIDs.
    #[must_use]
    pub const fn with_wit_svid(self) -> Self {
        Self {
            wit_svid: true,
            ..self
        }
    }

    /// The same, and the Broker API, as of [`BROKER_API_REVISION`].
    #[must_use]
    pub const fn with_broker_api(self) -> Self {
        Self {
            broker_api: true,
            ..self
        }
    }

    /// Whether WIT-SVIDs are among it.
    pub const fn wit_svid(self) -> bool {
        self.wit_svid
    }

    /// Whether the Broker API is among it.
    pub const fn broker_api(self) -> bool {
        self.broker_api
    }
}
