//! Random choices that a printed seed repeats (splitmix64).

/// A source of choices.
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }
}

/// The seed that the environment gives, or a fresh one.
pub(crate) fn seed() -> u64 {
    match std::env::var("CHANCERY_SEED") {
        Ok(text) => text.parse().expect("CHANCERY_SEED is a number"),
        Err(_) => u64::from_le_bytes(chancery_crypto::random_bytes().unwrap()),
    }
}
