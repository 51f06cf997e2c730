//! The demo's books: supplier invoices and bank lines of three regions, served over MCP.
//!
//! [`load`] makes the database from CSV files, [`serve`] offers it on standard input and output,
//! [`worker`] decides which bank line pays which invoice. Nothing here knows of identities or
//! policy: the ledger is an ordinary MCP server, and that is why it is worth governing.

mod arguments;
mod balance;
pub mod code;
mod database;
mod error;
mod import;
mod listing;
mod posting;
mod reconciliation;
mod record;
mod server;
pub mod worker;

pub use code::{AccountCode, Book, Code, CodeError, CodeKind, InvoiceNumber, PaymentNumber};
pub use error::{LoadError, ServeError};
pub use import::load;
pub use record::{
    AccountBalance, Balance, Invoice, InvoiceDetail, Link, Listing, Match, MatchKind, Payment,
    Posting, Status,
};
pub use server::serve;

/// How much a bank line may exceed what it pays, in cents: the difference is a bank fee and is
/// posted as such. Anything above is for a person to explain.
pub const FEE_LIMIT_CENTS: i64 = 2_000;
