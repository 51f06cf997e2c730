//! What a broker is told that gets nothing (SPIFFE Broker API section 4.8).

use std::collections::HashMap;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use super::ReferenceError;
use crate::workload::NO_IDENTITY;

/// Whose reasons these are.
const DOMAIN: &str = "spiffe.io";

/// The reference names nobody.
pub(super) fn invalid(error: ReferenceError) -> Status {
    refused(
        Code::InvalidArgument,
        "WORKLOAD_REFERENCE_INVALID",
        &error.to_string(),
    )
}

/// A process id that the node would read as another process's.
pub(super) fn elsewhere() -> Status {
    let said =
        "the broker is in another pid namespace than the node: its process ids mean others here";
    refused(Code::InvalidArgument, "WORKLOAD_REFERENCE_INVALID", said)
}

/// There is no such workload, or none any more.
pub(super) fn not_found() -> Status {
    let said = "the workload does not run on this host";
    refused(Code::NotFound, "WORKLOAD_NOT_FOUND", said)
}

/// The workload is entitled to nothing, or to nothing that this broker may have.
pub(super) fn not_entitled() -> Status {
    refused(Code::PermissionDenied, "WORKLOAD_NOT_ENTITLED", NO_IDENTITY)
}

/// The same with the reasons of the Broker API, where another part of the node refused.
pub(super) fn translated(status: Status) -> Status {
    if status.code() == Code::PermissionDenied && status.message() == NO_IDENTITY {
        return not_entitled();
    }
    status
}

fn refused(code: Code, reason: &str, message: &str) -> Status {
    let details = ErrorDetails::with_error_info(reason, DOMAIN, HashMap::new());
    Status::with_error_details(code, message, details)
}
