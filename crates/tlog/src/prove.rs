use crate::subtree::split_point;
use crate::{Subtree, TreeHash};

/// Where the nodes of a tree come from when proofs are made.
pub trait NodeSource {
    /// Why a node cannot be had.
    type Error: std::error::Error + 'static;

    /// The root of the full subtree of `2^level` leaves that begins at leaf `index * 2^level`.
    fn node(&self, level: u32, index: u64) -> Result<TreeHash, Self::Error>;
}

/// Why a proof cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProveError<E: std::error::Error + 'static> {
    /// The leaf or the older tree is not in the tree.
    #[error("what should be proved is not in the tree")]
    OutOfRange,
    /// A node cannot be had.
    #[error("a node of the tree is missing")]
    Source(#[source] E),
}

/// The proof that entry `index` is in the tree of `size` entries.
pub fn prove_inclusion<S: NodeSource>(
    nodes: &S,
    index: u64,
    size: u64,
) -> Result<Vec<TreeHash>, ProveError<S::Error>> {
    prove_inclusion_within(nodes, index, Subtree::of_tree(size))
}

/// The proof that entry `index` is in the subtree.
pub fn prove_subtree_inclusion<S: NodeSource>(
    nodes: &S,
    index: u64,
    subtree: Subtree,
) -> Result<Vec<TreeHash>, ProveError<S::Error>> {
    prove_inclusion_within(nodes, index, subtree)
}

/// The proof that the tree of `new_size` begins with the tree of `old_size`; both are not empty.
pub fn prove_consistency<S: NodeSource>(
    nodes: &S,
    old_size: u64,
    new_size: u64,
) -> Result<Vec<TreeHash>, ProveError<S::Error>> {
    if old_size == 0 {
        return Err(ProveError::OutOfRange);
    }
    prove_subtree_consistency(nodes, Subtree::of_tree(old_size), new_size)
}

/// The proof that the tree of `size` entries contains the subtree; empty for the empty one.
pub fn prove_subtree_consistency<S: NodeSource>(
    nodes: &S,
    subtree: Subtree,
    size: u64,
) -> Result<Vec<TreeHash>, ProveError<S::Error>> {
    if subtree.end() > size {
        return Err(ProveError::OutOfRange);
    }
    let mut proof = Vec::new();
    if !subtree.is_empty() {
        let range = (subtree.start(), subtree.end());
        descend(nodes, range, (0, size), true, &mut proof).map_err(ProveError::Source)?;
    }
    Ok(proof)
}

/// The root of a subtree.
pub fn subtree_root<S: NodeSource>(nodes: &S, subtree: Subtree) -> Result<TreeHash, S::Error> {
    if subtree.is_empty() {
        return Ok(TreeHash::empty());
    }
    range_root(nodes, subtree.start(), subtree.end())
}

fn prove_inclusion_within<S: NodeSource>(
    nodes: &S,
    index: u64,
    tree: Subtree,
) -> Result<Vec<TreeHash>, ProveError<S::Error>> {
    if !(tree.start()..tree.end()).contains(&index) {
        return Err(ProveError::OutOfRange);
    }
    let mut proof = Vec::new();
    let within = (tree.start(), tree.end());
    descend(nodes, (index, index + 1), within, true, &mut proof).map_err(ProveError::Source)?;
    Ok(proof)
}

/// Collects the hashes that lead from `range` to the root of `tree`, the deepest first. `known`
/// says that the verifier has the root of `range` itself.
fn descend<S: NodeSource>(
    nodes: &S,
    range: (u64, u64),
    tree: (u64, u64),
    known: bool,
    proof: &mut Vec<TreeHash>,
) -> Result<(), S::Error> {
    if range == tree {
        if !known {
            proof.push(range_root(nodes, range.0, range.1)?);
        }
        return Ok(());
    }
    let middle = tree.0 + split_point(tree.1 - tree.0);
    let (inner, known, outer) = if range.1 <= middle {
        (
            ((range.0, range.1), (tree.0, middle)),
            known,
            (middle, tree.1),
        )
    } else if range.0 >= middle {
        (
            ((range.0, range.1), (middle, tree.1)),
            known,
            (tree.0, middle),
        )
    } else {
        (
            ((middle, range.1), (middle, tree.1)),
            false,
            (tree.0, middle),
        )
    };
    descend(nodes, inner.0, inner.1, known, proof)?;
    proof.push(range_root(nodes, outer.0, outer.1)?);
    Ok(())
}

/// The root of `[start, end)`. INVARIANT: the range is a subtree and not empty.
fn range_root<S: NodeSource>(nodes: &S, start: u64, end: u64) -> Result<TreeHash, S::Error> {
    let width = end - start;
    if width.is_power_of_two() {
        let level = width.trailing_zeros();
        return nodes.node(level, start >> level);
    }
    let middle = start + split_point(width);
    Ok(TreeHash::node(
        &range_root(nodes, start, middle)?,
        &range_root(nodes, middle, end)?,
    ))
}
