//! A journal and its signer on a model of a disk that fails as disks fail: power cuts that keep
//! any part of what was not synced, torn and reordered; writes and syncs that are refused; a clock
//! that jumps; two writers. And the rules of the specification for who writes a log.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on fails"
)]

mod cuts;
mod disk;
mod faults;
mod random;
mod rules;
mod tree;
mod world;
mod writers;
