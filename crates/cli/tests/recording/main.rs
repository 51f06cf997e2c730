//! `chancery log write` and `log append` as processes: what is acknowledged survives a writer that is
//! killed, and is there once.

#[cfg(test)]
mod certificates;
#[cfg(test)]
mod commands;
#[cfg(test)]
mod killed;
#[cfg(test)]
mod writer;
