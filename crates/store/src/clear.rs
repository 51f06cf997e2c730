use chancery_journal::Subject;
use chancery_types::RevocationKind;
use chancery_types::jws::Compact;
use serde_json::{Map, Value};

use crate::revocations::{place_of, subject_of};
use crate::sealed::is_sealed;
use crate::{Store, StoreError};

/// The members of a request that its answer added.
const ANSWER: [&str; 2] = ["statement", "assertion"];

impl Store {
    /// Seals every row that stands in clear, all or none, and overwrites what they were; SQLite alone ever
    /// had such. Whoever comes here again after a crash finds rows that are sealed already. A draft
    /// that nobody consented to yet is dropped: it does not say whose it is.
    pub(crate) async fn seal_all(&self) -> Result<(), StoreError> {
        let mut together = self.pool.begin().await?;
        let rows: Vec<(String, String)> = sqlx::query_as("SELECT jti, document FROM roots")
            .fetch_all(&mut *together)
            .await?;
        for (jti, text) in rows.into_iter().filter(|(_, text)| !is_sealed(text)) {
            let document = read("roots", &text)?;
            let subject = root_subject(&document)?;
            let sealed = self.seal(&subject, "roots", &jti, &document)?;
            sqlx::query("UPDATE roots SET document = $1 WHERE jti = $2")
                .bind(sealed)
                .bind(jti)
                .execute(&mut *together)
                .await?;
        }
        let rows: Vec<(String, String)> =
            sqlx::query_as("SELECT consent_id, document FROM consents")
                .fetch_all(&mut *together)
                .await?;
        for (id, text) in rows.into_iter().filter(|(_, text)| !is_sealed(text)) {
            let document = read("consents", &text)?;
            let subject = person_at("consents", &document, &["signed", "statement", "person"])?;
            let sealed = self.seal(&subject, "consents", &id, &document)?;
            sqlx::query("UPDATE consents SET document = $1 WHERE consent_id = $2")
                .bind(sealed)
                .bind(id)
                .execute(&mut *together)
                .await?;
        }
        let rows: Vec<(String, String)> =
            sqlx::query_as("SELECT approval_id, document FROM approvals")
                .fetch_all(&mut *together)
                .await?;
        for (id, text) in rows.into_iter().filter(|(_, text)| !is_sealed(text)) {
            let mut document = read("approvals", &text)?;
            let subject = person_at("approvals", &document, &["request", "subject", "principal"])?;
            let answer = take_answer(&mut document);
            let sealed = self.seal(&subject, "approvals", &id, &document)?;
            sqlx::query("UPDATE approvals SET document = $1 WHERE approval_id = $2")
                .bind(sealed)
                .bind(&id)
                .execute(&mut *together)
                .await?;
            // Who answered is not said in these rows: the answer goes with its question.
            if let Some(answer) = answer {
                let sealed = self.seal(&subject, "answers", &id, &answer)?;
                sqlx::query("INSERT INTO answers (approval_id, document) VALUES ($1, $2)")
                    .bind(&id)
                    .bind(sealed)
                    .execute(&mut *together)
                    .await?;
            }
        }
        let rows: Vec<(String, String, String)> =
            sqlx::query_as("SELECT kind, id, document FROM revocations")
                .fetch_all(&mut *together)
                .await?;
        for (kind, id, text) in rows.into_iter().filter(|(_, _, text)| !is_sealed(text)) {
            let document = read("revocations", &text)?;
            let named: RevocationKind = kind
                .parse()
                .map_err(|error| StoreError::row("revocations", error))?;
            let place = place_of(named, &id);
            let sealed = self.seal(&subject_of(named, &id), "revocations", &place, &document)?;
            sqlx::query("UPDATE revocations SET document = $1 WHERE kind = $2 AND id = $3")
                .bind(sealed)
                .bind(kind)
                .bind(id)
                .execute(&mut *together)
                .await?;
        }
        sqlx::query("DELETE FROM meta WHERE key LIKE 'mission %'")
            .execute(&mut *together)
            .await?;
        together.commit().await?;
        // Pages and the write-ahead log still hold what stood in clear.
        sqlx::query("VACUUM").execute(&self.pool).await?;
        let (busy, _, _): (i64, i64, i64) = sqlx::query_as("PRAGMA wal_checkpoint(TRUNCATE)")
            .fetch_one(&self.pool)
            .await?;
        if busy != 0 {
            return Err(StoreError::row(
                "meta",
                "another process has the database open; stop it",
            ));
        }
        Ok(())
    }
}

fn read(table: &'static str, text: &str) -> Result<Value, StoreError> {
    serde_json::from_str(text).map_err(|error| StoreError::row(table, error))
}

/// The person that a root names.
fn root_subject(document: &Value) -> Result<Subject, StoreError> {
    let root = document.get("root").and_then(Value::as_str);
    let read = root.and_then(|root| Compact::parse(root).ok());
    let claims = read
        .map(|jws| Value::Object(jws.claims))
        .unwrap_or_default();
    person_at("roots", &claims, &["prn", "sub"])
}

fn person_at(table: &'static str, document: &Value, path: &[&str]) -> Result<Subject, StoreError> {
    let mut found = Some(document);
    for member in path {
        found = found.and_then(|value| value.get(member));
    }
    let person = found.and_then(Value::as_str);
    person
        .map(Subject::person)
        .ok_or_else(|| StoreError::row(table, "the row names no person"))
}

/// Takes out of a request what its answer added.
fn take_answer(document: &mut Value) -> Option<Value> {
    let members = document.as_object_mut()?;
    let taken: Map<_, _> = ANSWER
        .iter()
        .filter_map(|name| members.remove_entry(*name))
        .collect();
    (!taken.is_empty()).then_some(Value::Object(taken))
}
