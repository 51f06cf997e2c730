use sqlx::sqlite::SqliteConnection;

use crate::error::ToolError;
use crate::listing::{has_book, stored};
use crate::{AccountBalance, Balance, Book};

/// What is on every account of a book, and how much work is left.
pub(crate) async fn balance(from: &mut SqliteConnection, book: Book) -> Result<Balance, ToolError> {
    has_book(from, &book).await?;
    let accounts = sqlx::query_as::<_, (String, String, i64)>(
        "SELECT a.account, a.name, a.opening_cents
            + (SELECT coalesce(sum(amount_cents), 0) FROM journal j
               WHERE j.book = a.book AND j.debit = a.account)
            - (SELECT coalesce(sum(amount_cents), 0) FROM journal j
               WHERE j.book = a.book AND j.credit = a.account)
         FROM account a WHERE a.book = ? ORDER BY a.account",
    )
    .bind(book.as_str())
    .fetch_all(&mut *from)
    .await?
    .into_iter()
    .map(|(account, name, balance_cents)| {
        Ok(AccountBalance {
            account: stored(&account)?,
            name,
            balance_cents,
        })
    })
    .collect::<Result<Vec<_>, ToolError>>()?;
    let (invoices_open, invoices_matched) = sqlx::query_as::<_, (i64, i64)>(
        "SELECT coalesce(sum(paid_cents < amount_cents), 0),
                coalesce(sum(paid_cents = amount_cents), 0)
         FROM invoice WHERE book = ?",
    )
    .bind(book.as_str())
    .fetch_one(&mut *from)
    .await?;
    let (payments_open, payments_matched) = sqlx::query_as::<_, (i64, i64)>(
        "SELECT coalesce(sum(l.invoice IS NULL), 0), coalesce(sum(l.invoice IS NOT NULL), 0)
         FROM payment p LEFT JOIN link l USING (book, payment) WHERE book = ?",
    )
    .bind(book.as_str())
    .fetch_one(from)
    .await?;
    Ok(Balance {
        book,
        accounts,
        invoices_open,
        invoices_matched,
        payments_open,
        payments_matched,
    })
}
