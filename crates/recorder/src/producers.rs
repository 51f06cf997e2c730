use std::collections::{HashMap, VecDeque};

use chancery_audit::Label;
use chancery_types::Digest;
use tokio::sync::watch;

use crate::Refusal;

/// So many of a producer's last entries can be sent again: as many as it may have on their way.
pub(crate) const WINDOW: usize = 4_096;

/// So many producers a log has at most.
pub(crate) const MOST_PRODUCERS: usize = 256;

/// What the log holds of each producer: a fold over its entries, and nothing else.
#[derive(Debug, Default)]
pub(crate) struct Producers {
    /// The index that the next entry gets.
    pub(crate) size: u64,
    pub(crate) known: HashMap<Label, Producer>,
}

/// What the log holds of one producer.
#[derive(Debug, Clone)]
pub(crate) struct Producer {
    /// The sequence of the next entry.
    pub(crate) next: u64,
    /// The last entries, the newest one with the sequence before `next`.
    pub(crate) recent: VecDeque<Recent>,
    /// Which stream may append: the one that was opened last.
    stream: watch::Sender<u64>,
}

/// An entry that can be sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Recent {
    /// Where it is in the log.
    pub(crate) index: u64,
    /// Of its content.
    pub(crate) digest: Digest,
}

impl Producers {
    /// Gives the producer's right to append to a stream, which loses it when another one is opened.
    pub(crate) fn open(&mut self, name: &Label) -> Result<(u64, Turn), Refusal> {
        if !self.known.contains_key(name) && self.known.len() >= MOST_PRODUCERS {
            return Err(Refusal::TooManyProducers);
        }
        let producer = self.known.entry(name.clone()).or_default();
        producer.stream.send_modify(|stream| *stream += 1);
        let number = *producer.stream.borrow();
        let turn = Turn {
            number,
            current: producer.stream.subscribe(),
        };
        Ok((producer.next, turn))
    }

    /// Takes an entry of the log in.
    pub(crate) fn push(&mut self, name: &Label, digest: Digest) {
        let recent = Recent {
            index: self.size,
            digest,
        };
        self.known.entry(name.clone()).or_default().push(recent);
        self.size += 1;
    }
}

impl Producer {
    /// What a producer is of which this is known.
    pub(crate) fn of(next: u64, recent: VecDeque<Recent>) -> Self {
        Self {
            next,
            recent,
            stream: watch::Sender::new(0),
        }
    }

    fn push(&mut self, recent: Recent) {
        if self.recent.len() == WINDOW {
            self.recent.pop_front();
        }
        self.recent.push_back(recent);
        self.next += 1;
    }

    /// How many of a batch's entries, from its first one on, the log has already. Refuses a gap, an entry
    /// that is another one than the log has, and one that is too old to say.
    pub(crate) fn judge(&self, first: u64, digests: &[Digest]) -> Result<usize, Refusal> {
        let next = self.next;
        let repeated = next
            .checked_sub(first)
            .ok_or(Refusal::Gap { first, next })?;
        let repeated = usize::try_from(repeated).unwrap_or(usize::MAX);
        let repeated = repeated.min(digests.len());
        if repeated == 0 {
            return Ok(0);
        }
        let known = self.recent_from(first).ok_or(Refusal::Forgotten(first))?;
        let pairs = (first..).zip(known.zip(digests)).take(repeated);
        for (sequence, (known, digest)) in pairs {
            if known.digest != *digest {
                return Err(Refusal::Changed(sequence));
            }
        }
        Ok(repeated)
    }

    /// The last entries from that sequence on; none where it is older than they are.
    pub(crate) fn recent_from(&self, first: u64) -> Option<impl Iterator<Item = &Recent>> {
        let oldest = self.next - self.recent.len() as u64;
        let skipped = usize::try_from(first.checked_sub(oldest)?).ok()?;
        Some(self.recent.iter().skip(skipped))
    }

    /// Whether the stream that has this turn may still append.
    pub(crate) fn is_turn(&self, turn: &Turn) -> bool {
        *self.stream.borrow() == turn.number
    }
}

impl Default for Producer {
    fn default() -> Self {
        Self::of(0, VecDeque::new())
    }
}

/// The right of one stream to append for a producer.
#[derive(Debug, Clone)]
pub(crate) struct Turn {
    number: u64,
    current: watch::Receiver<u64>,
}

impl Turn {
    /// Waits until another stream has the right.
    pub(crate) async fn is_over(&mut self) {
        let number = self.number;
        // The producer is known as long as the log is open.
        let _ = self.current.wait_for(|current| *current != number).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(number: u64) -> Digest {
        Digest::of(number.to_be_bytes())
    }

    fn after(count: u64) -> Producers {
        let mut producers = Producers::default();
        let name: Label = "owner/a".parse().unwrap();
        for number in 0..count {
            producers.push(&"owner/b".parse().unwrap(), digest(number + 1_000_000));
            producers.push(&name, digest(number));
        }
        producers
    }

    fn judge(count: u64, first: u64, numbers: &[u64]) -> Result<usize, Refusal> {
        let digests: Vec<_> = numbers.iter().map(|number| digest(*number)).collect();
        let producers = after(count);
        let producer = producers.known.get("owner/a").cloned();
        producer.unwrap_or_default().judge(first, &digests)
    }

    #[test]
    fn a_repeat_is_told_from_a_gap_and_from_another_entry() {
        assert_eq!(judge(0, 0, &[0, 1]), Ok(0));
        assert_eq!(judge(3, 3, &[3]), Ok(0));
        assert_eq!(judge(3, 1, &[1, 2, 3, 4]), Ok(2));
        assert_eq!(judge(3, 1, &[1]), Ok(1));
        assert_eq!(judge(3, 4, &[4]), Err(Refusal::Gap { first: 4, next: 3 }));
        assert_eq!(judge(0, 1, &[1]), Err(Refusal::Gap { first: 1, next: 0 }));
        assert_eq!(judge(3, 1, &[1, 9, 3]), Err(Refusal::Changed(2)));
        assert_eq!(judge(3, 0, &[1]), Err(Refusal::Changed(0)));
    }

    #[test]
    fn no_more_than_the_last_ones_are_known() {
        let count = WINDOW as u64 + 5;
        assert_eq!(judge(count, 5, &[5, 6]), Ok(2));
        assert_eq!(judge(count, 4, &[4, 5]), Err(Refusal::Forgotten(4)));
        let producers = after(count);
        let producer = &producers.known["owner/a"];
        assert_eq!(producer.recent.len(), WINDOW);
        let indices = producer.recent_from(6).unwrap().map(|recent| recent.index);
        // The other one's stand between.
        assert_eq!(indices.take(2).collect::<Vec<_>>(), [13, 15]);
    }

    #[test]
    fn there_are_so_many_producers_and_each_has_one_stream() {
        let mut producers = Producers::default();
        for number in 0..MOST_PRODUCERS {
            producers
                .open(&format!("owner/{number}").parse().unwrap())
                .unwrap();
        }
        let more = producers.open(&"owner/more".parse().unwrap());
        assert_eq!(more.unwrap_err(), Refusal::TooManyProducers);
        let name: Label = "owner/7".parse().unwrap();
        let (_, first) = producers.open(&name).unwrap();
        assert!(producers.known[&name].is_turn(&first));
        let (_, second) = producers.open(&name).unwrap();
        assert!(!producers.known[&name].is_turn(&first));
        assert!(producers.known[&name].is_turn(&second));
    }
}
