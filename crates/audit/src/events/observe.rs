//! Observe mode of one session, where the policy bundle lets operators have sessions observed.

use chancery_types::Digest;
use chancery_types::id::SessionId;

body! {
    /// The operator has one session observed: what policy says of its calls is enrolled and not enforced,
    /// for as long as that very bundle is in force.
    pub struct ObserveSet = "observe.set" in Gateway {
        /// The session.
        session: SessionId,
        /// The policy bundle in force, which lets sessions be observed.
        policy: Digest,
    }
}

body! {
    /// The operator has policy enforced in a session again.
    pub struct ObserveEnd = "observe.end" in Gateway {
        /// The session.
        session: SessionId,
    }
}
