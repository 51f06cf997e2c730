use std::sync::Arc;
use std::time::Duration;

use chancery_api::pb::append::append_request::Message as Sent;
use chancery_api::pb::append::append_response::Message as Answer;
use chancery_api::pb::append::log_append_server::LogAppend;
use chancery_api::pb::append::{
    Acknowledged, AppendRequest, AppendResponse, Batch, Level, Open, Opened,
};
use chancery_journal::Acknowledgement;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Request, Response, Status, Streaming};

use crate::producers::{Turn, WINDOW};
use crate::recorder::{Accepted, Appending};
use crate::{Caller, Recorder, Refusal};

/// How long a stream may take to say whose it is.
const OPENING: Duration = Duration::from_secs(10);

/// Answers that wait for the producer to read them.
const ANSWERS: usize = 64;

/// The append service. A stream has two tasks: one takes batches, one acknowledges them.
pub(crate) struct AppendApi {
    recorder: Arc<Recorder>,
}

impl AppendApi {
    pub(crate) const fn new(recorder: Arc<Recorder>) -> Self {
        Self { recorder }
    }
}

/// What is to be said next, in this order.
enum Next {
    /// A batch is acknowledged once it is written.
    Acknowledge(Accepted, OwnedSemaphorePermit),
    /// The stream ends.
    Refuse(Refusal),
}

type Answers = mpsc::Sender<Result<AppendResponse, Status>>;

#[tonic::async_trait]
impl LogAppend for AppendApi {
    type AppendStream = ReceiverStream<Result<AppendResponse, Status>>;

    async fn append(
        &self,
        request: Request<Streaming<AppendRequest>>,
    ) -> Result<Response<Self::AppendStream>, Status> {
        // Both listeners say who is there.
        let caller = request.extensions().get::<Caller>().cloned();
        let caller = caller.ok_or_else(|| Status::unauthenticated("nobody is known here"))?;
        let check = caller.check(self.recorder.now());
        check.map_err(|refusal| refused(&caller, &refusal))?;
        let mut batches = request.into_inner();
        let opened = timeout(OPENING, opened(&self.recorder, &caller, &mut batches)).await;
        let opened = opened.unwrap_or(Err(Refusal::Protocol));
        let (level, appending) = opened.map_err(|refusal| refused(&caller, &refusal))?;

        let (answers, receiver) = mpsc::channel(ANSWERS);
        let (next, nexts) = mpsc::channel(WINDOW);
        let first = Answer::Opened(Opened {
            origin: self.recorder.journal().origin().to_string(),
            producer: appending.name.to_string(),
            next: appending.next,
            outstanding: WINDOW as u32,
        });
        // There is room: nothing was said yet.
        let _ = answers.try_send(Ok(answer(first)));
        let recorder = Arc::clone(&self.recorder);
        let acknowledging = acknowledge(
            recorder,
            level,
            appending.turn.clone(),
            nexts,
            answers.clone(),
        );
        tokio::spawn(acknowledging);
        let taking = Taking {
            recorder: Arc::clone(&self.recorder),
            caller,
            appending,
            next,
            answers,
        };
        // INVARIANT: this task is never aborted: appending must not be broken off.
        tokio::spawn(taking.run(batches));
        Ok(Response::new(ReceiverStream::new(receiver)))
    }
}

/// Reads the first message, and gives the producer the right to append.
async fn opened(
    recorder: &Recorder,
    caller: &Caller,
    batches: &mut Streaming<AppendRequest>,
) -> Result<(Acknowledgement, Appending), Refusal> {
    let message = batches.message().await;
    let message = message.map_err(|status| of_status(&status).unwrap_or(Refusal::Protocol))?;
    let Some(Sent::Open(open)) = message.and_then(|message| message.message) else {
        return Err(Refusal::Protocol);
    };
    let level = level(recorder, &open)?;
    let own = recorder.journal().origin();
    if !open.origin.is_empty() && open.origin != own.as_str() {
        return Err(Refusal::Origin(own.to_string()));
    }
    let producer = caller.producer(&open.producer)?;
    Ok((level, recorder.open_stream(producer).await?))
}

fn level(recorder: &Recorder, open: &Open) -> Result<Acknowledgement, Refusal> {
    match Level::try_from(open.level) {
        Ok(Level::Durable) => Ok(Acknowledgement::Durable),
        Ok(Level::Published) => Ok(Acknowledgement::Published),
        Ok(Level::Witnessed) if recorder.is_witnessed() => Ok(Acknowledgement::Witnessed),
        Ok(Level::Witnessed) => Err(Refusal::NoWitnesses),
        Err(_) => Err(Refusal::Malformed),
    }
}

/// Takes the batches of one stream.
struct Taking {
    recorder: Arc<Recorder>,
    caller: Caller,
    appending: Appending,
    next: mpsc::Sender<Next>,
    answers: Answers,
}

impl Taking {
    async fn run(self, mut batches: Streaming<AppendRequest>) {
        let outstanding = Arc::new(Semaphore::new(WINDOW));
        let mut turn = self.appending.turn.clone();
        let refusal = loop {
            let message = tokio::select! {
                message = batches.message() => message,
                () = turn.is_over() => break Refusal::Superseded,
                () = self.recorder.is_closing() => break Refusal::Closed,
                // Nobody hears what would be said.
                () = self.answers.closed() => return,
            };
            let batch = match message {
                Ok(Some(AppendRequest {
                    message: Some(Sent::Batch(batch)),
                })) => batch,
                Ok(Some(_)) => break Refusal::Protocol,
                Ok(None) => return,
                Err(status) => match of_status(&status) {
                    Some(refusal) => break refusal,
                    None => return,
                },
            };
            match self.take(batch, &outstanding).await {
                Ok(Some(next)) => {
                    if self.next.send(next).await.is_err() {
                        return;
                    }
                }
                Ok(None) => return,
                Err(refusal) => break refusal,
            }
        };
        // What came before is acknowledged first.
        let _ = self.next.send(Next::Refuse(refusal)).await;
    }

    /// Takes one batch; none where the producer is gone. Where as much is on its way as may be, nothing
    /// more is read until some of it is acknowledged and that was heard.
    async fn take(
        &self,
        batch: Batch,
        outstanding: &Arc<Semaphore>,
    ) -> Result<Option<Next>, Refusal> {
        let sizes = batch.entries.iter().map(bytes::Bytes::len);
        Refusal::of_sizes(batch.first, sizes)?;
        let count = batch.entries.len() as u32;
        let place = Arc::clone(outstanding).acquire_many_owned(count);
        let place = tokio::select! {
            place = place => place.map_err(|_| Refusal::Closed)?,
            () = self.answers.closed() => return Ok(None),
        };
        self.caller.check(self.recorder.now())?;
        let appended = self
            .recorder
            .append(&self.appending, batch.first, &batch.entries);
        let accepted = appended.await.inspect_err(|refusal| {
            tracing::info!(producer = %self.appending.name, reason = refusal.reason(), "refused");
        })?;
        Ok(Some(Next::Acknowledge(accepted, place)))
    }
}

/// Says what came of each batch, in their order, until the stream ends.
async fn acknowledge(
    recorder: Arc<Recorder>,
    level: Acknowledgement,
    mut turn: Turn,
    mut nexts: mpsc::Receiver<Next>,
    answers: Answers,
) {
    while let Some(next) = nexts.recv().await {
        let said = match next {
            Next::Acknowledge(accepted, place) => {
                let acknowledged = tokio::select! {
                    biased;
                    acknowledged = recorder.acknowledged(&accepted, level) => acknowledged,
                    () = turn.is_over() => Err(Refusal::Superseded),
                    () = answers.closed() => return,
                };
                acknowledged.map(|covered| (accepted, covered, place))
            }
            Next::Refuse(refusal) => Err(refusal),
        };
        match said {
            Ok((Accepted { first, indices }, covered, place)) => {
                let acknowledged = Answer::Acknowledged(Acknowledged {
                    first,
                    indices,
                    covered,
                });
                if answers.send(Ok(answer(acknowledged))).await.is_err() {
                    return;
                }
                drop(place);
            }
            Err(refusal) => {
                let _ = answers.send(Err(refusal.status())).await;
                return;
            }
        }
    }
}

const fn answer(message: Answer) -> AppendResponse {
    AppendResponse {
        message: Some(message),
    }
}

fn refused(caller: &Caller, refusal: &Refusal) -> Status {
    let who = match caller {
        Caller::Owner => "a process of the owner".to_owned(),
        Caller::Svid(svid) => svid.to_string(),
    };
    tracing::info!(caller = who, reason = refusal.reason(), "refused");
    refusal.status()
}

/// Why a message cannot be read; none where the connection broke.
fn of_status(status: &Status) -> Option<Refusal> {
    match status.code() {
        Code::OutOfRange | Code::ResourceExhausted => Some(Refusal::BatchSize),
        Code::Internal | Code::Unimplemented | Code::InvalidArgument => Some(Refusal::Malformed),
        _ => None,
    }
}
