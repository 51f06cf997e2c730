use sqlx::sqlite::SqliteConnection;

use crate::error::ToolError;
use crate::listing::{find_invoice, stored};
use crate::posting::{CLEARING, PAYABLES, enter};
use crate::{Book, FEE_LIMIT_CENTS, InvoiceNumber, Match, MatchKind, PaymentNumber};

/// Links a bank line to the invoice it pays, in a transaction that the caller commits.
pub(crate) async fn reconcile(
    to: &mut SqliteConnection,
    book: Book,
    number: InvoiceNumber,
    payment: PaymentNumber,
) -> Result<Match, ToolError> {
    let invoice = find_invoice(to, &book, &number).await?;
    let (paid_to, amount) = find_payment(to, &book, &payment).await?;
    if paid_to != invoice.supplier {
        return Err(ToolError::Supplier {
            payment,
            paid: paid_to,
            invoice: number,
            owed: invoice.supplier,
        });
    }
    let outstanding = invoice.outstanding_cents();
    if outstanding == 0 {
        return Err(ToolError::Paid(number, payment));
    }
    let excess = amount - outstanding;
    let (kind, settled, fee) = match excess {
        ..0 => (MatchKind::Partial, amount, 0),
        0 => (MatchKind::Exact, outstanding, 0),
        1..=FEE_LIMIT_CENTS => (MatchKind::ExactWithFee, outstanding, excess),
        _ => {
            return Err(ToolError::Excess {
                payment,
                invoice: number,
                excess,
            });
        }
    };
    let memo = format!("{payment} pays {number}");
    let entry = enter(to, &book, PAYABLES, CLEARING, settled, &memo).await?;
    sqlx::query("UPDATE invoice SET paid_cents = paid_cents + ? WHERE book = ? AND invoice = ?")
        .bind(settled)
        .bind(book.as_str())
        .bind(number.as_str())
        .execute(&mut *to)
        .await?;
    sqlx::query("INSERT INTO link (book, payment, invoice, entry) VALUES (?, ?, ?, ?)")
        .bind(book.as_str())
        .bind(payment.as_str())
        .bind(number.as_str())
        .bind(entry)
        .execute(to)
        .await?;
    Ok(Match {
        book,
        invoice: number,
        payment,
        kind,
        settled_cents: settled,
        outstanding_cents: outstanding - settled,
        fee_cents: fee,
    })
}

/// Who received a bank line that is not linked yet, and how much.
async fn find_payment(
    from: &mut SqliteConnection,
    book: &Book,
    payment: &PaymentNumber,
) -> Result<(String, i64), ToolError> {
    let row = sqlx::query_as::<_, (String, i64, Option<String>)>(
        "SELECT p.supplier, p.amount_cents, l.invoice
         FROM payment p LEFT JOIN link l USING (book, payment)
         WHERE book = ? AND payment = ?",
    )
    .bind(book.as_str())
    .bind(payment.as_str())
    .fetch_optional(from)
    .await?;
    match row {
        None => Err(ToolError::NoPayment(book.clone(), payment.clone())),
        Some((_, _, Some(linked))) => Err(ToolError::Linked(payment.clone(), stored(&linked)?)),
        Some((supplier, amount, None)) => Ok((supplier, amount)),
    }
}
