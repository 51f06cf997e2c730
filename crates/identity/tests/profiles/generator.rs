//! Strings that are SPIFFE IDs, nearly: the same ones every time.

/// splitmix64.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`.
    fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound).unwrap();
        usize::try_from(self.next() % bound).unwrap()
    }

    fn one_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }

    fn text(&mut self, length: usize, alphabet: &str) -> String {
        let alphabet: Vec<char> = alphabet.chars().collect();
        (0..length)
            .map(|_| alphabet[self.below(alphabet.len())])
            .collect()
    }
}

const LOWER: &str = "abcdefghijklmnopqrstuvwxyz0123456789.-_";
const MIXED: &str = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";
/// What parsers trip over, one character each; letters whose lower case is another alphabet's.
const ODD: &str = "\n\r\t\0 %?#@:/\\~+*,;=!$&'()[]\"<>^`{|}\u{7f}\u{a0}\u{e9}\u{200b}\u{2028}\u{feff}\u{212a}\u{130}\u{17f}\u{fb00}\u{ff41}\u{1f600}";

const SCHEMES: &[&str] = &[
    "SPIFFE",
    "Spiffe",
    "spiffE",
    "http",
    "https",
    "",
    "spiffes",
    "spiff",
    " spiffe",
    "spiffe ",
    "spi\u{fb00}e",
    "\u{17f}piffe",
    "urn:spiffe",
    "spiffe\n",
    "\n",
    "x-spiffe",
];
const SEPARATORS: &[&str] = &[":/", ":", "//", "/", ":///", ":\\\\", "", "://\n", ":// "];
const DOMAINS: &[&str] = &[
    "",
    ".",
    "..",
    "1.2.3.4",
    "[::1]",
    "u@td",
    "u:p@td",
    "@td",
    "td:80",
    "td:",
    "a..b",
    "-td-",
    "my_td",
    "TD",
    "Example.Org",
    "\u{212a}",
    "t\u{212a}d",
    "td\n",
    "\n",
    "t\nd",
    "td\r\n",
    "td.",
    "xn--d1acufc",
    "t%64",
    "t\u{e9}",
    "\u{130}td",
    "td\n\n",
    ".\n",
];
const SEGMENTS: &[&str] = &[
    "", ".", "..", "...", ".hidden", "%41", "%2e", "a%2Fb", "a b", "\u{e9}", "~a", "a:b", "a@b",
    "\0", "\n", "a\n", ".\n", "..\n", "a\n\n", "\r\n", "\t", "instance", "*", "a\\b", "\u{212a}",
];
const SUFFIXES: &[&str] = &[
    "/", "?", "#", "?q=1", "#f", "\n", " ", "//", "\0", "/.", "/..", "\r",
];

/// `count` strings.
pub(crate) fn strings(seed: u64, count: usize) -> Vec<String> {
    let mut random = Random::new(seed);
    (0..count).map(|_| string(&mut random)).collect()
}

fn string(random: &mut Random) -> String {
    let mut text = String::new();
    let plain_scheme = !random.one_in(8);
    text.push_str(if plain_scheme {
        "spiffe"
    } else {
        random.pick(SCHEMES)
    });
    let plain_separator = !random.one_in(25);
    text.push_str(if plain_separator {
        "://"
    } else {
        random.pick(SEPARATORS)
    });
    text.push_str(&domain(random));
    for _ in 0..random.below(5) {
        text.push('/');
        text.push_str(&segment(random));
    }
    if random.one_in(60) {
        // About as long as an ID may be.
        let length = 2_044 + random.below(10);
        text.push('/');
        let missing = length.saturating_sub(text.len());
        text.push_str(&random.text(missing.max(1), LOWER));
    }
    if random.one_in(10) {
        text.push_str(random.pick(SUFFIXES));
    }
    let mutations = [0, 0, 0, 0, 0, 1, 1, 2, 3][random.below(9)];
    for _ in 0..mutations {
        text = mutated(random, &text);
    }
    text
}

fn domain(random: &mut Random) -> String {
    match random.below(40) {
        0..8 => random.pick(DOMAINS).to_owned(),
        8 => {
            let length = 253 + random.below(5);
            random.text(length, LOWER)
        }
        9..12 => {
            let length = 1 + random.below(12);
            random.text(length, MIXED)
        }
        _ => {
            let length = 1 + random.below(20);
            random.text(length, LOWER)
        }
    }
}

fn segment(random: &mut Random) -> String {
    if random.one_in(12) {
        return random.pick(SEGMENTS).to_owned();
    }
    let length = 1 + random.below(12);
    random.text(length, MIXED)
}

/// One character put in, taken out, doubled, exchanged with its neighbour, or of the other case.
fn mutated(random: &mut Random, text: &str) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    let at = random.below(chars.len() + 1);
    match random.below(6) {
        0 => {
            let odd: Vec<char> = ODD.chars().collect();
            chars.insert(at, odd[random.below(odd.len())]);
        }
        1 => {
            let plain: Vec<char> = MIXED.chars().collect();
            chars.insert(at, plain[random.below(plain.len())]);
        }
        2 if at < chars.len() => {
            chars.remove(at);
        }
        3 if at < chars.len() => chars.insert(at, chars[at]),
        4 if at + 1 < chars.len() => chars.swap(at, at + 1),
        5 if at < chars.len() && chars[at].is_ascii_alphabetic() => {
            chars[at] = if chars[at].is_ascii_lowercase() {
                chars[at].to_ascii_uppercase()
            } else {
                chars[at].to_ascii_lowercase()
            };
        }
        _ => chars.truncate(at),
    }
    chars.into_iter().collect()
}
