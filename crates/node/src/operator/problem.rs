use chancery_api::Problem;
use chancery_types::causes;
use http::StatusCode;

use crate::IssuerError;
use crate::launches::LaunchError;

/// What the operator is told when a launch is refused: one code for each cause.
pub(super) fn of(error: &LaunchError) -> Problem {
    let message = causes(error);
    match error {
        LaunchError::Caller(_) => Problem::forbidden("caller_unknown", message),
        LaunchError::CallerNamespace => Problem::forbidden("caller_namespace", message)
            .with_remedy("register from the pid namespace that the node runs in"),
        LaunchError::Init { .. } => Problem::conflict("process_unknown", message).with_remedy(
            "register while the process runs, and let the node's user read its /proc entry",
        ),
        LaunchError::NotADescendant(_) => Problem::forbidden("not_a_descendant", message)
            .with_remedy("let the process that starts the agent register it"),
        LaunchError::NoInit => Problem::bad_request("no_init_pid", message),
        LaunchError::NotIsolated(_) => Problem::forbidden("not_isolated", message)
            .with_remedy("start it in a pid namespace of its own, or register it as unisolated"),
        LaunchError::NotInit(_) => Problem::forbidden("not_namespace_init", message)
            .with_remedy("register the first process of the pid namespace"),
        LaunchError::Taken => Problem::conflict("launch_taken", message)
            .with_remedy("one process is one instance: wait for its end or withdraw it"),
        LaunchError::OtherParent { .. } => Problem::forbidden("parent_mismatch", message)
            .with_remedy("let the instance that is named start the process itself"),
        LaunchError::ParentEnded(_) => Problem::forbidden("parent_ended", message),
        LaunchError::ParentRevoked(_) => Problem::forbidden("parent_revoked", message),
        LaunchError::Issuer(IssuerError::Refused { reason }) if of_spawning(reason) => {
            let problem = Problem::forbidden(reason, message);
            match reason.as_str() {
                "spawn_not_allowed" => problem.with_remedy(
                    "chancery agent register MANIFEST --may-spawn AGENT, of the parent",
                ),
                "spawn_limit" => problem.with_remedy(
                    "wait for a child to end, or register the parent with a larger --spawn-at-once",
                ),
                "spawn_outlive_not_allowed" => {
                    problem.with_remedy("register the parent with --spawn-outlive as well")
                }
                _ => problem,
            }
        }
        LaunchError::Issuer(IssuerError::Refused { reason }) => {
            let problem = Problem::forbidden("instance_refused", message);
            match reason.as_str() {
                "agent_unknown" => problem.with_remedy(
                    "register the agent with `chancery agent register`, or name one that \
                     `chancery agent list` shows",
                ),
                "revoked" => {
                    problem.with_remedy("`chancery revoke list` says what is revoked and why")
                }
                "code_mismatch" => problem.with_remedy(
                    "start the program that the agent's manifest names, or register a manifest \
                     that names this one",
                ),
                "isolation_required" => problem.with_remedy(
                    "the agent's registration requires an isolated instance: start it \
                     with `chancery run` where the machine can isolate",
                ),
                "attestation_required" => problem.with_remedy(
                    "start it where more vouches for it, or see what `chancery agent show` says \
                     that its registration requires",
                ),
                _ => problem,
            }
        }
        LaunchError::Issuer(IssuerError::Unavailable(_)) => {
            Problem::unavailable("issuer_unavailable", message)
                .with_remedy("see that the server runs, then launch again")
        }
        LaunchError::OtherAgent => {
            Problem::new(StatusCode::BAD_GATEWAY, "issuer_contradicts", message)
        }
        LaunchError::Random(_) => Problem::unavailable("no_randomness", message),
        LaunchError::Record(_) => Problem::unavailable("not_noted", message)
            .with_remedy("see that the node's disk can be written"),
    }
}

/// Whether a refusal is about who started the process.
fn of_spawning(reason: &str) -> bool {
    reason.starts_with("parent_")
        || reason.starts_with("spawn_")
        || ["launch_lifetime", "outlive_without_parent"].contains(&reason)
}
