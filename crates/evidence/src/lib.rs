//! What a relying party verifies: Trust Records, whole logs, the evidence of a session, and the
//! replay of every decision from the bytes that were presented.
//!
//! Pure: files are handed in, trust comes from outside. Nothing here believes what evidence says of
//! itself. [`verify`] answers whether evidence holds, [`why`] tells the five facts of one action,
//! [`actions`] lists what was done, [`asked`] what policy was asked, so that another one can be.

pub mod archive;
pub mod catalog;
pub mod completeness;
pub mod erased;
pub mod files;
pub mod graph;
pub mod index;
pub mod log;
pub mod presentation;
pub mod report;
pub mod snapshot;
pub mod story;
pub mod trust_record;

mod actions;
mod asked;
mod verify;
mod withdrawn;

pub use actions::{ActionLine, actions};
pub use archive::ArchiveError;
pub use asked::{Asked, Recorded, asked};
pub use catalog::Catalog;
pub use erased::{
    Concern, ERASED_PATH, ERASED_SCOPE, ErasedConcern, ErasedFormat, ErasedObject, ErasedObjects,
    Erasure,
};
pub use files::{Files, INDEX_PATH, TRUST_RECORD_PATH, object_path};
pub use index::{EvidenceIndex, IndexFormat, Object, ObjectKind};
pub use log::{LogProblem, VerifiedLog};
pub use report::{Axis, AxisVerdict, Finding, Note, NoteValue, Place, Report, ReportOutcome};
pub use story::{Story, WhyError, why};
pub use verify::{Replay, verify};
pub use withdrawn::Withdrawn;
