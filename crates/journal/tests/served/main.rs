//! A log over HTTP, and the monitor that follows it.

#[cfg(test)]
mod http;
#[cfg(test)]
mod logs;
#[cfg(test)]
mod monitor;
