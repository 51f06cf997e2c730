//! `chancery presentation`.

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, ensure};
use chancery_crypto::{AwsLc, random_bytes};
use chancery_evidence::presentation::{
    Challenge, MAX_PRESENTATION_BYTES, Policy, PresentationContext, PresentationRefusal, Shown,
    verify_presentation,
};
use chancery_types::to_canonical;
use serde::Serialize;

use super::connect::bridge;
use crate::args::{
    ChallengeArgs, Format, MakePresentationArgs, PresentationCommand, VerifyPresentationArgs,
};
use crate::deployment::read_trust;
use crate::output;

/// Most bytes of a challenge.
const MOST_CHALLENGE: usize = 8_192;

pub(super) async fn run(format: Format, command: PresentationCommand) -> anyhow::Result<ExitCode> {
    match command {
        PresentationCommand::Challenge(args) => challenge(format, &args),
        PresentationCommand::Make(args) => make(&args).await,
        PresentationCommand::Verify(args) => verify(format, &args),
    }
}

fn challenge(format: Format, args: &ChallengeArgs) -> anyhow::Result<ExitCode> {
    let now = super::mission::now()?;
    let challenge = Challenge::new(&args.audience, random_bytes()?, now)
        .with_context(|| format!("--audience {}", args.audience))?;
    let shown = || args.out.display().to_string();
    super::absent(&args.out)?;
    let mut file = std::fs::File::create_new(&args.out).with_context(shown)?;
    file.write_all(&to_canonical(&challenge)?)
        .with_context(shown)?;
    output::result(format, &challenge, || {
        format!(
            "{}: good for one answer until {}",
            shown(),
            challenge.expires
        )
    })?;
    Ok(ExitCode::SUCCESS)
}

async fn make(args: &MakePresentationArgs) -> anyhow::Result<ExitCode> {
    let bytes = read(&args.challenge, MOST_CHALLENGE)?;
    let challenge =
        Challenge::parse(&bytes).with_context(|| args.challenge.display().to_string())?;
    ensure!(
        challenge.audience == args.audience,
        "{}: asked by {}, not by {}: whoever passed it on would be taken for this agent",
        args.challenge.display(),
        challenge.audience,
        args.audience
    );
    let made = bridge()?.present(&challenge).await?;
    // One spelling in every format: a presentation is its bytes.
    let text = String::from_utf8(made.to_bytes()?)?;
    output::result(Format::Text, &(), || text)?;
    Ok(ExitCode::SUCCESS)
}

#[derive(Serialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
enum Verdict<'a> {
    Verified(&'a Shown),
    Refused {
        reason: &'static str,
        message: String,
    },
}

fn verify(format: Format, args: &VerifyPresentationArgs) -> anyhow::Result<ExitCode> {
    let trust = read_trust(&args.trust)?;
    let bytes = read(&args.presentation, MAX_PRESENTATION_BYTES)?;
    let shown = || args.challenge.display().to_string();
    let challenge = read(&args.challenge, MOST_CHALLENGE)?;
    let challenge = Challenge::parse(&challenge).with_context(shown)?;
    // Before anything is looked at: whatever comes of it, there is no second answer.
    std::fs::remove_file(&args.challenge).with_context(shown)?;
    let context = PresentationContext {
        trust: &trust,
        now: super::mission::now()?,
        policy: Policy {
            max_snapshot_age: args.max_age,
        },
        verifier: &AwsLc,
    };
    match verify_presentation(&bytes, challenge, &context) {
        Ok(verified) => {
            let shown = Shown::from(&verified);
            output::result(format, &Verdict::Verified(&shown), || {
                format!("verified\n{shown}")
            })?;
            Ok(ExitCode::SUCCESS)
        }
        Err(refusal) => {
            let (reason, message) = (refusal.code(), said(refusal));
            let verdict = Verdict::Refused {
                reason,
                message: message.clone(),
            };
            output::result(format, &verdict, || {
                format!("refused: {message} ({reason})")
            })?;
            Ok(ExitCode::FAILURE)
        }
    }
}

fn said(refusal: PresentationRefusal) -> String {
    output::causes(&anyhow::Error::from(refusal))
}

/// The bytes of a small file or of standard input; one newline at the end is the writer's.
fn read(path: &Path, most: usize) -> anyhow::Result<Vec<u8>> {
    let shown = || path.display().to_string();
    let mut bytes = Vec::new();
    let read = super::open(path, most as u64 + 2)?.read_to_end(&mut bytes);
    read.with_context(shown)?;
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
    }
    Ok(bytes)
}
