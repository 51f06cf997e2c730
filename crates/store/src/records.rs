use chancery_types::id::SessionId;

use crate::open::integer;
use crate::{Store, StoreError};

impl Store {
    /// Stores a session's Trust Record; `false` says that the session has one.
    pub async fn put_record(
        &self,
        session: SessionId,
        record: &str,
        log_index: u64,
    ) -> Result<bool, StoreError> {
        let changed = sqlx::query(
            "INSERT INTO records (session_id, record, log_index) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
        )
        .bind(session.to_string())
        .bind(record)
        .bind(integer(log_index))
        .execute(&self.pool)
        .await?;
        Ok(changed.rows_affected() == 1)
    }

    /// The Trust Record of a session.
    pub async fn record(&self, session: SessionId) -> Result<Option<String>, StoreError> {
        let record = sqlx::query_scalar("SELECT record FROM records WHERE session_id = $1");
        Ok(record
            .bind(session.to_string())
            .fetch_optional(&self.pool)
            .await?)
    }
}
