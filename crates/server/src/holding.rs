use std::time::Duration;

use chancery_store::{Fence, Store, StoreError};
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// How long a server holds its place without renewing it, by the database's clock.
const LEASE: Duration = Duration::from_secs(15);

/// How often it is renewed.
const RENEWAL: Duration = Duration::from_secs(3);

/// After how long without a renewal a server ends, counted from before it last asked: earlier than
/// the database gives the place to another one.
const DEADLINE: Duration = Duration::from_secs(10);

/// How long one that waits for the place leaves it alone.
const RETRY: Duration = Duration::from_millis(500);

/// The place of the one server that writes a log while others could: held in the database, renewed
/// from the moment that it is taken, and let go on end.
///
/// Guarantees that [`Holding::lost`] is ready before anybody else can have the place, as long as the
/// process runs and the threads of its runtime are not all blocked; whoever works must end then.
#[derive(Debug)]
pub struct Holding {
    store: Store,
    fence: Fence,
    renewing: JoinHandle<()>,
}

impl Holding {
    /// Waits until nobody holds the place of that name any more, and takes it for `holder`. Says who
    /// has it in the meantime.
    pub async fn take(store: Store, name: &str, holder: &str) -> Result<Self, StoreError> {
        let mut told = None;
        loop {
            let asked = Instant::now();
            if let Some(fence) = store.take_fence(name, holder, LEASE).await? {
                tracing::info!(name, epoch = fence.epoch(), "the place is taken");
                let renewing = renew(store.clone(), fence.clone(), asked + DEADLINE);
                return Ok(Self {
                    renewing: tokio::spawn(renewing),
                    store,
                    fence,
                });
            }
            let other = store.holder_of_fence(name).await?;
            if told != other {
                tracing::warn!(
                    name,
                    holder = other,
                    "another server writes; waiting for its place"
                );
                told = other;
            }
            tokio::time::sleep(RETRY).await;
        }
    }

    /// Which holding of the place it is.
    pub const fn epoch(&self) -> u64 {
        self.fence.epoch()
    }

    /// Returns once the place cannot be relied on any more.
    pub async fn lost(&mut self) {
        // However it ended, nobody renews any more.
        let _ended = (&mut self.renewing).await;
    }

    /// Lets the place go, so that the next one need not wait.
    pub async fn release(self) -> Result<(), StoreError> {
        self.renewing.abort();
        let (store, fence) = (self.store.clone(), self.fence.clone());
        store.release_fence(&fence).await
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        self.renewing.abort();
    }
}

/// Renews the place again and again; returns once it cannot be relied on any more.
async fn renew(store: Store, fence: Fence, mut until: Instant) {
    loop {
        let next = (Instant::now() + RENEWAL).min(until);
        tokio::time::sleep_until(next).await;
        let asked = Instant::now();
        let renewing = store.renew_fence(&fence, LEASE);
        match tokio::time::timeout_at(until, renewing).await {
            Ok(Ok(true)) => until = asked + DEADLINE,
            Ok(Ok(false)) => {
                tracing::error!(name = fence.name(), "another server has the place");
                return;
            }
            Ok(Err(error)) => {
                let error: &dyn std::error::Error = &error;
                tracing::warn!(error, "the place is not renewed");
            }
            Err(_) => {}
        }
        if Instant::now() >= until {
            tracing::error!(name = fence.name(), "the place was not renewed in time");
            return;
        }
    }
}
