//! Generated from `proto/` by `cargo xtask gen`; never edited.

/// The SPIFFE Workload API.
#[expect(
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    reason = "generated code carries attributes of its generator"
)]
#[rustfmt::skip]
pub mod workload;

/// The SPIFFE Broker API.
#[expect(
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    missing_docs,
    reason = "generated code carries attributes of its generator"
)]
#[rustfmt::skip]
pub mod broker;

/// A workload reference of our own.
#[rustfmt::skip]
pub mod broker_reference;

#[rustfmt::skip]
mod descriptors;

pub use descriptors::{BROKER_DESCRIPTOR_SET, FILE_DESCRIPTOR_SET};
