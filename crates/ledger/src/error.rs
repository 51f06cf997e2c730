use std::path::PathBuf;

use crate::code::CodeError;
use crate::{AccountCode, Book, FEE_LIMIT_CENTS, InvoiceNumber, PaymentNumber};

/// Why the books cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The database is there already; books are never overwritten.
    #[error("{}: exists already; name another file or remove it", .0.display())]
    Exists(PathBuf),
    /// A file cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A CSV file is not well formed.
    #[error("{}: {source}", path.display())]
    Csv {
        /// The file.
        path: PathBuf,
        /// What is wrong, with the line.
        source: csv::Error,
    },
    /// A CSV file's first line does not name the expected columns.
    #[error("{}, line 1: expected the columns {expected}", path.display())]
    Header {
        /// The file.
        path: PathBuf,
        /// The columns, separated by commas.
        expected: String,
    },
    /// A field does not hold what its column promises.
    #[error("{}, line {line}, column {column}: {problem}", path.display())]
    Field {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: u64,
        /// The column's name.
        column: &'static str,
        /// What is wrong.
        problem: FieldError,
    },
    /// A book's opening balances do not sum to zero, or do not owe what its invoices ask for.
    #[error("{}: book {book}: {problem}", path.display())]
    Opening {
        /// The file.
        path: PathBuf,
        /// The book.
        book: Book,
        /// What is wrong.
        problem: OpeningError,
    },
    /// The database refused.
    #[error("{}: {source}", path.display())]
    Database {
        /// The database.
        path: PathBuf,
        /// What it said.
        source: sqlx::Error,
    },
}

/// Why a CSV field is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FieldError {
    /// Not a name in the books.
    #[error(transparent)]
    Code(#[from] CodeError),
    /// Not a whole number of cents within the limit.
    #[error("not an amount in whole cents")]
    Amount,
    /// Not a date.
    #[error("not a date: expected YYYY-MM-DD")]
    Date,
    /// Not a text of the allowed length without control characters.
    #[error("not a text: expected {least} to {most} characters, none of them a control character")]
    Text {
        /// The least number of characters.
        least: usize,
        /// The greatest number of characters.
        most: usize,
    },
    /// Not a kind of account.
    #[error("not a kind of account: expected asset, liability, equity or expense")]
    AccountKind,
    /// The book has no accounts.
    #[error("names a book that accounts.csv does not have")]
    UnknownBook,
    /// The same key stands in an earlier line.
    #[error("stands in an earlier line too")]
    Repeated,
}

/// Why opening balances are refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpeningError {
    /// An account that the ledger posts to is missing.
    #[error("the account {0} is missing")]
    Missing(&'static str),
    /// The books do not balance.
    #[error("the opening balances sum to {0} cents instead of 0")]
    Unbalanced(i64),
    /// The payables are not the invoices.
    #[error("the payables open at {payables} cents, but the invoices ask for {invoices}")]
    Payables {
        /// What stands on the account.
        payables: i64,
        /// What the invoices sum to.
        invoices: i64,
    },
}

/// Why the books cannot be served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The database cannot be opened, or is not one that [`crate::load`] made.
    #[error("{}: {source}", path.display())]
    Database {
        /// The database.
        path: PathBuf,
        /// What it said.
        source: sqlx::Error,
    },
    /// The database has another layout.
    #[error("{}: layout {found}, expected {expected}; load the books again", path.display())]
    Layout {
        /// The database.
        path: PathBuf,
        /// The layout it has.
        found: i64,
        /// The layout this program knows.
        expected: i64,
    },
    /// The client did not speak MCP.
    #[error("the client did not speak MCP: {0}")]
    Protocol(#[source] Box<rmcp::service::ServerInitializeError>),
    /// The service ended abnormally.
    #[error("the service ended abnormally: {0}")]
    Task(#[source] tokio::task::JoinError),
}

/// Why a tool did nothing. The caller reads this text.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ToolError {
    #[error("there is no book {0}")]
    NoBook(Book),
    #[error("book {0} has no invoice {1}")]
    NoInvoice(Book, InvoiceNumber),
    #[error("book {0} has no payment {1}")]
    NoPayment(Book, PaymentNumber),
    #[error("book {0} has no account {1}")]
    NoAccount(Book, AccountCode),
    #[error("cursor is not one that this listing gave")]
    Cursor,
    #[error("payment {0} is linked to invoice {1} already")]
    Linked(PaymentNumber, InvoiceNumber),
    #[error("invoice {0} is paid already; payment {1} may be a duplicate")]
    Paid(InvoiceNumber, PaymentNumber),
    #[error("payment {payment} went to {paid}, but invoice {invoice} is from {owed}")]
    Supplier {
        payment: PaymentNumber,
        paid: String,
        invoice: InvoiceNumber,
        owed: String,
    },
    #[error(
        "payment {payment} exceeds what is left of invoice {invoice} by {excess} cents; \
         a fee is {FEE_LIMIT_CENTS} cents at most"
    )]
    Excess {
        payment: PaymentNumber,
        invoice: InvoiceNumber,
        excess: i64,
    },
    #[error("account {0} moves only by bank lines and reconciliation; post to another account")]
    ControlAccount(AccountCode),
    #[error("amount_cents is 0: there is nothing to post")]
    Nothing,
    #[error("memo, account and amount are those of entry {0}: it is posted already")]
    Posted(i64),
    #[error("the ledger's database refused: {0}")]
    Database(#[from] sqlx::Error),
    #[error("the ledger's database holds something that is not {0}")]
    Corrupt(&'static str),
}
