//! Entries: what is read, what is refused, what chains.

#[cfg(test)]
mod chains;
#[cfg(test)]
mod exports;
#[cfg(test)]
mod reading;
#[cfg(test)]
mod samples;
#[cfg(test)]
mod schema;
