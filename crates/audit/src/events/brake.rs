//! Brakes: what people stop whatever else permits it.

use crate::{BrakeMode, BrakeOn, Label};

body! {
    /// The operator stopped something at this gateway: from here on no call that it is on is allowed.
    pub struct BrakeSet = "brake.set" in Gateway {
        /// What it is on.
        on: BrakeOn,
        /// Which one; `everywhere` where it is on every call.
        name: Label,
        /// Until it is released, or for ever.
        mode: BrakeMode,
    }
}

body! {
    /// The operator released a pause, or the suspension of a session.
    pub struct BrakeRelease = "brake.release" in Gateway {
        /// What it was on.
        on: BrakeOn,
        /// Which one.
        name: Label,
    }
}
