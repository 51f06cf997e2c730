use crate::{TILE_WIDTH, TreeHash};

/// Why bytes are not a tile of the expected width.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a tile of {found} bytes where {expected} belong")]
pub struct TileError {
    expected: usize,
    found: usize,
}

/// The bytes of a tile: its hashes one after the other.
pub fn encode_tile(hashes: &[TreeHash]) -> Vec<u8> {
    hashes
        .iter()
        .flat_map(|hash| hash.as_bytes())
        .copied()
        .collect()
}

/// Reads a tile of exactly `width` hashes.
pub fn parse_tile(bytes: &[u8], width: u16) -> Result<Vec<TreeHash>, TileError> {
    let expected = usize::from(width) * 32;
    if bytes.len() != expected || !(1..=TILE_WIDTH).contains(&width) {
        return Err(TileError {
            expected,
            found: bytes.len(),
        });
    }
    let (hashes, _) = bytes.as_chunks::<32>();
    Ok(hashes.iter().copied().map(TreeHash::from_bytes).collect())
}

/// The root over the hashes of a tile, or over a part of it that is a power of two wide.
pub fn tile_root(hashes: &[TreeHash]) -> TreeHash {
    let mut row = hashes.to_vec();
    while row.len() > 1 {
        row = row
            .chunks(2)
            .map(|pair| match pair {
                [left, right] => TreeHash::node(left, right),
                // An odd last node rises as it is (RFC 6962 splits at powers of two).
                _ => pair.first().copied().unwrap_or_else(TreeHash::empty),
            })
            .collect();
    }
    row.pop().unwrap_or_else(TreeHash::empty)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{LeafHash, MemoryTree};

    #[test]
    fn root_of_every_width() {
        let leaves: Vec<_> = (0..=255_u8).map(|byte| LeafHash::of([byte])).collect();
        let hashes: Vec<_> = leaves.iter().copied().map(TreeHash::from).collect();
        for width in 0..=256 {
            let tree: MemoryTree = leaves.iter().copied().take(width).collect();
            assert_eq!(tile_root(&hashes[..width]), tree.root(), "{width}");
        }
        assert_eq!(encode_tile(&hashes).len(), 8_192);
    }

    #[test]
    fn refuses_other_lengths() {
        assert_eq!(parse_tile(&[7; 64], 2).unwrap().len(), 2);
        for (length, width) in [(0, 0), (0, 1), (31, 1), (33, 1), (64, 1), (8_224, 257)] {
            assert!(parse_tile(&vec![0; length], width).is_err());
        }
    }
}
