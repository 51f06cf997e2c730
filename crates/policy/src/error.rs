//! Why a bundle is refused.

use crate::Place;

/// Why a bundle is refused. Every message names the place and the remedy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BundleError {
    /// More bytes or files than a bundle may hold.
    #[error(
        "the bundle holds more than {} bytes or {} files: split it",
        crate::MAX_BUNDLE_BYTES,
        crate::MAX_BUNDLE_FILES
    )]
    TooLarge,
    /// More policies than a bundle may hold.
    #[error(
        "the bundle holds more than {} policies: split it",
        crate::MAX_POLICIES
    )]
    TooManyPolicies,
    /// A path that is not a plain relative one.
    #[error(
        "{0}: not a plain path: use segments of letters, digits, dot, dash and underscore, joined by /"
    )]
    Path(Place),
    /// A file that no bundle holds.
    #[error(
        "{0}: not a file of a bundle: it holds bundle.json, schema.cedarschema, delegation.json, session.json, *.cedar and tests/*.json only"
    )]
    UnknownFile(Place),
    /// A file that every bundle holds is absent.
    #[error("{0}: missing: add it to the bundle")]
    Missing(Place),
    /// A file is not UTF-8.
    #[error("{0}: not UTF-8: save it as UTF-8")]
    Encoding(Place),
    /// `bundle.json` is not what its format says.
    #[error("{place}: {problem}")]
    Index {
        /// Where.
        place: Place,
        /// What is wrong and what to write instead.
        problem: String,
    },
    /// The Cedar schema does not parse.
    #[error("{place}: the schema does not parse: {problem}")]
    Schema {
        /// Where.
        place: Place,
        /// What the parser says.
        problem: String,
    },
    /// The schema does not describe the requests that are made.
    #[error(
        "{place}: the schema does not fit action {action:?}: {problem}; start from the schema that belongs to bundle.json"
    )]
    SchemaMismatch {
        /// Where.
        place: Place,
        /// The action.
        action: String,
        /// What the check says.
        problem: String,
    },
    /// A policy file does not parse.
    #[error("{place}: the policy does not parse: {problem}")]
    Syntax {
        /// Where.
        place: Place,
        /// What the parser says.
        problem: String,
    },
    /// A template, which nothing would ever link.
    #[error("{0}: a template: write the principal and the resource in place of the slots")]
    Template(Place),
    /// A policy without `@id`.
    #[error("{0}: the policy has no id: put @id(\"...\") before it")]
    NoId(Place),
    /// An `@id` that logs could not carry.
    #[error(
        "{0}: not an id: use 1 to 128 letters, digits, dots, dashes and underscores, a letter or digit first"
    )]
    BadId(Place),
    /// An `@id` that another policy has.
    #[error("{place}: the id {id:?} stands at {other} already: give one of them another")]
    DuplicateId {
        /// The second place.
        place: Place,
        /// The id.
        id: String,
        /// The first place.
        other: Place,
    },
    /// An annotation that means nothing here.
    #[error("{place}: unknown annotation @{name}: known are @id, @effect and @reason")]
    UnknownAnnotation {
        /// Where.
        place: Place,
        /// Its name.
        name: String,
    },
    /// An `@effect` that is not `ask`, or one on a forbid.
    #[error("{0}: @effect takes \"ask\" and stands on a permit only: remove it or mend it")]
    BadEffect(Place),
    /// A policy that the schema does not admit.
    #[error("{place}: policy {id:?} is not valid: {problem}")]
    Invalid {
        /// Where.
        place: Place,
        /// The policy.
        id: String,
        /// What the validator says.
        problem: String,
    },
    /// A policy names a tool that `bundle.json` does not: it would never match.
    #[error(
        "{place}: policy {id:?} names the tool {tool:?}: declare it in bundle.json or mend the name"
    )]
    UnknownTool {
        /// Where.
        place: Place,
        /// The policy.
        id: String,
        /// The tool.
        tool: String,
    },
    /// A table of tests is not what its format says.
    #[error("{place}: {problem}")]
    Table {
        /// Where.
        place: Place,
        /// What is wrong and what to write instead.
        problem: String,
    },
    /// The policy engine contradicts itself: it refuses what it made.
    #[error("the policy engine failed on a valid bundle: {0}")]
    Engine(String),
}

impl BundleError {
    pub(crate) fn engine(error: impl std::error::Error) -> Self {
        Self::Engine(error.to_string())
    }
}
