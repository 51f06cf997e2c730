//! Making the books from CSV files: all or nothing, and every refusal names its place.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::common::demo;
use chancery_ledger::load;

const FILES: [&str; 3] = ["accounts.csv", "invoices.csv", "payments.csv"];

async fn refused(file: &str, change: impl Fn(&str) -> String) -> String {
    let folder = tempfile::tempdir().unwrap();
    for name in FILES {
        let text = std::fs::read_to_string(demo().join(name)).unwrap();
        let text = if name == file { change(&text) } else { text };
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let db = folder.path().join("ledger.db");
    let error = load(&db, folder.path()).await.unwrap_err().to_string();
    assert!(!db.exists(), "{error}");
    error.replace(&format!("{}/", folder.path().display()), "")
}

fn replace_line(text: &str, line: usize, by: &str) -> String {
    let mut lines = text.lines().collect::<Vec<_>>();
    lines[line - 1] = by;
    lines.join("\n") + "\n"
}

#[tokio::test]
async fn an_existing_file_is_never_touched() {
    let folder = tempfile::tempdir().unwrap();
    let db = folder.path().join("ledger.db");
    std::fs::write(&db, b"mine").unwrap();
    let error = load(&db, &demo()).await.unwrap_err().to_string();
    assert!(error.contains("exists already"), "{error}");
    assert_eq!(std::fs::read(&db).unwrap(), b"mine");
}

#[tokio::test]
async fn the_books_are_private_and_leave_no_other_file() {
    let (folder, db) = crate::common::books().await;
    let mode = std::fs::metadata(&db).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn a_missing_folder_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let db = folder.path().join("ledger.db");
    let error = load(&db, Path::new("/nonexistent")).await.unwrap_err();
    assert!(
        error.to_string().contains("/nonexistent/accounts.csv"),
        "{error}"
    );
    assert!(!db.exists());
}

#[tokio::test]
async fn bad_lines_are_named_with_file_line_and_column() {
    for (file, line, by, said) in [
        (
            "invoices.csv",
            3,
            "north,INV-N-0002,S,2026-03-15,2026-04-14,12.50",
            "invoices.csv, line 3, column amount_cents: not an amount in whole cents",
        ),
        (
            "invoices.csv",
            3,
            "north,INV-N-0002,S,2026-03-15,2026-04-14,0",
            "column amount_cents",
        ),
        (
            "invoices.csv",
            3,
            "north,INV-N-0002,S,2026-03-15,2026-04-14,-5",
            "column amount_cents",
        ),
        (
            "invoices.csv",
            3,
            "north,INV-N-0002,S,2026-03-15,2026-04-14,+5",
            "column amount_cents",
        ),
        (
            "invoices.csv",
            3,
            "north,INV-N-0002,S,2026-03-15,2026-04-14,9223372036854775807",
            "column amount_cents",
        ),
        (
            "invoices.csv",
            4,
            "north,INV-N-0003,S,2026-02-30,2026-04-14,5",
            "invoices.csv, line 4, column issued: not a date",
        ),
        (
            "invoices.csv",
            4,
            "north,INV-N-0003,S,2026-03-01,14.4.2026,5",
            "column due",
        ),
        (
            "invoices.csv",
            4,
            "north,INV-N-0001,S,2026-03-01,2026-04-14,5",
            "line 4, column invoice: stands in an earlier line too",
        ),
        (
            "invoices.csv",
            4,
            "east,INV-N-0003,S,2026-03-01,2026-04-14,5",
            "column book: names a book",
        ),
        (
            "invoices.csv",
            4,
            "north,INV N,S,2026-03-01,2026-04-14,5",
            "column invoice: not an invoice",
        ),
        (
            "invoices.csv",
            4,
            "north,INV-N-0003,,2026-03-01,2026-04-14,5",
            "column supplier",
        ),
        (
            "invoices.csv",
            4,
            "north,INV-N-0003,S,2026-03-01",
            "invoices.csv: CSV error: record",
        ),
        (
            "payments.csv",
            2,
            "north,PAY-N-0001,2026-03-11,S,\"a\u{7}\",5",
            "column reference",
        ),
        (
            "payments.csv",
            2,
            "north,pay-1,2026-03-11,S,,5",
            "line 2, column payment",
        ),
        (
            "accounts.csv",
            3,
            "north,clearing,C,gold,0",
            "line 3, column kind",
        ),
        (
            "accounts.csv",
            3,
            "north,bank,C,asset,0",
            "line 3, column account: stands in an earlier",
        ),
        (
            "accounts.csv",
            3,
            "north,till,C,asset,0",
            "the account clearing is missing",
        ),
        (
            "accounts.csv",
            3,
            "north,clearing,C,asset,1",
            "opening balances sum to 1 cents",
        ),
        (
            "payments.csv",
            1,
            "book,payment,date,supplier,amount_cents,reference",
            "payments.csv, line 1: expected the columns book,payment,date,supplier,reference,amount",
        ),
    ] {
        let error = refused(file, |text| replace_line(text, line, by)).await;
        assert!(error.contains(said), "{error}");
    }
    let error = refused("invoices.csv", |text| text.replacen("240634", "240635", 1)).await;
    assert!(error.contains("the payables open at"), "{error}");
    let error = refused("payments.csv", |_| String::new()).await;
    assert!(error.contains("payments.csv, line 1"), "{error}");
}
