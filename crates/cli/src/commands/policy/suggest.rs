//! `chancery policy suggest`: the narrowest policies under which what was allowed is allowed.

use anyhow::Context as _;
use chancery_audit::Ruling;
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
    let (mut allowed, mut others) = (Vec::new(), Vec::new());
    let (mut unenforced, mut forbidden) = (0_u64, 0_u64);
    for evidence in &args.evidence {
        let recorded = recorded(evidence, &trust)?;
        for asked in recorded.asked {
            match asked.ruling {
                Ruling::Allow => {
                    // What a policy forbids by name was meant, silence was not.
                    let bundle = recorded.bundles.get(&asked.policy);
                    let cause = bundle.map(|it| it.decide(&asked.question.request()).cause);
                    unenforced += u64::from(asked.unenforced);
                    forbidden += u64::from(cause == Some(Cause::Forbid));
                    allowed.push(asked.question);
                }
                Ruling::Deny | Ruling::Escalate => others.push(asked.question),
            }
        }
    }
    let text = suggest(&index, &allowed);
    // The draft alone, so that nothing else lets anything pass.
    files.retain(|path, _| !path.ends_with(".cedar") && !path.starts_with(TESTS_FOLDER));
    files.insert(DRAFT.to_owned(), text.clone().into_bytes());
    files
        .entry(SCHEMA_FILE.to_owned())
        .or_insert_with(|| chancery_policy::schema_text(&index).into_bytes());
    let draft = Bundle::load(&files).context("the draft is not a bundle")?;
    let passes = |question: &&Question| draft.decide(&question.request()).outcome == Outcome::Allow;
    let left = allowed.len() - allowed.iter().filter(passes).count();
    let more = others.iter().filter(passes).count();
    output::say(format!(
        "drafted from {} allowed calls, {unenforced} of them unenforced, {forbidden} against a forbid; {left} of them are not covered, since bundle.json does not \
         declare them so; {more} of {} other calls would be allowed as well",
        allowed.len(),
        others.len()
    ));
    output::result(format, &text, || text.clone())
}
