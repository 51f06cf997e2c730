use std::future::Future;
use std::sync::Arc;

use chancery_types::Timestamp;
use tokio::sync::mpsc;
use tokio::time::{Duration, sleep};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::{NO_IDENTITY, release};
use crate::clock::now;
use crate::launch::Launch;
use crate::peer::Peer;

/// What a client of a stream receives.
pub(super) type Feed<T> = ReceiverStream<Result<T, Status>>;

/// Where the messages of a stream come from: each one is the whole state.
pub(super) trait Source: Send + 'static {
    /// What is sent.
    type Message: Send + 'static;

    /// The state of now, unless it is what was sent last; and when to look again.
    fn next(
        &mut self,
    ) -> impl Future<Output = Result<(Option<Self::Message>, Option<Timestamp>), Status>> + Send;

    /// Waits until the state may have changed.
    fn changed(&mut self) -> impl Future<Output = Result<(), Status>> + Send;
}

/// Sends the state at once and whenever it changes, until the launch ends, the caller exits, is not
/// what it was or stops listening. An end of the launch is told as `PermissionDenied`.
pub(super) async fn feed<S: Source>(
    peer: Arc<Peer>,
    launch: Arc<Launch>,
    mut source: S,
) -> Result<Feed<S::Message>, Status> {
    let (sender, receiver) = mpsc::channel(1);
    let mut state = source.next().await?;
    release(&peer, &launch).await?;
    tokio::spawn(async move {
        let _open = Open::begin();
        loop {
            let (message, again) = state;
            if let Some(message) = message
                && sender.send(Ok(message)).await.is_err()
            {
                return;
            }
            let outcome = tokio::select! {
                _ = launch.ended() => Err(Status::permission_denied(NO_IDENTITY)),
                () = peer.process().exited() => return,
                () = sender.closed() => return,
                () = until(again) => source.next().await,
                changed = source.changed() => match changed {
                    Ok(()) => source.next().await,
                    Err(status) => Err(status),
                },
            };
            let outcome = match outcome {
                Ok((Some(message), again)) => release(&peer, &launch)
                    .await
                    .map(|()| (Some(message), again)),
                unchanged => unchanged,
            };
            state = match outcome {
                Ok(next) => next,
                Err(status) => {
                    // A client that is gone already needs no reason.
                    let _ = sender.send(Err(status)).await;
                    return;
                }
            };
        }
    });
    Ok(ReceiverStream::new(receiver))
}

/// Counts a stream for as long as it is open.
struct Open;

impl Open {
    fn begin() -> Self {
        metrics::gauge!("chancery_workload_streams").increment(1);
        Self
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        metrics::gauge!("chancery_workload_streams").decrement(1);
    }
}

async fn until(time: Option<Timestamp>) {
    match time {
        Some(time) => sleep(Duration::from_micros(time.micros_since(now()))).await,
        None => std::future::pending().await,
    }
}
