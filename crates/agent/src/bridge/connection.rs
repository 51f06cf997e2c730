use std::sync::Arc;
use std::time::Duration;

use chancery_api::server::{Roster, RosterFilter};
use chancery_evidence::presentation::Challenge;
use serde::Serialize;
use tokio::io::AsyncWriteExt as _;
use tokio::net::UnixStream;
use tokio::net::unix::OwnedWriteHalf;
use tokio::time::timeout;

use super::fault::{Fault, code, line};
use super::opening::{MOST_BYTES, MOST_FIRST_BYTES, Opening};
use super::{
    Context, SpawnEnd, SpawnEnds, SpawnError, SpawnMany, SpawnRequest, Spawned, Spawner, mcp,
};
use crate::exchange::{ExchangeError, ExchangeRequest};
use crate::lines::{LineError, Lines};
use crate::session::{Presented, SessionError};

const FIRST_LINE: Duration = Duration::from_secs(10);
const FAREWELL: Duration = Duration::from_secs(5);

/// Serves one connection of an admitted peer.
pub(super) async fn serve(stream: UnixStream, context: Context) {
    let (reader, mut writer) = stream.into_split();
    let mut lines = Lines::new(reader);
    let first = match timeout(FIRST_LINE, lines.next(MOST_FIRST_BYTES)).await {
        Ok(Ok(Some(first))) => first,
        Ok(Ok(None) | Err(LineError::Broken(_))) => return,
        Ok(Err(LineError::TooLong | LineError::NotText)) => {
            let fault = Fault::new(
                code::INVALID_REQUEST,
                "malformed",
                "the first line is no line",
            );
            return say(&mut writer, fault.to_line()).await;
        }
        Err(_) => {
            let fault = Fault::new(code::INVALID_REQUEST, "timeout", "no first line in time");
            return say(&mut writer, fault.to_line()).await;
        }
    };
    let instance = Arc::clone(&context.instance);
    let answer = match Opening::parse(&first) {
        Ok(Opening::Connect(server, chain)) => {
            let presented = chain.map(Presented::new);
            return mcp::serve(server, presented, lines, writer, context).await;
        }
        Ok(Opening::Chain) => {
            let held = instance.held(Duration::ZERO).await;
            document("chain", held.map(|held| held.chain().to_vec()))
        }
        Ok(Opening::End) => document("ended", instance.end_session().await),
        Ok(Opening::View) => document("view", instance.view_session().await),
        Ok(Opening::Spawn(request)) => tokio::select! {
            answer = spawn(&context, request) => said(answer),
            // Nothing is due any more: a line or the end says that the one who asked gave up.
            _ = lines.next(MOST_BYTES) => return,
        },
        // What was begun goes on: whoever asked finds it in the roster.
        Ok(Opening::SpawnMany(request)) => said(spawn_many(&context, request).await),
        Ok(Opening::Ends(instances)) => tokio::select! {
            answer = ends(&context, instances) => said(answer),
            _ = lines.next(MOST_BYTES) => return,
        },
        Ok(Opening::Roster(filter)) => said(roster(&context, filter).await),
        Ok(Opening::Exchange(request)) => tokio::select! {
            answer = exchange(&context, request) => answer,
            _ = lines.next(MOST_BYTES) => return,
        },
        Ok(Opening::Present(challenge)) => tokio::select! {
            answer = present(&context, challenge) => answer,
            _ = lines.next(MOST_BYTES) => return,
        },
        Ok(Opening::Dpop(request)) => {
            let proof = instance.prove_dpop(&request);
            document("dpop", proof.map_err(SessionError::from))
        }
        Err(error) => Fault::from(error).to_line(),
    };
    say(&mut writer, answer).await;
}

async fn spawn(context: &Context, request: SpawnRequest) -> Result<SpawnEnd, SpawnError> {
    spawner(context)?.spawn(request).await
}

async fn spawn_many(context: &Context, request: SpawnMany) -> Result<Spawned, SpawnError> {
    spawner(context)?.spawn_many(request).await
}

async fn ends(context: &Context, instances: Vec<String>) -> Result<SpawnEnds, SpawnError> {
    spawner(context)?.ends(instances).await
}

async fn roster(context: &Context, filter: RosterFilter) -> Result<Roster, SpawnError> {
    spawner(context)?.roster(filter).await
}

fn spawner(context: &Context) -> Result<&dyn Spawner, SpawnError> {
    context.spawner.as_deref().ok_or_else(|| SpawnError {
        reason: "no_spawner".to_owned(),
        message: "nothing can be started through this bridge".to_owned(),
        remedy: None,
    })
}

fn said<D: Serialize>(answer: Result<D, SpawnError>) -> String {
    match answer {
        Ok(document) => line(&document),
        Err(error) => Fault::from(error).to_line(),
    }
}

async fn present(context: &Context, challenge: Challenge) -> String {
    let Some(presenter) = &context.presenter else {
        let text = "nothing is presented through this bridge";
        return Fault::new(code::DENIED, "no_presenter", text).to_line();
    };
    match presenter.present(challenge).await {
        Ok(presentation) => line(&presentation),
        Err(error) => Fault::from(error).to_line(),
    }
}

async fn exchange(context: &Context, request: ExchangeRequest) -> String {
    let patience = context.patience;
    let (delegation, approval) = (patience.delegation, patience.approval);
    let issued = context
        .instance
        .exchange(&request, delegation, approval)
        .await;
    match issued {
        Ok(issued) => line(&issued),
        Err(ExchangeError::Session(error)) => Fault::from(&error).to_line(),
        Err(ExchangeError::Refused(refusal)) => {
            let text = format!("{}: {}", refusal.error, refusal.error_description);
            Fault::new(code::DENIED, &refusal.reason, text).to_line()
        }
        Err(error @ ExchangeError::Details) => {
            Fault::new(code::INVALID_PARAMS, "exchange_details", error.to_string()).to_line()
        }
    }
}

fn document<D: Serialize>(name: &str, outcome: Result<D, SessionError>) -> String {
    match outcome {
        Ok(document) => line(&std::collections::BTreeMap::from([(name, document)])),
        Err(error) => Fault::from(&error).to_line(),
    }
}

async fn say(writer: &mut OwnedWriteHalf, mut text: String) {
    text.push('\n');
    // Fails when the client is gone, which ends the connection as well.
    let _ = timeout(FAREWELL, writer.write_all(text.as_bytes())).await;
}
