use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::{Delivery, Ending};
use crate::envelope::{Kind, Message};
use crate::era::Era;
use crate::request_id::RequestId;

const CHANNEL: usize = 64;
const BACKLOG: usize = 32;

/// Who waits for what of one child.
#[derive(Debug)]
pub(super) struct Board {
    era: Era,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    open: HashMap<RequestId, Waiting>,
    opened: u64,
    /// Requests of the server that the client has not answered.
    asked: HashSet<RequestId>,
    /// What came while no response stream was open.
    backlog: VecDeque<Message>,
    over: Option<Ending>,
    used: Instant,
    /// Whether it ever answered a request.
    answered: bool,
}

#[derive(Debug)]
struct Waiting {
    sender: mpsc::Sender<Delivery>,
    progress: Option<RequestId>,
    order: u64,
    streams: bool,
    listens: bool,
}

/// What a request that opens a stream of deliveries is known by.
#[derive(Debug)]
pub(super) struct Opening {
    pub(super) id: RequestId,
    pub(super) progress: Option<RequestId>,
    /// Whether the client takes more than the response.
    pub(super) streams: bool,
    /// Whether the request is a subscription, which takes only what names it.
    pub(super) listens: bool,
}

/// Why a request cannot wait here.
#[derive(Debug)]
pub(super) enum Closed {
    IdInUse,
    Over(Ending),
}

/// What is to be done with a message of the child.
#[derive(Debug)]
pub(super) enum Routed {
    Deliver(mpsc::Sender<Delivery>, Delivery),
    /// A request of the server that cannot reach the client.
    Refuse(RequestId),
    Nothing,
}

impl Board {
    pub(super) fn new(era: Era) -> Self {
        Self {
            era,
            state: Mutex::new(State {
                open: HashMap::new(),
                opened: 0,
                asked: HashSet::new(),
                backlog: VecDeque::new(),
                over: None,
                used: Instant::now(),
                answered: false,
            }),
        }
    }

    /// Waits for the answer to a request; what came while nobody listened is delivered first. The place is
    /// what tells it from a later request of the same id.
    pub(super) fn open(&self, opening: Opening) -> Result<(u64, mpsc::Receiver<Delivery>), Closed> {
        let mut state = self.lock();
        if let Some(ending) = &state.over {
            return Err(Closed::Over(ending.clone()));
        }
        if state.open.contains_key(&opening.id) {
            return Err(Closed::IdInUse);
        }
        let (sender, receiver) = mpsc::channel(CHANNEL);
        if opening.streams && !opening.listens {
            for message in state.backlog.drain(..) {
                // The channel is empty and larger than the backlog.
                let _ = sender.try_send(Delivery::Message(message));
            }
        }
        state.opened += 1;
        let order = state.opened;
        let waiting = Waiting {
            sender,
            progress: opening.progress,
            order,
            streams: opening.streams,
            listens: opening.listens,
        };
        state.open.insert(opening.id, waiting);
        state.used = Instant::now();
        Ok((order, receiver))
    }

    /// Stops waiting. Whether the one of that place still waited: one that was answered may have left its id to
    /// another.
    pub(super) fn close(&self, id: &RequestId, order: u64) -> bool {
        let mut state = self.lock();
        state.used = Instant::now();
        let still = state
            .open
            .get(id)
            .is_some_and(|waiting| waiting.order == order);
        still && state.open.remove(id).is_some()
    }

    /// Takes a request that the client withdrew; whoever waits for it is told.
    pub(super) fn withdraw(&self, id: &RequestId) -> Option<mpsc::Sender<Delivery>> {
        self.lock().open.remove(id).map(|waiting| waiting.sender)
    }

    /// Whether the server asked this and nobody answered yet; it counts as answered from now on.
    pub(super) fn take_asked(&self, id: &RequestId) -> bool {
        self.lock().asked.remove(id)
    }

    /// Whether the child ever answered a request.
    pub(super) fn has_answered(&self) -> bool {
        self.lock().answered
    }

    /// Finds out whom a message of the child is for.
    pub(super) fn route(&self, message: Message) -> Routed {
        let mut state = self.lock();
        match message.kind() {
            Kind::Response { id, .. } => {
                state.answered = true;
                let waiting = id.as_ref().and_then(|id| state.answered(id));
                match waiting {
                    Some(waiting) => Routed::Deliver(waiting.sender, Delivery::Response(message)),
                    None => Routed::Nothing,
                }
            }
            Kind::Notification { .. } => {
                let subscription = message.subscription();
                let addressed = if let Some(id) = &subscription {
                    state.open.get(id)
                } else if let Some(token) = message.progress_token() {
                    state
                        .open
                        .values()
                        .find(|waiting| waiting.progress.as_ref() == Some(&token))
                } else {
                    return state.anyone_listening(message, self.era);
                };
                match addressed.filter(|waiting| waiting.streams) {
                    Some(waiting) => {
                        Routed::Deliver(waiting.sender.clone(), Delivery::Message(message))
                    }
                    None => Routed::Nothing,
                }
            }
            // The stateless era knows no requests of the server.
            Kind::Request { id, .. } if self.era == Era::Stateless => Routed::Refuse(id.clone()),
            Kind::Request { id, .. } => {
                let id = id.clone();
                let routed = state.anyone_listening(message, self.era);
                if !matches!(routed, Routed::Refuse(_)) {
                    state.asked.insert(id);
                }
                routed
            }
        }
    }

    /// Ends all waiting.
    pub(super) fn end(&self, ending: Ending) -> Vec<mpsc::Sender<Delivery>> {
        let mut state = self.lock();
        state.over.get_or_insert(ending);
        state.backlog.clear();
        state
            .open
            .drain()
            .map(|(_, waiting)| waiting.sender)
            .collect()
    }

    /// Why the child ended, once it has.
    pub(super) fn over(&self) -> Option<Ending> {
        self.lock().over.clone()
    }

    /// Whether nobody waits and nobody did for `idle`.
    pub(super) fn is_idle(&self, idle: Duration) -> bool {
        let state = self.lock();
        state.open.is_empty() && state.used.elapsed() >= idle
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Who waits for `id`. Some servers answer 1 with "1".
    fn answered(&mut self, id: &RequestId) -> Option<Waiting> {
        let waiting = self.open.remove(id);
        match id {
            RequestId::Text(text) if waiting.is_none() => {
                let integer = text.parse().ok().map(RequestId::Integer)?;
                self.open.remove(&integer)
            }
            _ => waiting,
        }
    }

    /// To the stream that was opened last: on stdio nothing says to which request it belongs.
    fn anyone_listening(&mut self, message: Message, era: Era) -> Routed {
        let latest = self
            .open
            .values()
            .filter(|waiting| waiting.streams && !waiting.listens)
            .max_by_key(|waiting| waiting.order);
        if let Some(waiting) = latest {
            return Routed::Deliver(waiting.sender.clone(), Delivery::Message(message));
        }
        if era == Era::Legacy && self.backlog.len() < BACKLOG {
            self.backlog.push_back(message);
            return Routed::Nothing;
        }
        match message.id() {
            Some(id) => Routed::Refuse(id.clone()),
            None => Routed::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_answered_closes_no_later_request_of_its_id() {
        let board = Board::new(Era::Stateless);
        let id = RequestId::Integer(1);
        let open = || {
            let opening = Opening {
                id: id.clone(),
                progress: None,
                streams: false,
                listens: false,
            };
            board.open(opening)
        };
        let (first, _answer) = open().unwrap();
        assert!(matches!(open(), Err(Closed::IdInUse)));
        assert!(board.lock().answered(&id).is_some());
        let (second, mut answer) = open().unwrap();
        assert!(!board.close(&id, first));
        assert!(matches!(
            answer.try_recv(),
            Err(mpsc::error::TryRecvError::Empty)
        ));
        assert!(board.close(&id, second));
        assert!(!board.close(&id, second));
    }
}
