use chancery_journal::Subject;
use chancery_types::Timestamp;
use chancery_types::id::ConsentId;
use serde_json::Value;

use crate::open::{integer, natural};
use crate::{Kept, Store, StoreError};

const TABLE: &str = "consents";

/// A standing consent with what travels beside it.
#[derive(Debug, Clone, PartialEq)]
pub struct ConsentRow {
    /// The standing consent.
    pub consent: ConsentId,
    /// Who signed it.
    pub subject: Subject,
    /// Its document, as the server wrote it.
    pub document: Value,
    /// When it was enrolled.
    pub created_at: Timestamp,
}

impl Store {
    /// Stores a standing consent; an id is stored once.
    pub async fn put_consent(&self, row: &ConsentRow) -> Result<(), StoreError> {
        let id = row.consent.to_string();
        let document = self.seal(&row.subject, TABLE, &id, &row.document)?;
        sqlx::query("INSERT INTO consents (consent_id, document, created_at) VALUES ($1, $2, $3)")
            .bind(id)
            .bind(document)
            .bind(integer(row.created_at.as_micros()))
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// One standing consent.
    pub async fn consent(&self, id: ConsentId) -> Result<Option<Kept>, StoreError> {
        let id = id.to_string();
        let text: Option<String> =
            sqlx::query_scalar("SELECT document FROM consents WHERE consent_id = $1")
                .bind(&id)
                .fetch_optional(&self.pool)
                .await?;
        let kept = text.map(|text| self.unseal(TABLE, &id, &text));
        kept.transpose()
    }

    /// All standing consents that were not erased, oldest first.
    pub async fn consents(&self) -> Result<Vec<Value>, StoreError> {
        let rows: Vec<(String, String)> = sqlx::query_as(
            "SELECT consent_id, document FROM consents ORDER BY created_at, consent_id",
        )
        .fetch_all(&self.pool)
        .await?;
        self.values(TABLE, &rows)
    }

    /// The roots that rest on a standing consent and were not erased, by number.
    pub async fn roots_of_consent(&self, id: ConsentId) -> Result<Vec<(u64, Value)>, StoreError> {
        let rows: Vec<(i64, String, String)> = sqlx::query_as(
            "SELECT number, jti, document FROM consent_uses JOIN roots USING (jti)
             WHERE consent_id = $1 ORDER BY number",
        )
        .bind(id.to_string())
        .fetch_all(&self.pool)
        .await?;
        let mut roots = Vec::new();
        for (number, jti, text) in rows {
            let root = self.unseal("roots", &jti, &text)?.value();
            roots.extend(root.map(|root| (natural(number), root)));
        }
        Ok(roots)
    }
}
