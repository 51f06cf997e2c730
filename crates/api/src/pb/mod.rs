//! Generated from `proto/` by `cargo xtask gen`; never edited.

/// Package `chancery.agent.v1`.
#[expect(
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    reason = "generated code carries attributes of its generator"
)]
#[rustfmt::skip]
pub mod agent;

/// Package `chancery.append.v1`.
#[expect(
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    missing_docs,
    reason = "generated code carries attributes of its generator"
)]
#[rustfmt::skip]
pub mod append;
