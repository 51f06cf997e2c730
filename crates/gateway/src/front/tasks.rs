use std::sync::{Mutex, PoisonError};

use tokio::sync::mpsc;

/// Tasks that outlive the connection that started them.
#[derive(Debug)]
pub(super) struct Tasks {
    /// Each task holds a sender; when all are gone, all tasks are.
    alive: Mutex<Option<mpsc::Sender<()>>>,
    ended: tokio::sync::Mutex<mpsc::Receiver<()>>,
}

impl Tasks {
    pub(super) fn new() -> Self {
        let (alive, ended) = mpsc::channel(1);
        Self {
            alive: Mutex::new(Some(alive)),
            ended: tokio::sync::Mutex::new(ended),
        }
    }

    /// Starts a task; none starts any more once [`Self::end`] was called.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let alive = self.alive.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(alive) = alive.clone() {
            tokio::spawn(async move {
                task.await;
                drop(alive);
            });
        }
    }

    /// Waits until all tasks have ended.
    pub(super) async fn end(&self) {
        self.alive
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let mut ended = self.ended.lock().await;
        while ended.recv().await.is_some() {}
    }
}
