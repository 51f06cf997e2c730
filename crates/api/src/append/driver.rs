use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, timeout_at};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use super::error::Broken;
use super::{AppendError, AppendOptions, Appended};
use crate::pb::append::append_request::Message as Said;
use crate::pb::append::append_response::Message as Answer;
use crate::pb::append::log_append_client::LogAppendClient;
use crate::pb::append::{Acknowledged, AppendRequest, AppendResponse, Batch, Open};

/// Most entries and bytes of one message: half of what a log takes, so that two are on their way.
const BATCH_ENTRIES: usize = 1_024;
const BATCH_BYTES: usize = 512 << 10;

/// Messages that are ready to be sent.
const READY: usize = 2;

/// How long is waited before another try, at first and at most.
const PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// An entry that waits, and who waits for it.
#[derive(Debug)]
pub(super) struct Queued {
    pub(super) content: Bytes,
    pub(super) reply: oneshot::Sender<Result<Appended, AppendError>>,
}

/// One opened stream.
#[derive(Debug)]
pub(super) struct Connection {
    requests: mpsc::Sender<AppendRequest>,
    responses: Streaming<AppendResponse>,
    pub(super) origin: String,
    pub(super) producer: String,
    pub(super) next: u64,
    outstanding: usize,
}

impl Connection {
    /// Opens a stream, to the log of that origin where one is known already.
    pub(super) async fn open(
        options: &AppendOptions,
        origin: Option<&str>,
    ) -> Result<Self, Broken> {
        let channel = options.target.dial().await;
        let channel = channel.map_err(|error| Broken::Again(causes(&error)))?;
        let (requests, sent) = mpsc::channel(READY);
        let open = Open {
            producer: options.target.producer().to_owned(),
            level: options.level.into(),
            origin: origin
                .or(options.origin.as_deref())
                .unwrap_or_default()
                .to_owned(),
        };
        // There is room: nothing was said yet.
        let _ = requests.try_send(request(Said::Open(open)));
        let mut client = LogAppendClient::new(channel);
        let answers = client.append(ReceiverStream::new(sent)).await?;
        let mut responses = answers.into_inner();
        let opened = match responses.message().await?.and_then(|said| said.message) {
            Some(Answer::Opened(opened)) => opened,
            _ => return Err(AppendError::Protocol.into()),
        };
        Ok(Self {
            requests,
            responses,
            origin: opened.origin,
            producer: opened.producer,
            next: opened.next,
            outstanding: (opened.outstanding as usize).max(1),
        })
    }
}

/// Sends what is queued, and sends again what was not acknowledged.
#[derive(Debug)]
pub(super) struct Driver {
    options: AppendOptions,
    queued: mpsc::Receiver<Queued>,
    /// Not acknowledged, the first one with the sequence `base`.
    waiting: VecDeque<Queued>,
    base: u64,
    /// So many of them were sent on this connection.
    sent: usize,
    /// When something was acknowledged last, or began to wait.
    progress: Instant,
}

/// Nothing is queued any more, and everything is acknowledged.
struct Done;

impl Driver {
    pub(super) fn new(options: AppendOptions, queued: mpsc::Receiver<Queued>, base: u64) -> Self {
        Self {
            options,
            queued,
            waiting: VecDeque::new(),
            base,
            sent: 0,
            progress: Instant::now(),
        }
    }

    /// Runs until the client is dropped and everything is acknowledged, or it cannot go on.
    pub(super) async fn run(mut self, first: Connection) {
        let origin = first.origin.clone();
        let mut connection = Some(first);
        let mut pause = PAUSE;
        let error = loop {
            let ended = match connection.take() {
                Some(connected) => self.use_connection(connected).await,
                None => {
                    let opened = Connection::open(&self.options, Some(&origin));
                    match timeout_at(self.end(), opened).await {
                        Ok(Ok(connected)) => {
                            connection = Some(connected);
                            continue;
                        }
                        Ok(Err(broken)) => Err(broken),
                        Err(_) => Err(Broken::Again("no connection in time".to_owned())),
                    }
                }
            };
            let before = self.progress;
            match ended {
                Ok(Done) => return,
                Err(Broken::For(error)) => break error,
                Err(Broken::Again(message)) if Instant::now() >= self.end() => {
                    break AppendError::Unreachable {
                        log: self.options.target.to_string(),
                        patience: self.options.patience,
                        message,
                    };
                }
                Err(Broken::Again(message)) => {
                    tracing::debug!(message, "the log is connected to again");
                    sleep(pause).await;
                    pause = match self.progress == before {
                        true => (pause * 2).min(LONGEST_PAUSE),
                        false => PAUSE,
                    };
                }
            }
        };
        self.fail(&error).await;
    }

    fn end(&self) -> Instant {
        self.progress + self.options.patience
    }

    /// Tells everybody who waits, now and later.
    async fn fail(mut self, error: &AppendError) {
        for queued in self.waiting.drain(..) {
            // Whoever does not wait any more needs no answer.
            let _ = queued.reply.send(Err(error.clone()));
        }
        while let Some(queued) = self.queued.recv().await {
            let _ = queued.reply.send(Err(error.clone()));
        }
    }

    async fn use_connection(&mut self, mut connection: Connection) -> Result<Done, Broken> {
        let (found, expected) = (connection.next, self.base);
        if found < expected {
            return Err(AppendError::RolledBack { found, expected }.into());
        }
        self.sent = 0;
        let mut is_open = true;
        loop {
            if !is_open && self.waiting.is_empty() {
                return Ok(Done);
            }
            let has_unsent = self.sent < self.waiting.len();
            let has_room = is_open && self.waiting.len() < connection.outstanding;
            let end = self.end();
            tokio::select! {
                answer = connection.responses.message() => match answer?.and_then(|said| said.message) {
                    Some(Answer::Acknowledged(acknowledged)) => self.acknowledge(acknowledged)?,
                    Some(Answer::Opened(_)) => return Err(AppendError::Protocol.into()),
                    None => return Err(Broken::Again("the log ended the stream".to_owned())),
                },
                queued = self.queued.recv(), if has_room => match queued {
                    Some(queued) => self.take_in(queued, connection.outstanding),
                    None => is_open = false,
                },
                place = connection.requests.reserve(), if has_unsent => match place {
                    Ok(place) => place.send(request(Said::Batch(self.batch()))),
                    // Why, the answer says.
                    Err(_) => match connection.responses.message().await? {
                        Some(_) | None => return Err(Broken::Again("the stream broke".to_owned())),
                    },
                },
                () = tokio::time::sleep_until(end), if !self.waiting.is_empty() => {
                    return Err(Broken::Again("no acknowledgement".to_owned()));
                }
            }
        }
    }

    /// Takes in what waits, as much as may be on its way.
    fn take_in(&mut self, first: Queued, outstanding: usize) {
        if self.waiting.is_empty() {
            self.progress = Instant::now();
        }
        self.waiting.push_back(first);
        while self.waiting.len() < outstanding
            && let Ok(queued) = self.queued.try_recv()
        {
            self.waiting.push_back(queued);
        }
    }

    /// The next entries that were not sent.
    fn batch(&mut self) -> Batch {
        let first = self.base + self.sent as u64;
        let mut bytes = 0;
        let unsent = self.waiting.iter().skip(self.sent).take(BATCH_ENTRIES);
        let entries = unsent.map(|queued| queued.content.clone());
        let fits = |content: &Bytes| {
            bytes += content.len();
            bytes <= BATCH_BYTES || bytes == content.len()
        };
        let entries: Vec<_> = entries.take_while(fits).collect();
        self.sent += entries.len();
        Batch { first, entries }
    }

    fn acknowledge(&mut self, acknowledged: Acknowledged) -> Result<(), AppendError> {
        let count = acknowledged.indices.len();
        if acknowledged.first != self.base || count > self.sent {
            return Err(AppendError::Protocol);
        }
        for (index, queued) in acknowledged.indices.iter().zip(self.waiting.drain(..count)) {
            let appended = Appended {
                sequence: self.base,
                index: *index,
                covered: acknowledged.covered,
            };
            self.base += 1;
            // Whoever does not wait any more has its entry in the log all the same.
            let _ = queued.reply.send(Ok(appended));
        }
        self.sent -= count;
        self.progress = Instant::now();
        Ok(())
    }
}

const fn request(message: Said) -> AppendRequest {
    AppendRequest {
        message: Some(message),
    }
}

/// An error with its causes.
fn causes(error: &dyn std::error::Error) -> String {
    let mut said = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        said = format!("{said}: {cause}");
        source = cause.source();
    }
    said
}
