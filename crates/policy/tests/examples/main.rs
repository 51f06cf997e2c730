//! The bundle of every scenario in `examples/` passes its own tests.
#![expect(
    clippy::disallowed_methods,
    reason = "examples are files; the crate itself reads none"
)]

#[cfg(test)]
mod scenarios;
