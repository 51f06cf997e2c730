use std::future::Future;
use std::sync::Arc;

use chancery_types::Timestamp;
use futures_util::future::select_all;
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::party::Party;
use crate::launch::Launch;
use crate::{Launches, clock};

/// What a client of a stream receives.
pub(crate) type Feed<T> = ReceiverStream<Result<T, Status>>;

/// Where the messages of a stream come from: each one is the whole state.
pub(crate) trait Source: Send + 'static {
    /// What is sent.
    type Message: Send + 'static;

    /// The state of now for who speaks as these launches, unless it is what was sent last; and when to
    /// look again.
    fn next(
        &mut self,
        held: &[Arc<Launch>],
    ) -> impl Future<Output = Result<(Option<Self::Message>, Option<Timestamp>), Status>> + Send;

    /// Waits until the state may have changed.
    fn changed(&mut self) -> impl Future<Output = Result<(), Status>> + Send;
}

/// The launches that a peer speaks as, and what tells that there is one more.
struct Held {
    launches: Vec<Arc<Launch>>,
    siblings: Vec<watch::Receiver<u64>>,
}

impl Held {
    async fn of(launches: &Launches, peer: &impl Party) -> Result<Self, Status> {
        let held = peer.held(launches).await?;
        Self::since(held, launches, peer).await
    }

    /// The same where it was seen just now what a peer speaks as.
    async fn since(
        mut held: Vec<Arc<Launch>>,
        launches: &Launches,
        peer: &impl Party,
    ) -> Result<Self, Status> {
        loop {
            let siblings = held.iter().map(|it| it.siblings.subscribe()).collect();
            // One that came before it was listened for is there now.
            let now = peer.held(launches).await?;
            if now
                .iter()
                .map(|it| it.id())
                .eq(held.iter().map(|it| it.id()))
            {
                return Ok(Self {
                    launches: held,
                    siblings,
                });
            }
            held = now;
        }
    }

    /// Waits until a launch ends or has a sibling.
    async fn changed(&mut self) {
        let launches = self.launches.iter().zip(&mut self.siblings);
        let changes = launches.map(|(launch, siblings)| {
            Box::pin(async move {
                tokio::select! {
                    _ = launch.ended() => {}
                    // The sender is the launch's own.
                    _ = siblings.changed() => {}
                }
            })
        });
        select_all(changes).await;
    }
}

/// Sends the state at once and whenever it changes, to who was seen just now to speak as these launches, until
/// every launch of the caller ends, the caller exits, is not what it was or stops listening. The end of the last
/// launch is told as `PermissionDenied`.
pub(crate) async fn feed<S: Source, P: Party>(
    launches: Arc<Launches>,
    (peer, held): (Arc<P>, Vec<Arc<Launch>>),
    mut source: S,
) -> Result<Feed<S::Message>, Status> {
    let (sender, receiver) = mpsc::channel(1);
    let mut held = Held::since(held, &launches, &*peer).await?;
    let mut state = source.next(&held.launches).await?;
    peer.release(&launches, &held.launches).await?;
    tokio::spawn(async move {
        let _open = Open::begin();
        loop {
            let (message, again) = state;
            // Whether what was sent is not the state any more by the time that it is taken.
            let mut stale = false;
            if let Some(message) = message {
                let ended = {
                    let mut sending = std::pin::pin!(sender.send(Ok(message)));
                    loop {
                        tokio::select! {
                            biased;
                            sent = &mut sending => match sent {
                                Ok(()) => break None,
                                Err(_) => return,
                            },
                            // Who does not read holds on to nothing by it.
                            _ = peer.gone(&launches) => return,
                            () = held.changed() => match Held::of(&launches, &*peer).await {
                                Ok(now) => (held, stale) = (now, true),
                                Err(status) => break Some(status),
                            },
                        }
                    }
                };
                if let Some(status) = ended {
                    let _ = sender.send(Err(status)).await;
                    return;
                }
            }
            let woken = tokio::select! {
                () = std::future::ready(()), if stale => Ok(()),
                () = held.changed() => Held::of(&launches, &*peer).await.map(|now| held = now),
                last = peer.gone(&launches) => {
                    if let Some(status) = last {
                        // A client that is gone already needs no reason.
                        let _ = sender.send(Err(status)).await;
                    }
                    return;
                }
                () = sender.closed() => return,
                () = until(again) => Ok(()),
                changed = source.changed() => changed,
            };
            let outcome = match woken {
                Ok(()) => source.next(&held.launches).await,
                Err(status) => Err(status),
            };
            let outcome = match outcome {
                Ok((Some(message), again)) => peer
                    .release(&launches, &held.launches)
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
        Some(time) => clock::until(time).await,
        None => std::future::pending().await,
    }
}
