//! Questions that the server leaves open until it has another answer.

use std::time::Duration;

use chancery_api::ClientError;
use chancery_types::Digest;
use tokio::sync::watch;

/// How long one question waits for another answer.
pub(crate) const WAIT_SECONDS: u64 = 30;

/// How long a server that does not answer is left alone.
pub(crate) const RETRY: Duration = Duration::from_millis(200);

/// Asks for what differs from the state that is known, and tells what changed, until nobody listens any
/// more. While the server is away the last answer stands.
pub(crate) async fn follow<T: PartialEq, A>(
    told: watch::Sender<T>,
    mut ask: impl FnMut(Option<Digest>) -> A,
) where
    A: Future<Output = Result<(Digest, T), ClientError>>,
{
    let mut state = None;
    loop {
        let asked = tokio::select! {
            () = told.closed() => return,
            asked = ask(state) => asked,
        };
        match asked {
            Ok((next, answer)) => {
                state = Some(next);
                tell(&told, answer);
            }
            Err(_) => tokio::select! {
                () = told.closed() => return,
                () = tokio::time::sleep(RETRY) => {}
            },
        }
    }
}

/// Tells what changed and nothing else.
pub(crate) fn tell<T: PartialEq>(told: &watch::Sender<T>, answer: T) {
    told.send_if_modified(|known| {
        let changed = *known != answer;
        if changed {
            *known = answer;
        }
        changed
    });
}
