use chancery_journal::Subject;
use chancery_types::Digest;
use serde_json::Value;

use crate::{Kept, Store, StoreError};

const TABLE: &str = "missions";

impl Store {
    /// Keeps the mission that a root was drafted for, until the person consents.
    pub async fn put_mission(
        &self,
        digest: Digest,
        person: &str,
        mission: &str,
    ) -> Result<(), StoreError> {
        let subject = Subject::person(person);
        let mission = Value::String(mission.to_owned());
        let document = self.seal(&subject, TABLE, &row(digest, person), &mission)?;
        sqlx::query(
            "INSERT INTO missions (digest, person, document) VALUES ($1, $2, $3)
             ON CONFLICT (digest, person) DO UPDATE SET document = excluded.document",
        )
        .bind(digest.to_string())
        .bind(person)
        .bind(document)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// The mission of that digest that a root was drafted for on behalf of that person.
    pub async fn mission(
        &self,
        digest: Digest,
        person: &str,
    ) -> Result<Option<String>, StoreError> {
        let text: Option<String> =
            sqlx::query_scalar("SELECT document FROM missions WHERE digest = $1 AND person = $2")
                .bind(digest.to_string())
                .bind(person)
                .fetch_optional(&self.pool)
                .await?;
        let kept = text.map(|text| self.unseal(TABLE, &row(digest, person), &text));
        match kept.transpose()?.and_then(Kept::value) {
            Some(Value::String(mission)) => Ok(Some(mission)),
            _ => Ok(None),
        }
    }

    /// Those on whose behalf a root was drafted for that mission.
    pub async fn people_of_mission(&self, digest: Digest) -> Result<Vec<String>, StoreError> {
        let people = sqlx::query_scalar("SELECT person FROM missions WHERE digest = $1")
            .bind(digest.to_string())
            .fetch_all(&self.pool)
            .await?;
        Ok(people)
    }
}

fn row(digest: Digest, person: &str) -> String {
    format!("{digest} {person}")
}
