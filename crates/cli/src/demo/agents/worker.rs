//! A worker: reconciles one book, tries what it may not, and dies.

use std::time::Duration;

use anyhow::Context as _;
use chancery_agent::LocalClient;
use chancery_ledger::worker::{Action, propose};
use chancery_ledger::{Balance, Invoice, Listing, Payment};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::tools::Tools;
use super::{bridge_socket, refusal, tell};

/// How long to wait, and how often to try, until a call is refused: half a minute.
const PAUSE: Duration = Duration::from_millis(100);
const MOST_BEFORE: usize = 300;

/// What a worker is given.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Task {
    /// The tool server.
    pub(crate) server: String,
    /// The book to reconcile; absent where another tool server stands in for the ledger.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) book: Option<String>,
    /// Calls to make as they are, beside or in place of the reconciliation.
    pub(crate) calls: Vec<PlannedCall>,
    /// Whether the own chain is told, as an agent may tell it to anybody.
    pub(crate) tell_chain: bool,
}

/// One call as it was planned.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PlannedCall {
    /// What the call is to show.
    pub(crate) purpose: String,
    /// The tool.
    pub(crate) tool: String,
    /// Its arguments.
    pub(crate) arguments: Value,
    /// Another holder's chain to present with it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) chain: Option<Vec<String>>,
    /// Whether it is made again and again until it is refused.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub(crate) until_refused: bool,
}

/// What a worker tells.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "event", deny_unknown_fields)]
pub(crate) enum Told {
    /// It has an identity from the Workload API.
    Identity {
        /// The SPIFFE ID of its X.509-SVID.
        spiffe_id: String,
        /// The SHA-256 of the certificate.
        certificate: chancery_types::Digest,
    },
    /// Its chain.
    Chain {
        /// The links.
        chain: Vec<String>,
    },
    /// What it may call.
    Tools {
        /// The names.
        names: Vec<String>,
    },
    /// A planned call ended.
    Call {
        /// What it was to show.
        purpose: String,
        /// `ok`, `tool-error`, or the reason code of the refusal.
        result: String,
        /// How many of the same call were let through before.
        before: usize,
    },
    /// The book is reconciled.
    Balanced {
        /// The book.
        book: String,
        /// Payments linked to invoices.
        reconciled: usize,
        /// Adjustments posted.
        posted: usize,
        /// The closing balances.
        balance: Value,
    },
}

pub(super) async fn run(task: &str) -> anyhow::Result<()> {
    let task: Task = serde_json::from_str(task).context("task")?;
    let source = spiffe::X509Source::new()
        .await
        .context("SPIFFE Workload API")?;
    let svid = source.svid().context("SPIFFE Workload API")?;
    tell(&Told::Identity {
        spiffe_id: svid.spiffe_id().to_string(),
        certificate: chancery_types::Digest::of(svid.leaf().as_bytes()),
    })?;
    let bridge = LocalClient::new(bridge_socket()?);
    let tools = Tools::connect(&bridge, &task.server).await?;
    tell(&Told::Tools {
        names: tools.names().await?,
    })?;
    if task.tell_chain {
        tell(&Told::Chain {
            chain: bridge.chain().await.context("bridge")?,
        })?;
    }
    for call in &task.calls {
        let mut before = 0;
        let result = match &call.chain {
            None => loop {
                let result = tools.call(&call.tool, call.arguments.clone()).await;
                if !call.until_refused || result.is_err() || before == MOST_BEFORE {
                    break result;
                }
                before += 1;
                tokio::time::sleep(PAUSE).await;
            },
            Some(chain) => {
                let other = Tools::connect_with_chain(&bridge, &task.server, chain).await?;
                let result = other.call(&call.tool, call.arguments.clone()).await;
                other.close().await;
                result
            }
        };
        let result = match result {
            Ok(answer) if answer.is_error == Some(true) => "tool-error".to_owned(),
            Ok(_) => "ok".to_owned(),
            Err(error) => refusal(&error).map(|(_, reason)| reason).ok_or(error)?,
        };
        tell(&Told::Call {
            purpose: call.purpose.clone(),
            result,
            before,
        })?;
    }
    if let Some(book) = &task.book {
        reconcile(&tools, book).await?;
    }
    tools.close().await;
    Ok(())
}

async fn reconcile(tools: &Tools, book: &str) -> anyhow::Result<()> {
    let invoices: Vec<Invoice> = pages(tools, book, "invoices", |page| page.invoices).await?;
    let payments: Vec<Payment> = pages(tools, book, "payments", |page| page.payments).await?;
    let (mut reconciled, mut posted) = (0, 0);
    for action in propose(&invoices, &payments) {
        let (tool, arguments) = match &action {
            Action::Reconcile { invoice, payment } => {
                reconciled += 1;
                (
                    "reconcile",
                    json!({"book": book, "invoice": invoice, "payment": payment}),
                )
            }
            Action::Post {
                account,
                amount_cents,
                memo,
            } => {
                posted += 1;
                let arguments = json!({
                    "book": book, "account": account, "amount_cents": amount_cents, "memo": memo,
                });
                ("post", arguments)
            }
        };
        let _: Value = tools.ask(tool, arguments).await?;
    }
    let balance: Balance = tools.ask("balance", json!({"book": book})).await?;
    tell(&Told::Balanced {
        book: book.to_owned(),
        reconciled,
        posted,
        balance: serde_json::to_value(balance)?,
    })
}

async fn pages<T>(
    tools: &Tools,
    book: &str,
    what: &str,
    take: impl Fn(Listing) -> Vec<T>,
) -> anyhow::Result<Vec<T>> {
    let (mut all, mut cursor) = (Vec::new(), None::<String>);
    loop {
        let mut arguments = json!({"book": book, "what": what, "status": "all", "limit": 200});
        if let (Some(cursor), Some(members)) = (cursor.take(), arguments.as_object_mut()) {
            members.insert("cursor".to_owned(), cursor.into());
        }
        let page: Listing = tools.ask("list", arguments).await?;
        cursor = page.next_cursor.clone();
        all.extend(take(page));
        if cursor.is_none() {
            return Ok(all);
        }
    }
}
