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
    /// the thing, or for the operator.
    pub document: Kept,
}

/// What opens the entry of a revocation, sealed for the place of that revocation alone.
#[derive(Debug, Clone, PartialEq)]
pub struct SealedRevocation {
    kind: RevocationKind,
    id: String,
    document: String,
}

/// Something that was revoked and is not stored yet.
#[derive(Debug, Clone, PartialEq)]
pub struct NewRevocation {
    /// What it is, and what opens the commitments of its entry.
    pub sealed: SealedRevocation,
    /// When it was revoked.
    pub revoked_at: Timestamp,
    /// The index of the entry that enrolled it.
    pub log_index: u64,
}

/// For whom the reason of a revocation is kept by what it names alone. Of what concerns nobody it is the
/// operator's: a key of its own for each of many instances would be a file for each.
pub(crate) fn subject_of(kind: RevocationKind, id: &str) -> Subject {
    match kind {
        RevocationKind::Person => Subject::person(id),
        RevocationKind::Agent | RevocationKind::Instance | RevocationKind::Key => {
            Subject::operator()
        }
        kind => Subject::thing(kind, id),
    }
}

/// The place of a revocation's document.
pub(crate) fn place_of(kind: RevocationKind, id: &str) -> String {
    format!("{kind} {id}")
}

impl Store {
    /// Seals what opens the entry of a revocation: for the person whom it is about where one is known. Waits for the
    /// disk where that is the first that is kept for somebody.
    pub fn seal_revocation(
        &self,
        kind: RevocationKind,
        id: &str,
        whose: Option<Subject>,
        document: &Value,
    ) -> Result<SealedRevocation, StoreError> {
        let whose = whose.unwrap_or_else(|| subject_of(kind, id));
        Ok(SealedRevocation {
            kind,
            id: id.to_owned(),
            document: self.seal(&whose, TABLE, &place_of(kind, id), document)?,
        })
    }

    /// Stores revocations, each in the place of an earlier one of the same thing: all by one transaction, or,
    /// where that fails, each by itself, so that one that is not taken keeps out no other.
    pub async fn put_revocations(
        &self,
        revocations: &[NewRevocation],
    ) -> Vec<Result<(), StoreError>> {
        if self.put_together(revocations).await.is_ok() {
            return revocations.iter().map(|_| Ok(())).collect();
        }
        let mut stored = Vec::with_capacity(revocations.len());
        for one in revocations {
            stored.push(self.put_together(std::slice::from_ref(one)).await);
        }
        stored
    }

    async fn put_together(&self, revocations: &[NewRevocation]) -> Result<(), StoreError> {
        let mut together = self.pool.begin().await?;
        for one in revocations {
            sqlx::query(
                "INSERT INTO revocations (kind, id, revoked_at, log_index, document)
                 VALUES ($1, $2, $3, $4, $5)
                 ON CONFLICT (kind, id) DO UPDATE SET revoked_at = excluded.revoked_at,
                     log_index = excluded.log_index, document = excluded.document",
            )
            .bind(one.sealed.kind.name())
            .bind(&one.sealed.id)
            .bind(integer(one.revoked_at.as_micros()))
            .bind(integer(one.log_index))
            .bind(&one.sealed.document)
            .execute(&mut *together)
            .await?;
        }
        together.commit().await?;
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
