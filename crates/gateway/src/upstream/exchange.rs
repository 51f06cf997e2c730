use std::sync::Arc;

use tokio::sync::mpsc;

use super::Ending;
use super::child::Child;
use crate::envelope::Message;
use crate::request_id::RequestId;

/// What reaches the one who waits for an answer.
#[derive(Debug)]
pub(crate) enum Delivery {
    /// A notification, or a request of the server.
    Message(Message),
    /// The answer; nothing follows.
    Response(Message),
    /// The client withdrew the request; nothing follows.
    Withdrawn,
    /// The child ended; nothing follows.
    Over(Ending),
}

/// One request that a child works on. When it is dropped before the answer, the child is told that
/// nobody waits any more.
#[derive(Debug)]
pub(crate) struct Exchange {
    id: RequestId,
    /// Its place among all that were sent to the child.
    order: u64,
    child: Arc<Child>,
    receiver: mpsc::Receiver<Delivery>,
    /// `initialize` must not be cancelled.
    cancellable: bool,
}

impl Exchange {
    pub(super) fn new(
        (id, order): (RequestId, u64),
        child: Arc<Child>,
        receiver: mpsc::Receiver<Delivery>,
        cancellable: bool,
    ) -> Self {
        Self {
            id,
            order,
            child,
            receiver,
            cancellable,
        }
    }

    /// What comes next.
    pub(crate) async fn next(&mut self) -> Delivery {
        match self.receiver.recv().await {
            Some(delivery) => delivery,
            None => Delivery::Over(self.child.over().unwrap_or(Ending::Broken)),
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if self.child.close(&self.id, self.order) && self.cancellable {
            self.child.tell_cancelled(&self.id);
        }
    }
}
