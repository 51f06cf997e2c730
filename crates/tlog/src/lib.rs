//! Transparency logs in the C2SP formats: signed notes, checkpoints, tiles, entry bundles and the
//! four Merkle proofs of RFC 6962 and its subtree extension; log policies, and what a witness and a
//! log say to each other; the index that says what a log holds of one instance. Pinned to revision 5ba5ee8 of the C2SP documents.
//!
//! Pure: files, clocks and signature arithmetic are arguments. What a verification returns
//! ([`VerifiedCheckpoint`], [`VerifiedEntry`]) cannot be made in another way.

mod bundle;
mod checkpoint;
mod cosignature;
mod edge;
mod frontier;
mod hash;
mod index;
mod log_finding;
mod memory_tree;
mod name;
mod note;
mod policy;
mod proof;
mod prove;
mod ratchet;
mod rebuild;
mod recompute;
mod seen_log;
mod subtree;
mod text;
mod tile;
mod tile_edge;
mod tile_nodes;
mod tile_path;
mod tlog_proof;
mod verified;
mod vkey;
mod witness;

pub use bundle::{BundleError, EntryTooLarge, check_entry, decode_bundle, encode_entry};
pub use checkpoint::{Checkpoint, CheckpointTextError};
pub use cosignature::{
    CosignatureError, CosignerError, TimestampedSignature, cosigned_message, cosigned_text,
    verify_cosignature,
};
pub use edge::{EdgeError, LogEdge, Resource};
pub use frontier::{Frontier, FrontierError};
pub use hash::{HashError, LeafHash, TreeHash};
pub use index::{
    INDEX_PROOF_HEADER, IndexKey, IndexMap, IndexPath, IndexPathError, IndexProof, IndexProofError,
    IndexedChain, MAX_INDEX_DEPTH,
};
pub use log_finding::{LogFile, LogFinding, LogReason};
pub use memory_tree::{MemoryTree, OutOfTree};
pub use name::{KeyName, NameError, Origin};
pub use note::{MAX_NOTE_BYTES, MAX_NOTE_SIGNATURES, Note, NoteError, NoteSignature};
pub use policy::{
    Cosigned, CosignedError, LogPolicy, MAX_POLICY_BYTES, MAX_POLICY_MEMBERS, PolicyError,
    PolicyLog, PolicyProblem, PolicyRefusal, PolicyWitness, TimeWindow, WitnessedCheckpoint,
    verify_checkpoint_any, verify_checkpoint_cosigned,
};
pub use proof::{
    MAX_PROOF_HASHES, ProofError, verify_consistency, verify_inclusion, verify_subtree_consistency,
    verify_subtree_inclusion,
};
pub use prove::{
    NodeSource, ProveError, prove_consistency, prove_inclusion, prove_subtree_consistency,
    prove_subtree_inclusion, subtree_root,
};
pub use ratchet::{RatchetError, advance};
pub use rebuild::{RebuildError, Rebuilt, rebuild};
pub use recompute::{MAX_LOG_FINDINGS, ReadLogFile, Recomputed, recompute};
pub use seen_log::{SeenLog, SeenLogError};
pub use subtree::{Subtree, SubtreeError};
pub use tile::{TileError, encode_tile, parse_tile, tile_root};
pub use tile_edge::{TileEdge, TileEdgeError};
pub use tile_nodes::{TileNodes, TileNodesError};
pub use tile_path::{TILE_WIDTH, TileKind, TilePath, TilePathError, tile_at, tiles_for};
pub use tlog_proof::{TlogProof, TlogProofError, VerifiedEntry, VerifyEntryError};
pub use verified::{
    CheckpointError, LogKeys, LogKeysError, VerifiedCheckpoint, verify_checkpoint,
    verify_checkpoint_exact,
};
pub use vkey::{KeyMaterial, SignatureKind, VerifierKey, VerifierKeyError};
pub use witness::{
    AddCheckpoint, AddCheckpointError, Admitted, CosignatureLines, CosignatureLinesError,
    MAX_ADD_CHECKPOINT_BYTES, RecordedSize, RecordedSizeError, WitnessRefusal, judge,
    monitor_folder,
};
