use chancery_types::Digest;

/// What parsers stumble over.
const WORDS: &[&[u8]] = &[
    b"0",
    b"-1",
    b"1e400",
    b"9007199254740992",
    b"18446744073709551615",
    b"null",
    b"\"\"",
    b"{}",
    b"[]",
    b"\\u0000",
    b"\\ud800",
    b"\xc3\xa9",
    b"\xff",
    b"\0",
    b"\n",
    b"\r\n",
    b"\n\n",
    b"=",
    b".",
    b"..",
    b"/",
    b",",
    b"\"_meta\":{},",
    b"\"io.chancery/proof\":\"\",",
    b"\xe2\x80\x94 ",
];

/// Mutations of seeds, the same for the same name.
#[derive(Debug)]
pub(crate) struct Mutations(u64);

impl Mutations {
    pub(crate) fn new(name: &str) -> Self {
        let seed = Digest::of(name);
        let (head, _) = seed.as_bytes().split_first_chunk::<8>().unwrap();
        Self(u64::from_be_bytes(*head) | 1)
    }

    /// One seed, changed in one to eight places.
    pub(crate) fn of(&mut self, seeds: &[Vec<u8>]) -> Vec<u8> {
        let mut input = seeds[self.below(seeds.len())].clone();
        for _ in 0..=self.below(4) * self.below(3) {
            self.change(&mut input, seeds);
        }
        input
    }

    fn change(&mut self, input: &mut Vec<u8>, seeds: &[Vec<u8>]) {
        let at = self.below(input.len() + 1);
        let most = (input.len() - at).min(64);
        let length = self.below(most + 1);
        match self.below(9) {
            0 if at < input.len() => input[at] ^= 1 << self.below(8),
            1 if at < input.len() => input[at] = self.below(256) as u8,
            2 if at < input.len() => input[at] = self.below(95) as u8 + b' ',
            3 => drop(input.drain(at..at + length)),
            4 => {
                let copy = input[at..at + length].to_vec();
                let to = self.below(input.len() + 1);
                input.splice(to..to, copy);
            }
            5 => {
                let word = WORDS[self.below(WORDS.len())];
                input.splice(at..at + length.min(word.len()), word.iter().copied());
            }
            6 => {
                let word = WORDS[self.below(WORDS.len())];
                input.splice(at..at, word.iter().copied());
            }
            7 => {
                let other = &seeds[self.below(seeds.len())];
                let from = self.below(other.len() + 1);
                let part = other[from..].iter().copied().take(64);
                let part: Vec<_> = part.collect();
                input.splice(at..at + length, part);
            }
            _ if self.below(16) == 0 => input.truncate(at),
            _ => self.change_digit(input),
        }
    }

    /// Numbers and lengths matter more than other bytes.
    fn change_digit(&mut self, input: &mut [u8]) {
        let from = self.below(input.len() + 1);
        let digit = input[from..].iter_mut().find(|byte| byte.is_ascii_digit());
        if let Some(digit) = digit {
            *digit = b'0' + self.below(10) as u8;
        }
    }

    /// A number below `limit`, which is not zero.
    fn below(&mut self, limit: usize) -> usize {
        // xorshift64.
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % limit
    }
}
