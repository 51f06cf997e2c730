use chancery_types::{RevocationKind, Timestamp};
use serde_json::Value;
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

use crate::open::{integer, natural};
use crate::{Store, StoreError};

/// Something that is revoked.
#[derive(Debug, Clone, PartialEq)]
pub struct RevocationRow {
    /// What it is.
    pub kind: RevocationKind,
    /// Which one.
    pub id: String,
    /// When it was revoked.
    pub revoked_at: Timestamp,
    /// The index of the entry that enrolled it.
    pub log_index: u64,
    /// What opens the commitments of that entry.
    pub document: Value,
}

impl Store {
    /// Stores a revocation in the place of an earlier one of the same thing.
    pub async fn put_revocation(&self, row: &RevocationRow) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO revocations (kind, id, revoked_at, log_index, document)
             VALUES (?, ?, ?, ?, ?)
             ON CONFLICT (kind, id) DO UPDATE SET revoked_at = excluded.revoked_at,
                 log_index = excluded.log_index, document = excluded.document",
        )
        .bind(row.kind.name())
        .bind(&row.id)
        .bind(integer(row.revoked_at.as_micros()))
        .bind(integer(row.log_index))
        .bind(row.document.to_string())
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Takes a revocation out; `false` says that there was none.
    pub async fn drop_revocation(
        &self,
        kind: RevocationKind,
        id: &str,
    ) -> Result<bool, StoreError> {
        let changed = sqlx::query("DELETE FROM revocations WHERE kind = ? AND id = ?")
            .bind(kind.name())
            .bind(id)
            .execute(&self.pool)
            .await?;
        Ok(changed.rows_affected() == 1)
    }

    /// All revocations, in no order that means anything.
    pub async fn revocations(&self) -> Result<Vec<RevocationRow>, StoreError> {
        let rows = sqlx::query("SELECT * FROM revocations");
        rows.fetch_all(&self.pool).await?.iter().map(row).collect()
    }
}

fn row(row: &SqliteRow) -> Result<RevocationRow, StoreError> {
    let text = |column: &str| row.try_get::<String, _>(column);
    Ok(RevocationRow {
        kind: text("kind")?
            .parse()
            .map_err(|e| StoreError::row("revocations", e))?,
        id: text("id")?,
        revoked_at: Timestamp::from_micros(natural(row.try_get("revoked_at")?)),
        log_index: natural(row.try_get("log_index")?),
        document: serde_json::from_str(&text("document")?)
            .map_err(|e| StoreError::row("revocations", e))?,
    })
}
