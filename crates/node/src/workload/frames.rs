//! A reader of HTTP/2 frames (RFC 9113) that finds the header blocks in what a client sends.

use super::hpack::Block;

const PREFACE_BYTES: usize = 24;
const HEADERS: u8 = 0x1;
const PING: u8 = 0x6;
const CONTINUATION: u8 = 0x9;
const ACK: u8 = 0x1;
const PADDED: u8 = 0x8;
const PRIORITY: u8 = 0x20;

/// Follows the frames of one connection from its first byte on, in pieces of any size, and lets
/// [`Block`] change the header blocks. Lengths never change, so framing, tables and settings stay
/// as they are. What is not HTTP/2 passes unchanged, for the library to refuse. Answers to PINGs pass
/// as well, and are kept for [`Frames::answers`].
#[derive(Debug)]
pub struct Frames {
    state: State,
    block: Block,
    answers: Vec<[u8; 8]>,
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// In the client's connection preface.
    Preface { left: usize },
    /// In the nine bytes of a frame header.
    Header {
        read: usize,
        length: usize,
        kind: u8,
        flags: u8,
    },
    /// At the length of the padding.
    Padding { left: usize, priority: usize },
    /// In the payload of a frame: first `skip` bytes, then `block` bytes of a header block, then
    /// `trail` bytes of padding.
    Payload {
        skip: usize,
        block: usize,
        trail: usize,
    },
    /// In the payload of an answer to a PING.
    Answer { read: usize, payload: [u8; 8] },
    /// A frame says that it is shorter than what it must hold; nothing is changed any more.
    Lost,
}

const NEXT_FRAME: State = State::Header {
    read: 0,
    length: 0,
    kind: 0,
    flags: 0,
};

impl Frames {
    /// Of a connection that nothing was read of yet.
    pub fn new() -> Self {
        Self {
            state: State::Preface {
                left: PREFACE_BYTES,
            },
            block: Block::default(),
            answers: Vec::new(),
        }
    }

    /// The payloads of the answers to PINGs that were read since this was asked last.
    pub fn answers(&mut self) -> Vec<[u8; 8]> {
        std::mem::take(&mut self.answers)
    }

    /// Reads what came in next, and changes it where it must be.
    pub fn rewrite(&mut self, mut bytes: &mut [u8]) {
        while !bytes.is_empty() {
            let taken = self.bulk(bytes.len());
            if taken > 0 {
                bytes = bytes.split_at_mut(taken).1;
                continue;
            }
            let Some((first, rest)) = bytes.split_first_mut() else {
                return;
            };
            *first = self.step(*first);
            bytes = rest;
        }
    }

    /// Passes over bytes that are nobody's business here; says how many of the next `available`.
    fn bulk(&mut self, available: usize) -> usize {
        match &mut self.state {
            State::Payload { skip: left, .. } | State::Preface { left } if *left > 0 => {
                let taken = available.min(*left);
                *left -= taken;
                self.settle();
                taken
            }
            State::Payload {
                block: 0, trail, ..
            } => {
                let taken = available.min(*trail);
                *trail -= taken;
                self.settle();
                taken
            }
            State::Lost => available,
            _ => 0,
        }
    }

    fn step(&mut self, byte: u8) -> u8 {
        match self.state {
            State::Header {
                read,
                length,
                kind,
                flags,
            } => {
                self.state = match read {
                    0..=2 => {
                        let length = length << 8 | usize::from(byte);
                        State::Header {
                            read: read + 1,
                            length,
                            kind,
                            flags,
                        }
                    }
                    3 => State::Header {
                        read: 4,
                        length,
                        kind: byte,
                        flags,
                    },
                    4 => State::Header {
                        read: 5,
                        length,
                        kind,
                        flags: byte,
                    },
                    8 => self.payload(length, kind, flags),
                    _ => State::Header {
                        read: read + 1,
                        length,
                        kind,
                        flags,
                    },
                };
                self.settle();
                byte
            }
            State::Padding { left, priority } => {
                let trail = usize::from(byte);
                self.state = match left.checked_sub(priority + trail) {
                    Some(block) => State::Payload {
                        skip: priority,
                        block,
                        trail,
                    },
                    None => State::Lost,
                };
                self.settle();
                byte
            }
            State::Payload { skip, block, trail } => {
                self.state = State::Payload {
                    skip,
                    block: block.saturating_sub(1),
                    trail,
                };
                self.settle();
                self.block.step(byte)
            }
            State::Answer { read, mut payload } => {
                if let Some(place) = payload.get_mut(read) {
                    *place = byte;
                }
                self.state = State::Answer {
                    read: read + 1,
                    payload,
                };
                self.settle();
                byte
            }
            State::Preface { .. } | State::Lost => byte,
        }
    }

    /// What follows the header of a frame.
    fn payload(&mut self, length: usize, kind: u8, flags: u8) -> State {
        if kind == CONTINUATION {
            return State::Payload {
                skip: 0,
                block: length,
                trail: 0,
            };
        }
        if kind == PING && flags & ACK != 0 && length == 8 {
            return State::Answer {
                read: 0,
                payload: [0; 8],
            };
        }
        if kind != HEADERS {
            return State::Payload {
                skip: length,
                block: 0,
                trail: 0,
            };
        }
        self.block.restart();
        let priority = if flags & PRIORITY != 0 { 5 } else { 0 };
        if flags & PADDED != 0 {
            return match length.checked_sub(1) {
                Some(left) => State::Padding { left, priority },
                None => State::Lost,
            };
        }
        match length.checked_sub(priority) {
            Some(block) => State::Payload {
                skip: priority,
                block,
                trail: 0,
            },
            None => State::Lost,
        }
    }

    /// Goes on to the next frame when this one is used up.
    fn settle(&mut self) {
        if let State::Answer { read: 8, payload } = self.state {
            self.answers.push(payload);
            self.state = NEXT_FRAME;
        }
        if matches!(
            self.state,
            State::Payload {
                skip: 0,
                block: 0,
                trail: 0
            } | State::Preface { left: 0 }
        ) {
            self.state = NEXT_FRAME;
        }
    }
}

impl Default for Frames {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests;
