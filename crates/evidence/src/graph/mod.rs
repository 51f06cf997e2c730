//! The graph of a log: who could do what on whose behalf, and who did.
//!
//! [`graph`] derives it from verified entries and objects; [`sketch::Sketch`] folds what is alike so that a
//! picture stays readable; [`dot`], [`mermaid`] and [`svg`] write pictures. What others wrote is
//! escaped for each format, and what cannot be seen in it is made visible.

mod build;
mod dot;
mod grants;
mod mermaid;
mod model;
mod read;
mod select;
mod shapes;
mod shown;
mod sketch;
mod svg;
mod words;

pub use dot::dot;
pub use mermaid::mermaid;
pub use model::{
    Basis, Called, DelegationNode, Edge, Extent, Grants, Graph, GraphFormat, How, InstanceNode,
    LogBasis, MayCall, Node, Over, Revoked, SessionNode, Subject, What, Withdrawal,
};
pub use read::{GraphError, graph};
pub use sketch::{Expand, Sketch};
pub use svg::svg;
