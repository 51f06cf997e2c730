//! Rules for sessions.

use chancery_session::SessionRules;

/// Rules that are read say of a tool nothing that contradicts itself.
pub(crate) fn rules(input: &[u8]) -> bool {
    let Ok(rules) = SessionRules::parse(input) else {
        return false;
    };
    for tool in rules.tools().values() {
        let irreversible = tool.irreversible().is_some();
        assert!(!(irreversible && tool.reads_only()));
        if let Some(seconds) = tool.grant_seconds() {
            assert!((1..=600).contains(&seconds));
            assert!(!irreversible && tool.resource_arg().is_some());
        }
    }
    true
}
