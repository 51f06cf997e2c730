//! What the tools answer.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{AccountCode, Book, InvoiceNumber, PaymentNumber};

/// Whether work is left on an invoice or a bank line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// An invoice not wholly paid, a bank line not linked to an invoice.
    Open,
    /// An invoice wholly paid, a bank line linked to one.
    Matched,
}

/// A supplier's invoice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Invoice {
    /// Its number.
    pub invoice: InvoiceNumber,
    /// Who wrote it.
    pub supplier: String,
    /// The day it was issued, YYYY-MM-DD.
    pub issued: String,
    /// The day it is due, YYYY-MM-DD.
    pub due: String,
    /// What it asks for.
    pub amount_cents: i64,
    /// What linked bank lines have paid of it.
    pub paid_cents: i64,
    /// `matched` when all of it is paid.
    pub status: Status,
}

impl Invoice {
    /// What is left to pay.
    pub fn outstanding_cents(&self) -> i64 {
        self.amount_cents.saturating_sub(self.paid_cents)
    }
}

/// A line of the bank statement: money that left the account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Payment {
    /// Its number.
    pub payment: PaymentNumber,
    /// The day of the transfer, YYYY-MM-DD.
    pub date: String,
    /// Who received it.
    pub supplier: String,
    /// What the payer wrote on it.
    pub reference: String,
    /// What left the account.
    pub amount_cents: i64,
    /// `matched` when it is linked to an invoice.
    pub status: Status,
}

/// One page of invoices or bank lines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Listing {
    /// The book.
    pub book: Book,
    /// The invoices, by number; empty when bank lines were asked for.
    pub invoices: Vec<Invoice>,
    /// The bank lines, by number; empty when invoices were asked for.
    pub payments: Vec<Payment>,
    /// Where the next page starts; absent on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

/// A bank line's share in an invoice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Link {
    /// The bank line.
    pub payment: PaymentNumber,
    /// How much of the invoice it pays.
    pub settled_cents: i64,
}

/// An invoice and the bank lines that pay it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct InvoiceDetail {
    /// The book.
    pub book: Book,
    /// The invoice.
    pub invoice: Invoice,
    /// What pays it, in the order of linking.
    pub links: Vec<Link>,
}

/// How a bank line fits an invoice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum MatchKind {
    /// It pays all that was left.
    Exact,
    /// It pays less than was left.
    Partial,
    /// It pays all that was left and a bank fee, which is still to be posted.
    ExactWithFee,
}

/// What linking a bank line to an invoice did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Match {
    /// The book.
    pub book: Book,
    /// The invoice.
    pub invoice: InvoiceNumber,
    /// The bank line.
    pub payment: PaymentNumber,
    /// How they fit.
    pub kind: MatchKind,
    /// How much of the invoice the line pays.
    pub settled_cents: i64,
    /// What is left to pay.
    pub outstanding_cents: i64,
    /// What the line has beyond the invoice, left on the clearing account.
    pub fee_cents: i64,
}

/// A journal entry that was posted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Posting {
    /// The book.
    pub book: Book,
    /// The entry's number.
    pub entry: i64,
    /// The account debited; the clearing account is credited.
    pub account: AccountCode,
    /// The amount; negative moves it back.
    pub amount_cents: i64,
}

/// An account and what is on it: debits less credits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AccountBalance {
    /// The account.
    pub account: AccountCode,
    /// Its name.
    pub name: String,
    /// Its balance.
    pub balance_cents: i64,
}

/// The state of a book. The balances sum to zero, always.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Balance {
    /// The book.
    pub book: Book,
    /// Every account, by code.
    pub accounts: Vec<AccountBalance>,
    /// Invoices not wholly paid.
    pub invoices_open: i64,
    /// Invoices wholly paid.
    pub invoices_matched: i64,
    /// Bank lines not linked to an invoice.
    pub payments_open: i64,
    /// Bank lines linked to an invoice.
    pub payments_matched: i64,
}
