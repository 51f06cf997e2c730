//! Evidence of a whole session, verified, told, and tampered with.

mod log_writer;
mod scene;
mod whole;
mod tampered;
