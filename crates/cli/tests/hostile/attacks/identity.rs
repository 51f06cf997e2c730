//! Identities of others, and a second key of the own one.

use std::path::Path;

use chancery_agent::{AgentKey, NodeClient, NodeError, NodeIdentity as _};
use spiffe::WorkloadApiClient;

use super::attempts;
use crate::orders::{Attempt, Outcome};

/// Asks the Workload API for all it gives, and for a credential of another agent key.
pub(crate) async fn all(workload: &Path, own: &str) -> Vec<Attempt> {
    let target = workload.display().to_string();
    let endpoint = format!("unix:{target}");
    let outcome = match WorkloadApiClient::connect_to(&endpoint).await {
        Ok(client) => match client.fetch_all_x509_svids().await {
            Ok(svids) => others(svids.iter().map(|svid| svid.spiffe_id().to_string()), own),
            Err(error) => Outcome::Refused(error.to_string()),
        },
        Err(error) => Outcome::Refused(error.to_string()),
    };
    let mut made = attempts("be issued another's SVID", [(target.clone(), outcome)]);
    made.extend(attempts(
        "have a second agent key certified",
        [(target, second_key(workload).await)],
    ));
    made
}

fn others(names: impl Iterator<Item = String>, own: &str) -> Outcome {
    let (own, others): (Vec<_>, Vec<_>) = names.partition(|name| name == own);
    match (own.len(), others.is_empty()) {
        (1, true) => Outcome::Refused("only the own one".to_owned()),
        _ => Outcome::Succeeded(others.join(", ")),
    }
}

async fn second_key(workload: &Path) -> Outcome {
    let node = match NodeClient::connect(workload).await {
        Ok(node) => node,
        Err(error) => return Outcome::Refused(error.to_string()),
    };
    match node.credential(&AgentKey::generate().unwrap()).await {
        Ok(credential) => Outcome::Succeeded(credential.wit),
        Err(NodeError::Refused { message }) => Outcome::Refused(message),
        Err(error) => Outcome::Refused(error.to_string()),
    }
}
