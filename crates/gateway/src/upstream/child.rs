use std::collections::VecDeque;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWriteExt as _, BufReader};
use tokio::process::{ChildStdin, Command};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::board::{Board, Closed, Opening, Routed};
use super::exchange::{Delivery, Exchange};
use super::lines::{Line, framed, next_line};
use super::{Ending, Upstream, UpstreamError};
use crate::envelope::Message;
use crate::era::Era;
use crate::limits::Limits;
use crate::reply::{self, code};
use crate::request_id::RequestId;
use crate::server_name::ServerName;

const QUEUE: usize = 64;
const DRAIN: Duration = Duration::from_secs(1);
const LIST_CHANGED: &str = "notifications/tools/list_changed";
const MAX_STDERR_LINE: u64 = 8192;

/// How many of its last lines say why a server never answered.
const LAST_WORDS: usize = 20;

/// A running tool server. Ends, with its whole process group, when nobody holds it any more.
#[derive(Debug)]
pub(super) struct Child {
    server: ServerName,
    input: mpsc::Sender<Vec<u8>>,
    board: Arc<Board>,
    stop: watch::Sender<bool>,
    ended: watch::Receiver<bool>,
}

impl Child {
    pub(super) fn spawn(
        server: &ServerName,
        upstream: &Upstream,
        era: Era,
        limits: &Limits,
        changes: watch::Sender<u64>,
    ) -> Result<Arc<Self>, UpstreamError> {
        let failed = |source| UpstreamError::Spawn {
            server: server.clone(),
            command: upstream.command.clone(),
            source,
        };
        let mut process = command(upstream).spawn().map_err(failed)?;
        let missing = || failed(std::io::ErrorKind::BrokenPipe.into());
        let stdin = process.stdin.take().ok_or_else(missing)?;
        let stdout = process.stdout.take().ok_or_else(missing)?;
        let stderr = process.stderr.take().ok_or_else(missing)?;
        let (input, queue) = mpsc::channel(QUEUE);
        let (stop, stopping) = watch::channel(false);
        let (ending, ended) = watch::channel(false);
        let board = Arc::new(Board::new(era));
        tokio::spawn(log_stderr(server.clone(), stderr, Arc::clone(&board)));
        let writer = tokio::spawn(write(stdin, queue));
        let reader = tokio::spawn(read(
            stdout,
            Arc::clone(&board),
            input.downgrade(),
            limits.response_bytes,
            changes,
        ));
        tokio::spawn(
            Supervisor {
                process,
                reader,
                writer,
                stopping,
                ending,
                board: Arc::clone(&board),
                server: server.clone(),
                grace: limits.child_grace,
            }
            .run(),
        );
        Ok(Arc::new(Self {
            server: server.clone(),
            input,
            board,
            stop,
            ended,
        }))
    }

    /// Sends a request and waits for what it brings.
    pub(super) async fn request(
        self: &Arc<Self>,
        message: &Message,
        streams: bool,
    ) -> Result<Exchange, UpstreamError> {
        let id = message.id().ok_or(UpstreamError::IdInUse)?.clone();
        let opening = Opening {
            id: id.clone(),
            progress: message.progress_token(),
            streams,
            listens: message.method() == Some("subscriptions/listen"),
        };
        let (order, receiver) = self.board.open(opening).map_err(|closed| match closed {
            Closed::IdInUse => UpstreamError::IdInUse,
            Closed::Over(ending) => self.ended_by(&ending),
        })?;
        let cancellable = message.method() != Some("initialize");
        let exchange = Exchange::new((id, order), Arc::clone(self), receiver, cancellable);
        self.send(&message.forwarded()).await?;
        Ok(exchange)
    }

    /// Sends a message that wants no answer.
    pub(super) async fn send(&self, message: &str) -> Result<(), UpstreamError> {
        self.input
            .send(framed(message))
            .await
            .map_err(|_| self.ended_by(&self.over().unwrap_or(Ending::Broken)))
    }

    /// Ends the wait for a request that the client withdrew.
    pub(super) fn withdraw(&self, id: &RequestId) {
        if let Some(sender) = self.board.withdraw(id) {
            // Full: whoever waits learns it when the channel closes.
            let _ = sender.try_send(Delivery::Withdrawn);
        }
    }

    pub(super) fn take_asked(&self, id: &RequestId) -> bool {
        self.board.take_asked(id)
    }

    pub(super) fn close(&self, id: &RequestId, order: u64) -> bool {
        self.board.close(id, order)
    }

    pub(super) fn tell_cancelled(&self, id: &RequestId) {
        let told = json!({
            "jsonrpc": "2.0",
            "method": "notifications/cancelled",
            "params": {"requestId": id.to_value(), "reason": "the client went away"},
        });
        if self.input.try_send(framed(&told.to_string())).is_err() {
            tracing::debug!(server = %self.server, "a cancellation did not reach the server");
        }
    }

    pub(super) fn over(&self) -> Option<Ending> {
        self.board.over()
    }

    pub(super) fn is_idle(&self, idle: Duration) -> bool {
        self.board.is_idle(idle)
    }

    /// Asks the child to end; it is made to after the grace.
    pub(super) fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Waits until the child has ended.
    pub(super) async fn ended(&self) {
        let mut ended = self.ended.clone();
        // An error means that the supervisor is gone, and so is the child.
        let _ = ended.wait_for(|ended| *ended).await;
    }

    fn ended_by(&self, ending: &Ending) -> UpstreamError {
        UpstreamError::Over {
            server: self.server.clone(),
            ending: ending.to_string(),
        }
    }
}

fn command(upstream: &Upstream) -> Command {
    let mut command = Command::new(&upstream.command);
    command
        .args(&upstream.args)
        .env_clear()
        .envs(
            upstream
                .inherit
                .iter()
                .filter_map(|name| std::env::var_os(name).map(|value| (name, value))),
        )
        .envs(&upstream.env)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    if let Some(cwd) = &upstream.cwd {
        command.current_dir(cwd);
    }
    command
}

async fn write(mut stdin: ChildStdin, mut queue: mpsc::Receiver<Vec<u8>>) {
    while let Some(line) = queue.recv().await {
        if stdin.write_all(&line).await.is_err() || stdin.flush().await.is_err() {
            break;
        }
    }
}

async fn read(
    stdout: impl AsyncRead + Unpin,
    board: Arc<Board>,
    input: mpsc::WeakSender<Vec<u8>>,
    limit: usize,
    changes: watch::Sender<u64>,
) -> Ending {
    let mut reader = BufReader::with_capacity(64 << 10, stdout);
    loop {
        let line = match next_line(&mut reader, limit).await {
            Ok(Line::Text(line)) => line,
            Ok(Line::TooLong) => return Ending::TooLarge,
            Ok(Line::End) | Err(_) => return Ending::Broken,
        };
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let message = match Message::from_server(line) {
            Ok(message) => message,
            Err(error) => {
                tracing::warn!(%error, "a server wrote something else than a message to stdout");
                continue;
            }
        };
        if message.method() == Some(LIST_CHANGED) {
            changes.send_modify(|count| *count = count.wrapping_add(1));
        }
        match board.route(message) {
            Routed::Deliver(sender, delivery) => {
                // Fails when the client went away, which whoever waits reports.
                let _ = sender.send(delivery).await;
            }
            Routed::Refuse(id) => {
                let refused = reply::error(
                    Some(&id),
                    code::METHOD_NOT_FOUND,
                    "the client takes no requests now",
                );
                let line = framed(&String::from_utf8_lossy(&refused));
                if let Some(input) = input.upgrade() {
                    let _ = input.send(line).await;
                }
            }
            Routed::Nothing => {}
        }
    }
}

/// Logs what a server says to people. The last of it is a warning where the server ended before it ever
/// answered: it says why.
async fn log_stderr(server: ServerName, stderr: impl AsyncRead + Unpin, board: Arc<Board>) {
    use tokio::io::AsyncReadExt as _;

    let mut reader = BufReader::new(stderr);
    let mut line = Vec::new();
    let mut last = VecDeque::new();
    loop {
        line.clear();
        let mut bounded = (&mut reader).take(MAX_STDERR_LINE);
        match bounded.read_until(b'\n', &mut line).await {
            Ok(0) | Err(_) => break,
            Ok(_) => {
                let text = String::from_utf8_lossy(&line);
                let text = text.trim_end();
                tracing::info!(%server, stderr = text, "server");
                if board.has_answered() {
                    last.clear();
                } else {
                    if last.len() == LAST_WORDS {
                        last.pop_front();
                    }
                    last.push_back(text.to_owned());
                }
            }
        }
    }
    if !board.has_answered() {
        for text in last {
            tracing::warn!(%server, stderr = text, "a server that never answered said");
        }
    }
}

struct Supervisor {
    process: tokio::process::Child,
    reader: JoinHandle<Ending>,
    writer: JoinHandle<()>,
    stopping: watch::Receiver<bool>,
    ending: watch::Sender<bool>,
    board: Arc<Board>,
    server: ServerName,
    grace: Duration,
}

impl Supervisor {
    async fn run(mut self) {
        let group = self.process.id().and_then(|id| i32::try_from(id).ok());
        let signal = |signal| {
            if let Some(group) = group {
                // Fails when nobody of the group is left.
                let _ = killpg(Pid::from_raw(group), signal);
            }
        };
        let mut ending = None;
        let mut exited = None;
        tokio::select! {
            status = self.process.wait() => exited = Some(status),
            read = &mut self.reader => ending = Some(read.unwrap_or(Ending::Broken)),
            () = stop(&mut self.stopping) => ending = Some(Ending::Stopped),
        }
        // Closes the child's input, which asks it to exit.
        self.writer.abort();
        if ending == Some(Ending::TooLarge) {
            signal(Signal::SIGKILL);
        }
        for escalation in [Signal::SIGTERM, Signal::SIGKILL] {
            if exited.is_none() {
                exited = timeout(self.grace, self.process.wait()).await.ok();
                if exited.is_none() {
                    signal(escalation);
                }
            }
        }
        let status = match exited {
            Some(status) => status,
            None => self.process.wait().await,
        };
        // What the child left behind in its group goes with it.
        signal(Signal::SIGKILL);
        if !self.reader.is_finished() && timeout(DRAIN, &mut self.reader).await.is_err() {
            self.reader.abort();
        }
        let ending = match (ending, status) {
            (Some(ending @ (Ending::Stopped | Ending::TooLarge)), _) => ending,
            (_, Ok(status)) => Ending::Exited(status.to_string()),
            (_, Err(_)) => Ending::Broken,
        };
        tracing::info!(server = %self.server, %ending, "server ended");
        for sender in self.board.end(ending.clone()) {
            let _ = sender.try_send(Delivery::Over(ending.clone()));
        }
        self.ending.send_replace(true);
    }
}

async fn stop(stopping: &mut watch::Receiver<bool>) {
    // An error means that nobody holds the child any more, which ends it as well.
    let _ = stopping.wait_for(|stop| *stop).await;
}
