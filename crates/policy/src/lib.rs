//! Policy: Cedar behind a three-valued, total decision (decision 8).
//!
//! A [`Bundle`] is a directory of files: `bundle.json` names the tools and which of their
//! arguments policy may see, `schema.cedarschema` types them, `*.cedar` holds the policies;
//! `delegation.json` and `session.json`, where they are there, hold rules for delegations and for
//! sessions and are not looked at here; `tests/*.json` are [`Table`]s of calls and what is to be decided of
//! them, run by who asks for it. It is checked whole when it is loaded and named by one digest. Pure: time is an argument, nothing
//! here reads a file. Nothing here knows of delegations either; the session translates.
//!
//! # Vocabulary
//!
//! All names live in the Cedar namespace `Chancery`.
//!
//! | entity | id | attributes | parent |
//! | --- | --- | --- | --- |
//! | `Instance` | SPIFFE ID | `agent`, `principal`, `mission`: String; `depth`, `attestation_level`: Long; `isolated`, `asserted`: Bool | `Agent` |
//! | `Agent` | agent id | - | - |
//! | `Tool` | `server/tool` | `server`, `name`: String; `read_only`, `destructive`: Bool | `Server` |
//! | `Resource` | `server/uri` | `server`, `uri`: String | `Server` |
//! | `Prompt` | `server/prompt` | `server`, `name`: String | `Server` |
//! | `Server` | name | - | - |
//!
//! The action of a tool call is `Chancery::Action::"server/tool"`; a resource is read by
//! `Chancery::Action::"read_resource"`, a prompt taken by `Chancery::Action::"get_prompt"`. A server
//! name holds no slash, so the three never meet.
//!
//! The context is `args` (what `bundle.json` declares for the tool), `session` (`calls`,
//! `cost_micros`, `denied`, `escalated`, `minutes`, `rows`, `resources`, `trust`: Long; `tainted`:
//! Bool) and `now` (datetime).
//! [`schema_text`] writes the schema that belongs to a `bundle.json`; an operator may add action
//! groups to it.
//!
//! # Annotations
//!
//! `@id` is required and unique. `@effect("ask")` turns a permit into an ask. `@reason` is shown to
//! people. Any other annotation is refused.

mod analysis;
mod bundle;
mod cmcp;
mod conditions;
mod decision;
mod error;
mod explain;
mod files;
mod formula;
mod index;
mod place;
mod policies;
mod projection;
mod question;
mod request;
mod schema;
mod signed;
mod slices;
mod suggest;
mod table;
mod tool;
mod vocabulary;

pub use analysis::{Finding, Proven};
pub use bundle::Bundle;
pub use cmcp::{CmcpError, cmcp_digest};
pub use decision::{Cause, Decision, Outcome};
pub use error::BundleError;
pub use explain::{Account, Effect, Explanation, Said};
pub use files::{Files, MAX_BUNDLE_BYTES, MAX_BUNDLE_FILES, TESTS_FOLDER, bundle_digest};
pub use index::{BUNDLE_FILE, DELEGATION_FILE, Index, SCHEMA_FILE, SESSION_FILE};
pub use place::Place;
pub use policies::MAX_POLICIES;
pub use question::{Question, QuestionError};
pub use request::{Annotations, Kind, Principal, Request, SessionFacts, Target};
pub use schema::schema_text;
pub use signed::{BundleSignature, SignedBundle};
pub use suggest::suggest;
pub use table::{Expected, Row, Table};
pub use tool::{ArgType, Argument, CostError, CostUnit, Tool};
