use chancery_journal::Subject;
use chancery_types::Timestamp;
use chancery_types::id::{ConsentId, InstanceId};
use serde_json::Value;

use crate::open::integer;
use crate::sealed::range;
use crate::{Kept, Store, StoreError};

const TABLE: &str = "roots";

/// A root of a delegation chain, with what travels beside it.
#[derive(Debug, Clone, PartialEq)]
pub struct RootRow {
    /// Its `jti`.
    pub jti: String,
    /// The person at it.
    pub subject: Subject,
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
        let document = self.seal(&root.subject, TABLE, &root.jti, &root.document)?;
        let mut together = self.pool.begin().await?;
        if let Some((consent, number)) = root.standing {
            sqlx::query("INSERT INTO consent_uses (consent_id, number, jti) VALUES ($1, $2, $3)")
                .bind(consent.to_string())
                .bind(integer(number))
                .bind(&root.jti)
                .execute(&mut *together)
                .await?;
        }
        sqlx::query(
            "INSERT INTO roots (jti, instance_id, document, created_at) VALUES ($1, $2, $3, $4)",
        )
        .bind(&root.jti)
        .bind(root.instance_id.to_string())
        .bind(document)
        .bind(integer(root.created_at.as_micros()))
        .execute(&mut *together)
        .await?;
        together.commit().await?;
        Ok(())
    }

    /// The roots that were signed since `since` and not erased, newest first.
    pub async fn roots_since(&self, since: Timestamp) -> Result<Vec<Value>, StoreError> {
        let rows: Vec<(String, String)> = sqlx::query_as(
            "SELECT jti, document FROM roots WHERE created_at >= $1 ORDER BY created_at DESC, jti",
        )
        .bind(integer(since.as_micros()))
        .fetch_all(&self.pool)
        .await?;
        self.values(TABLE, &rows)
    }

    /// The roots of a person.
    pub async fn roots_of(&self, subject: &Subject) -> Result<Vec<Value>, StoreError> {
        let Some(key) = self.keys.key_of(subject) else {
            return Ok(Vec::new());
        };
        let (from, to) = range(key);
        let rows: Vec<(String, String)> = sqlx::query_as(
            "SELECT jti, document FROM roots WHERE document >= $1 AND document < $2",
        )
        .bind(from)
        .bind(to)
        .fetch_all(&self.pool)
        .await?;
        self.values(TABLE, &rows)
    }

    /// The root of that `jti`, unless it was erased.
    pub async fn root(&self, jti: &str) -> Result<Option<Value>, StoreError> {
        let text: Option<String> = sqlx::query_scalar("SELECT document FROM roots WHERE jti = $1")
            .bind(jti)
            .fetch_optional(&self.pool)
            .await?;
        let kept = text.map(|text| self.unseal(TABLE, jti, &text));
        Ok(kept.transpose()?.and_then(Kept::value))
    }

    /// The newest root of an instance, unless it was erased.
    pub async fn root_of(&self, instance: InstanceId) -> Result<Option<Value>, StoreError> {
        Ok(self.root_kept_of(instance).await?.and_then(Kept::value))
    }

    /// The newest root of an instance, or that it was erased.
    pub async fn root_kept_of(&self, instance: InstanceId) -> Result<Option<Kept>, StoreError> {
        let row: Option<(String, String)> = sqlx::query_as(
            "SELECT jti, document FROM roots WHERE instance_id = $1
             ORDER BY created_at DESC, jti LIMIT 1",
        )
        .bind(instance.to_string())
        .fetch_optional(&self.pool)
        .await?;
        let kept = row.map(|(jti, text)| self.unseal(TABLE, &jti, &text));
        kept.transpose()
    }
}
