use std::path::Path;

use rmcp::handler::server::router::tool::ToolRouter;
use rmcp::handler::server::wrapper::Parameters;
use rmcp::model::{Implementation, ServerCapabilities, ServerConfig};
use rmcp::{Json, ServerHandler, ServiceExt as _, tool, tool_handler, tool_router};

use crate::arguments::{
    BalanceArguments, ListArguments, PostArguments, ReadArguments, ReconcileArguments, What,
};
use crate::database::Database;
use crate::error::ToolError;
use crate::listing::Page;
use crate::{
    Balance, InvoiceDetail, Listing, Match, Posting, ServeError, balance, listing, posting,
    reconciliation,
};

/// Serves the books on standard input and output until the client closes them. Speaks both eras
/// of MCP: with `initialize`, and without a session (`server/discover`).
///
/// Fails when `db` is not a database that [`crate::load`] made.
pub async fn serve(db: &Path) -> Result<(), ServeError> {
    let database = Database::open(db).await?;
    let service = Ledger::new(database.clone())
        .serve(rmcp::transport::io::stdio())
        .await
        .map_err(|error| ServeError::Protocol(Box::new(error)))?;
    let ended = service.waiting().await;
    database.close().await;
    ended.map(drop).map_err(ServeError::Task)
}

#[derive(Debug, Clone)]
struct Ledger {
    database: Database,
    tool_router: ToolRouter<Self>,
}

#[tool_router]
impl Ledger {
    fn new(database: Database) -> Self {
        Self {
            database,
            tool_router: Self::tool_router(),
        }
    }

    #[tool(
        name = "list",
        description = "Lists a book's supplier invoices or bank payment lines, page by page.",
        annotations(title = "List", read_only_hint = true, open_world_hint = false)
    )]
    async fn list(
        &self,
        Parameters(arguments): Parameters<ListArguments>,
    ) -> Result<Json<Listing>, String> {
        let page = Page {
            filter: arguments.status,
            limit: arguments.limit.get(),
            cursor: arguments.cursor.as_deref(),
        };
        let mut from = self.database.read().await.map_err(text)?;
        match arguments.what {
            What::Invoices => listing::invoices(&mut from, arguments.book, page).await,
            What::Payments => listing::payments(&mut from, arguments.book, page).await,
        }
        .map(Json)
        .map_err(text)
    }

    #[tool(
        name = "read",
        description = "Reads one invoice and the bank lines that pay it.",
        annotations(
            title = "Read an invoice",
            read_only_hint = true,
            open_world_hint = false
        )
    )]
    async fn read(
        &self,
        Parameters(arguments): Parameters<ReadArguments>,
    ) -> Result<Json<InvoiceDetail>, String> {
        let mut from = self.database.read().await.map_err(text)?;
        listing::detail(&mut from, arguments.book, arguments.invoice)
            .await
            .map(Json)
            .map_err(text)
    }

    #[tool(
        name = "reconcile",
        description = "Links a bank line to the invoice of the same supplier that it pays, wholly \
                       or in part. A line may exceed what is left by a small bank fee, which is \
                       then to be posted.",
        annotations(
            title = "Reconcile",
            read_only_hint = false,
            destructive_hint = false,
            idempotent_hint = false,
            open_world_hint = false
        )
    )]
    async fn reconcile(
        &self,
        Parameters(arguments): Parameters<ReconcileArguments>,
    ) -> Result<Json<Match>, String> {
        let mut to = self.database.write().await.map_err(text)?;
        let ReconcileArguments {
            book,
            invoice,
            payment,
        } = arguments;
        let done = reconciliation::reconcile(&mut to, book, invoice, payment)
            .await
            .map_err(text)?;
        to.commit().await.map_err(text)?;
        Ok(Json(done))
    }

    #[tool(
        name = "post",
        description = "Posts an adjustment: debits an account and credits the clearing account, \
                       for example a bank fee or a payment without a known reason.",
        annotations(
            title = "Post an adjustment",
            read_only_hint = false,
            destructive_hint = true,
            idempotent_hint = false,
            open_world_hint = false
        )
    )]
    async fn post(
        &self,
        Parameters(arguments): Parameters<PostArguments>,
    ) -> Result<Json<Posting>, String> {
        let mut to = self.database.write().await.map_err(text)?;
        let PostArguments {
            book,
            account,
            amount_cents,
            memo,
        } = arguments;
        let done = posting::post(&mut to, book, account, amount_cents.get(), memo.as_str())
            .await
            .map_err(text)?;
        to.commit().await.map_err(text)?;
        Ok(Json(done))
    }

    #[tool(
        name = "balance",
        description = "Gives the balance of every account of a book and how much is still open.",
        annotations(title = "Balance", read_only_hint = true, open_world_hint = false)
    )]
    async fn balance(
        &self,
        Parameters(arguments): Parameters<BalanceArguments>,
    ) -> Result<Json<Balance>, String> {
        let mut from = self.database.read().await.map_err(text)?;
        balance::balance(&mut from, arguments.book)
            .await
            .map(Json)
            .map_err(text)
    }
}

#[tool_handler(router = self.tool_router)]
impl ServerHandler for Ledger {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
            .with_server_info(Implementation::new(
                "chancery-ledger",
                env!("CARGO_PKG_VERSION"),
            ))
            .with_instructions(
                "Books of supplier invoices and bank lines. List what is open, reconcile each \
                 bank line with the invoice it pays, and post what remains on the clearing \
                 account: fees to bank-fees, double payments to supplier-refunds, anything \
                 unknown to suspense. Amounts are integer cents.",
            )
    }
}

fn text(error: impl Into<ToolError>) -> String {
    error.into().to_string()
}
