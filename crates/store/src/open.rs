use std::path::Path;
use std::sync::Arc;

use chancery_journal::{ContentError, Keyring};
use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::{AnyPool, ConnectOptions as _};

use crate::{PostgresAddress, SCHEMA_VERSION};

/// What each connection to SQLite is told first: what is acknowledged is on the disk, what is deleted
/// is overwritten.
const PRAGMAS: &str = "PRAGMA busy_timeout = 5000; PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL; PRAGMA secure_delete = ON; PRAGMA foreign_keys = ON;";

/// What each connection to PostgreSQL is told first: what is acknowledged is on its disk, whatever
/// the default of the database is.
const SETTINGS: &str = "SET synchronous_commit = 'on'";

/// The setting that names whose the tables of a database are.
pub(crate) const DEPLOYMENT: &str = "deployment";

/// How many connections are open at most.
const SQLITE_CONNECTIONS: u32 = 4;
const POSTGRES_CONNECTIONS: u32 = 16;

/// How long a question waits for a connection. A database that is away is said to be away, not
/// waited for without end.
const ACQUIRE: std::time::Duration = std::time::Duration::from_secs(5);

/// The server's tables, in SQLite or PostgreSQL: both keep the same promises, by one suite of tests.
#[derive(Debug, Clone)]
pub struct Store {
    pub(crate) pool: AnyPool,
    pub(crate) keys: Arc<Keyring>,
    pub(crate) backend: Backend,
    pub(crate) place: String,
}

/// Which database it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Backend {
    Sqlite,
    Postgres,
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
    /// The path of the database file cannot be used.
    #[error("{place}: a database file needs an absolute path in UTF-8")]
    Path {
        /// The path.
        place: String,
    },
    /// The tables are another deployment's.
    #[error(
        "{place}: the tables there are another data folder's; make a database of its own for this one"
    )]
    Foreign {
        /// The database.
        place: String,
    },
    /// The tables were made by another version of Chancery.
    #[error(
        "{place}: schema version {found}, this program reads versions up to {SCHEMA_VERSION}; use the program that made it, or another --data folder or database"
    )]
    Version {
        /// The database.
        place: String,
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
        let place = path.display().to_string();
        let file = std::path::absolute(path)
            .ok()
            .and_then(|path| url::Url::from_file_path(path).ok())
            .filter(|_| path.to_str().is_some())
            .ok_or_else(|| StoreError::Path {
                place: place.clone(),
            })?;
        let address = format!("sqlite://{}?mode=rwc", file.path());
        let store = Self::connected(&address, keys, Backend::Sqlite, place).await?;
        store.migrate(None).await?;
        Ok(store)
    }

    /// Opens the tables of a PostgreSQL database, and makes them in an empty one. Tables that another
    /// deployment than `deployment` has taken ([`Store::own`]) are refused, and stay as they are.
    pub async fn connect(
        address: &PostgresAddress,
        deployment: &str,
        keys: Arc<Keyring>,
    ) -> Result<Self, StoreError> {
        let place = address.place().to_owned();
        let store = Self::connected(address.expose(), keys, Backend::Postgres, place).await?;
        store.migrate(Some(deployment)).await?;
        Ok(store)
    }

    /// Whether a deployment has taken the tables.
    pub async fn is_owned(&self) -> Result<bool, StoreError> {
        Ok(self.meta(DEPLOYMENT).await?.is_some())
    }

    /// Takes the tables for a deployment, where nobody has.
    pub async fn own(&self, deployment: &str) -> Result<(), StoreError> {
        sqlx::query("INSERT INTO meta (key, value) VALUES ($1, $2) ON CONFLICT DO NOTHING")
            .bind(DEPLOYMENT)
            .bind(deployment)
            .execute(&self.pool)
            .await?;
        match self.meta(DEPLOYMENT).await? {
            Some(owner) if owner == deployment => Ok(()),
            _ => Err(StoreError::Foreign {
                place: self.place.clone(),
            }),
        }
    }

    async fn connected(
        address: &str,
        keys: Arc<Keyring>,
        backend: Backend,
        place: String,
    ) -> Result<Self, StoreError> {
        sqlx::any::install_default_drivers();
        let (connections, first) = match backend {
            Backend::Sqlite => (SQLITE_CONNECTIONS, PRAGMAS),
            Backend::Postgres => (POSTGRES_CONNECTIONS, SETTINGS),
        };
        let options: AnyConnectOptions = address.parse()?;
        let pool = AnyPoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(ACQUIRE)
            .after_connect(move |connection, _| {
                Box::pin(async move {
                    sqlx::raw_sql(first).execute(connection).await?;
                    Ok(())
                })
            })
            .connect_with(options.clone())
            .await;
        let pool = match pool {
            // Whoever waits for a connection is not told what kept it from being made.
            Err(sqlx::Error::PoolTimedOut) if backend == Backend::Postgres => {
                return Err(cause_of(&options).await.into());
            }
            pool => pool?,
        };
        Ok(Self {
            pool,
            keys,
            backend,
            place,
        })
    }

    /// The keys that values are sealed under.
    pub const fn keys(&self) -> &Arc<Keyring> {
        &self.keys
    }

    /// Which database it is, for people to read; no password is in it.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// One setting.
    pub async fn meta(&self, key: &str) -> Result<Option<String>, StoreError> {
        let value = sqlx::query_scalar("SELECT value FROM meta WHERE key = $1").bind(key);
        Ok(value.fetch_optional(&self.pool).await?)
    }

    /// Changes one setting.
    pub async fn set_meta(&self, key: &str, value: &str) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO meta (key, value) VALUES ($1, $2)
             ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        )
        .bind(key)
        .bind(value)
        .execute(&self.pool)
        .await?;
        Ok(())
    }
}

/// Why no connection is made, as one that is tried by itself says.
async fn cause_of(options: &AnyConnectOptions) -> sqlx::Error {
    let connected = tokio::time::timeout(ACQUIRE, options.connect()).await;
    match connected {
        Ok(Err(cause)) => cause,
        Ok(Ok(_)) | Err(_) => sqlx::Error::PoolTimedOut,
    }
}

pub(crate) fn integer(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

pub(crate) fn natural(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}
