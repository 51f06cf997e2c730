//! The append service over its own sockets.

#[cfg(test)]
mod callers;
#[cfg(test)]
mod levels;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod repeats;
#[cfg(test)]
mod restarts;
#[cfg(test)]
mod support;
