use crate::listing::ListingKind;

/// A method that acts or reads on somebody's behalf: each use is decided and enrolled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Method {
    /// `tools/call`.
    ToolsCall,
    /// `resources/read`.
    ResourcesRead,
    /// `prompts/get`.
    PromptsGet,
}

impl Method {
    /// The method's name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ToolsCall => "tools/call",
            Self::ResourcesRead => "resources/read",
            Self::PromptsGet => "prompts/get",
        }
    }

    /// The member of `params` that names what is acted upon.
    pub(crate) const fn target_member(self) -> &'static str {
        match self {
            Self::ToolsCall | Self::PromptsGet => "name",
            Self::ResourcesRead => "uri",
        }
    }
}

/// What a message is to the gateway. Exhaustive: a method nobody knew when this was written is
/// [`Unknown`](Self::Unknown), and the enforcer says whether such a thing may pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MethodClass {
    /// Decided and enrolled, one by one.
    Decided(Method),
    /// Opens or keeps up the protocol: `initialize`, `server/discover`, `ping`,
    /// `logging/setLevel`.
    Lifecycle,
    /// Lists what a server offers; the answer is filtered.
    Listing(ListingKind),
    /// `completion/complete`: proposes argument values.
    Completion,
    /// `subscriptions/listen`, `resources/subscribe`, `resources/unsubscribe`.
    Subscription,
    /// `tasks/get`, `tasks/update`, `tasks/cancel`, `tasks/result`: follow up a decided call.
    Task,
    /// A notification of the protocol from the client: `notifications/initialized`,
    /// `notifications/cancelled`, `notifications/progress`, `notifications/roots/list_changed`.
    Notification,
    /// The client's answer to a request of the server.
    Response,
    /// Any other request, and whatever else comes without an id: a server may act on that too.
    Unknown,
}

impl MethodClass {
    /// The class of a request by its method.
    pub(crate) fn of_request(method: &str) -> Self {
        match method {
            "tools/call" => Self::Decided(Method::ToolsCall),
            "resources/read" => Self::Decided(Method::ResourcesRead),
            "prompts/get" => Self::Decided(Method::PromptsGet),
            "initialize" | "server/discover" | "ping" | "logging/setLevel" => Self::Lifecycle,
            "tools/list" => Self::Listing(ListingKind::Tools),
            "prompts/list" => Self::Listing(ListingKind::Prompts),
            "resources/list" => Self::Listing(ListingKind::Resources),
            "resources/templates/list" => Self::Listing(ListingKind::ResourceTemplates),
            "completion/complete" => Self::Completion,
            "subscriptions/listen" | "resources/subscribe" | "resources/unsubscribe" => {
                Self::Subscription
            }
            "tasks/get" | "tasks/update" | "tasks/cancel" | "tasks/result" => Self::Task,
            _ => Self::Unknown,
        }
    }
}

impl MethodClass {
    /// The class of a message without an id by its method. A request that merely lacks its id is not
    /// a notification: it would be carried out unseen.
    pub(crate) fn of_notification(method: &str) -> Self {
        match method {
            "notifications/initialized"
            | "notifications/cancelled"
            | "notifications/progress"
            | "notifications/roots/list_changed" => Self::Notification,
            _ => Self::Unknown,
        }
    }
}

/// The member of `params` that the `Mcp-Name` header mirrors for `method`, if any.
pub(crate) fn mirrored_member(method: &str) -> Option<&'static str> {
    match method {
        "tools/call" | "prompts/get" => Some("name"),
        "resources/read" | "resources/subscribe" | "resources/unsubscribe" => Some("uri"),
        "tasks/get" | "tasks/update" | "tasks/cancel" => Some("taskId"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lacks_its_id_is_no_notification() {
        for method in [
            "tools/call",
            "resources/read",
            "prompts/get",
            "tools/list",
            "initialize",
            "notifications/other",
            "notifications/initialized ",
            "",
        ] {
            assert_eq!(
                MethodClass::of_notification(method),
                MethodClass::Unknown,
                "{method:?}"
            );
        }
        let known = MethodClass::of_notification("notifications/cancelled");
        assert_eq!(known, MethodClass::Notification);
    }
}
