use sqlx::sqlite::SqliteConnection;

use crate::arguments::Filter;
use crate::code::{Code, CodeKind};
use crate::error::ToolError;
use crate::{Book, Invoice, InvoiceDetail, InvoiceNumber, Link, Listing, Payment, Status};

/// Which part of a listing is asked for.
#[derive(Debug)]
pub(crate) struct Page<'a> {
    pub(crate) filter: Filter,
    pub(crate) limit: u32,
    pub(crate) cursor: Option<&'a str>,
}

pub(crate) async fn invoices(
    from: &mut SqliteConnection,
    book: Book,
    page: Page<'_>,
) -> Result<Listing, ToolError> {
    has_book(from, &book).await?;
    let after = start::<crate::code::kind::InvoiceKind>(page.cursor)?;
    let rows = sqlx::query_as::<_, InvoiceRow>(
        "SELECT invoice, supplier, issued, due, amount_cents, paid_cents FROM invoice
         WHERE book = ?1 AND invoice > ?2 AND (?3 = 2 OR (amount_cents = paid_cents) = ?3)
         ORDER BY invoice LIMIT ?4",
    )
    .bind(book.as_str())
    .bind(after)
    .bind(filter_code(page.filter))
    .bind(i64::from(page.limit) + 1)
    .fetch_all(from)
    .await?;
    let mut invoices = rows
        .into_iter()
        .map(invoice)
        .collect::<Result<Vec<_>, _>>()?;
    let more = cut(&mut invoices, page.limit);
    let last = invoices.last().map(|invoice| invoice.invoice.to_string());
    Ok(Listing {
        book,
        invoices,
        payments: Vec::new(),
        next_cursor: last.filter(|_| more),
    })
}

pub(crate) async fn payments(
    from: &mut SqliteConnection,
    book: Book,
    page: Page<'_>,
) -> Result<Listing, ToolError> {
    has_book(from, &book).await?;
    let after = start::<crate::code::kind::PaymentKind>(page.cursor)?;
    let rows = sqlx::query_as::<_, PaymentRow>(
        "SELECT p.payment, p.date, p.supplier, p.reference, p.amount_cents,
                l.invoice IS NOT NULL
         FROM payment p LEFT JOIN link l USING (book, payment)
         WHERE book = ?1 AND payment > ?2 AND (?3 = 2 OR (l.invoice IS NOT NULL) = ?3)
         ORDER BY payment LIMIT ?4",
    )
    .bind(book.as_str())
    .bind(after)
    .bind(filter_code(page.filter))
    .bind(i64::from(page.limit) + 1)
    .fetch_all(from)
    .await?;
    let mut payments = rows
        .into_iter()
        .map(payment)
        .collect::<Result<Vec<_>, _>>()?;
    let more = cut(&mut payments, page.limit);
    let last = payments.last().map(|payment| payment.payment.to_string());
    Ok(Listing {
        book,
        invoices: Vec::new(),
        payments,
        next_cursor: last.filter(|_| more),
    })
}

pub(crate) async fn detail(
    from: &mut SqliteConnection,
    book: Book,
    number: InvoiceNumber,
) -> Result<InvoiceDetail, ToolError> {
    let invoice = find_invoice(from, &book, &number).await?;
    let links = sqlx::query_as::<_, (String, i64)>(
        "SELECT l.payment, j.amount_cents FROM link l JOIN journal j USING (entry)
         WHERE l.book = ? AND l.invoice = ? ORDER BY entry",
    )
    .bind(book.as_str())
    .bind(number.as_str())
    .fetch_all(from)
    .await?
    .into_iter()
    .map(|(payment, settled_cents)| {
        Ok(Link {
            payment: stored(&payment)?,
            settled_cents,
        })
    })
    .collect::<Result<Vec<_>, ToolError>>()?;
    Ok(InvoiceDetail {
        book,
        invoice,
        links,
    })
}

pub(crate) async fn find_invoice(
    from: &mut SqliteConnection,
    book: &Book,
    number: &InvoiceNumber,
) -> Result<Invoice, ToolError> {
    has_book(from, book).await?;
    let row = sqlx::query_as::<_, InvoiceRow>(
        "SELECT invoice, supplier, issued, due, amount_cents, paid_cents FROM invoice
         WHERE book = ? AND invoice = ?",
    )
    .bind(book.as_str())
    .bind(number.as_str())
    .fetch_optional(from)
    .await?;
    match row {
        Some(row) => invoice(row),
        None => Err(ToolError::NoInvoice(book.clone(), number.clone())),
    }
}

pub(crate) async fn has_book(from: &mut SqliteConnection, book: &Book) -> Result<(), ToolError> {
    let known =
        sqlx::query_scalar::<_, bool>("SELECT EXISTS (SELECT 1 FROM account WHERE book = ?)")
            .bind(book.as_str())
            .fetch_one(from)
            .await?;
    match known {
        true => Ok(()),
        false => Err(ToolError::NoBook(book.clone())),
    }
}

/// Reads a name that [`crate::load`] has checked.
pub(crate) fn stored<K: CodeKind>(text: &str) -> Result<Code<K>, ToolError> {
    text.parse().map_err(|_| ToolError::Corrupt(K::NOUN))
}

type InvoiceRow = (String, String, String, String, i64, i64);
type PaymentRow = (String, String, String, String, i64, bool);

fn invoice(row: InvoiceRow) -> Result<Invoice, ToolError> {
    let (number, supplier, issued, due, amount_cents, paid_cents) = row;
    Ok(Invoice {
        invoice: stored(&number)?,
        supplier,
        issued,
        due,
        amount_cents,
        paid_cents,
        status: status(amount_cents == paid_cents),
    })
}

fn payment(row: PaymentRow) -> Result<Payment, ToolError> {
    let (number, date, supplier, reference, amount_cents, linked) = row;
    Ok(Payment {
        payment: stored(&number)?,
        date,
        supplier,
        reference,
        amount_cents,
        status: status(linked),
    })
}

fn status(done: bool) -> Status {
    match done {
        true => Status::Matched,
        false => Status::Open,
    }
}

fn filter_code(filter: Filter) -> i64 {
    match filter {
        Filter::Open => 0,
        Filter::Matched => 1,
        Filter::All => 2,
    }
}

fn start<K: CodeKind>(cursor: Option<&str>) -> Result<String, ToolError> {
    let Some(text) = cursor else {
        return Ok(String::new());
    };
    text.parse::<Code<K>>()
        .map(|number| number.to_string())
        .map_err(|_| ToolError::Cursor)
}

fn cut<T>(lines: &mut Vec<T>, limit: u32) -> bool {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = lines.len() > limit;
    lines.truncate(limit);
    more
}
