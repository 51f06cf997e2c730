//! Witnesses over HTTP: what the server answers (N1 to N8), what the client does with answers
//! (C1 to C6), and a witness that others wrote.

#[cfg(test)]
mod client;
#[cfg(test)]
mod foreign;
#[cfg(test)]
mod litewitness;
#[cfg(test)]
mod scripted;
#[cfg(test)]
mod server;
#[cfg(test)]
mod start;
#[cfg(test)]
mod world;
