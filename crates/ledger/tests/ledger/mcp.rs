//! The tools, asked by an MCP client over a child process.

use crate::common::{answer, books, call, connect, legacy, modern, refusal};
use serde_json::json;

#[tokio::test]
async fn both_eras_see_the_same_tools_with_strict_schemas() {
    let (_folder, db) = books().await;
    let mut seen = Vec::new();
    for era in [legacy(), modern()] {
        let client = connect(&db, era).await;
        seen.push(client.list_all_tools().await.unwrap());
        let balance = answer(&client, "balance", json!({"book": "west"})).await;
        assert_eq!(balance["book"], "west");
        client.cancel().await.unwrap();
    }
    assert_eq!(seen[0], seen[1]);
    let names = seen[0].iter().map(|tool| &*tool.name).collect::<Vec<_>>();
    assert_eq!(names, ["balance", "list", "post", "read", "reconcile"]);
    for tool in &seen[0] {
        let schema = &tool.input_schema;
        assert_eq!(schema["type"], "object");
        assert_eq!(schema["additionalProperties"], false, "{}", tool.name);
        assert_eq!(schema["properties"]["book"]["type"], "string");
        assert!(
            schema["required"]
                .as_array()
                .unwrap()
                .contains(&json!("book"))
        );
        assert!(tool.output_schema.is_some());
        let annotations = tool.annotations.as_ref().unwrap();
        let writes = ["post", "reconcile"].contains(&&*tool.name);
        assert_eq!(annotations.read_only_hint, Some(!writes), "{}", tool.name);
        assert_eq!(
            annotations.destructive_hint == Some(true),
            tool.name == "post"
        );
    }
    let limit = &seen[0][1].input_schema["properties"]["limit"];
    assert_eq!(
        (&limit["minimum"], &limit["maximum"]),
        (&json!(1), &json!(500))
    );
}

#[tokio::test]
async fn arguments_of_another_shape_are_refused() {
    let (_folder, db) = books().await;
    let client = connect(&db, modern()).await;
    for (tool, arguments) in [
        ("list", json!({})),
        ("list", json!({"book": 7})),
        ("list", json!({"book": "north", "extra": true})),
        ("list", json!({"book": "North"})),
        ("list", json!({"book": "north", "limit": 0})),
        ("list", json!({"book": "north", "limit": 501})),
        ("list", json!({"book": "north", "limit": "5"})),
        ("list", json!({"book": "north", "limit": 5.0})),
        ("list", json!({"book": "north", "status": "paid"})),
        ("list", json!({"book": "north", "what": "accounts"})),
        ("read", json!({"book": "north", "invoice": "inv-n-0001"})),
        (
            "read",
            json!({"book": "north' OR 1=1 --", "invoice": "INV-N-0001"}),
        ),
        (
            "reconcile",
            json!({"book": "north", "invoice": "INV-N-0001"}),
        ),
        (
            "post",
            json!({"book": "north", "account": "suspense", "amount_cents": "5", "memo": "x"}),
        ),
        (
            "post",
            json!({"book": "north", "account": "suspense", "amount_cents": 1.5, "memo": "x"}),
        ),
        (
            "post",
            json!({"book": "north", "account": "suspense", "amount_cents": 5, "memo": ""}),
        ),
        (
            "post",
            json!({"book": "north", "account": "suspense", "amount_cents": 5, "memo": "a\nb"}),
        ),
        (
            "post",
            json!({
                "book": "north", "account": "suspense", "amount_cents": 1_000_000_001, "memo": "x"
            }),
        ),
        (
            "post",
            json!({
                "book": "north", "account": "suspense", "amount_cents": i64::MIN, "memo": "x"
            }),
        ),
        ("balance", json!({"book": "north", "account": "bank"})),
        ("drop", json!({"book": "north"})),
    ] {
        let answer = call(&client, tool, arguments.clone()).await;
        let refused = answer.is_err() || answer.is_ok_and(|it| it.is_error == Some(true));
        assert!(refused, "{tool} {arguments}");
    }
    let balance = answer(&client, "balance", json!({"book": "north"})).await;
    assert_eq!(balance["payments_matched"], 0);
}

#[tokio::test]
async fn what_the_books_do_not_have_is_a_tool_error() {
    let (_folder, db) = books().await;
    let client = connect(&db, modern()).await;
    for (tool, arguments, said) in [
        ("list", json!({"book": "east"}), "there is no book east"),
        ("balance", json!({"book": "east"}), "there is no book east"),
        ("list", json!({"book": "north", "cursor": "%"}), "cursor"),
        (
            "read",
            json!({"book": "north", "invoice": "INV-S-0001"}),
            "book north has no invoice INV-S-0001",
        ),
        (
            "reconcile",
            json!({"book": "north", "invoice": "INV-N-0001", "payment": "PAY-S-0001"}),
            "book north has no payment PAY-S-0001",
        ),
        (
            "post",
            json!({"book": "north", "account": "gold", "amount_cents": 1, "memo": "x"}),
            "book north has no account gold",
        ),
        (
            "post",
            json!({"book": "north", "account": "bank-fees", "amount_cents": 0, "memo": "x"}),
            "nothing to post",
        ),
    ] {
        let text = refusal(&client, tool, arguments).await;
        assert!(text.contains(said), "{text}");
    }
    for account in ["bank", "clearing", "payables"] {
        let arguments =
            json!({"book": "north", "account": account, "amount_cents": 1, "memo": "x"});
        let text = refusal(&client, "post", arguments).await;
        assert!(text.contains("moves only by bank lines"), "{text}");
    }
}

#[tokio::test]
async fn a_line_is_linked_once_and_an_adjustment_posted_once() {
    let (_folder, db) = books().await;
    let client = connect(&db, modern()).await;
    let lines = crate::common::all(&client, "north", "payments", "open").await;
    let line = lines
        .iter()
        .find(|line| line["reference"] == "INV-N-0011")
        .unwrap();
    let arguments = json!({"book": "north", "invoice": "INV-N-0011", "payment": line["payment"]});
    let done = answer(&client, "reconcile", arguments.clone()).await;
    assert_eq!(
        (&done["kind"], &done["outstanding_cents"]),
        (&json!("exact"), &json!(0))
    );
    let text = refusal(&client, "reconcile", arguments).await;
    assert!(
        text.contains("is linked to invoice INV-N-0011 already"),
        "{text}"
    );
    let detail = answer(
        &client,
        "read",
        json!({"book": "north", "invoice": "INV-N-0011"}),
    )
    .await;
    assert_eq!(detail["invoice"]["status"], "matched");
    assert_eq!(
        detail["links"],
        json!([
            {"payment": line["payment"], "settled_cents": line["amount_cents"]}
        ])
    );
    let other = lines
        .iter()
        .find(|other| other["supplier"] != line["supplier"])
        .unwrap();
    let arguments = json!({"book": "north", "invoice": "INV-N-0011", "payment": other["payment"]});
    let text = refusal(&client, "reconcile", arguments).await;
    assert!(text.contains("is from"), "{text}");

    let fee = json!({"book": "north", "account": "bank-fees", "amount_cents": 5, "memo": "fee"});
    answer(&client, "post", fee.clone()).await;
    assert!(
        refusal(&client, "post", fee)
            .await
            .contains("posted already")
    );
    let back = json!({"book": "north", "account": "bank-fees", "amount_cents": -5, "memo": "fee"});
    answer(&client, "post", back).await;
    let balance = answer(&client, "balance", json!({"book": "north"})).await;
    let sum = balance["accounts"].as_array().unwrap().iter();
    assert_eq!(
        sum.map(|account| account["balance_cents"].as_i64().unwrap())
            .sum::<i64>(),
        0
    );
}

#[tokio::test]
async fn serve_refuses_what_load_did_not_make() {
    let folder = tempfile::tempdir().unwrap();
    let missing = chancery_ledger::serve(&folder.path().join("none.db")).await;
    assert!(missing.unwrap_err().to_string().contains("none.db"));
    let empty = folder.path().join("empty.db");
    std::fs::write(&empty, b"").unwrap();
    let error = chancery_ledger::serve(&empty).await.unwrap_err();
    assert!(
        error.to_string().contains("load the books again"),
        "{error}"
    );
    let other = folder.path().join("other.db");
    std::fs::write(&other, [7_u8; 8192]).unwrap();
    assert!(chancery_ledger::serve(&other).await.is_err());
}
