//! Measuring side by side: what is compared is measured in turns, so that what else the machine
//! does falls on all of it alike.

use std::hint::black_box;
use std::time::{Duration, Instant};

/// A number of every round: nanoseconds, or a ratio of them.
#[derive(Debug, Clone)]
pub(crate) struct Series(Vec<f64>);

impl Series {
    /// Takes a number of every round.
    pub(crate) const fn new(rounds: Vec<f64>) -> Self {
        Self(rounds)
    }

    pub(crate) fn median(&self) -> f64 {
        quantile(&self.0, 0.5)
    }

    pub(crate) fn min(&self) -> f64 {
        self.0.iter().copied().fold(f64::INFINITY, f64::min)
    }

    pub(crate) fn max(&self) -> f64 {
        self.0.iter().copied().fold(0.0, f64::max)
    }

    /// What `combine` makes of this and another series, round by round.
    pub(crate) fn with(&self, other: &Self, combine: impl Fn(f64, f64) -> f64) -> Self {
        let rounds = self.0.iter().zip(&other.0);
        Self(rounds.map(|(this, that)| combine(*this, *that)).collect())
    }

    /// The same, every number multiplied.
    pub(crate) fn times(&self, factor: f64) -> Self {
        Self(self.0.iter().map(|one| one * factor).collect())
    }
}

/// The value below which the part `at` of `values` lies.
pub(crate) fn quantile(values: &[f64], at: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().saturating_sub(1);
    let place = (last as f64 * at).round() as usize;
    sorted.get(place).copied().unwrap_or(f64::NAN)
}

/// Something that is measured by repeating it.
pub(crate) type Subject<'a> = Box<dyn FnMut() -> anyhow::Result<()> + 'a>;

/// How long and how often is measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Effort {
    /// How many rounds; each gives the median of its turns.
    pub(crate) rounds: usize,
    /// How many turns every subject has in a round.
    pub(crate) turns: usize,
    /// About how long a turn takes: so short that other programs rarely fall into one.
    pub(crate) turn: Duration,
}

/// Measures all subjects in turns, round after round; nanoseconds of one repetition.
pub(crate) fn interleave(
    effort: Effort,
    subjects: &mut [Subject<'_>],
) -> anyhow::Result<Vec<Series>> {
    let mut counts = Vec::new();
    for subject in subjects.iter_mut() {
        counts.push(repetitions(effort.turn, subject)?);
    }
    let mut series = vec![Vec::with_capacity(effort.rounds); subjects.len()];
    for _ in 0..effort.rounds {
        let mut round = vec![Vec::with_capacity(effort.turns); subjects.len()];
        for _ in 0..effort.turns {
            let turns = subjects.iter_mut().zip(&counts).zip(&mut round);
            for ((subject, count), times) in turns {
                let begin = Instant::now();
                for _ in 0..*count {
                    black_box(subject())?;
                }
                times.push(begin.elapsed().as_nanos() as f64 / f64::from(*count));
            }
        }
        for (rounds, times) in series.iter_mut().zip(&round) {
            rounds.push(quantile(times, 0.5));
        }
    }
    Ok(series.into_iter().map(Series).collect())
}

/// How many repetitions fill a turn; warms up on the way.
fn repetitions(turn: Duration, subject: &mut Subject<'_>) -> anyhow::Result<u32> {
    let begin = Instant::now();
    let mut done = 0_u32;
    while begin.elapsed() < turn || done < 3 {
        black_box(subject())?;
        done += 1;
    }
    Ok(done)
}

/// Times of single operations, round by round.
#[derive(Debug, Default)]
pub(crate) struct Latencies(Vec<Vec<f64>>);

impl Latencies {
    /// Takes the times of one round.
    pub(crate) fn push(&mut self, round: &[Duration]) {
        let nanos = round.iter().map(|time| time.as_nanos() as f64);
        self.0.push(nanos.collect());
    }

    /// A quantile of every round.
    pub(crate) fn at(&self, quantile_at: f64) -> Series {
        Series(
            self.0
                .iter()
                .map(|round| quantile(round, quantile_at))
                .collect(),
        )
    }
}
