/// A range of leaves `[start, end)` that is a node of every tree that holds it: `start` is a
/// multiple of the smallest power of two that is not below `end - start`. May be empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Subtree {
    start: u64,
    end: u64,
}

/// Why a range is not a subtree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a subtree: the range is reversed or its start is not aligned")]
pub struct SubtreeError;

impl Subtree {
    /// The subtree of the leaves `[start, end)`.
    pub fn new(start: u64, end: u64) -> Result<Self, SubtreeError> {
        let width = end.checked_sub(start).ok_or(SubtreeError)?;
        // A width above 2^63 has no power of two in 64 bits: only zero is aligned to it.
        let aligned = match width.checked_next_power_of_two() {
            Some(unit) => start.is_multiple_of(unit),
            None => start == 0,
        };
        aligned.then_some(Self { start, end }).ok_or(SubtreeError)
    }

    /// The first leaf.
    pub const fn start(&self) -> u64 {
        self.start
    }

    /// The leaf after the last.
    pub const fn end(&self) -> u64 {
        self.end
    }

    /// The number of leaves.
    pub const fn width(&self) -> u64 {
        self.end - self.start
    }

    /// Whether there are no leaves in it.
    pub const fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// The subtree of one leaf; none for the last index that 64 bits hold.
    pub(crate) fn of_leaf(index: u64) -> Option<Self> {
        Some(Self {
            start: index,
            end: index.checked_add(1)?,
        })
    }

    /// The whole tree of `size` leaves.
    pub(crate) const fn of_tree(size: u64) -> Self {
        Self {
            start: 0,
            end: size,
        }
    }
}

/// The largest power of two below `size`, where RFC 6962 splits a tree of two leaves or more.
pub(crate) fn split_point(size: u64) -> u64 {
    1 << (u64::BITS - 1 - size.saturating_sub(1).max(1).leading_zeros())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alignment() {
        for (start, end) in [
            (0, 0),
            (0, 1),
            (0, 7),
            (0, u64::MAX),
            (3, 3),
            (3, 4),
            (4, 7),
            (4, 8),
            (1 << 63, u64::MAX),
        ] {
            assert!(Subtree::new(start, end).is_ok(), "{start}..{end}");
        }
        for (start, end) in [
            (1, 0),
            (1, 3),
            (2, 6),
            (3, 5),
            (4, 9),
            (1, u64::MAX),
            (1 << 62, u64::MAX),
        ] {
            assert_eq!(
                Subtree::new(start, end),
                Err(SubtreeError),
                "{start}..{end}"
            );
        }
    }

    #[test]
    fn splits_like_rfc_6962() {
        for (size, split) in [(2, 1), (3, 2), (4, 2), (5, 4), (8, 4), (u64::MAX, 1 << 63)] {
            assert_eq!(split_point(size), split);
        }
    }
}
