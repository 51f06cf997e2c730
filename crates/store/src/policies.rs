use chancery_policy::SignedBundle;
use chancery_types::Digest;
use sqlx::Row as _;

use crate::open::{integer, natural};
use crate::{Store, StoreError};

/// A published policy bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyRow {
    /// Its digest.
    pub digest: Digest,
    /// Its files and who signed them.
    pub bundle: SignedBundle,
    /// Its version.
    pub version: u64,
    /// The entry of the server's log that enrolled it.
    pub log_index: u64,
}

impl Store {
    /// Stores a bundle and puts it in force.
    pub async fn put_policy(&self, policy: &PolicyRow) -> Result<(), StoreError> {
        let bundle =
            serde_json::to_string(&policy.bundle).map_err(|e| StoreError::row("policies", e))?;
        sqlx::query(
            "INSERT INTO policies (digest, bundle, version, log_index)
             VALUES ($1, $2, $3, $4)
             ON CONFLICT (digest) DO UPDATE SET bundle = excluded.bundle,
                 version = excluded.version, log_index = excluded.log_index",
        )
        .bind(policy.digest.to_string())
        .bind(bundle)
        .bind(integer(policy.version))
        .bind(integer(policy.log_index))
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// The bundle of that digest.
    pub async fn policy(&self, digest: Digest) -> Result<Option<PolicyRow>, StoreError> {
        let row = sqlx::query("SELECT * FROM policies WHERE digest = $1").bind(digest.to_string());
        let Some(row) = row.fetch_optional(&self.pool).await? else {
            return Ok(None);
        };
        read(&row).map(Some)
    }

    /// The bundle in force: the one with the highest version.
    pub async fn current_policy(&self) -> Result<Option<PolicyRow>, StoreError> {
        let row = sqlx::query("SELECT * FROM policies ORDER BY version DESC LIMIT 1");
        let Some(row) = row.fetch_optional(&self.pool).await? else {
            return Ok(None);
        };
        read(&row).map(Some)
    }
}

fn read(row: &sqlx::any::AnyRow) -> Result<PolicyRow, StoreError> {
    let digest: String = row.try_get("digest")?;
    let bundle: String = row.try_get("bundle")?;
    Ok(PolicyRow {
        digest: digest.parse().map_err(|e| StoreError::row("policies", e))?,
        bundle: serde_json::from_str(&bundle).map_err(|e| StoreError::row("policies", e))?,
        version: natural(row.try_get("version")?),
        log_index: natural(row.try_get("log_index")?),
    })
}
