use chancery_journal::Subject;
use chancery_types::{RevocationKind, Timestamp};
use serde_json::Value;
use sqlx::Row as _;
use sqlx::any::AnyRow;

use crate::open::{integer, natural};
use crate::{Kept, Store, StoreError};

const TABLE: &str = "revocations";

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
    /// What opens the commitments of that entry; kept for the person whom it is about, otherwise for
    /// the thing.
    pub document: Kept,
}

/// For whom the reason of a revocation is kept by what it names alone.
pub(crate) fn subject_of(kind: RevocationKind, id: &str) -> Subject {
    match kind {
        RevocationKind::Person => Subject::person(id),
        kind => Subject::thing(kind, id),
    }
}

/// The place of a revocation's document.
pub(crate) fn place_of(kind: RevocationKind, id: &str) -> String {
    format!("{kind} {id}")
}

impl Store {
    /// Stores a revocation in the place of an earlier one of the same thing, with what opens its
    /// entry's commitments: sealed for `whose`, where a person is known whom it is about.
    pub async fn put_revocation(
        &self,
        row: &RevocationRow,
        whose: Option<&Subject>,
        document: &Value,
    ) -> Result<(), StoreError> {
        let place = place_of(row.kind, &row.id);
        let thing = subject_of(row.kind, &row.id);
        let document = self.seal(whose.unwrap_or(&thing), TABLE, &place, document)?;
        sqlx::query(
            "INSERT INTO revocations (kind, id, revoked_at, log_index, document)
             VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (kind, id) DO UPDATE SET revoked_at = excluded.revoked_at,
                 log_index = excluded.log_index, document = excluded.document",
        )
        .bind(row.kind.name())
        .bind(&row.id)
        .bind(integer(row.revoked_at.as_micros()))
        .bind(integer(row.log_index))
        .bind(document)
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
        let changed = sqlx::query("DELETE FROM revocations WHERE kind = $1 AND id = $2")
            .bind(kind.name())
            .bind(id)
            .execute(&self.pool)
            .await?;
        Ok(changed.rows_affected() == 1)
    }

    /// The entry that enrolled a revocation, where that is kept.
    pub async fn revocation_index(
        &self,
        kind: RevocationKind,
        id: &str,
    ) -> Result<Option<u64>, StoreError> {
        let index: Option<i64> =
            sqlx::query_scalar("SELECT log_index FROM revocations WHERE kind = $1 AND id = $2")
                .bind(kind.name())
                .bind(id)
                .fetch_optional(&self.pool)
                .await?;
        Ok(index.map(natural))
    }

    /// All revocations, in no order that means anything.
    pub async fn revocations(&self) -> Result<Vec<RevocationRow>, StoreError> {
        let rows = sqlx::query("SELECT * FROM revocations");
        let rows = rows.fetch_all(&self.pool).await?;
        rows.iter().map(|row| self.read_revocation(row)).collect()
    }

    fn read_revocation(&self, row: &AnyRow) -> Result<RevocationRow, StoreError> {
        let text = |column: &str| row.try_get::<String, _>(column);
        let kind: RevocationKind = text("kind")?
            .parse()
            .map_err(|e| StoreError::row(TABLE, e))?;
        let id = text("id")?;
        let document = self.unseal(TABLE, &place_of(kind, &id), &text("document")?)?;
        Ok(RevocationRow {
            kind,
            id,
            revoked_at: Timestamp::from_micros(natural(row.try_get("revoked_at")?)),
            log_index: natural(row.try_get("log_index")?),
            document,
        })
    }
}
