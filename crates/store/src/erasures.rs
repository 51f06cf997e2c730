use chancery_journal::Subject;
use chancery_types::id::PersonId;
use chancery_types::{Digest, Timestamp};
use serde_json::Value;

use crate::open::{integer, natural};
use crate::sealed::range;
use crate::{Kept, Store, StoreError};

const TABLE: &str = "erasures";

/// The tables whose documents are sealed for people.
const OF_PEOPLE: [&str; 7] = [
    "roots",
    "consents",
    "approvals",
    "answers",
    "revocations",
    "missions",
    "lineages",
];

/// Somebody who was erased.
#[derive(Debug, Clone, PartialEq)]
pub struct ErasureRow {
    /// The person, by their pseudonymous id.
    pub person: PersonId,
    /// The commitment to them in the entry.
    pub subject: Digest,
    /// How many values were kept of them.
    pub values: u64,
    /// When it was enrolled.
    pub at: Timestamp,
    /// The entry of the server's log that enrolled it.
    pub log_index: u64,
    /// What opens that entry's commitments; kept for the operator.
    pub document: Value,
}

/// How many values one table keeps of a subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeptOf {
    /// The table.
    pub table: &'static str,
    /// How many.
    pub values: u64,
}

impl Store {
    /// How many values are kept of a subject, table by table.
    pub async fn kept_of(&self, subject: &Subject) -> Result<Vec<KeptOf>, StoreError> {
        let mut all = Vec::new();
        let key = self.keys.key_of(subject);
        for table in OF_PEOPLE {
            let values = match key {
                Some(key) => self.count(table, &range(key)).await?,
                None => 0,
            };
            all.push(KeptOf { table, values });
        }
        Ok(all)
    }

    async fn count(
        &self,
        table: &'static str,
        (from, to): &(String, String),
    ) -> Result<u64, StoreError> {
        let query = match table {
            "roots" => "SELECT count(*) FROM roots WHERE document >= $1 AND document < $2",
            "consents" => "SELECT count(*) FROM consents WHERE document >= $1 AND document < $2",
            "approvals" => "SELECT count(*) FROM approvals WHERE document >= $1 AND document < $2",
            "answers" => "SELECT count(*) FROM answers WHERE document >= $1 AND document < $2",
            "revocations" => {
                "SELECT count(*) FROM revocations WHERE document >= $1 AND document < $2"
            }
            "lineages" => "SELECT count(*) FROM lineages WHERE document >= $1 AND document < $2",
            _ => "SELECT count(*) FROM missions WHERE document >= $1 AND document < $2",
        };
        let count: i64 = sqlx::query_scalar(query)
            .bind(from)
            .bind(to)
            .fetch_one(&self.pool)
            .await?;
        Ok(natural(count))
    }

    /// Notes that somebody was erased; noted again it stays as it was.
    pub async fn put_erasure(&self, row: &ErasureRow) -> Result<(), StoreError> {
        let person = row.person.to_string();
        let document = self.seal(&Subject::operator(), TABLE, &person, &row.document)?;
        sqlx::query(
            "INSERT INTO erasures (person, subject, kept, at, log_index, document)
             VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
        )
        .bind(person)
        .bind(row.subject.to_string())
        .bind(integer(row.values))
        .bind(integer(row.at.as_micros()))
        .bind(integer(row.log_index))
        .bind(document)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Everybody who was erased, in the order of the log.
    pub async fn erasures(&self) -> Result<Vec<ErasureRow>, StoreError> {
        let rows: Vec<(String, String, i64, i64, i64, String)> = sqlx::query_as(
            "SELECT person, subject, kept, at, log_index, document FROM erasures
             ORDER BY log_index",
        )
        .fetch_all(&self.pool)
        .await?;
        let mut erasures = Vec::new();
        for (person, subject, kept, at, log_index, document) in rows {
            let document = match self.unseal(TABLE, &person, &document)? {
                Kept::Value(document) => document,
                Kept::Erased { .. } => Value::Null,
            };
            erasures.push(ErasureRow {
                person: person.parse().map_err(|e| StoreError::row(TABLE, e))?,
                subject: subject.parse().map_err(|e| StoreError::row(TABLE, e))?,
                values: natural(kept),
                at: Timestamp::from_micros(natural(at)),
                log_index: natural(log_index),
                document,
            });
        }
        Ok(erasures)
    }
}
