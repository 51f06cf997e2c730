//! The reconciliation that the demo's workers do: pure, from what `list` gave to what to ask next.
//!
//! A bank line is explained by the first of these that fits, in the order of date and number:
//!
//! 1. its reference names an invoice of the same supplier: it pays that, wholly, in part, or with
//!    a bank fee; when nothing is left to pay it is a double payment, and when it is far too much
//!    nobody here knows why;
//! 2. exactly one untouched invoice of the same supplier has its amount: it pays that;
//! 3. exactly one paid invoice of the same supplier has its amount: it is a double payment;
//! 4. otherwise its reason is unknown.
//!
//! Lines whose reference decides go first, so that an amount is compared only with what is left.

use std::collections::BTreeMap;

use crate::{FEE_LIMIT_CENTS, Invoice, InvoiceNumber, Payment, PaymentNumber, Status};

/// Where bank fees are posted.
pub const FEES: &str = "bank-fees";
/// Where double payments are posted.
pub const REFUNDS: &str = "supplier-refunds";
/// Where lines without a known reason are posted.
pub const SUSPENSE: &str = "suspense";

/// A call to make, in terms of the ledger's tools.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Call `reconcile`.
    Reconcile {
        /// The invoice.
        invoice: InvoiceNumber,
        /// The bank line.
        payment: PaymentNumber,
    },
    /// Call `post`.
    Post {
        /// The account: [`FEES`], [`REFUNDS`] or [`SUSPENSE`].
        account: &'static str,
        /// The amount.
        amount_cents: i64,
        /// The reason; it names the bank line, so a repeated run posts nothing twice.
        memo: String,
    },
}

/// Says what to do with every open bank line, in the order in which to do it. A fee is posted
/// before its line is linked: a run that stops between the two is completed by the next one.
///
/// `invoices` are all of a book's, matched ones too: they tell a double payment from an unknown
/// one. `payments` that are matched are left alone. The same input gives the same answer.
pub fn propose(invoices: &[Invoice], payments: &[Payment]) -> Vec<Action> {
    let mut books = Books::new(invoices);
    let mut open = payments
        .iter()
        .filter(|payment| payment.status == Status::Open)
        .collect::<Vec<_>>();
    open.sort_by(|one, other| (&one.date, &one.payment).cmp(&(&other.date, &other.payment)));
    let (named, unnamed): (Vec<_>, Vec<_>) = open
        .into_iter()
        .map(|payment| (payment, books.named_by(payment)))
        .partition(|(_, invoice)| invoice.is_some());
    let mut actions = Vec::new();
    for (payment, invoice) in named {
        if let Some(invoice) = invoice {
            books.settle_named(payment, &invoice, &mut actions);
        }
    }
    for (payment, _) in unnamed {
        books.settle_by_amount(payment, &mut actions);
    }
    actions
}

/// The invoices and what is left of each as the proposal goes on.
struct Books<'a> {
    by_reference: BTreeMap<String, &'a Invoice>,
    outstanding: BTreeMap<InvoiceNumber, i64>,
}

impl<'a> Books<'a> {
    fn new(invoices: &'a [Invoice]) -> Self {
        Self {
            by_reference: invoices
                .iter()
                .map(|invoice| (plain(invoice.invoice.as_str()), invoice))
                .collect(),
            outstanding: invoices
                .iter()
                .map(|invoice| (invoice.invoice.clone(), invoice.outstanding_cents()))
                .collect(),
        }
    }

    /// The one invoice of the same supplier that the reference names.
    fn named_by(&self, payment: &Payment) -> Option<InvoiceNumber> {
        let reference = plain(&payment.reference);
        let mut named = self.by_reference.iter().filter(|(number, invoice)| {
            invoice.supplier == payment.supplier && names(&reference, number)
        });
        match (named.next(), named.next()) {
            (Some((_, invoice)), None) => Some(invoice.invoice.clone()),
            _ => None,
        }
    }

    fn settle_named(
        &mut self,
        payment: &Payment,
        invoice: &InvoiceNumber,
        actions: &mut Vec<Action>,
    ) {
        let Some(left) = self.outstanding.get_mut(invoice) else {
            return;
        };
        let excess = payment.amount_cents - *left;
        if *left == 0 {
            actions.push(double(payment, invoice));
            return;
        }
        if excess > FEE_LIMIT_CENTS {
            actions.push(unknown(payment));
            return;
        }
        if excess > 0 {
            actions.push(Action::Post {
                account: FEES,
                amount_cents: excess,
                memo: format!("{}: bank fee on {invoice}", payment.payment),
            });
        }
        *left -= payment.amount_cents.min(*left);
        actions.push(Action::Reconcile {
            invoice: invoice.clone(),
            payment: payment.payment.clone(),
        });
    }

    fn settle_by_amount(&mut self, payment: &Payment, actions: &mut Vec<Action>) {
        let same = |left: fn(i64, &Invoice) -> bool| {
            let mut fitting = self.by_reference.values().filter(|invoice| {
                let outstanding = self.outstanding.get(&invoice.invoice).copied();
                invoice.supplier == payment.supplier
                    && invoice.amount_cents == payment.amount_cents
                    && outstanding.is_some_and(|cents| left(cents, invoice))
            });
            match (fitting.next(), fitting.next()) {
                (Some(invoice), None) => Some(invoice.invoice.clone()),
                _ => None,
            }
        };
        let untouched = same(|left, invoice| left == invoice.amount_cents);
        let paid = same(|left, _| left == 0);
        actions.push(match (untouched, paid) {
            (Some(invoice), _) => {
                self.outstanding.insert(invoice.clone(), 0);
                Action::Reconcile {
                    invoice,
                    payment: payment.payment.clone(),
                }
            }
            (None, Some(invoice)) => double(payment, &invoice),
            (None, None) => unknown(payment),
        });
    }
}

fn double(payment: &Payment, invoice: &InvoiceNumber) -> Action {
    Action::Post {
        account: REFUNDS,
        amount_cents: payment.amount_cents,
        memo: format!("{}: {invoice} paid twice", payment.payment),
    }
}

fn unknown(payment: &Payment) -> Action {
    Action::Post {
        account: SUSPENSE,
        amount_cents: payment.amount_cents,
        memo: format!("{}: reason unknown", payment.payment),
    }
}

/// Letters and digits only, upper case: how people type a number differs.
fn plain(text: &str) -> String {
    text.chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|letter| letter.to_ascii_uppercase())
        .collect()
}

/// Whether a number stands in a reference and no further digit continues it.
fn names(reference: &str, number: &str) -> bool {
    reference.match_indices(number).any(|(start, found)| {
        let after = reference.as_bytes().get(start + found.len());
        !after.is_some_and(u8::is_ascii_digit)
    })
}

#[cfg(test)]
mod tests;
