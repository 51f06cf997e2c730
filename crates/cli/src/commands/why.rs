//! `chancery why`.

use std::process::ExitCode;

use chancery_crypto::AwsLc;
use chancery_evidence::{Files, ReportOutcome, Story, why};
use chancery_identity::trust::VerifiedTrust;
use chancery_server::Clock;
use chancery_types::id::ExecutionId;

use super::verify::read_evidence;
use crate::args::{Format, WhyArgs};
use crate::deployment::read_trust;
use crate::output;

pub(super) fn run(format: Format, args: &WhyArgs) -> anyhow::Result<ExitCode> {
    let files = read_evidence(&args.evidence)?;
    let trust = args.trust.as_deref().map(read_trust).transpose()?;
    let story = story(&files, trust.as_ref(), args.action)?;
    output::result(format, &story, || {
        output::wrapped(&story.to_string(), STORY_COLUMN)
    })?;
    Ok(match story.evidence {
        ReportOutcome::Verified => ExitCode::SUCCESS,
        ReportOutcome::Unenforced
        | ReportOutcome::Erased
        | ReportOutcome::Failed
        | ReportOutcome::SelfAsserted => ExitCode::FAILURE,
    })
}

fn story(
    files: &Files,
    trust: Option<&VerifiedTrust>,
    execution: ExecutionId,
) -> anyhow::Result<Story> {
    Ok(why(files, trust, &AwsLc, execution, Clock::machine())?)
}

/// Where the second column of a story begins.
pub(crate) const STORY_COLUMN: usize = 16;

/// The whole story of one action, for people.
pub(crate) fn text(
    files: &Files,
    trust: Option<&VerifiedTrust>,
    execution: ExecutionId,
) -> anyhow::Result<String> {
    Ok(story(files, trust, execution)?.to_string())
}
