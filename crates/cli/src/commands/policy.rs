//! `chancery policy`.

mod approvals;
mod diff;
mod sign;
mod suggest;
mod test;
mod unused;
mod why;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use chancery_audit::{Entry, Event};
use chancery_crypto::AwsLc;
use chancery_evidence::{Recorded, asked};
use chancery_identity::trust::{PolicySignersError, VerifiedTrust};
use chancery_journal::Reader;
use chancery_policy::{
    BUNDLE_FILE, DELEGATION_FILE, Files, Finding, Index, SCHEMA_FILE, SESSION_FILE, SignedBundle,
    TESTS_FOLDER, Table, schema_text,
};
use chancery_server::Clock;
use chancery_session::Rulebook;
use chancery_types::Digest;
use serde::Serialize;

use super::verify::read_evidence;
use crate::args::{Format, PolicyArgs, PolicyCommand};
use crate::deployment::Layout;
use crate::output;

/// How long the gateway may take to load a bundle; one of 10,000 policies takes half of it.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) async fn run(format: Format, args: PolicyArgs) -> anyhow::Result<ExitCode> {
    match args.command {
        PolicyCommand::Check(bundle) => {
            let files = to_files(read(&bundle.folder)?);
            let shown = || bundle.folder.display().to_string();
            let loaded = Rulebook::load(&files).with_context(shown)?;
            Table::read(&files).with_context(shown)?;
            let checked = Described {
                findings: loaded.analyse().with_context(shown)?,
                ..Described::of(&loaded)
            };
            output::result(format, &checked, || {
                let findings = checked.findings.iter().map(said);
                let findings: String = findings.collect();
                format!("{}: {checked}\n{findings}", shown())
            })?;
        }
        PolicyCommand::Why(args) => why::run(format, &args)?,
        PolicyCommand::Suggest(args) => suggest::run(format, &args)?,
        PolicyCommand::Unused(args) => unused::run(format, &args)?,
        PolicyCommand::Diff(args) => return diff::run(format, &args),
        PolicyCommand::Test(bundle) => return test::run(format, &bundle.folder),
        PolicyCommand::Schema(bundle) => {
            let folder = &bundle.folder;
            let index = Index::parse(&to_files(read(folder)?));
            let text = schema_text(&index.with_context(|| folder.display().to_string())?);
            output::result(format, &text, || text.clone())?;
        }
        PolicyCommand::Sign(signing) => sign::run(format, &args.data, &signing)?,
        PolicyCommand::Publish(bundle) => {
            let layout = super::layout(&args.data)?;
            // Read once: what is tested is what is signed and published.
            let texts = read(&bundle.folder)?;
            let shown = || bundle.folder.display().to_string();
            let files = to_files(texts.clone());
            let checked = Rulebook::load(&files).with_context(shown)?;
            test::require(&bundle.folder, &checked, &files)?;
            let Published { digest, log_index } =
                publish_texts(&layout, &bundle.folder, texts, &checked).await?;
            let in_force = in_force(&layout, digest).await?;
            if !in_force {
                output::say(
                    "the gateway has not put the bundle in force yet: is it running? It does when \
                     it is",
                );
            }
            let published = Described {
                log_index: Some(log_index),
                in_force: Some(in_force),
                ..Described::of(&checked)
            };
            output::result(format, &published, || {
                format!(
                    "{}: {published}, published, entry {log_index}; manifests bind a bundle: make \
                     and register those of the agents again",
                    bundle.folder.display()
                )
            })?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// A bundle that holds together.
#[derive(Debug, Serialize)]
struct Described<'a> {
    name: &'a str,
    version: u64,
    digest: Digest,
    tools: usize,
    policies: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    log_index: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    in_force: Option<bool>,
    /// What of it is not enforced.
    #[serde(skip_serializing_if = "Option::is_none")]
    unenforced: Option<String>,
    /// What is proven of its policies.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    findings: Vec<Finding>,
}

impl<'a> Described<'a> {
    fn of(bundle: &'a Rulebook) -> Self {
        let index = bundle.index();
        Self {
            name: index.name(),
            version: index.version(),
            digest: bundle.digest(),
            tools: index.tools().len(),
            policies: bundle.policy_ids().count(),
            log_index: None,
            in_force: None,
            unenforced: bundle.sessions().observe().map(ToString::to_string),
            findings: Vec::new(),
        }
    }
}

impl std::fmt::Display for Described<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "bundle {}, version {}, {} tools, {} policies, {}",
            self.name, self.version, self.tools, self.policies, self.digest
        )?;
        match &self.unenforced {
            Some(observed) => write!(f, ", UNENFORCED: {observed}"),
            None => Ok(()),
        }
    }
}

/// What is proven of a policy, in one line.
fn said(finding: &Finding) -> String {
    let about = match &finding.by {
        Some(by) => vec![by.clone()],
        None => finding.contradict.clone(),
    };
    let about = match about.is_empty() {
        true => String::new(),
        false => format!(" ({})", about.join(", ")),
    };
    let (place, policy, said) = (&finding.place, &finding.policy, finding.proven.said());
    format!("{place}: policy {policy:?} {said}{about}\n")
}

/// Evidence that holds, with what policy was asked in it.
fn recorded(evidence: &Path, trust: &VerifiedTrust) -> anyhow::Result<Recorded> {
    let files = read_evidence(evidence)?;
    asked(&files, trust, &AwsLc, Clock::machine()).map_err(|report| {
        anyhow::anyhow!(
            "{}: the evidence does not hold: see `chancery verify`; the first finding: {}",
            evidence.display(),
            report
                .findings
                .first()
                .map_or("none", |finding| finding.reason)
        )
    })
}

/// A bundle as it was published.
#[derive(Debug)]
pub(crate) struct Published {
    pub(crate) digest: Digest,
    pub(crate) log_index: u64,
}

/// Says aloud what of a bundle is not enforced.
fn warn_observed(bundle: &Rulebook) {
    if let Some(observed) = bundle.sessions().observe() {
        output::say(format!(
            "UNENFORCED: this bundle observes {observed}; what its policies deny or ask about passes \
             there and is enrolled. Take `observe` out of session.json to enforce it"
        ));
    }
}

/// Signs and publishes the bundle in a folder.
pub(crate) async fn publish(layout: &Layout, folder: &Path) -> anyhow::Result<Published> {
    let texts = read(folder)?;
    let bundle = Rulebook::load(&to_files(texts.clone()));
    let bundle = bundle.with_context(|| folder.display().to_string())?;
    publish_texts(layout, folder, texts, &bundle).await
}

/// Signs these files, which are the bundle's, with the deployment's key where it has it, adds what others
/// signed, and publishes them. Refuses where the signatures do not suffice.
async fn publish_texts(
    layout: &Layout,
    folder: &Path,
    files: BTreeMap<String, String>,
    bundle: &Rulebook,
) -> anyhow::Result<Published> {
    let shown = || folder.display().to_string();
    warn_observed(bundle);
    let mut signatures = approvals::read(folder, bundle.digest())?;
    if layout.has_policy_key() {
        signatures.push(sign::signature(&layout.policy_key()?, bundle.digest())?);
    }
    let trust = layout.trust()?;
    let known = &trust.policy_signers;
    let request = SignedBundle::gathered(files, &signatures, known, &AwsLc);
    let request = request
        .ok_or(PolicySignersError::Nobody)
        .with_context(shown)?;
    trust
        .check_policy_signers(request.signers(known, &AwsLc))
        .with_context(shown)?;
    let enrolled = layout.server_client().publish_policy(&request).await;
    Ok(Published {
        digest: bundle.digest(),
        log_index: enrolled
            .with_context(|| folder.display().to_string())?
            .log_index,
    })
}

/// Waits until the gateway's log says that the bundle governs there, so that whoever goes on is not
/// refused for what the gateway does not know yet. `false` where it does not say so in time.
async fn in_force(layout: &Layout, policy: Digest) -> anyhow::Result<bool> {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    let gateway = Reader::open(&layout.gateway_log())?;
    let (mut read, mut governs) = (0, None);
    loop {
        let size = gateway.size()?;
        for entry in gateway.entries(read..size)? {
            if let Event::SnapshotAdopt(adopt) = Entry::parse(&entry?.1)?.event {
                governs = Some(adopt.policy);
            }
        }
        read = size;
        if governs == Some(policy) || tokio::time::Instant::now() >= deadline {
            return Ok(governs == Some(policy));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// The bundle in a folder, once it is seen to hold together.
pub(crate) fn load(folder: &Path) -> anyhow::Result<Rulebook> {
    Rulebook::load(&to_files(read(folder)?)).with_context(|| folder.display().to_string())
}

fn to_files(files: BTreeMap<String, String>) -> Files {
    let files = files.into_iter();
    files
        .map(|(name, text)| (name, text.into_bytes()))
        .collect()
}

fn read(folder: &Path) -> anyhow::Result<BTreeMap<String, String>> {
    let mut files = texts(folder, "", |name| {
        let known = [BUNDLE_FILE, SCHEMA_FILE, DELEGATION_FILE, SESSION_FILE];
        known.contains(&name) || name.ends_with(".cedar")
    })?;
    anyhow::ensure!(
        !files.is_empty(),
        "{}: no policy bundle here",
        folder.display()
    );
    let tests = folder.join(TESTS_FOLDER);
    if tests.is_dir() {
        let prefix = format!("{TESTS_FOLDER}/");
        files.extend(texts(&tests, &prefix, |name| name.ends_with(".json"))?);
    }
    Ok(files)
}

/// The files of a folder that are wanted by their name, each by its path in the bundle.
fn texts(
    folder: &Path,
    prefix: &str,
    wanted: impl Fn(&str) -> bool,
) -> anyhow::Result<BTreeMap<String, String>> {
    let shown = || folder.display().to_string();
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(folder).with_context(shown)? {
        let path = entry.with_context(shown)?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        if let Some(name) = name.filter(|name| wanted(name)) {
            let text =
                std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
            files.insert(format!("{prefix}{name}"), text);
        }
    }
    Ok(files)
}
