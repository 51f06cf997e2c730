use crate::subtree::split_point;
use crate::{LeafHash, Subtree, TreeHash};

/// Most hashes of a proof that is read.
pub const MAX_PROOF_HASHES: usize = 63;

/// Why a proof proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// The leaf is not in the tree or subtree.
    #[error("the index is not in the tree")]
    IndexOutOfRange,
    /// The larger tree is smaller than the other.
    #[error("the tree is smaller than what it should contain")]
    SizesReversed,
    /// Everything is consistent with the empty tree; a proof of it would prove nothing.
    #[error("the older tree is empty")]
    OlderTreeEmpty,
    /// More or fewer hashes than these sizes need.
    #[error("wrong number of hashes in the proof")]
    WrongLength,
    /// The proof does not lead to the root of the older tree or of the subtree.
    #[error("the proof does not lead to the older root")]
    OlderRootMismatch,
    /// The proof does not lead to the root.
    #[error("the proof does not lead to the root")]
    RootMismatch,
}

/// Verifies that `leaf` is entry `index` of the tree of `size` entries under `root`
/// (RFC 9162 section 2.1.3.2).
pub fn verify_inclusion(
    index: u64,
    size: u64,
    leaf: LeafHash,
    proof: &[TreeHash],
    root: &TreeHash,
) -> Result<(), ProofError> {
    match Subtree::of_leaf(index) {
        Some(subtree) if subtree.end() <= size => {
            verify_nonempty(subtree, size, proof, &leaf.into(), root)
        }
        _ => Err(ProofError::IndexOutOfRange),
    }
}

/// Verifies that `leaf` is entry `index` of the log, and the subtree's root covers it.
pub fn verify_subtree_inclusion(
    index: u64,
    subtree: Subtree,
    leaf: LeafHash,
    proof: &[TreeHash],
    subtree_root: &TreeHash,
) -> Result<(), ProofError> {
    let index = index
        .checked_sub(subtree.start())
        .ok_or(ProofError::IndexOutOfRange)?;
    verify_inclusion(index, subtree.width(), leaf, proof, subtree_root)
}

/// Verifies that the tree of `new_size` begins with the tree of `old_size`
/// (RFC 9162 section 2.1.4.2). An empty older tree is refused: it needs no proof.
pub fn verify_consistency(
    old_size: u64,
    new_size: u64,
    proof: &[TreeHash],
    old_root: &TreeHash,
    new_root: &TreeHash,
) -> Result<(), ProofError> {
    if old_size > new_size {
        return Err(ProofError::SizesReversed);
    }
    if old_size == 0 {
        return Err(ProofError::OlderTreeEmpty);
    }
    verify_nonempty(
        Subtree::of_tree(old_size),
        new_size,
        proof,
        old_root,
        new_root,
    )
}

/// Verifies that the tree of `size` entries under `root` contains the subtree. The empty subtree
/// is contained in every tree that reaches its end; its proof is empty.
pub fn verify_subtree_consistency(
    subtree: Subtree,
    size: u64,
    proof: &[TreeHash],
    subtree_root: &TreeHash,
    root: &TreeHash,
) -> Result<(), ProofError> {
    if subtree.end() > size {
        return Err(ProofError::SizesReversed);
    }
    if !subtree.is_empty() {
        return verify_nonempty(subtree, size, proof, subtree_root, root);
    }
    if !proof.is_empty() {
        return Err(ProofError::WrongLength);
    }
    if *subtree_root != TreeHash::empty() {
        return Err(ProofError::OlderRootMismatch);
    }
    Ok(())
}

/// The one walk behind all four verifications. INVARIANT: the subtree is not empty and ends
/// within `size`.
fn verify_nonempty(
    subtree: Subtree,
    size: u64,
    proof: &[TreeHash],
    subtree_root: &TreeHash,
    root: &TreeHash,
) -> Result<(), ProofError> {
    let mut hashes = proof.iter();
    let climbed = climb(
        subtree.start(),
        subtree.end(),
        size,
        Some(subtree_root),
        &mut hashes,
    );
    match climbed {
        Some(_) if hashes.next().is_some() => Err(ProofError::WrongLength),
        None => Err(ProofError::WrongLength),
        Some((older, _)) if older != *subtree_root => Err(ProofError::OlderRootMismatch),
        Some((_, newer)) if newer != *root => Err(ProofError::RootMismatch),
        Some(_) => Ok(()),
    }
}

/// Recomputes, from the hashes of a proof, the root of `[start, end)` and the root of the tree of
/// `size` leaves around it. `known` is the subtree's root while the walk has not yet split the
/// subtree: then no hash of the proof stands for it. At most 64 levels deep.
fn climb(
    start: u64,
    end: u64,
    size: u64,
    known: Option<&TreeHash>,
    hashes: &mut std::slice::Iter<'_, TreeHash>,
) -> Option<(TreeHash, TreeHash)> {
    if start == 0 && end == size {
        let whole = known.or_else(|| hashes.next())?;
        return Some((*whole, *whole));
    }
    let split = split_point(size);
    if end <= split {
        let (older, left) = climb(start, end, split, known, hashes)?;
        let right = hashes.next()?;
        return Some((older, TreeHash::node(&left, right)));
    }
    if let Some(start) = start.checked_sub(split) {
        let (older, right) = climb(start, end - split, size - split, known, hashes)?;
        let left = hashes.next()?;
        return Some((older, TreeHash::node(left, &right)));
    }
    let (older, right) = climb(0, end - split, size - split, None, hashes)?;
    let left = hashes.next()?;
    Some((TreeHash::node(left, &older), TreeHash::node(left, &right)))
}
