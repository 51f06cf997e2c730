use std::time::Duration;

use chancery_store::{Fence, Store, StoreError};
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

/// The place of the one server that writes a log while others could: held in the database, and let
/// go on end.
///
/// Guarantees that [`Holding::lost`] returns before anybody else can have the place, as long as the
/// process runs; what still runs behind it must end then.
#[derive(Debug)]
pub struct Holding {
    store: Store,
    fence: Fence,
    until: Instant,
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
                return Ok(Self {
                    store,
                    fence,
                    until: asked + DEADLINE,
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

    /// Renews the place again and again; returns once it cannot be relied on any more.
    pub async fn lost(&mut self) {
        loop {
            let next = (Instant::now() + RENEWAL).min(self.until);
            tokio::time::sleep_until(next).await;
            let asked = Instant::now();
            let renewing = self.store.renew_fence(&self.fence, LEASE);
            match tokio::time::timeout_at(self.until, renewing).await {
                Ok(Ok(true)) => self.until = asked + DEADLINE,
                Ok(Ok(false)) => {
                    tracing::error!(name = self.fence.name(), "another server has the place");
                    return;
                }
                Ok(Err(error)) => {
                    let error: &dyn std::error::Error = &error;
                    tracing::warn!(error, "the place is not renewed");
                }
                Err(_) => {}
            }
            if Instant::now() >= self.until {
                tracing::error!(
                    name = self.fence.name(),
                    "the place was not renewed in time"
                );
                return;
            }
        }
    }

    /// Lets the place go, so that the next one need not wait.
    pub async fn release(self) -> Result<(), StoreError> {
        self.store.release_fence(&self.fence).await
    }
}
