//! Evidence of a whole session, verified, told, and tampered with.

#[cfg(test)]
mod log_writer;
#[cfg(test)]
mod scene;
#[cfg(test)]
mod tampered;
#[cfg(test)]
mod whole;
