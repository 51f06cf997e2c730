//! Identities of others, and a second key of the own one.

use std::path::Path;

use chancery_agent::{AgentKey, NodeClient, NodeError, NodeIdentity as _};
use spiffe::{SpiffeId, WorkloadApiClient};

use super::attempts;
use crate::orders::{Attempt, Orders, Outcome};

/// Asks the Workload API for all it gives, and for a credential of another agent key.
pub(crate) async fn all(workload: &Path, orders: &Orders) -> Vec<Attempt> {
    let own = orders.own.as_str();
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
        "be issued another's JWT-SVID",
        [
            (target.clone(), own_token(&endpoint, own).await),
            (
                orders.neighbour.spiffe_id.clone(),
                others_token(&endpoint, &orders.neighbour.spiffe_id).await,
            ),
        ],
    ));
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

/// A token that nobody named a subject for, and the Workload API's own word about it.
async fn own_token(endpoint: &str, own: &str) -> Outcome {
    let asked = async {
        let client = WorkloadApiClient::connect_to(endpoint).await?;
        let svid = client.fetch_jwt_svid(["attacker"], None).await?;
        client.validate_jwt_token("attacker", svid.token()).await
    };
    match asked.await {
        Ok(svid) => others([svid.spiffe_id().to_string()].into_iter(), own),
        Err(error) => Outcome::Refused(error.to_string()),
    }
}

async fn others_token(endpoint: &str, other: &str) -> Outcome {
    let other = SpiffeId::new(other).unwrap();
    let asked = async {
        let client = WorkloadApiClient::connect_to(endpoint).await?;
        client.fetch_jwt_svid(["attacker"], Some(&other)).await
    };
    match asked.await {
        Ok(svid) => Outcome::Succeeded(svid.token().to_owned()),
        Err(error) => Outcome::Refused(error.to_string()),
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
