use std::path::{Path, PathBuf};
use std::sync::Arc;

use chancery_journal::{ContentError, Keyring};

use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};

/// The version of the tables. A data folder of a later version is refused; one of version 1, whose
/// rows stand in clear, is sealed when it is opened.
pub const SCHEMA_VERSION: u32 = 2;

/// The server's tables.
#[derive(Debug, Clone)]
pub struct Store {
    pub(crate) pool: SqlitePool,
    pub(crate) keys: Arc<Keyring>,
}

/// Why the tables cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The database failed.
    #[error("the database failed")]
    Database(#[from] sqlx::Error),
    /// A row does not hold what it must.
    #[error("table {table}: a row is not readable")]
    Row {
        /// The table.
        table: &'static str,
        /// What was seen.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A value cannot be sealed or opened.
    #[error("a value about a person cannot be kept or read")]
    Content(#[from] ContentError),
    /// The data folder was made by another version of Chancery.
    #[error(
        "{}: schema version {found}, this program reads {SCHEMA_VERSION}; use the program that made it, or another --data folder",
        path.display()
    )]
    Version {
        /// The database file.
        path: PathBuf,
        /// The version that was found.
        found: String,
    },
}

impl StoreError {
    pub(crate) fn row(
        table: &'static str,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self::Row {
            table,
            source: source.into(),
        }
    }
}

impl Store {
    /// Opens the database file, and makes the tables in a new one. What is about a subject is sealed
    /// under its key in `keys`.
    pub async fn open(path: &Path, keys: Arc<Keyring>) -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .pragma("secure_delete", "on")
            .busy_timeout(std::time::Duration::from_secs(5));
        let pool = SqlitePoolOptions::new()
            .max_connections(4)
            .connect_with(options)
            .await?;
        sqlx::raw_sql(include_str!("schema.sql"))
            .execute(&pool)
            .await?;
        let store = Self { pool, keys };
        let current = SCHEMA_VERSION.to_string();
        match store.meta("schema_version").await? {
            None => store.set_meta("schema_version", &current).await?,
            Some(found) if found == current => {}
            Some(found) if found == crate::migrate::CLEAR => store.seal_all().await?,
            Some(found) => {
                return Err(StoreError::Version {
                    path: path.to_owned(),
                    found,
                });
            }
        }
        Ok(store)
    }

    /// The keys that values are sealed under.
    pub const fn keys(&self) -> &Arc<Keyring> {
        &self.keys
    }

    /// One setting.
    pub async fn meta(&self, key: &str) -> Result<Option<String>, StoreError> {
        let value = sqlx::query_scalar("SELECT value FROM meta WHERE key = ?").bind(key);
        Ok(value.fetch_optional(&self.pool).await?)
    }

    /// Changes one setting.
    pub async fn set_meta(&self, key: &str, value: &str) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO meta (key, value) VALUES (?, ?)
             ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        )
        .bind(key)
        .bind(value)
        .execute(&self.pool)
        .await?;
        Ok(())
    }
}

pub(crate) fn integer(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

pub(crate) fn natural(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}
