//! X.509-SVIDs that are asked for at the same time are asked for together: one question, one group of
//! entries, one signing. Nobody waits for others to come: only what comes while as many questions are open
//! as may be is gathered.

use std::sync::Arc;

use chancery_api::server::{IssueX509, IssueX509s, IssuedX509s, Leaf, MAX_TOGETHER, ServerClient};
use chancery_api::{ClientError, Problem};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

/// How many questions are open at a time: while one is signed, the next is enrolled.
const OPEN: usize = 3;

/// Leaf first, in base64url DER.
pub(crate) type Chain = Vec<String>;

type Answer = Result<Chain, ClientError>;

/// Asks the server for X.509-SVIDs.
#[derive(Debug, Clone)]
pub(crate) struct Together(mpsc::UnboundedSender<Asked>);

#[derive(Debug)]
struct Asked {
    request: IssueX509,
    answer: oneshot::Sender<Answer>,
}

impl Together {
    /// Asks that server, until nobody asks any more.
    pub(crate) fn start(server: ServerClient) -> Self {
        let (sender, receiver) = mpsc::unbounded_channel();
        tokio::spawn(gather(server, receiver));
        Self(sender)
    }

    /// Asks for one. Whoever gives up waiting before it was asked for has none issued.
    pub(crate) async fn issue(&self, request: IssueX509) -> Answer {
        let (answer, answered) = oneshot::channel();
        let gone = || -> ClientError {
            Problem::unavailable("server", "nobody asks the server any more").into()
        };
        self.0.send(Asked { request, answer }).map_err(|_| gone())?;
        answered.await.unwrap_or_else(|_| Err(gone()))
    }
}

async fn gather(server: ServerClient, mut receiver: mpsc::UnboundedReceiver<Asked>) {
    let places = Arc::new(Semaphore::new(OPEN));
    while let Some(first) = receiver.recv().await {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        let mut together = vec![first];
        while together.len() < MAX_TOGETHER
            && let Ok(next) = receiver.try_recv()
        {
            together.push(next);
        }
        together.retain(|asked| !asked.answer.is_closed());
        tokio::spawn(ask(server.clone(), together, place));
    }
}

async fn ask(server: ServerClient, together: Vec<Asked>, _place: OwnedSemaphorePermit) {
    if together.len() < 2 {
        for one in together {
            ask_alone(&server, one).await;
        }
        return;
    }
    let requests = together.iter().map(|asked| asked.request.clone()).collect();
    match server.issue_x509s(&IssueX509s { requests }).await {
        Ok(issued) => tell(together, issued),
        // A server of before does not know the question.
        Err(ClientError::Refused(problem)) if problem.status == 404 => {
            for one in together {
                ask_alone(&server, one).await;
            }
        }
        Err(error) => {
            // What failed for all of them is for each of them as if it had asked alone.
            let problem = match error {
                ClientError::Refused(problem) => problem,
                other => Problem::unavailable("server", other.to_string()),
            };
            for asked in together {
                let _ = asked.answer.send(Err(problem.clone().into()));
            }
        }
    }
}

async fn ask_alone(server: &ServerClient, asked: Asked) {
    let issued = server.issue_x509(&asked.request).await;
    // Whoever does not wait any more wants none.
    let _ = asked.answer.send(issued.map(|issued| issued.chain));
}

fn tell(together: Vec<Asked>, issued: IssuedX509s) {
    let mut leaves = issued.leaves.into_iter();
    for asked in together {
        let missing = || Err(Problem::unavailable("server", "an answer is missing"));
        let leaf = leaves.next().map_or_else(missing, Leaf::into_result);
        let chain = leaf.map(|leaf| {
            let above = issued.intermediates.iter().cloned();
            std::iter::once(leaf).chain(above).collect::<Chain>()
        });
        let _ = asked.answer.send(chain.map_err(ClientError::from));
    }
}

#[cfg(test)]
mod tests;
