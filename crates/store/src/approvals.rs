use chancery_types::Timestamp;
use chancery_types::id::ApprovalId;
use serde_json::Value;

use crate::open::integer;
use crate::{Store, StoreError};

/// A request for approval, as the API answers it.
#[derive(Debug, Clone, PartialEq)]
pub struct ApprovalRow {
    /// The request.
    pub approval_id: ApprovalId,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// The request with its state and answer.
    pub document: Value,
}

impl Store {
    /// Stores a new request; `false` says that one of that id exists.
    pub async fn put_approval(&self, approval: &ApprovalRow) -> Result<bool, StoreError> {
        let changed = sqlx::query(
            "INSERT OR IGNORE INTO approvals (approval_id, opened_at, answered, document)
             VALUES (?, ?, 0, ?)",
        )
        .bind(approval.approval_id.to_string())
        .bind(integer(approval.opened_at.as_micros()))
        .bind(approval.document.to_string())
        .execute(&self.pool)
        .await?;
        Ok(changed.rows_affected() == 1)
    }

    /// Stores the one answer; `false` says that the request was answered before.
    pub async fn answer_approval(
        &self,
        id: ApprovalId,
        document: &Value,
    ) -> Result<bool, StoreError> {
        let changed = sqlx::query(
            "UPDATE approvals SET answered = 1, document = ? WHERE approval_id = ? AND answered = 0",
        )
        .bind(document.to_string())
        .bind(id.to_string())
        .execute(&self.pool)
        .await?;
        Ok(changed.rows_affected() == 1)
    }

    /// The request of that id.
    pub async fn approval(&self, id: ApprovalId) -> Result<Option<Value>, StoreError> {
        let text: Option<String> =
            sqlx::query_scalar("SELECT document FROM approvals WHERE approval_id = ?")
                .bind(id.to_string())
                .fetch_optional(&self.pool)
                .await?;
        text.map(|text| read(&text)).transpose()
    }

    /// All requests, oldest first.
    pub async fn approvals(&self) -> Result<Vec<Value>, StoreError> {
        let texts: Vec<String> =
            sqlx::query_scalar("SELECT document FROM approvals ORDER BY opened_at, approval_id")
                .fetch_all(&self.pool)
                .await?;
        texts.iter().map(|text| read(text)).collect()
    }
}

fn read(text: &str) -> Result<Value, StoreError> {
    serde_json::from_str(text).map_err(|e| StoreError::row("approvals", e))
}
