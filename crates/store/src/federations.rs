use sqlx::Row as _;

use crate::open::{integer, natural};
use crate::{Store, StoreError};

/// A relation to a foreign trust domain, with the bundle that was taken last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FederationRow {
    /// The foreign trust domain.
    pub trust_domain: String,
    /// The parameters, as JSON.
    pub relationship: String,
    /// Authorities of the Web in PEM, in place of the system's.
    pub web_roots: Option<String>,
    /// The bundle document; none before the first was taken.
    pub bundle: Option<String>,
    /// The entry of the server's log that enrolled the relation.
    pub log_index: u64,
}

impl Store {
    /// Stores a relation; one that is there is replaced.
    pub async fn put_federation(&self, row: &FederationRow) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO federations
                 (trust_domain, relationship, web_roots, bundle, log_index)
             VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (trust_domain) DO UPDATE SET relationship = excluded.relationship,
                 web_roots = excluded.web_roots, bundle = excluded.bundle,
                 log_index = excluded.log_index",
        )
        .bind(&row.trust_domain)
        .bind(&row.relationship)
        .bind(&row.web_roots)
        .bind(&row.bundle)
        .bind(integer(row.log_index))
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Stores the bundle that was taken last. False where there is no such relation.
    pub async fn put_foreign_bundle(
        &self,
        trust_domain: &str,
        bundle: &str,
    ) -> Result<bool, StoreError> {
        let done = sqlx::query("UPDATE federations SET bundle = $1 WHERE trust_domain = $2")
            .bind(bundle)
            .bind(trust_domain)
            .execute(&self.pool)
            .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Forgets a relation and its bundle. False where there is none.
    pub async fn remove_federation(&self, trust_domain: &str) -> Result<bool, StoreError> {
        let done = sqlx::query("DELETE FROM federations WHERE trust_domain = $1")
            .bind(trust_domain)
            .execute(&self.pool)
            .await?;
        Ok(done.rows_affected() == 1)
    }

    /// All relations, by name.
    pub async fn federations(&self) -> Result<Vec<FederationRow>, StoreError> {
        let rows = sqlx::query("SELECT * FROM federations ORDER BY trust_domain");
        let rows = rows.fetch_all(&self.pool).await?;
        let read = |row: &sqlx::any::AnyRow| {
            Ok(FederationRow {
                trust_domain: row.try_get("trust_domain")?,
                relationship: row.try_get("relationship")?,
                web_roots: row.try_get("web_roots")?,
                bundle: row.try_get("bundle")?,
                log_index: natural(row.try_get("log_index")?),
            })
        };
        rows.iter().map(read).collect()
    }
}
