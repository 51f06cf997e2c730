use chancery_types::Jwk;
use chancery_types::id::InstanceId;

use crate::{Store, StoreError};

impl Store {
    /// Remembers a key that a workload is handed together with a WIT-SVID, so that it never becomes an
    /// agent key. What instances were handed that have ended is forgotten.
    pub async fn put_workload_key(&self, id: InstanceId, key: &Jwk) -> Result<(), StoreError> {
        sqlx::query(
            "DELETE FROM workload_keys WHERE instance_id IN
             (SELECT instance_id FROM instances WHERE running = 0)",
        )
        .execute(&self.pool)
        .await?;
        sqlx::query(
            "INSERT INTO workload_keys (thumbprint, instance_id) VALUES ($1, $2)
             ON CONFLICT DO NOTHING",
        )
        .bind(key.thumbprint().to_string())
        .bind(id.to_string())
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Whether a workload was handed that key together with a WIT-SVID.
    pub async fn is_workload_key(&self, key: &Jwk) -> Result<bool, StoreError> {
        let found = sqlx::query("SELECT 1 FROM workload_keys WHERE thumbprint = $1")
            .bind(key.thumbprint().to_string())
            .fetch_optional(&self.pool)
            .await?;
        Ok(found.is_some())
    }
}
