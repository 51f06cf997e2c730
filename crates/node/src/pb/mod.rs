//! Generated from `proto/` by `cargo xtask gen`; never edited.

/// The SPIFFE Workload API.
#[expect(
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    reason = "generated code carries attributes of its generator"
)]
#[rustfmt::skip]
pub mod workload;

#[rustfmt::skip]
mod descriptors;

pub use descriptors::FILE_DESCRIPTOR_SET;
