//! `chancery approvals`.

use std::process::ExitCode;

use chancery_api::server::{AnswerApproval, Approval, ApprovalState, ServerClient};
use chancery_delegation::Verdict;

use crate::args::{AnswerArgs, ApprovalsArgs, ApprovalsCommand, Format};
use crate::deployment::Authenticator;
use crate::output;

pub(super) async fn run(format: Format, args: ApprovalsArgs) -> anyhow::Result<ExitCode> {
    let server = super::layout(&args.data)?.server_client();
    match args.command {
        ApprovalsCommand::List { all } => list(format, &server, all).await?,
        ApprovalsCommand::Show { id } => {
            let approval = server.approval(id, 0).await?;
            output::result(format, &approval, || shown(&approval))?;
        }
        ApprovalsCommand::Approve(args) => {
            return answer(format, &server, args, Verdict::Approve).await;
        }
        ApprovalsCommand::Deny(args) => return answer(format, &server, args, Verdict::Deny).await,
    }
    Ok(ExitCode::SUCCESS)
}

async fn list(format: Format, server: &ServerClient, all: bool) -> anyhow::Result<()> {
    let mut approvals = server.approvals().await?;
    if !all {
        approvals
            .approvals
            .retain(|approval| approval.state == ApprovalState::Pending);
    }
    output::result(format, &approvals, || {
        let rows = approvals.approvals.iter().map(|approval| {
            let subject = &approval.request.subject;
            [
                approval.request.approval_id.to_string(),
                state(approval).to_owned(),
                format!("{}/{}", subject.server, subject.tool),
                subject.arguments.clone(),
                approval.request.expires_at.to_string(),
            ]
        });
        output::table(["request", "state", "tool", "arguments", "expires"], rows)
    })
}

const fn state(approval: &Approval) -> &'static str {
    match approval.state {
        ApprovalState::Pending => "pending",
        ApprovalState::Approved => "approved",
        ApprovalState::Denied => "denied",
        ApprovalState::Expired => "expired",
        ApprovalState::Withdrawn => "withdrawn",
    }
}

/// What a person sees before they sign.
pub(crate) fn shown(approval: &Approval) -> String {
    let (request, subject) = (&approval.request, &approval.request.subject);
    let taint = match subject.taint.as_slice() {
        [] => "nothing untrusted".to_owned(),
        sources => sources.join(", "),
    };
    let holds = match subject.grant_seconds {
        None => "for this action, once".to_owned(),
        Some(seconds) => format!("for this tool and resource, {seconds} s"),
    };
    let sums: Vec<String> = subject
        .sums
        .iter()
        .map(|sum| format!("{} {} of {}", sum.name, sum.total, sum.limit))
        .collect();
    let sums = match sums.as_slice() {
        [] => "no limits".to_owned(),
        sums => sums.join(", "),
    };
    let rows = [
        ["request", &request.approval_id.to_string()],
        ["state", state(approval)],
        ["tool", &format!("{}/{}", subject.server, subject.tool)],
        ["arguments", &subject.arguments],
        ["instance", &subject.instance],
        ["on behalf of", &subject.principal],
        ["mission", &subject.mission_s256],
        ["mission step", &subject.step],
        ["asked for by", &subject.policies.join(", ")],
        ["calls so far", &subject.session_calls.to_string()],
        ["sums so far", &sums],
        ["trust", &subject.trust.to_string()],
        ["has read", &taint],
        ["approval holds", &holds],
        ["session", &request.session_id.to_string()],
        ["action", &request.action_digest.to_string()],
        ["policy", &request.policy_digest.to_string()],
        ["expires", &request.expires_at.to_string()],
    ];
    output::table(["what", "value"], rows.map(|row| row.map(str::to_owned)))
}

async fn answer(
    format: Format,
    server: &ServerClient,
    args: AnswerArgs,
    verdict: Verdict,
) -> anyhow::Result<ExitCode> {
    let authenticator = Authenticator::open(&args.authenticator)?;
    let approval = server.approval(args.id, 0).await?;
    anyhow::ensure!(
        approval.state == ApprovalState::Pending,
        "request {} is {}",
        args.id,
        state(&approval)
    );
    if args.yes {
        anyhow::ensure!(
            authenticator.is_stand_in(),
            "--yes answers only with a stand-in authenticator; a person answers on a terminal"
        );
    } else {
        output::say(shown(&approval));
        let what = match verdict {
            Verdict::Approve => format!("{}?", approval.request.subject.approval()),
            Verdict::Deny => "Refuse this?".to_owned(),
        };
        if !output::confirm(&what)? {
            output::say("nothing was signed");
            return Ok(ExitCode::FAILURE);
        }
    }
    let answer = sign(&approval, verdict, &authenticator)?;
    server.answer_approval(args.id, &answer).await?;
    let approval = server.approval(args.id, 0).await?;
    output::result(format, &approval, || {
        format!(
            "request {}: {} ({})",
            args.id,
            state(&approval),
            authenticator.marks()
        )
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Signs an answer to exactly what was shown.
pub(crate) fn sign(
    approval: &Approval,
    verdict: Verdict,
    authenticator: &Authenticator,
) -> anyhow::Result<AnswerApproval> {
    let statement = approval.request.statement(verdict)?;
    let assertion = authenticator.assert(&statement.challenge()?)?;
    Ok(AnswerApproval {
        statement: serde_json::to_value(&statement)?,
        assertion,
    })
}
