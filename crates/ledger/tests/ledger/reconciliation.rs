//! The whole work: every bank line explained through the tools alone, and the closing balances
//! that the generator computed on its own.

use std::path::Path;

use crate::common::{Client, all, answer, books, call, connect, demo, legacy, modern};
use chancery_ledger::worker::{Action, propose};
use serde_json::{Value, json};

#[tokio::test]
async fn three_workers_at_once_reach_the_expected_balances() {
    let (_folder, db) = books().await;
    let work = ["north", "south", "west"].map(|book| {
        let db = db.clone();
        tokio::spawn(async move {
            let era = if book == "south" { legacy() } else { modern() };
            let client = connect(&db, era).await;
            reconcile(&client, book, usize::MAX).await;
            client.cancel().await.unwrap();
        })
    });
    for worker in work {
        worker.await.unwrap();
    }
    for book in ["north", "south", "west"] {
        check(&db, book).await;
    }
}

#[tokio::test]
async fn an_interrupted_worker_is_completed_by_the_next() {
    let (_folder, db) = books().await;
    let client = connect(&db, modern()).await;
    for calls in [0, 1, 7, 33, 60] {
        reconcile(&client, "west", calls).await;
    }
    reconcile(&client, "west", usize::MAX).await;
    reconcile(&client, "west", usize::MAX).await;
    client.cancel().await.unwrap();
    check(&db, "west").await;
}

#[tokio::test]
async fn two_workers_on_one_book_disturb_nothing() {
    let (_folder, db) = books().await;
    let (one, other) = (connect(&db, modern()).await, connect(&db, modern()).await);
    tokio::join!(
        reconcile(&one, "north", usize::MAX),
        reconcile(&other, "north", usize::MAX)
    );
    check(&db, "north").await;
}

#[test]
fn the_committed_files_are_what_the_generator_writes() {
    let folder = tempfile::tempdir().unwrap();
    let made = std::process::Command::new("python3")
        .arg(demo().join("generate.py"))
        .arg(folder.path())
        .status();
    match made {
        Err(error) => println!("skipped: python3 is not here: {error}"),
        Ok(status) => {
            assert!(status.success());
            for file in [
                "accounts.csv",
                "invoices.csv",
                "payments.csv",
                "expected.json",
            ] {
                let fresh = std::fs::read(folder.path().join(file)).unwrap();
                assert_eq!(fresh, std::fs::read(demo().join(file)).unwrap(), "{file}");
            }
        }
    }
}

/// Makes up to `most` of the calls that the worker proposes. A call that somebody made before is
/// refused; that is not an error here.
async fn reconcile(client: &Client, book: &str, most: usize) {
    let invoices = all(client, book, "invoices", "all").await;
    let payments = all(client, book, "payments", "open").await;
    let invoices = serde_json::from_value::<Vec<_>>(Value::Array(invoices)).unwrap();
    let payments = serde_json::from_value::<Vec<_>>(Value::Array(payments)).unwrap();
    for action in propose(&invoices, &payments).into_iter().take(most) {
        let result = match action {
            Action::Reconcile { invoice, payment } => {
                let arguments = json!({"book": book, "invoice": invoice, "payment": payment});
                call(client, "reconcile", arguments).await
            }
            Action::Post {
                account,
                amount_cents,
                memo,
            } => {
                let arguments = json!({
                    "book": book, "account": account, "amount_cents": amount_cents, "memo": memo
                });
                call(client, "post", arguments).await
            }
        };
        let result = result.unwrap();
        if result.is_error == Some(true) {
            let text = &result.content[0].as_text().unwrap().text;
            assert!(text.contains("already"), "{text}");
        }
    }
}

async fn check(db: &Path, book: &str) {
    let expected = std::fs::read(demo().join("expected.json")).unwrap();
    let expected = &serde_json::from_slice::<Value>(&expected).unwrap()[book];
    let client = connect(db, modern()).await;
    let balance = answer(&client, "balance", json!({"book": book})).await;
    let balances = balance["accounts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|account| {
            let code = account["account"].as_str().unwrap().to_owned();
            (code, account["balance_cents"].clone())
        })
        .collect::<serde_json::Map<_, _>>();
    assert_eq!(
        Value::Object(balances),
        expected["balances_cents"],
        "{book}"
    );
    for count in ["invoices_open", "invoices_matched", "payments_matched"] {
        assert_eq!(balance[count], expected[count], "{book}: {count}");
    }
    let payments =
        balance["payments_open"].as_i64().unwrap() + balance["payments_matched"].as_i64().unwrap();
    assert_eq!(json!(payments), expected["payments"]);
    client.cancel().await.unwrap();
}
