//! What the tools take. The published schemas refuse unknown fields, and so does the reader.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{AccountCode, Book, InvoiceNumber, PaymentNumber};

const LONGEST_MEMO: usize = 200;
const MOST_CENTS: u64 = 1_000_000_000;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListArguments {
    /// The book, for example "north".
    pub(crate) book: Book,
    /// Invoices (default) or the bank's payment lines.
    #[serde(default)]
    pub(crate) what: What,
    /// Only what is still open (default), only what is matched, or all.
    #[serde(default)]
    pub(crate) status: Filter,
    /// How many at most.
    #[serde(default)]
    #[schemars(with = "u32", range(min = 1, max = 500))]
    pub(crate) limit: Limit,
    /// The next_cursor of the page before.
    #[schemars(length(max = 32))]
    pub(crate) cursor: Option<String>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub(crate) enum What {
    #[default]
    Invoices,
    Payments,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub(crate) enum Filter {
    #[default]
    Open,
    Matched,
    All,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(try_from = "u32")]
pub(crate) struct Limit(u32);

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReadArguments {
    /// The book.
    pub(crate) book: Book,
    /// The invoice's number, for example "INV-N-0001".
    pub(crate) invoice: InvoiceNumber,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReconcileArguments {
    /// The book.
    pub(crate) book: Book,
    /// The invoice's number.
    pub(crate) invoice: InvoiceNumber,
    /// The bank line's number, for example "PAY-N-0001".
    pub(crate) payment: PaymentNumber,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PostArguments {
    /// The book.
    pub(crate) book: Book,
    /// The account to debit, for example "bank-fees"; the clearing account is credited.
    pub(crate) account: AccountCode,
    /// The amount in cents, not zero; negative moves it back.
    #[schemars(with = "i64", range(min = -1_000_000_000, max = 1_000_000_000))]
    pub(crate) amount_cents: Cents,
    /// Why; names the bank line it explains.
    #[schemars(with = "String", length(min = 1, max = 200))]
    pub(crate) memo: Memo,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "i64")]
pub(crate) struct Cents(i64);

#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Memo(String);

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BalanceArguments {
    /// The book.
    pub(crate) book: Book,
}

impl Limit {
    pub(crate) fn get(self) -> u32 {
        self.0
    }
}

impl Cents {
    pub(crate) fn get(self) -> i64 {
        self.0
    }
}

impl Memo {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Limit {
    fn default() -> Self {
        Self(100)
    }
}

impl TryFrom<u32> for Limit {
    type Error = &'static str;

    fn try_from(limit: u32) -> Result<Self, Self::Error> {
        match limit {
            1..=500 => Ok(Self(limit)),
            _ => Err("limit is 1 to 500"),
        }
    }
}

impl TryFrom<i64> for Cents {
    type Error = &'static str;

    fn try_from(cents: i64) -> Result<Self, Self::Error> {
        match cents {
            cents if cents.unsigned_abs() <= MOST_CENTS => Ok(Self(cents)),
            _ => Err("amount_cents is beyond 1000000000"),
        }
    }
}

impl TryFrom<String> for Memo {
    type Error = &'static str;

    fn try_from(memo: String) -> Result<Self, Self::Error> {
        let length = memo.chars().count();
        match (1..=LONGEST_MEMO).contains(&length) && !memo.chars().any(char::is_control) {
            true => Ok(Self(memo)),
            false => Err("memo is 1 to 200 characters, none of them a control character"),
        }
    }
}
