//! Observe mode of one session, where the policy bundle lets operators have sessions observed.

use chancery_types::id::SessionId;

body! {
    /// The operator has one session observed: what policy says of its calls is enrolled and not enforced,
    /// for as long as the bundle in force lets sessions be observed.
    pub struct ObserveSet = "observe.set" in Gateway {
        /// The session.
        session: SessionId,
    }
}

body! {
    /// The operator has policy enforced in a session again.
    pub struct ObserveEnd = "observe.end" in Gateway {
        /// The session.
        session: SessionId,
    }
}
