//! What the log says that it holds of each instance.

use chancery_types::Digest;

body! {
    /// The root of the completeness index: of every instance, how many entries of its chains this
    /// log holds among its first ones, and the head of the chain over them.
    pub struct IndexRoot = "index.root" in Gateway {
        /// How many entries the index covers: those before this index, all of them.
        size: u64,
        /// The root of the sparse Merkle map.
        root: Digest,
        /// How many instances it holds.
        instances: u64,
    }
}
