//! X.509-SVIDs that are asked for at the same time are asked for together: one question, one group of
//! entries, one signing. Nobody waits for others to come: only what comes while as many questions are open
//! as may be is gathered.

use std::sync::Arc;
use std::time::Duration;

use chancery_api::server::{IssueX509, IssueX509s, IssuedX509s, Leaf, MAX_TOGETHER, ServerClient};
use chancery_api::{ClientError, Problem};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::timeout;

/// How many questions are open at a time: while one is signed, the next is enrolled.
const OPEN: usize = 3;

/// How long an answer may take: one that never comes holds its place no longer.
const ANSWER: Duration = Duration::from_secs(90);

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
        Self::waiting_for(server, ANSWER)
    }

    fn waiting_for(server: ServerClient, patience: Duration) -> Self {
        let (sender, receiver) = mpsc::unbounded_channel();
        let asking = Asking { server, patience };
        tokio::spawn(gather(asking, receiver));
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

async fn gather(asking: Asking, mut receiver: mpsc::UnboundedReceiver<Asked>) {
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
        let asking = asking.clone();
        tokio::spawn(async move {
            asking.ask(together).await;
            drop(place);
        });
    }
}

/// Who is asked, and how long an answer is waited for.
#[derive(Debug, Clone)]
struct Asking {
    server: ServerClient,
    patience: Duration,
}

impl Asking {
    async fn ask(&self, together: Vec<Asked>) {
        if together.len() < 2 {
            return self.ask_each(together).await;
        }
        let requests = together.iter().map(|asked| asked.request.clone()).collect();
        let question = IssueX509s { requests };
        match self.in_time(self.server.issue_x509s(&question)).await {
            Ok(issued) => tell(together, issued),
            // A server of before does not know the question, or takes fewer at once.
            Err(ClientError::Refused(problem)) if is_of_before(&problem) => {
                self.ask_each(together).await;
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

    async fn ask_each(&self, together: Vec<Asked>) {
        for asked in together {
            // Whoever does not wait any more wants none.
            if asked.answer.is_closed() {
                continue;
            }
            let issued = self.in_time(self.server.issue_x509(&asked.request)).await;
            let _ = asked.answer.send(issued.map(|issued| issued.chain));
        }
    }

    async fn in_time<T>(
        &self,
        asked: impl Future<Output = Result<T, ClientError>>,
    ) -> Result<T, ClientError> {
        let late = || Problem::unavailable("server", "no answer in time");
        let answer = timeout(self.patience, asked).await;
        answer.unwrap_or_else(|_| Err(late().into()))
    }
}

/// Whether the question itself was refused, and nothing that was asked.
fn is_of_before(problem: &Problem) -> bool {
    problem.status == 404 || (problem.status == 400 && problem.reason == "requests")
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
