//! Follows who is a broker.

use std::sync::Arc;

use chancery_api::server::ServerClient;
use chancery_identity::broker::BrokerRules;
use tokio::sync::watch;

use crate::following::{self, WAIT_SECONDS};

/// The rules that the server has in force; none until they are known, and the last ones while the server is
/// away, which issues nothing then. Ends with the last receiver.
pub(crate) fn follow(server: ServerClient) -> watch::Receiver<Arc<BrokerRules>> {
    let (sender, receiver) = watch::channel(Arc::default());
    let ask = move |state| {
        let server = server.clone();
        async move {
            let brokers = match state {
                Some(state) => server.brokers_after(state, WAIT_SECONDS).await,
                None => server.brokers().await,
            }?;
            Ok((brokers.state, Arc::new(brokers.rules)))
        }
    };
    tokio::spawn(following::follow(sender, ask));
    receiver
}
