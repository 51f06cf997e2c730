use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{Sqlite, Transaction};

use crate::ServeError;

pub(crate) const LAYOUT: i64 = 1;

/// How long a writer waits for another process to finish its transaction.
const BUSY: Duration = Duration::from_secs(20);

pub(crate) const SCHEMA: &str = "
PRAGMA user_version = 1;
CREATE TABLE account (
    book TEXT NOT NULL,
    account TEXT NOT NULL,
    name TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('asset', 'liability', 'equity', 'expense')),
    opening_cents INTEGER NOT NULL,
    PRIMARY KEY (book, account)
) STRICT, WITHOUT ROWID;
CREATE TABLE invoice (
    book TEXT NOT NULL,
    invoice TEXT NOT NULL,
    supplier TEXT NOT NULL,
    issued TEXT NOT NULL,
    due TEXT NOT NULL,
    amount_cents INTEGER NOT NULL CHECK (amount_cents > 0),
    paid_cents INTEGER NOT NULL DEFAULT 0 CHECK (paid_cents BETWEEN 0 AND amount_cents),
    PRIMARY KEY (book, invoice)
) STRICT, WITHOUT ROWID;
CREATE TABLE payment (
    book TEXT NOT NULL,
    payment TEXT NOT NULL,
    date TEXT NOT NULL,
    supplier TEXT NOT NULL,
    reference TEXT NOT NULL,
    amount_cents INTEGER NOT NULL CHECK (amount_cents > 0),
    PRIMARY KEY (book, payment)
) STRICT, WITHOUT ROWID;
CREATE TABLE journal (
    entry INTEGER PRIMARY KEY AUTOINCREMENT,
    book TEXT NOT NULL,
    debit TEXT NOT NULL,
    credit TEXT NOT NULL CHECK (credit <> debit),
    amount_cents INTEGER NOT NULL CHECK (amount_cents <> 0),
    memo TEXT NOT NULL,
    UNIQUE (book, debit, credit, amount_cents, memo),
    FOREIGN KEY (book, debit) REFERENCES account (book, account),
    FOREIGN KEY (book, credit) REFERENCES account (book, account)
) STRICT;
CREATE TABLE link (
    book TEXT NOT NULL,
    payment TEXT NOT NULL,
    invoice TEXT NOT NULL,
    entry INTEGER NOT NULL UNIQUE REFERENCES journal (entry),
    PRIMARY KEY (book, payment),
    FOREIGN KEY (book, payment) REFERENCES payment (book, payment),
    FOREIGN KEY (book, invoice) REFERENCES invoice (book, invoice)
) STRICT, WITHOUT ROWID;
CREATE INDEX link_by_invoice ON link (book, invoice);
";

/// The books on disk. Processes share them: readers see one state, writers wait for each other.
#[derive(Debug, Clone)]
pub(crate) struct Database {
    pool: SqlitePool,
}

impl Database {
    pub(crate) async fn open(path: &Path) -> Result<Self, ServeError> {
        let failed = |source| ServeError::Database {
            path: path.to_owned(),
            source,
        };
        let pool = SqlitePoolOptions::new()
            .max_connections(4)
            .connect_with(options(path))
            .await
            .map_err(failed)?;
        let found = sqlx::query_scalar::<_, i64>("PRAGMA user_version")
            .fetch_one(&pool)
            .await
            .map_err(failed)?;
        if found != LAYOUT {
            return Err(ServeError::Layout {
                path: path.to_owned(),
                found,
                expected: LAYOUT,
            });
        }
        Ok(Self { pool })
    }

    /// A transaction that sees one state and writes nothing.
    pub(crate) async fn read(&self) -> sqlx::Result<Transaction<'static, Sqlite>> {
        self.pool.begin().await
    }

    /// A transaction that holds the right to write from its start, so that what it read stays true.
    pub(crate) async fn write(&self) -> sqlx::Result<Transaction<'static, Sqlite>> {
        self.pool.begin_with("BEGIN IMMEDIATE").await
    }

    pub(crate) async fn close(&self) {
        self.pool.close().await;
    }
}

pub(crate) fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(false)
        .foreign_keys(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(BUSY)
}
