use std::time::Duration;

use crate::open::{Backend, integer, natural};
use crate::{Store, StoreError};

/// That one holder, and nobody else, does something until its time ends.
///
/// Guarantees that an epoch is given once: whoever takes the fence after somebody else has a higher
/// one. The time is the database's alone, so that clocks of servers that differ give nobody a fence
/// too early.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fence {
    name: String,
    epoch: u64,
}

impl Fence {
    /// What it is about.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Which holding of it this is; each is higher than the one before.
    pub const fn epoch(&self) -> u64 {
        self.epoch
    }
}

/// Takes a fence that is free, whoever was its holder, or that one holder has.
const TAKE: [&str; 2] = [
    "INSERT INTO fences (name, epoch, holder, until)
     VALUES ($1, 1, $2, CAST(unixepoch('subsec') * 1000000 AS INTEGER) + $3)
     ON CONFLICT (name) DO UPDATE SET epoch = fences.epoch + 1, holder = excluded.holder,
         until = excluded.until
     WHERE fences.until <= CAST(unixepoch('subsec') * 1000000 AS INTEGER) OR fences.holder = $4
     RETURNING epoch",
    "INSERT INTO fences (name, epoch, holder, until)
     VALUES ($1, 1, $2, CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT) + $3)
     ON CONFLICT (name) DO UPDATE SET epoch = fences.epoch + 1, holder = excluded.holder,
         until = excluded.until
     WHERE fences.until <= CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT)
         OR fences.holder = $4
     RETURNING epoch",
];

/// Holds a fence for longer that is still held.
const RENEW: [&str; 2] = [
    "UPDATE fences SET until = CAST(unixepoch('subsec') * 1000000 AS INTEGER) + $3
     WHERE name = $1 AND epoch = $2
         AND until > CAST(unixepoch('subsec') * 1000000 AS INTEGER)",
    "UPDATE fences SET until = CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT) + $3
     WHERE name = $1 AND epoch = $2
         AND until > CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT)",
];

impl Store {
    /// Takes a fence for `time`; none where somebody holds it, this `holder` too.
    pub async fn take_fence(
        &self,
        name: &str,
        holder: &str,
        time: Duration,
    ) -> Result<Option<Fence>, StoreError> {
        self.take_fence_after(name, holder, None, time).await
    }

    /// The same, also where `ended` holds it, of whom the caller knows that it does nothing any more.
    pub async fn take_fence_after(
        &self,
        name: &str,
        holder: &str,
        ended: Option<&str>,
        time: Duration,
    ) -> Result<Option<Fence>, StoreError> {
        let epoch: Option<i64> = sqlx::query_scalar(self.words(TAKE))
            .bind(name)
            .bind(holder)
            .bind(micros(time))
            .bind(ended)
            .fetch_optional(&self.pool)
            .await?;
        Ok(epoch.map(|epoch| Fence {
            name: name.to_owned(),
            epoch: natural(epoch),
        }))
    }

    /// Holds a fence for `time` from now on; `false` says that its time was over, or that somebody
    /// else has it.
    pub async fn renew_fence(&self, fence: &Fence, time: Duration) -> Result<bool, StoreError> {
        let changed = sqlx::query(self.words(RENEW))
            .bind(&fence.name)
            .bind(integer(fence.epoch))
            .bind(micros(time))
            .execute(&self.pool)
            .await?;
        Ok(changed.rows_affected() == 1)
    }

    /// Lets a fence go before its time; what somebody else holds by now stays theirs.
    pub async fn release_fence(&self, fence: &Fence) -> Result<(), StoreError> {
        sqlx::query("UPDATE fences SET until = 0 WHERE name = $1 AND epoch = $2")
            .bind(&fence.name)
            .bind(integer(fence.epoch))
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Changes one setting as whoever holds a fence; `false` says that somebody else took it meanwhile,
    /// and that nothing was changed.
    pub async fn set_meta_within(
        &self,
        fence: &Fence,
        key: &str,
        value: &str,
    ) -> Result<bool, StoreError> {
        let changed = sqlx::query(
            "INSERT INTO meta (key, value)
             SELECT $1, $2 WHERE EXISTS (SELECT 1 FROM fences WHERE name = $3 AND epoch = $4)
             ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        )
        .bind(key)
        .bind(value)
        .bind(&fence.name)
        .bind(integer(fence.epoch))
        .execute(&self.pool)
        .await?;
        Ok(changed.rows_affected() == 1)
    }

    /// Who holds a fence, or held it last.
    pub async fn holder_of_fence(&self, name: &str) -> Result<Option<String>, StoreError> {
        let holder = sqlx::query_scalar("SELECT holder FROM fences WHERE name = $1").bind(name);
        Ok(holder.fetch_optional(&self.pool).await?)
    }

    const fn words(&self, [sqlite, postgres]: [&'static str; 2]) -> &'static str {
        match self.backend {
            Backend::Sqlite => sqlite,
            Backend::Postgres => postgres,
        }
    }
}

fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX / 2)
}
