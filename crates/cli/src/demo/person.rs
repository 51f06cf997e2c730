//! The person of a demo: on a terminal the one who sits there, otherwise a stand-in key that says
//! so.

use std::io::IsTerminal as _;
use std::sync::Arc;
use std::time::Duration;

use chancery_api::server::ApprovalState;
use chancery_delegation::Verdict;
use tokio::task::JoinHandle;

use crate::commands::approvals;
use crate::deployment::{Authenticator, Layout};
use crate::output;

/// Whether a person answers, or the stand-in.
pub(super) fn is_attended(unattended: bool) -> bool {
    !unattended && std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// Answers requests for approval until it is dropped.
pub(super) fn answer_requests(
    layout: &Layout,
    authenticator: Arc<Authenticator>,
    attended: bool,
) -> JoinHandle<anyhow::Result<()>> {
    let server = layout.server_client();
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(Duration::from_millis(200)).await;
            let Ok(listed) = server.approvals().await else {
                continue;
            };
            for approval in listed.approvals {
                if approval.state != ApprovalState::Pending {
                    continue;
                }
                let verdict = if attended {
                    output::say(approvals::shown(&approval));
                    let what = format!("{}?", approval.request.subject.approval());
                    let asked = tokio::task::spawn_blocking(move || output::confirm(&what));
                    if asked.await?? {
                        Verdict::Approve
                    } else {
                        Verdict::Deny
                    }
                } else {
                    Verdict::Approve
                };
                let answer = approvals::sign(&approval, verdict, &authenticator)?;
                server
                    .answer_approval(approval.request.approval_id, &answer)
                    .await?;
            }
        }
    })
}
