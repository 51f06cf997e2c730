//! `chancery mission`.

use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use chancery_delegation::{Approver, Entry, MISSION_FORM, Mission, StopCondition};
use chancery_types::{Digest, Timestamp};
use serde::Serialize;
use serde_json::{Value, json};

use super::delegate::grant;
use crate::args::{Format, MissionCommand, NewMissionArgs};
use crate::output;

const DAY_SECONDS: u64 = 86_400;

#[derive(Serialize)]
struct Checked {
    digest: Digest,
    /// `mission_s256` of a root.
    mission_s256: String,
    goal: String,
    steps: Vec<String>,
    expires: Timestamp,
}

pub(super) fn run(format: Format, command: &MissionCommand) -> anyhow::Result<ExitCode> {
    match command {
        MissionCommand::Check(args) => check(format, &args.file)?,
        MissionCommand::New(args) => {
            let text = new(args)?;
            Mission::parse(text.clone().into_bytes())?;
            // The document is the same in every format: it is JSON, and its bytes are its name.
            output::result(Format::Text, &text, || text.trim_end().to_owned())?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn check(format: Format, file: &Path) -> anyhow::Result<()> {
    let mission = read(file)?;
    let steps = mission.steps().iter().map(|step| step.id().to_owned());
    let checked = Checked {
        digest: mission.digest(),
        mission_s256: mission.digest().to_base64url(),
        goal: mission.goal().to_owned(),
        steps: steps.collect(),
        expires: mission.expires(),
    };
    let text = shown(&mission)?;
    output::result(format, &checked, || text)
}

/// Reads a mission document; errors name the file, the field and what helps.
pub(crate) fn read(file: &Path) -> anyhow::Result<Mission> {
    let bytes = std::fs::read(file).with_context(|| file.display().to_string())?;
    Mission::parse(bytes).with_context(|| format!("{} is no mission document", file.display()))
}

/// A mission as a person reads it before they sign.
pub(crate) fn shown(mission: &Mission) -> anyhow::Result<String> {
    let mut text = format!(
        "mission  {}\ngoal     {}\n",
        mission.digest(),
        mission.goal()
    );
    let outcome = serde_json::to_string(mission.outcome())?;
    let _ = writeln!(text, "outcome  {outcome}");
    for step in mission.steps() {
        let _ = writeln!(text, "step     {}: {}", step.id(), step.text());
        for entry in step.means() {
            let _ = writeln!(text, "           may use {}", means(entry));
        }
    }
    for entry in mission.forbidden() {
        let _ = writeln!(text, "never    {}", means(entry));
    }
    for condition in mission.stop_conditions() {
        let _ = writeln!(text, "stops    {}", stop(*condition));
    }
    let budget = mission.budget();
    let _ = writeln!(
        text,
        "budget   {} calls, {} millionths of cost, {} seconds",
        budget.calls, budget.cost_micros, budget.seconds
    );
    let approver = match mission.approver() {
        Approver::AnyApprover => "any approver of the trust document".to_owned(),
        Approver::Person(person) => person.to_string(),
    };
    let _ = writeln!(text, "answers  {approver}");
    let _ = write!(text, "expires  {}", mission.expires());
    Ok(text)
}

fn means(entry: &Entry) -> String {
    let named = format!(
        "{} {}/{}",
        entry.target().kind(),
        entry.server(),
        entry.target().name()
    );
    match entry.to_json().get("args") {
        Some(args) => format!("{named} with {args}"),
        None => named,
    }
}

fn stop(condition: StopCondition) -> String {
    match condition {
        StopCondition::BudgetUsed => "when the budget is used up".to_owned(),
        StopCondition::Elapsed(seconds) => format!("{seconds} seconds after the start"),
        StopCondition::DenialsInARow(count) => format!("after {count} denials in a row"),
        StopCondition::Escalations(count) => format!("after {count} questions to people"),
    }
}

fn new(args: &NewMissionArgs) -> anyhow::Result<String> {
    let entries = |texts: &[String]| {
        let entries = texts.iter().map(|text| grant(text));
        entries.collect::<anyhow::Result<Vec<Value>>>()
    };
    let seconds = args.days.saturating_mul(DAY_SECONDS);
    let expires = now()?.plus_seconds(seconds);
    let document = json!({
        "mission": MISSION_FORM,
        "goal": args.goal,
        "outcome": {"done": true},
        "steps": [{"id": "do", "text": args.goal, "means": entries(&args.allow)?}],
        "forbid": entries(&args.forbid)?,
        "stop": [{"when": "budget-used"}, {"when": "denials-in-a-row", "count": 10}],
        "budget": {
            "calls": args.calls,
            "cost_micros": 0,
            "seconds": args.minutes.saturating_mul(60),
        },
        "approver": {"role": "approver"},
        "expires": expires.to_string().replace(".000000Z", "Z"),
    });
    Ok(format!("{document:#}\n"))
}

pub(crate) fn now() -> anyhow::Result<Timestamp> {
    let since = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .context("the clock stands before 1970")?;
    Ok(Timestamp::from_seconds(since.as_secs()))
}
