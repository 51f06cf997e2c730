use std::path::Path;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::{Delegator, Given, Grant, HandoverError, give};
use crate::socket::PrivateSocket;

/// A parent's end of a hand-over: a socket of mode 0600 that hears only the process that the parent
/// started.
#[derive(Debug)]
pub struct HandoverListener(PrivateSocket);

impl HandoverListener {
    /// Binds a path where nothing is, for the given user.
    pub fn bind(path: &Path, owner: Option<u32>) -> Result<Self, HandoverError> {
        Ok(Self(PrivateSocket::bind(path, owner)?))
    }

    /// Passes authority on to the process with that id, within `wait`. Others are not heard and do
    /// not end the wait; a child that fails may not try again.
    pub async fn give(
        self,
        child: i32,
        delegator: &Delegator<'_>,
        grant: &Grant,
        wait: Duration,
    ) -> Result<Given, HandoverError> {
        let deadline = Instant::now() + wait;
        let accepting = self.0.accept(|peer| peer.pid() == child);
        let stream = timeout_at(deadline, accepting)
            .await
            .map_err(|_| HandoverError::Timeout)??;
        let giving = give(stream, delegator, grant);
        timeout_at(deadline, giving)
            .await
            .map_err(|_| HandoverError::Timeout)?
    }
}
