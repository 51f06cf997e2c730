use chancery_types::Timestamp;
use chancery_types::id::ConsentId;
use serde_json::Value;

use crate::open::{integer, natural};
use crate::{Store, StoreError};

/// A standing consent with what travels beside it.
#[derive(Debug, Clone, PartialEq)]
pub struct ConsentRow {
    /// The standing consent.
    pub consent: ConsentId,
    /// Its document, as the server wrote it.
    pub document: Value,
    /// When it was enrolled.
    pub created_at: Timestamp,
}

impl Store {
    /// Stores a standing consent; an id is stored once.
    pub async fn put_consent(&self, row: &ConsentRow) -> Result<(), StoreError> {
        sqlx::query("INSERT INTO consents (consent_id, document, created_at) VALUES (?, ?, ?)")
            .bind(row.consent.to_string())
            .bind(row.document.to_string())
            .bind(integer(row.created_at.as_micros()))
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// One standing consent.
    pub async fn consent(&self, id: ConsentId) -> Result<Option<Value>, StoreError> {
        let text: Option<String> =
            sqlx::query_scalar("SELECT document FROM consents WHERE consent_id = ?")
                .bind(id.to_string())
                .fetch_optional(&self.pool)
                .await?;
        text.as_deref()
            .map(|text| read("consents", text))
            .transpose()
    }

    /// All standing consents, oldest first.
    pub async fn consents(&self) -> Result<Vec<Value>, StoreError> {
        let texts: Vec<String> =
            sqlx::query_scalar("SELECT document FROM consents ORDER BY created_at, consent_id")
                .fetch_all(&self.pool)
                .await?;
        texts.iter().map(|text| read("consents", text)).collect()
    }

    /// The roots that rest on a standing consent, by number.
    pub async fn roots_of_consent(&self, id: ConsentId) -> Result<Vec<(u64, Value)>, StoreError> {
        let rows: Vec<(i64, String)> = sqlx::query_as(
            "SELECT number, document FROM consent_uses JOIN roots USING (jti)
             WHERE consent_id = ? ORDER BY number",
        )
        .bind(id.to_string())
        .fetch_all(&self.pool)
        .await?;
        rows.iter()
            .map(|(number, text)| Ok((natural(*number), read("roots", text)?)))
            .collect()
    }
}

fn read(table: &'static str, text: &str) -> Result<Value, StoreError> {
    serde_json::from_str(text).map_err(|error| StoreError::row(table, error))
}
