//! Follows who is a broker.

use std::sync::Arc;
use std::time::Duration;

use chancery_api::server::ServerClient;
use chancery_identity::broker::BrokerRules;
use tokio::sync::watch;

/// How long one question waits for another answer.
const WAIT_SECONDS: u64 = 30;

/// How long a server that does not answer is left alone.
const RETRY: Duration = Duration::from_millis(200);

/// The rules that the server has in force; none until they are known, and the last ones while the server is
/// away, which issues nothing then. Ends with the last receiver.
pub(crate) fn follow(server: ServerClient) -> watch::Receiver<Arc<BrokerRules>> {
    let (sender, receiver) = watch::channel(Arc::default());
    tokio::spawn(async move {
        let mut state = None;
        loop {
            let asked = async {
                match state {
                    Some(state) => server.brokers_after(state, WAIT_SECONDS).await,
                    None => server.brokers().await,
                }
            };
            let asked = tokio::select! {
                () = sender.closed() => return,
                asked = asked => asked,
            };
            match asked {
                Ok(brokers) => {
                    state = Some(brokers.state);
                    sender.send_if_modified(|known| {
                        let changed = **known != brokers.rules;
                        if changed {
                            *known = Arc::new(brokers.rules);
                        }
                        changed
                    });
                }
                Err(_) => tokio::time::sleep(RETRY).await,
            }
        }
    });
    receiver
}
