use chancery_identity::SpiffeId;

/// What stands between the SPIFFE ID of an agent and the rest of that of an instance (decision 27).
const INSTANCE: &str = "/instance/";

/// Who is allowed and who is blocked. Blocked wins; a list of the allowed that is there allows nobody
/// else, also when it is empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lists<T> {
    pub(super) allow: Option<Vec<T>>,
    pub(super) block: Vec<T>,
}

impl<T> Default for Lists<T> {
    fn default() -> Self {
        Self {
            allow: None,
            block: Vec::new(),
        }
    }
}

impl<T> Lists<T> {
    /// Whether one of whom `is` says which entries are about it is admitted.
    pub(super) fn admit(&self, is: impl Fn(&T) -> bool) -> bool {
        let allowed = self.allow.as_ref();
        !self.block.iter().any(&is) && allowed.is_none_or(|allowed| allowed.iter().any(&is))
    }
}

/// Which SPIFFE IDs an entry is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AgentPattern {
    /// This one, and where it is an agent its instances, who are the holders.
    Exact(SpiffeId),
    /// This one and all whose path continues it by whole segments.
    Below(SpiffeId),
}

impl AgentPattern {
    /// Whether the entry is about that ID.
    pub fn covers(&self, id: &SpiffeId) -> bool {
        let (Self::Exact(known) | Self::Below(known)) = self;
        let Some(rest) = id.as_str().strip_prefix(known.as_str()) else {
            return false;
        };
        match self {
            Self::Exact(_) => rest.is_empty() || rest.starts_with(INSTANCE),
            Self::Below(_) => rest.is_empty() || rest.starts_with('/'),
        }
    }
}
