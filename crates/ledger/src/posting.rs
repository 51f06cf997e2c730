use sqlx::sqlite::SqliteConnection;

use crate::error::ToolError;
use crate::listing::has_book;
use crate::{AccountCode, Book, Posting};

pub(crate) const BANK: &str = "bank";
pub(crate) const CLEARING: &str = "clearing";
pub(crate) const PAYABLES: &str = "payables";

/// Moves an amount from the clearing account to another, in a transaction that the caller commits.
/// The same account, amount and memo are posted once.
pub(crate) async fn post(
    to: &mut SqliteConnection,
    book: Book,
    account: AccountCode,
    amount_cents: i64,
    memo: &str,
) -> Result<Posting, ToolError> {
    has_book(to, &book).await?;
    if [BANK, CLEARING, PAYABLES].contains(&account.as_str()) {
        return Err(ToolError::ControlAccount(account));
    }
    if amount_cents == 0 {
        return Err(ToolError::Nothing);
    }
    let known = sqlx::query_scalar::<_, bool>(
        "SELECT EXISTS (SELECT 1 FROM account WHERE book = ? AND account = ?)",
    )
    .bind(book.as_str())
    .bind(account.as_str())
    .fetch_one(&mut *to)
    .await?;
    if !known {
        return Err(ToolError::NoAccount(book, account));
    }
    let posted = sqlx::query_scalar::<_, i64>(
        "SELECT entry FROM journal
         WHERE book = ? AND debit = ? AND credit = ? AND amount_cents = ? AND memo = ?",
    )
    .bind(book.as_str())
    .bind(account.as_str())
    .bind(CLEARING)
    .bind(amount_cents)
    .bind(memo)
    .fetch_optional(&mut *to)
    .await?;
    if let Some(entry) = posted {
        return Err(ToolError::Posted(entry));
    }
    let entry = enter(to, &book, account.as_str(), CLEARING, amount_cents, memo).await?;
    Ok(Posting {
        book,
        entry,
        account,
        amount_cents,
    })
}

/// Writes a journal entry and gives its number.
pub(crate) async fn enter(
    to: &mut SqliteConnection,
    book: &Book,
    debit: &str,
    credit: &str,
    amount_cents: i64,
    memo: &str,
) -> Result<i64, ToolError> {
    let written = sqlx::query(
        "INSERT INTO journal (book, debit, credit, amount_cents, memo) VALUES (?, ?, ?, ?, ?)",
    )
    .bind(book.as_str())
    .bind(debit)
    .bind(credit)
    .bind(amount_cents)
    .bind(memo)
    .execute(to)
    .await?;
    Ok(written.last_insert_rowid())
}
