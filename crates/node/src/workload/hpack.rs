//! A reader of HPACK header blocks (RFC 7541) that changes the value of `:authority` in place.

/// `:authority` as it stands in a literal name.
const NAME: &[u8; 10] = b":authority";
/// The same, Huffman-coded.
const NAME_HUFFMAN: [u8; 8] = [0xb8, 0x3b, 0x53, 0x39, 0xec, 0x32, 0x7d, 0x7f];

/// How many codes of each length the Huffman code of RFC 7541 appendix B has, from length 0 on.
/// The code is canonical, so that this alone says where each symbol ends.
const CODES: [u32; 31] = [
    0, 0, 0, 0, 0, 10, 26, 32, 6, 0, 5, 3, 2, 6, 2, 3, 0, 0, 0, 3, 8, 13, 26, 29, 12, 4, 15, 19,
    29, 0, 4,
];

/// Reads the header blocks of one connection byte by byte and makes the value of every literal
/// `:authority` one that an HTTP library takes, without changing its length.
///
/// gRPC's C core sends the path of a Unix socket there, percent-encoded; such a value is no
/// authority. It says nothing that we use: callers are known by the kernel.
#[derive(Debug, Default)]
pub(super) struct Block(State);

#[derive(Debug, Clone, Copy, Default)]
enum State {
    /// At the first byte of a representation.
    #[default]
    Start,
    /// In the rest of an integer; what follows is known.
    Integer(After),
    /// At the length of a literal name.
    NameLength,
    /// In the rest of the length of a name or value.
    Length {
        part: Part,
        length: usize,
        shift: u32,
        huffman: bool,
    },
    /// In a literal name: how much is left, how much was read, whether it may be `:authority`.
    Name {
        left: usize,
        read: usize,
        huffman: bool,
        matches: bool,
    },
    /// At the length of a value.
    ValueLength { authority: bool },
    /// In a value.
    Value {
        left: usize,
        authority: bool,
        coding: Coding,
    },
    /// The block cannot be read: nothing is changed until the next one, the library judges it.
    Lost,
}

#[derive(Debug, Clone, Copy)]
enum After {
    Start,
    Value,
}

#[derive(Debug, Clone, Copy)]
enum Part {
    Name,
    Value { authority: bool },
}

#[derive(Debug, Clone, Copy)]
enum Coding {
    Raw,
    Huffman {
        code: u32,
        length: usize,
        first: u32,
    },
}

impl Block {
    /// Starts a new header block.
    pub(super) fn restart(&mut self) {
        self.0 = State::Start;
    }

    /// Reads the next byte of the block and says what is to stand in its place.
    pub(super) fn step(&mut self, byte: u8) -> u8 {
        let (next, byte) = self.0.step(byte);
        self.0 = next;
        byte
    }
}

impl State {
    fn step(self, byte: u8) -> (Self, u8) {
        match self {
            Self::Start => (representation(byte), byte),
            Self::Integer(after) if byte & 0x80 == 0 => (after.state(), byte),
            Self::NameLength => (length(Part::Name, byte), byte),
            Self::ValueLength { authority } => (length(Part::Value { authority }, byte), byte),
            Self::Length {
                part,
                length,
                shift,
                huffman,
            } => (longer(part, length, shift, huffman, byte), byte),
            Self::Name {
                left,
                read,
                huffman,
                matches,
            } => {
                let expected = if huffman {
                    NAME_HUFFMAN.get(read)
                } else {
                    NAME.get(read)
                };
                let matches = matches && expected == Some(&byte);
                (name(left - 1, read + 1, huffman, matches), byte)
            }
            Self::Value {
                left,
                authority,
                coding,
            } => {
                let (coding, changed) = coding.step(byte);
                let next = value(left - 1, authority, coding);
                (next, if authority { changed } else { byte })
            }
            Self::Integer(_) | Self::Lost => (self, byte),
        }
    }
}

impl After {
    const fn state(self) -> State {
        match self {
            Self::Start => State::Start,
            Self::Value => State::ValueLength { authority: false },
        }
    }
}

/// The first byte of a representation (section 6).
const fn representation(byte: u8) -> State {
    let (prefix, literal) = match byte {
        0x80.. => (0x7f, false),
        0x40.. => (0x3f, true),
        0x20.. => (0x1f, false),
        _ => (0x0f, true),
    };
    match (literal, byte & prefix) {
        (true, 0) => State::NameLength,
        (true, index) if index == prefix => State::Integer(After::Value),
        // Static table: index 1 is `:authority`.
        (true, index) => State::ValueLength {
            authority: index == 1,
        },
        (false, index) if index == prefix => State::Integer(After::Start),
        (false, _) => State::Start,
    }
}

const fn length(part: Part, byte: u8) -> State {
    let (huffman, short) = (byte & 0x80 != 0, (byte & 0x7f) as usize);
    if short == 0x7f {
        return State::Length {
            part,
            length: short,
            shift: 0,
            huffman,
        };
    }
    part.text(short, huffman)
}

fn longer(part: Part, length: usize, shift: u32, huffman: bool, byte: u8) -> State {
    // Four bytes hold more than any header that is let through.
    if shift > 21 {
        return State::Lost;
    }
    let length = length + (usize::from(byte & 0x7f) << shift);
    if byte & 0x80 == 0 {
        return part.text(length, huffman);
    }
    State::Length {
        part,
        length,
        shift: shift + 7,
        huffman,
    }
}

impl Part {
    const fn text(self, length: usize, huffman: bool) -> State {
        match self {
            Self::Name => name(length, 0, huffman, true),
            Self::Value { authority } => {
                let coding = if huffman {
                    Coding::Huffman {
                        code: 0,
                        length: 0,
                        first: 0,
                    }
                } else {
                    Coding::Raw
                };
                value(length, authority, coding)
            }
        }
    }
}

const fn name(left: usize, read: usize, huffman: bool, matches: bool) -> State {
    if left > 0 {
        return State::Name {
            left,
            read,
            huffman,
            matches,
        };
    }
    let whole = if huffman {
        NAME_HUFFMAN.len()
    } else {
        NAME.len()
    };
    State::ValueLength {
        authority: matches && read == whole,
    }
}

const fn value(left: usize, authority: bool, coding: Coding) -> State {
    if left == 0 {
        return State::Start;
    }
    State::Value {
        left,
        authority,
        coding,
    }
}

impl Coding {
    fn step(self, byte: u8) -> (Self, u8) {
        let Self::Huffman {
            code,
            length,
            first,
        } = self
        else {
            let kept = byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
            return (self, if kept { byte } else { b'-' });
        };
        let mut symbol = Symbol {
            code,
            length,
            first,
        };
        let changed = (0..8)
            .rev()
            .fold(0, |bits, place| bits << 1 | symbol.step(byte >> place & 1));
        let Symbol {
            code,
            length,
            first,
        } = symbol;
        (
            Self::Huffman {
                code,
                length,
                first,
            },
            changed,
        )
    }
}

/// The symbol that is being read: its bits so far, how many, and the smallest code of that length.
struct Symbol {
    code: u32,
    length: usize,
    first: u32,
}

impl Symbol {
    /// One more bit. Setting it here turns `%` into `.`, space into `-`, `/` into `3` and `:` into
    /// `B`, each of which has the same bits but this one; no other symbol shares the prefix.
    fn step(&mut self, bit: u8) -> u8 {
        let bit = match (self.length, self.code) {
            (4, 0b0101) | (5, 0b01100) | (6, 0b10_1110) => 1,
            _ => bit,
        };
        self.code = self.code << 1 | u32::from(bit);
        self.length += 1;
        self.first <<= 1;
        let count = CODES.get(self.length).copied().unwrap_or(0);
        if self.code.wrapping_sub(self.first) < count || self.length >= 30 {
            *self = Self {
                code: 0,
                length: 0,
                first: 0,
            };
        } else {
            self.first += count;
        }
        bit
    }
}
