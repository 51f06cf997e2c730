use chancery_types::Timestamp;
use chancery_types::id::{ConsentId, InstanceId};
use serde_json::Value;

use crate::open::integer;
use crate::{Store, StoreError};

/// A root of a delegation chain, with what travels beside it.
#[derive(Debug, Clone, PartialEq)]
pub struct RootRow {
    /// Its `jti`.
    pub jti: String,
    /// The instance that holds it.
    pub instance_id: InstanceId,
    /// The root with consent, mission and manifest, as the API answers them.
    pub document: Value,
    /// When it was signed.
    pub created_at: Timestamp,
    /// Which use of which standing consent it is.
    pub standing: Option<(ConsentId, u64)>,
}

impl Store {
    /// Stores a root; a number of a standing consent is stored once.
    pub async fn put_root(&self, root: &RootRow) -> Result<(), StoreError> {
        let mut together = self.pool.begin().await?;
        if let Some((consent, number)) = root.standing {
            sqlx::query("INSERT INTO consent_uses (consent_id, number, jti) VALUES (?, ?, ?)")
                .bind(consent.to_string())
                .bind(integer(number))
                .bind(&root.jti)
                .execute(&mut *together)
                .await?;
        }
        sqlx::query(
            "INSERT INTO roots (jti, instance_id, document, created_at) VALUES (?, ?, ?, ?)",
        )
        .bind(&root.jti)
        .bind(root.instance_id.to_string())
        .bind(root.document.to_string())
        .bind(integer(root.created_at.as_micros()))
        .execute(&mut *together)
        .await?;
        together.commit().await?;
        Ok(())
    }

    /// The roots that were signed since `since`, newest first.
    pub async fn roots_since(&self, since: Timestamp) -> Result<Vec<Value>, StoreError> {
        let texts: Vec<String> = sqlx::query_scalar(
            "SELECT document FROM roots WHERE created_at >= ? ORDER BY created_at DESC, jti",
        )
        .bind(integer(since.as_micros()))
        .fetch_all(&self.pool)
        .await?;
        let read = |text: &String| serde_json::from_str(text);
        texts
            .iter()
            .map(|text| read(text).map_err(|e| StoreError::row("roots", e)))
            .collect()
    }

    /// The newest root of an instance.
    pub async fn root_of(&self, instance: InstanceId) -> Result<Option<Value>, StoreError> {
        let text: Option<String> = sqlx::query_scalar(
            "SELECT document FROM roots WHERE instance_id = ? ORDER BY created_at DESC LIMIT 1",
        )
        .bind(instance.to_string())
        .fetch_optional(&self.pool)
        .await?;
        text.map(|text| serde_json::from_str(&text))
            .transpose()
            .map_err(|e| StoreError::row("roots", e))
    }
}
