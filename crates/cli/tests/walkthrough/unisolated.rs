//! A machine that gives no user namespaces: what cannot be isolated is refused, or runs and says so.

use super::deployment::{Deployment, text};
use super::place::{Ran, chancery, checkout};

/// Runs what follows as another user, in a user namespace that permits no further one.
const CONFINED: &str = "echo 0 >/proc/sys/user/max_user_namespaces && \
    exec setpriv --no-new-privs --ambient-caps=-all --inh-caps=-all \"$@\"";

#[test]
fn without_user_namespaces_an_agent_runs_only_where_that_is_asked_for() {
    let deployment = Deployment::with_person();
    let agent = checkout().join("demo/agent.sh");
    deployment.agent("books", text(&agent));
    let run = |mode: &str| {
        let mut command = deployment.place.command("unshare");
        command.args([
            "--user",
            "--map-user=1000",
            "--map-group=1000",
            "--keep-caps",
        ]);
        command.args(["bash", "-c", CONFINED, "bash", chancery(), "run"]);
        command.args(["--agent", "books", "--isolation", mode, "--"]);
        command.args([text(&agent), "balance", r#"{"book":"north"}"#]);
        command
    };
    let refused = Ran::to_the_end(&mut run("required"), &deployment.place);
    refused.refused(
        1,
        &[
            "cannot be isolated",
            "user.max_user_namespaces",
            "best-effort",
        ],
    );

    let running = super::place::Started::new(&mut run("best-effort"), &deployment.place);
    deployment.delegate(&["ledger/balance"]);
    let ran = running.ended();
    assert!(ran.err.contains("(unisolated)"), "{ran:?}");
    assert!(ran.ok().contains("invoices_open"));
}
