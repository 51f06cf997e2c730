//! `chancery policy suggest`: the narrowest policies under which what was allowed is allowed.

use anyhow::Context as _;
use chancery_audit::Ruling;
use chancery_evidence::Asked;
use chancery_policy::{Bundle, Cause, Outcome, Question, SCHEMA_FILE, TESTS_FOLDER, suggest};

use super::{read, recorded, to_files};
use crate::args::{Format, PolicySuggestArgs};
use crate::deployment::read_trust;
use crate::output;

/// The file of the draft in the bundle that it is tried in.
const DRAFT: &str = "suggested.cedar";

pub(super) fn run(format: Format, args: &PolicySuggestArgs) -> anyhow::Result<()> {
    let shown = || args.folder.display().to_string();
    let mut files = to_files(read(&args.folder)?);
    let index = chancery_policy::Index::parse(&files).with_context(shown)?;
    let trust = read_trust(&args.trust)?;
    let mut calls = Calls::default();
    for evidence in &args.evidence {
        let recorded = recorded(evidence, &trust)?;
        for asked in recorded.asked {
            let bundle = recorded.bundles.get(&asked.policy);
            let cause = bundle.map(|it| it.decide(&asked.question.request()).cause);
            calls.take(asked, cause, args.also_forbidden);
        }
    }
    let went_on = calls.allowed.iter().map(|(call, cause)| (call, *cause));
    let text = suggest(&index, went_on);
    // The draft alone, so that nothing else lets anything pass.
    files.retain(|path, _| !path.ends_with(".cedar") && !path.starts_with(TESTS_FOLDER));
    files.insert(DRAFT.to_owned(), text.clone().into_bytes());
    files
        .entry(SCHEMA_FILE.to_owned())
        .or_insert_with(|| chancery_policy::schema_text(&index).into_bytes());
    let draft = Bundle::load(&files).context("the draft is not a bundle")?;
    output::say(calls.shown(&draft));
    output::result(format, &text, || text.clone())
}

/// The calls that are recorded.
#[derive(Default)]
struct Calls {
    /// Those that went on and are drafted, with why policy said what it said of them.
    allowed: Vec<(Question, Cause)>,
    others: Vec<Question>,
    unenforced: u64,
    /// Those that went on against a forbid.
    forbidden: u64,
    are_forbidden_left_out: bool,
}

impl Calls {
    fn take(&mut self, asked: Asked, cause: Option<Cause>, also_forbidden: bool) {
        self.are_forbidden_left_out = !also_forbidden;
        // What it rests on is not there to be asked: nothing says that it was permitted.
        let cause = cause.unwrap_or(Cause::Forbid);
        match asked.ruling {
            Ruling::Deny | Ruling::Escalate => self.others.push(asked.question),
            Ruling::Allow => {
                self.unenforced += u64::from(asked.unenforced);
                // What a policy forbids by name was meant, silence was not.
                let is_forbidden = matches!(cause, Cause::Forbid | Cause::EvaluationError);
                self.forbidden += u64::from(is_forbidden);
                if also_forbidden || !is_forbidden {
                    self.allowed.push((asked.question, cause));
                }
            }
        }
    }

    fn shown(&self, draft: &Bundle) -> String {
        let outcome = |question: &Question| draft.decide(&question.request()).outcome;
        let mut drafted = self.allowed.iter();
        let asked = drafted
            .clone()
            .filter(|(call, _)| outcome(call) == Outcome::Escalate)
            .count();
        let left = drafted
            .by_ref()
            .filter(|(call, _)| outcome(call) == Outcome::Deny)
            .count();
        let others = self.others.iter();
        let more = others
            .filter(|call| outcome(call) == Outcome::Allow)
            .count();
        let left_out = match (self.forbidden, self.are_forbidden_left_out) {
            (0, _) | (_, false) => "",
            (_, true) => " and left out (--also-forbidden drafts them too)",
        };
        format!(
            "drafted from {} calls that went on; {} calls were unenforced; {} went against a forbid{left_out}; a \
             person is asked about {asked}; {left} are not covered, since bundle.json does not declare them so; \
             {more} of {} other calls would be allowed as well",
            self.allowed.len(),
            self.unenforced,
            self.forbidden,
            self.others.len()
        )
    }
}
