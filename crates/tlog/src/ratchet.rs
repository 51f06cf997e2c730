use crate::{Checkpoint, ProofError, TreeHash, verify_consistency};

/// Why a checkpoint must not be signed after another.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RatchetError {
    /// Another log's.
    #[error("the checkpoint is another log's")]
    Origin,
    /// Fewer entries than were signed before.
    #[error(
        "size {offered} is below size {signed}, which was signed already: the log was rolled back"
    )]
    Smaller {
        /// What was signed.
        signed: u64,
        /// What should be signed.
        offered: u64,
    },
    /// The same size with another root.
    #[error("another root for size {0} was signed already: the log was forked")]
    Forked(u64),
    /// No proof that the new tree begins with the signed one.
    #[error("the log does not prove that it still begins with the {signed} entries signed before")]
    Inconsistent {
        /// What was signed.
        signed: u64,
        /// What is wrong with the proof.
        source: ProofError,
    },
}

/// Says whether `next` may be signed after `last`: same log, not smaller, not another root for the
/// same size, and, where it grew, a consistency proof from `last` to `next`. An empty or equal
/// tree takes an empty proof.
pub fn advance(
    last: &Checkpoint,
    next: &Checkpoint,
    consistency: &[TreeHash],
) -> Result<(), RatchetError> {
    if last.origin != next.origin {
        return Err(RatchetError::Origin);
    }
    if next.size < last.size {
        return Err(RatchetError::Smaller {
            signed: last.size,
            offered: next.size,
        });
    }
    if next.size == last.size && next.root != last.root {
        return Err(RatchetError::Forked(last.size));
    }
    if last.size == 0 {
        return Ok(());
    }
    verify_consistency(last.size, next.size, consistency, &last.root, &next.root).map_err(
        |source| RatchetError::Inconsistent {
            signed: last.size,
            source,
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{LeafHash, MemoryTree, prove_consistency};

    fn checkpoint(tree: &MemoryTree) -> Checkpoint {
        Checkpoint {
            origin: "log".parse().unwrap(),
            size: tree.size(),
            root: tree.root(),
        }
    }

    fn tree(tag: u8, size: u8) -> MemoryTree {
        (0..size).map(|i| LeafHash::of([tag, i])).collect()
    }

    #[test]
    fn moves_forward_only_and_on_one_branch() {
        let (empty, seven, nine) = (tree(0, 0), tree(0, 7), tree(0, 9));
        let proof = prove_consistency(&nine, 7, 9).unwrap();
        let (empty, seven, nine) = (checkpoint(&empty), checkpoint(&seven), checkpoint(&nine));
        assert_eq!(advance(&empty, &empty, &[]), Ok(()));
        assert_eq!(advance(&empty, &nine, &[]), Ok(()));
        assert_eq!(advance(&seven, &seven, &[]), Ok(()));
        assert_eq!(advance(&seven, &nine, &proof), Ok(()));
        assert!(matches!(
            advance(&nine, &seven, &[]),
            Err(RatchetError::Smaller {
                signed: 9,
                offered: 7
            })
        ));
        assert!(matches!(
            advance(&seven, &nine, &[]),
            Err(RatchetError::Inconsistent { signed: 7, .. })
        ));
        let fork = checkpoint(&tree(1, 7));
        assert_eq!(advance(&seven, &fork, &[]), Err(RatchetError::Forked(7)));
        let (long, other) = (
            tree(1, 9),
            Checkpoint {
                origin: "l".parse().unwrap(),
                ..nine
            },
        );
        let forged = prove_consistency(&long, 7, 9).unwrap();
        assert!(matches!(
            advance(&seven, &checkpoint(&long), &forged),
            Err(RatchetError::Inconsistent { signed: 7, .. })
        ));
        assert_eq!(advance(&seven, &other, &proof), Err(RatchetError::Origin));
    }
}
