//! The ledger from outside: its files, its tools, and the whole reconciliation.

#[cfg(test)]
mod common;
#[cfg(test)]
mod load;
#[cfg(test)]
mod mcp;
#[cfg(test)]
mod reconciliation;
