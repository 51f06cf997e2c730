use chancery_types::id::InstanceId;
use chancery_types::{Jwk, Timestamp};

use crate::open::integer;
use crate::{Store, StoreError};

/// How long a key is remembered behind the end of what it was handed out with.
const KEPT_SECONDS: u64 = 3_600;

impl Store {
    /// Remembers a key that a workload is handed together with a WIT-SVID that ends at `expires`, so that
    /// it does not become an agent key. What ended an hour before `now` is forgotten.
    pub async fn put_workload_key(
        &self,
        id: InstanceId,
        key: &Jwk,
        (now, expires): (Timestamp, Timestamp),
    ) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM workload_keys WHERE expires_at < $1")
            .bind(integer(now.minus_seconds(KEPT_SECONDS).as_micros()))
            .execute(&self.pool)
            .await?;
        sqlx::query(
            "INSERT INTO workload_keys (thumbprint, instance_id, expires_at) VALUES ($1, $2, $3)
             ON CONFLICT (thumbprint) DO UPDATE SET expires_at = excluded.expires_at
             WHERE workload_keys.expires_at < excluded.expires_at",
        )
        .bind(key.thumbprint().to_string())
        .bind(id.to_string())
        .bind(integer(expires.as_micros()))
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Whether a workload was handed that key together with a WIT-SVID.
    pub async fn is_workload_key(&self, key: &Jwk) -> Result<bool, StoreError> {
        let found: Option<String> =
            sqlx::query_scalar("SELECT instance_id FROM workload_keys WHERE thumbprint = $1")
                .bind(key.thumbprint().to_string())
                .fetch_optional(&self.pool)
                .await?;
        Ok(found.is_some())
    }
}
