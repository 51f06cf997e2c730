//! Statements for several rows at once. Each that is sent costs SQLite's thread and whoever waits for it a turn, and
//! PostgreSQL a way there and back, whatever it is about.

use sqlx::AssertSqlSafe;
use sqlx::any::AnyRow;

use crate::{Store, StoreError};

/// For how many rows there are statements: for few numbers, so that each is prepared once a connection.
const SIZES: [usize; 5] = [128, 64, 16, 4, 1];

impl Store {
    /// The rows that a statement finds whose text ends with `IN`: of these keys, in no order.
    pub(crate) async fn rows_in(
        &self,
        select: &'static str,
        mut keys: &[String],
    ) -> Result<Vec<AnyRow>, StoreError> {
        let mut rows = Vec::with_capacity(keys.len());
        while let Some(first) = keys.first() {
            let room = room(keys.len());
            let (some, rest) = keys.split_at(room.min(keys.len()));
            keys = rest;
            // Nothing but the numbers of parameters is put into it.
            let text = AssertSqlSafe(format!("{select} ({})", list(room)));
            let padded = some.iter().chain(std::iter::repeat(first)).take(room);
            let query = padded.fold(sqlx::query(text), |query, key| query.bind(key.clone()));
            rows.extend(query.fetch_all(&self.pool).await?);
        }
        Ok(rows)
    }
}

/// How many rows the statement has room for that finds `count` of them, or as many as one finds.
fn room(count: usize) -> usize {
    let enough = SIZES.into_iter().rev().find(|size| *size >= count);
    enough.unwrap_or(SIZES[0])
}

/// These rows, in parts that each fill a statement.
pub(crate) fn parts<T>(mut rows: &[T]) -> Vec<&[T]> {
    let mut parts = Vec::new();
    for size in SIZES {
        while let Some((part, rest)) = rows.split_at_checked(size) {
            parts.push(part);
            rows = rest;
        }
    }
    parts
}

/// `$1, $2`, and so on: the parameters of a list of `count`.
fn list(count: usize) -> String {
    let all: Vec<_> = (1..=count).map(|number| format!("${number}")).collect();
    all.join(", ")
}

/// `($1, $2), ($3, $4)`, and so on: the parameters of `count` rows of two.
pub(crate) fn pairs(count: usize) -> String {
    let pair = |number: usize| format!("(${}, ${})", 2 * number - 1, 2 * number);
    let all: Vec<_> = (1..=count).map(pair).collect();
    all.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_fill_their_statements_and_leave_nothing_out() {
        for count in [0, 1, 3, 4, 5, 15, 16, 21, 63, 64, 65, 127, 128, 400] {
            let rows: Vec<_> = (0..count).collect();
            let parts = parts(&rows);
            assert_eq!(parts.concat(), rows, "{count}");
            assert!(
                parts.iter().all(|part| SIZES.contains(&part.len())),
                "{count}"
            );
            let enough = room(count);
            assert!(
                SIZES.contains(&enough) && enough >= count.min(128),
                "{count}"
            );
        }
        assert_eq!([0, 2, 17, 65, 129].map(room), [1, 4, 64, 128, 128]);
    }

    #[test]
    fn parameters_are_counted_from_one() {
        assert_eq!((list(1).as_str(), list(3).as_str()), ("$1", "$1, $2, $3"));
        assert_eq!(pairs(1), "($1, $2)");
        assert_eq!(pairs(2), "($1, $2), ($3, $4)");
    }
}
