//! Federation: whose bundles are fetched from where, and which of them are taken (Federation).
//!
//! What is fetched, and over which connection, is for the caller; whether to take it is for here.

mod endpoint;
mod foreign;
mod relationships;

pub use endpoint::{
    EndpointProfile, EndpointUrl, EndpointUrlError, MAX_ENDPOINT_URL_BYTES, Relationship,
    RelationshipError,
};
pub use foreign::{
    Change, DEFAULT_REFRESH_SECONDS, FetchRefusal, ForeignBundle, MAX_REFRESH_SECONDS,
    MIN_REFRESH_SECONDS, StartError,
};
pub use relationships::{EndpointRefusal, FederateError, Federation};
