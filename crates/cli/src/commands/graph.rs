//! `chancery graph`: who could do what on whose behalf, and who did.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, ensure};
use chancery_audit::{Entry, Event};
use chancery_crypto::AwsLc;
use chancery_evidence::graph::{Expand, Extent, Graph, Sketch, Subject, dot, graph, mermaid, svg};
use chancery_evidence::{Files, object_path};
use chancery_gateway::{KeptObject, KeptObjects};
use chancery_identity::trust::VerifiedTrust;
use chancery_journal::Reader;
use chancery_server::Clock;
use chancery_types::Digest;
use chancery_types::id::SessionId;

use super::verify::read_evidence;
use crate::args::{Format, GraphArgs, GraphOf};
use crate::deployment::{Layout, read_trust};
use crate::output;

pub(super) fn run(format: Format, args: &GraphArgs) -> anyhow::Result<ExitCode> {
    let subject = subject(&args.of);
    let trust = args.trust.as_deref().map(read_trust).transpose()?;
    let files = match &args.evidence {
        Some(folder) => read_evidence(folder)?,
        None => read_deployment(&Layout::open(&args.data.data)?, &subject)?,
    };
    let format = match (format, &args.out) {
        (Format::Text, Some(out)) => by_name(out)?,
        (format, _) => format,
    };
    let drawn = made(&files, trust.as_ref(), &subject)?;
    let text = picture(&drawn, format, &expand(&args.expand))?;
    match &args.out {
        Some(out) => {
            std::fs::write(out, text).with_context(|| out.display().to_string())?;
        }
        None => output::result(Format::Text, &text, || text.clone())?,
    }
    Ok(if drawn.basis.verified == Extent::EvidenceFailed {
        output::say("error: the evidence does not verify: run verify and read its findings");
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// The picture of a session from its evidence, to stand in a page.
pub(crate) fn session_svg(
    files: &Files,
    trust: &VerifiedTrust,
    session: SessionId,
) -> anyhow::Result<String> {
    let drawn = made(files, Some(trust), &Subject::Session(session))?;
    picture(&drawn, Format::Svg, &Expand::Nothing)
}

fn made(files: &Files, trust: Option<&VerifiedTrust>, subject: &Subject) -> anyhow::Result<Graph> {
    Ok(graph(files, trust, &AwsLc, subject, Clock::machine())?)
}

fn picture(graph: &Graph, format: Format, expand: &Expand) -> anyhow::Result<String> {
    if format == Format::Json {
        let mut text = serde_json::to_string_pretty(graph)?;
        text.push('\n');
        return Ok(text);
    }
    let sketch = Sketch::new(graph, expand);
    ensure!(
        sketch.missing().is_empty(),
        "--expand {}: the picture has no such stack; draw it without --expand and read their names",
        sketch.missing().join(", ")
    );
    Ok(match format {
        Format::Svg => svg(&sketch),
        Format::Mermaid => mermaid(&sketch),
        Format::Dot => dot(&sketch),
        Format::Text | Format::Json => sketch.to_string(),
    })
}

fn subject(of: &GraphOf) -> Subject {
    match (of.session, of.person, &of.agent) {
        (Some(session), _, _) => Subject::Session(session),
        (_, Some(person), _) => Subject::Person(person),
        (_, _, agent) => Subject::Agent(agent.clone().unwrap_or_default()),
    }
}

fn by_name(out: &Path) -> anyhow::Result<Format> {
    let ending = out.extension().and_then(|ending| ending.to_str());
    match ending {
        Some("svg") => Ok(Format::Svg),
        Some("mmd" | "mermaid") => Ok(Format::Mermaid),
        Some("dot" | "gv") => Ok(Format::Dot),
        Some("json") => Ok(Format::Json),
        Some("txt") => Ok(Format::Text),
        _ => anyhow::bail!(
            "{}: the name does not say which picture; end it with .svg, .mmd, .dot or .json, or give \
             --format",
            out.display()
        ),
    }
}

fn expand(names: &[String]) -> Expand {
    if names.iter().any(|name| name == "all") {
        return Expand::Everything;
    }
    match names {
        [] => Expand::Nothing,
        names => Expand::Stacks(names.iter().cloned().collect()),
    }
}

/// The logs of a deployment as they are published now, and of the gateway's objects those that say
/// what the delegations of the subject grant and who is disclosed.
fn read_deployment(layout: &Layout, subject: &Subject) -> anyhow::Result<Files> {
    let only = match subject {
        Subject::Session(session) => Some(*session),
        Subject::Person(_) | Subject::Agent(_) => None,
    };
    let staging = tempfile::tempdir().context("a folder for a copy of the logs")?;
    let mut wanted = BTreeSet::new();
    std::fs::create_dir(staging.path().join("log")).context("log")?;
    for (log, name) in [
        (layout.gateway_log(), "gateway"),
        (layout.server_log(), "server"),
    ] {
        let reader = Reader::open(&log)?;
        let (note, checkpoint) = reader
            .checkpoint()?
            .with_context(|| format!("{}: no checkpoint is published yet", log.display()))?;
        reader.export(&note, &staging.path().join("log").join(name))?;
        for entry in reader.entries(0..checkpoint.size)? {
            let event = Entry::parse(&entry?.1)?.event;
            let session = event.session();
            if only.is_none_or(|only| session == Some(only)) {
                wanted.extend(named(&event));
            }
        }
    }
    let mut files = read_evidence(staging.path())?;
    let reader = Reader::open(&layout.gateway_log())?;
    let kept = KeptObjects::open(&layout.gateway(), &reader)?;
    for digest in wanted {
        // What is not at hand the graph says.
        if let Ok(KeptObject::Bytes(bytes)) = kept.get(digest) {
            files.insert(object_path(digest), bytes);
        }
    }
    Ok(files)
}

/// The signed form that an entry names.
fn named(event: &Event) -> Option<Digest> {
    match event {
        Event::DelegationRoot(root) => Some(root.link),
        Event::DelegationEnrol(enrol) => Some(enrol.link),
        _ => None,
    }
}
