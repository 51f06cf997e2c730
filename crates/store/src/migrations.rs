use crate::open::{Backend, DEPLOYMENT};
use crate::{Store, StoreError};

/// The version of the tables that this program reads and writes. Older ones are brought forward when
/// they are opened, newer ones are refused.
pub const SCHEMA_VERSION: u32 = 6;

/// The version of tables whose rows stand in clear; only SQLite had it.
const CLEAR: u32 = 1;

/// The number that PostgreSQL's lock of a migration goes by: "chancery" in ASCII.
const LOCK: i64 = 0x6368_616e_6365_7279;

/// One step forward, in the words of each database. What is in a step that was released is never
/// changed; its statements find out what is there already.
struct Step {
    version: u32,
    sqlite: &'static str,
    postgres: &'static str,
}

const STEPS: [Step; 5] = [
    Step {
        version: 2,
        sqlite: include_str!("migrations/sqlite/0002-tables.sql"),
        postgres: include_str!("migrations/postgres/0002-tables.sql"),
    },
    Step {
        version: 3,
        sqlite: include_str!("migrations/sqlite/0003-fences-nodes-workload-keys.sql"),
        postgres: include_str!("migrations/postgres/0003-fences-nodes-workload-keys.sql"),
    },
    Step {
        version: 4,
        sqlite: include_str!("migrations/sqlite/0004-registrations.sql"),
        postgres: include_str!("migrations/postgres/0004-registrations.sql"),
    },
    Step {
        version: 5,
        sqlite: include_str!("migrations/sqlite/0005-spawning.sql"),
        postgres: include_str!("migrations/postgres/0005-spawning.sql"),
    },
    Step {
        version: 6,
        sqlite: include_str!("migrations/sqlite/0006-tpms.sql"),
        postgres: include_str!("migrations/postgres/0006-tpms.sql"),
    },
];

impl Store {
    /// Brings the tables to [`SCHEMA_VERSION`], all or nothing, one process at a time. Refuses tables
    /// of a later version, and those of another deployment, without touching them.
    pub(crate) async fn migrate(&self, deployment: Option<&str>) -> Result<(), StoreError> {
        let begin = match self.backend {
            Backend::Sqlite => "BEGIN IMMEDIATE",
            Backend::Postgres => "BEGIN",
        };
        let mut together = self.pool.begin_with(begin).await?;
        if matches!(self.backend, Backend::Postgres) {
            sqlx::query("SELECT pg_advisory_xact_lock($1)")
                .bind(LOCK)
                .execute(&mut *together)
                .await?;
        }
        let there = match self.backend {
            Backend::Sqlite => {
                "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'meta'"
            }
            Backend::Postgres => {
                "SELECT CAST(count(*) AS BIGINT) FROM pg_tables WHERE schemaname = current_schema() AND tablename = 'meta'"
            }
        };
        let there: i64 = sqlx::query_scalar(there).fetch_one(&mut *together).await?;
        let found: Option<String> = match there {
            0 => None,
            _ => {
                sqlx::query_scalar("SELECT value FROM meta WHERE key = 'schema_version'")
                    .fetch_optional(&mut *together)
                    .await?
            }
        };
        if let (Some(deployment), true) = (deployment, there > 0) {
            let owner: Option<String> = sqlx::query_scalar("SELECT value FROM meta WHERE key = $1")
                .bind(DEPLOYMENT)
                .fetch_optional(&mut *together)
                .await?;
            if owner.is_some_and(|owner| owner != deployment) {
                return Err(StoreError::Foreign {
                    place: self.place.clone(),
                });
            }
        }
        let version = match &found {
            None => 0,
            Some(text) => match text.parse::<u32>() {
                Ok(version) if (CLEAR..=SCHEMA_VERSION).contains(&version) => version,
                _ => {
                    return Err(StoreError::Version {
                        place: self.place.clone(),
                        found: text.clone(),
                    });
                }
            },
        };
        // The tables of version 2 grew while it was the current one.
        for step in STEPS.iter().filter(|step| step.version >= version.max(2)) {
            let statements = match self.backend {
                Backend::Sqlite => step.sqlite,
                Backend::Postgres => step.postgres,
            };
            sqlx::raw_sql(statements).execute(&mut *together).await?;
        }
        if version != CLEAR {
            write_version(&mut together, SCHEMA_VERSION).await?;
        }
        together.commit().await?;
        if version == CLEAR {
            self.seal_all().await?;
            let mut together = self.pool.begin().await?;
            write_version(&mut together, SCHEMA_VERSION).await?;
            together.commit().await?;
        }
        Ok(())
    }
}

async fn write_version(
    together: &mut sqlx::Transaction<'_, sqlx::Any>,
    version: u32,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO meta (key, value) VALUES ('schema_version', $1)
         ON CONFLICT (key) DO UPDATE SET value = excluded.value",
    )
    .bind(version.to_string())
    .execute(&mut **together)
    .await?;
    Ok(())
}
