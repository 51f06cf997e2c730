use std::future::Future;
use std::sync::Arc;

use tonic::Status;

use super::{entitled, release};
use crate::Launches;
use crate::launch::Launch;
use crate::peer::Peer;

/// Who a stream is for: whose identities they are, and what is looked at before anything leaves.
pub(crate) trait Party: Send + Sync + 'static {
    /// The launches whose identities it may have now: at least one, the default identity first.
    fn held(
        &self,
        launches: &Launches,
    ) -> impl Future<Output = Result<Vec<Arc<Launch>>, Status>> + Send;

    /// Whether what is these launches' may leave.
    fn release(
        &self,
        launches: &Launches,
        held: &[Arc<Launch>],
    ) -> impl Future<Output = Result<(), Status>> + Send;

    /// Waits until there is nobody any more, and says what is told last.
    fn gone(&self, launches: &Launches) -> impl Future<Output = Option<Status>> + Send;
}

/// A workload that asks for itself.
impl Party for Peer {
    async fn held(&self, launches: &Launches) -> Result<Vec<Arc<Launch>>, Status> {
        entitled(launches, self).await
    }

    async fn release(&self, _: &Launches, held: &[Arc<Launch>]) -> Result<(), Status> {
        release(self, held).await
    }

    async fn gone(&self, _: &Launches) -> Option<Status> {
        self.process().exited().await;
        None
    }
}
