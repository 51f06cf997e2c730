use chancery_journal::Subject;
use chancery_types::Timestamp;
use chancery_types::id::ApprovalId;
use serde_json::Value;

use crate::open::integer;
use crate::{Kept, Store, StoreError};

const TABLE: &str = "approvals";
const ANSWERS: &str = "answers";

/// A request for approval, as the API answers it.
#[derive(Debug, Clone, PartialEq)]
pub struct ApprovalRow {
    /// The request.
    pub approval_id: ApprovalId,
    /// Whose it is: the person on whose behalf the action is wanted.
    pub subject: Subject,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// The request with its state.
    pub document: Value,
}

/// What a request for approval came to.
#[derive(Debug, Clone, PartialEq)]
pub struct AnswerRow {
    /// Whose the request is.
    pub subject: Subject,
    /// The request with its state.
    pub document: Value,
    /// Who answered, and the members that their answer adds to the document; none where nobody did.
    pub answer: Option<(Subject, Value)>,
}

impl Store {
    /// Stores a new request; `false` says that one of that id exists.
    pub async fn put_approval(&self, approval: &ApprovalRow) -> Result<bool, StoreError> {
        let id = approval.approval_id.to_string();
        let document = self.seal(&approval.subject, TABLE, &id, &approval.document)?;
        let changed = sqlx::query(
            "INSERT INTO approvals (approval_id, opened_at, answered, document)
             VALUES ($1, $2, 0, $3) ON CONFLICT DO NOTHING",
        )
        .bind(id)
        .bind(integer(approval.opened_at.as_micros()))
        .bind(document)
        .execute(&self.pool)
        .await?;
        Ok(changed.rows_affected() == 1)
    }

    /// Stores the one answer, sealed for who gave it; `false` says that the request was answered
    /// before.
    pub async fn answer_approval(
        &self,
        id: ApprovalId,
        row: &AnswerRow,
    ) -> Result<bool, StoreError> {
        let id = id.to_string();
        let document = self.seal(&row.subject, TABLE, &id, &row.document)?;
        let answer = match &row.answer {
            Some((subject, answer)) => Some(self.seal(subject, ANSWERS, &id, answer)?),
            None => None,
        };
        let mut together = self.pool.begin().await?;
        let changed = sqlx::query(
            "UPDATE approvals SET answered = 1, document = $1 WHERE approval_id = $2 AND answered = 0",
        )
        .bind(document)
        .bind(&id)
        .execute(&mut *together)
        .await?;
        if changed.rows_affected() != 1 {
            return Ok(false);
        }
        if let Some(answer) = answer {
            sqlx::query(
                "INSERT INTO answers (approval_id, document) VALUES ($1, $2)
                 ON CONFLICT (approval_id) DO UPDATE SET document = excluded.document",
            )
            .bind(&id)
            .bind(answer)
            .execute(&mut *together)
            .await?;
        }
        together.commit().await?;
        Ok(true)
    }

    /// The request of that id, with its answer where that was not erased.
    pub async fn approval(&self, id: ApprovalId) -> Result<Option<Kept>, StoreError> {
        let row: Option<(String, String, Option<String>)> = sqlx::query_as(
            "SELECT approval_id, approvals.document, answers.document
             FROM approvals LEFT JOIN answers USING (approval_id) WHERE approval_id = $1",
        )
        .bind(id.to_string())
        .fetch_optional(&self.pool)
        .await?;
        row.map(|row| self.read_approval(&row)).transpose()
    }

    /// All requests that were not erased, oldest first.
    pub async fn approvals(&self) -> Result<Vec<Value>, StoreError> {
        let rows: Vec<(String, String, Option<String>)> = sqlx::query_as(
            "SELECT approval_id, approvals.document, answers.document
             FROM approvals LEFT JOIN answers USING (approval_id) ORDER BY opened_at, approval_id",
        )
        .fetch_all(&self.pool)
        .await?;
        let read = rows.iter().map(|row| self.read_approval(row));
        read.filter_map(|kept| kept.map(Kept::value).transpose())
            .collect()
    }

    fn read_approval(
        &self,
        (id, document, answer): &(String, String, Option<String>),
    ) -> Result<Kept, StoreError> {
        let mut kept = self.unseal(TABLE, id, document)?;
        let answer = answer.as_ref().map(|text| self.unseal(ANSWERS, id, text));
        if let (Kept::Value(Value::Object(request)), Some(Kept::Value(Value::Object(answer)))) =
            (&mut kept, answer.transpose()?)
        {
            request.extend(answer);
        }
        Ok(kept)
    }
}
