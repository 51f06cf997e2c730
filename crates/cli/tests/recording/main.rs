//! `chancery log write` and `log append` as processes: what is acknowledged survives a writer that is
//! killed, and is there once.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test that cannot go on fails"
)]

#[cfg(test)]
mod certificates;
#[cfg(test)]
mod commands;
#[cfg(test)]
mod killed;
#[cfg(test)]
mod writer;
