use super::*;

fn invoice(number: &str, supplier: &str, amount_cents: i64, paid_cents: i64) -> Invoice {
    Invoice {
        invoice: number.parse().unwrap(),
        supplier: supplier.into(),
        issued: "2026-03-01".into(),
        due: "2026-03-31".into(),
        amount_cents,
        paid_cents,
        status: match amount_cents == paid_cents {
            true => Status::Matched,
            false => Status::Open,
        },
    }
}

fn payment(number: &str, supplier: &str, reference: &str, amount_cents: i64) -> Payment {
    Payment {
        payment: number.parse().unwrap(),
        date: "2026-03-20".into(),
        supplier: supplier.into(),
        reference: reference.into(),
        amount_cents,
        status: Status::Open,
    }
}

fn link(invoice: &str, payment: &str) -> Action {
    Action::Reconcile {
        invoice: invoice.parse().unwrap(),
        payment: payment.parse().unwrap(),
    }
}

fn accounts(actions: &[Action]) -> Vec<(&str, i64)> {
    actions
        .iter()
        .filter_map(|action| match action {
            Action::Post {
                account,
                amount_cents,
                ..
            } => Some((*account, *amount_cents)),
            Action::Reconcile { .. } => None,
        })
        .collect()
}

#[test]
fn a_named_line_pays_wholly_in_part_and_with_a_fee() {
    let invoices = [
        invoice("INV-N-0001", "A", 100, 0),
        invoice("INV-N-0002", "A", 300, 0),
        invoice("INV-N-0003", "B", 500, 0),
    ];
    let payments = [
        payment("PAY-N-0001", "A", "inv n/0001", 100),
        payment("PAY-N-0002", "A", "INVN0002", 120),
        payment(
            "PAY-N-0003",
            "B",
            "INV-N-0003 thanks",
            500 + FEE_LIMIT_CENTS,
        ),
    ];
    let actions = propose(&invoices, &payments);
    assert_eq!(actions[0], link("INV-N-0001", "PAY-N-0001"));
    assert_eq!(actions[1], link("INV-N-0002", "PAY-N-0002"));
    assert_eq!(actions[3], link("INV-N-0003", "PAY-N-0003"));
    assert_eq!(accounts(&actions), [(FEES, FEE_LIMIT_CENTS)]);
}

#[test]
fn the_second_payment_of_an_invoice_is_a_double_one() {
    let invoices = [invoice("INV-N-0001", "A", 100, 0)];
    let payments = [
        payment("PAY-N-0001", "A", "INV-N-0001", 100),
        payment("PAY-N-0002", "A", "INV-N-0001", 100),
        payment("PAY-N-0003", "A", "monthly", 100),
    ];
    let actions = propose(&invoices, &payments);
    assert_eq!(actions[0], link("INV-N-0001", "PAY-N-0001"));
    assert_eq!(accounts(&actions), [(REFUNDS, 100), (REFUNDS, 100)]);
}

#[test]
fn what_is_not_certain_goes_to_suspense() {
    let invoices = [
        invoice("INV-N-0001", "A", 100, 0),
        invoice("INV-N-0002", "A", 100, 0),
        invoice("INV-N-0003", "B", 900, 0),
        invoice("INV-N-0004", "B", 800, 300),
    ];
    for (supplier, reference, cents, why) in [
        ("A", "", 100, "two invoices have this amount"),
        ("A", "INV-N-0001 INV-N-0002", 100, "names two invoices"),
        ("C", "INV-N-0003", 900, "another supplier's invoice"),
        ("B", "INV-N-00031", 4000, "another number that starts alike"),
        ("B", "INV-N-0003", 900 + FEE_LIMIT_CENTS + 1, "beyond a fee"),
        ("B", "", 500, "equals what is left, not the amount"),
    ] {
        let payments = [payment("PAY-N-0001", supplier, reference, cents)];
        let actions = propose(&invoices, &payments);
        assert_eq!(accounts(&actions), [(SUSPENSE, cents)], "{why}");
        assert_eq!(actions.len(), 1, "{why}");
    }
}

#[test]
fn a_wrong_reference_does_not_hide_the_right_amount() {
    let invoices = [
        invoice("INV-N-0001", "A", 100, 0),
        invoice("INV-N-0002", "B", 200, 0),
    ];
    let payments = [payment("PAY-N-0001", "B", "INV-N-0001", 200)];
    assert_eq!(
        propose(&invoices, &payments),
        [link("INV-N-0002", "PAY-N-0001")]
    );
}

#[test]
fn matched_lines_are_left_alone() {
    let mut paid = payment("PAY-N-0001", "A", "INV-N-0001", 100);
    paid.status = Status::Matched;
    let invoices = [invoice("INV-N-0001", "A", 100, 100)];
    assert!(propose(&invoices, &[paid]).is_empty());
}
