//! Where the frames begin and end in what the HTTP library writes.

use std::collections::VecDeque;

const HEADER_BYTES: usize = 9;
const PING_BYTES: usize = HEADER_BYTES + 8;
const PING: u8 = 0x6;

/// Follows what is written on one connection, so that frames of ours fit between two of the
/// library's. Says what is to be written next and hears what was written.
#[derive(Debug, Default)]
pub(super) struct Outgoing {
    /// How much of the header of the library's current frame was written; none at a boundary.
    header: usize,
    /// What is left of its payload, as far as its header was written.
    left: usize,
    /// What is ours and not yet written.
    ours: VecDeque<u8>,
    /// Whether a frame of ours was written in part.
    begun: bool,
}

impl Outgoing {
    /// Has a PING written at the next boundary, unless `most` of them wait already; says whether.
    pub(super) fn ping(&mut self, payload: [u8; 8], most: usize) -> bool {
        let room = self.ours.len() + PING_BYTES <= most.saturating_mul(PING_BYTES);
        if room {
            self.ours.extend([0, 0, 8, PING, 0, 0, 0, 0, 0]);
            self.ours.extend(payload);
        }
        room
    }

    /// What must be written before the library writes on.
    pub(super) fn ours(&mut self) -> Option<&[u8]> {
        let due = !self.ours.is_empty() && (self.begun || self.at_boundary());
        due.then(|| &*self.ours.make_contiguous())
    }

    /// Whether something of ours waits, be it due or not.
    pub(super) fn waits(&self) -> bool {
        !self.ours.is_empty()
    }

    /// That much of ours was written.
    pub(super) fn wrote_ours(&mut self, bytes: usize) {
        self.ours.drain(..bytes.min(self.ours.len()));
        self.begun = !self.ours.is_empty();
    }

    /// How many of the library's next bytes may be written at once: all of them, or up to the next
    /// boundary where something of ours waits for it.
    pub(super) fn room(&self, bytes: &[u8]) -> usize {
        if self.ours.is_empty() {
            return bytes.len();
        }
        let mut ahead = Self {
            header: self.header,
            left: self.left,
            ..Self::default()
        };
        let mut room = 0;
        while let Some(rest) = bytes.get(room..).filter(|rest| !rest.is_empty()) {
            room += ahead.step(rest);
            if ahead.at_boundary() {
                break;
            }
        }
        room
    }

    /// These bytes of the library were written.
    pub(super) fn wrote(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let taken = self.step(bytes);
            bytes = bytes.get(taken..).unwrap_or_default();
        }
    }

    pub(super) const fn at_boundary(&self) -> bool {
        self.header == 0
    }

    /// Takes in one byte of a header, or what there is of a payload; says how much.
    fn step(&mut self, bytes: &[u8]) -> usize {
        let taken = match bytes.first() {
            None => return 0,
            Some(_) if self.header == HEADER_BYTES => {
                let taken = bytes.len().min(self.left);
                self.left -= taken;
                taken
            }
            Some(byte) => {
                if self.header < 3 {
                    self.left = self.left << 8 | usize::from(*byte);
                }
                self.header += 1;
                1
            }
        };
        if self.header == HEADER_BYTES && self.left == 0 {
            self.header = 0;
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&length[1..], &[0, 0, 0, 0, 0, 1], payload].concat()
    }

    /// Writes as a socket does that takes at most `size` bytes, with a PING asked for before the
    /// byte at `at`.
    fn written(library: &[u8], size: usize, at: usize) -> Vec<u8> {
        let (mut outgoing, mut out, mut next) = (Outgoing::default(), Vec::new(), 0);
        while next < library.len() || outgoing.ours().is_some() {
            if next == at && !out.ends_with(&[7; 8]) && !outgoing.waits() {
                assert!(outgoing.ping([7; 8], 1));
            }
            if let Some(ours) = outgoing.ours() {
                let piece = ours[..ours.len().min(size)].to_vec();
                out.extend(&piece);
                outgoing.wrote_ours(piece.len());
                continue;
            }
            let rest = &library[next..];
            let until = if next < at { at - next } else { rest.len() };
            let piece = &rest[..outgoing.room(rest).min(size).min(until)];
            assert!(!piece.is_empty());
            out.extend(piece);
            outgoing.wrote(piece);
            next += piece.len();
        }
        out
    }

    #[test]
    fn a_ping_stands_between_two_frames_wherever_it_is_asked_for() {
        let frames = [frame(b""), frame(b"x"), frame(&[3; 300]), frame(b"")];
        let library = frames.concat();
        let ping = [&[0, 0, 8, 6, 0, 0, 0, 0, 0], &[7; 8][..]].concat();
        let mut boundaries = vec![0];
        for frame in &frames {
            boundaries.push(boundaries.last().unwrap() + frame.len());
        }
        for at in 0..library.len() {
            let place = *boundaries.iter().find(|place| **place >= at).unwrap();
            let expected = [&library[..place], &ping, &library[place..]].concat();
            for size in [1, 2, 5, 17, 1_000] {
                assert_eq!(written(&library, size, at), expected, "{at} in {size}");
            }
        }
    }

    #[test]
    fn without_a_ping_nothing_is_held_back() {
        let library = [frame(&[1; 40]), frame(b"")].concat();
        let mut outgoing = Outgoing::default();
        assert_eq!(outgoing.room(&library), library.len());
        outgoing.wrote(&library[..20]);
        assert!(!outgoing.at_boundary() && outgoing.ours().is_none());
        assert!(outgoing.ping([1; 8], 1));
        assert!(!outgoing.ping([2; 8], 1));
        assert!(outgoing.ours().is_none() && outgoing.waits());
        assert_eq!(outgoing.room(&library[20..]), 29);
        outgoing.wrote(&library[20..49]);
        assert_eq!(outgoing.ours().map(<[u8]>::len), Some(17));
    }
}
