//! The flow of a demo.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{ExitCode, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use chancery_api::server::{DraftRoot, Instance, InstanceState, MaySpawn, RegisterAgent};
use chancery_audit::Ruling;
use chancery_evidence::actions;
use chancery_types::id::{ExecutionId, SessionId};
use chancery_types::{Digest, base64url};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;
use tokio::process::Command;

use super::agents::orchestrator::{FOREIGN_CHAIN, Plan as Orders, Report as Told};
use super::agents::worker::Told as WorkerTold;
use super::office::{Office, TRUST_DOMAIN, own_program};
use super::plan::{OUT_OF_SCOPE, Plan, REVOKED};
use super::report::{self, ActionRow, Proven};
use super::run_folder::RunFolder;
use super::story::Story;
use super::withdrawal::{self, Withdrawn};
use super::{assets, person};
use crate::args::{DemoArgs, Format};
use crate::commands::agent::{Catalog, ManifestDraft, list_tools, register, sign};
use crate::commands::run::agent_id;
use crate::commands::{delegate, evidence, graph, trust, verify, why};
use crate::deployment::{Authenticator, read_trust};
use crate::gateway_config::{GatewayFile, ToolServer};
use crate::output;

/// How long the mission may take.
const PATIENCE: Duration = Duration::from_secs(300);

/// How many workers may live at once: the orchestrator starts one after the other.
const MOST_WORKERS: u64 = 4;

/// Runs the demo.
pub(crate) async fn run(format: Format, args: DemoArgs) -> anyhow::Result<ExitCode> {
    let bar = ProgressBar::new(9);
    bar.set_style(ProgressStyle::with_template(
        "{prefix:>12} {bar:20} {pos}/{len} {wide_msg}",
    )?);
    bar.set_prefix("demo");
    bar.enable_steady_tick(Duration::from_millis(200));
    let run = RunFolder::create(&args.out)?;
    let attended = person::is_attended(args.unattended);
    let mut story = Story {
        run_folder: run.path().display().to_string(),
        trust: run.trust().display().to_string(),
        ..Story::default()
    };
    bar.set_message("the tool server and the plan");
    let (tools, plan) = prepare(&run, &args).await?;
    bar.inc(1);
    bar.set_message("signer, server, node and gateway start");
    let office = Office::start(&run, plan.server, &tools).await?;
    story.tell(
        "signer, server, node and gateway run as processes of their own",
        true,
        office.processes(),
    );
    bar.inc(1);
    bar.set_message("a person is enrolled, agents are registered");
    let authenticator = enrol_person(&office, &run).await?;
    register_agents(&office, &run, &mut story).await?;
    bar.inc(1);
    bar.set_message("the person consents, the orchestrator starts");
    let orchestrator = start_orchestrator(&office, &run, &plan)?;
    let instance = waiting_instance(&office).await?;
    let request = DraftRoot {
        instance_id: instance.instance_id,
        person_id: authenticator.person_id(),
        mission: base64url::encode(plan.mission.as_bytes()),
        authorization_details: plan.grants.clone(),
        lifetime_seconds: None,
        max_depth: 1,
        gateway: None,
    };
    let issued = bar.suspend(|| {
        tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(delegate::consent(
                &office.layout.server_client(),
                &request,
                &plan.mission,
                &authenticator,
                !attended,
            ))
        })
    })?;
    let issued = issued.context("the person did not consent: nothing was delegated")?;
    story.tell(
        "a person consents to the mission and to exactly this authority",
        true,
        format!(
            "{} signs for {} ({}), entry {} of the server's log",
            authenticator.person_id(),
            instance.instance_id,
            authenticator.marks(),
            issued.log_index
        ),
    );
    bar.inc(1);
    bar.set_message(
        "workers, one after another; the gateway decides each call, the operator stops one",
    );
    let authenticator = Arc::new(authenticator);
    let answering = person::answer_requests(&office.layout, Arc::clone(&authenticator), attended);
    let earlier = plan.workers.len().saturating_sub(1);
    let stopping = withdrawal::watch(&office.layout, worker_agent(), earlier);
    let output = tokio::time::timeout(PATIENCE, orchestrator.wait_with_output())
        .await
        .context("the mission takes too long")??;
    answering.abort();
    ensure!(
        output.status.success(),
        "the orchestrator failed: {}; see {}",
        output.status,
        run.log_path("orchestrator")
    );
    let told = read_told(&output.stdout)?;
    bar.inc(1);
    bar.set_message("the session ends, evidence is copied");
    let session = tell_workers(&mut story, &told, &plan)?;
    let withdrawn = tokio::time::timeout(Duration::from_secs(5), stopping)
        .await
        .context("the operator revoked nobody")???;
    tell_withdrawal(&mut story, &told, &withdrawn);
    let instances = office.layout.server_client().instances().await?.instances;
    tell_deaths(&mut story, &told, &instances);
    evidence::export(&office.layout, session, &run.evidence()).await?;
    let trust = office.layout.trust()?;
    std::fs::write(run.trust(), trust.signed().to_bytes()?).context(story.trust.clone())?;
    bar.inc(1);
    bar.set_message("everything stops");
    office.stop().await?;
    story.tell(
        "every process of Chancery has stopped",
        true,
        "what follows is offline",
    );
    bar.inc(1);
    bar.set_message("why, and verify, from the evidence alone");
    let proven = prove(&mut story, &run, &authenticator, session).await?;
    let why_text = &proven.why;
    bar.inc(1);
    report::write(&run.report(), &story, &proven)?;
    bar.inc(1);
    bar.finish_and_clear();
    output::result(format, &story, || {
        format!(
            "{}report          {}\n\n{}\n",
            output::wrapped(&story.to_text(), 5),
            run.report().display(),
            output::wrapped(why_text, why::STORY_COLUMN),
        )
    })?;
    Ok(if story.went_well() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

async fn prepare(run: &RunFolder, args: &DemoArgs) -> anyhow::Result<(ToolServer, Plan)> {
    let Some((command, rest)) = args.tool_command.split_first() else {
        assets::write_books(&run.books())?;
        chancery_ledger::load(&run.ledger(), &run.books()).await?;
        let tools = ToolServer {
            command: own_program()?.display().to_string(),
            args: vec![
                "ledger".to_owned(),
                "serve".to_owned(),
                "--db".to_owned(),
                run.ledger().display().to_string(),
            ],
        };
        return Ok((tools, Plan::ledger(run)?));
    };
    let tools = ToolServer {
        command: command.clone(),
        args: rest.to_vec(),
    };
    let listed = list_tools(&tools).await.with_context(|| tools.shown())?;
    Ok((tools, Plan::other(run, &listed, &args.tool_command)?))
}

async fn enrol_person(office: &Office, run: &RunFolder) -> anyhow::Result<Authenticator> {
    let (layout, code) = (&office.layout, &office.enrol_code);
    trust::enrol_first(layout, code, &run.authenticator(), true).await
}

async fn register_agents(
    office: &Office,
    run: &RunFolder,
    story: &mut Story,
) -> anyhow::Result<()> {
    let server = office.layout.server_client();
    let config = GatewayFile::read(&office.layout.gateway_config())?;
    let code = Digest::of(std::fs::read(own_program()?).context("own program")?);
    let policy = server.status().await?.policy_digest;
    let catalog = Catalog::of(TRUST_DOMAIN, &config).await?;
    let key = office.layout.manifest_key()?;
    let mut seen = Vec::new();
    for (name, intent, starts) in [
        (
            "orchestrator",
            "Closes the month: hands each book to one worker and checks the result.",
            Some("worker"),
        ),
        (
            "worker",
            "Reconciles the one book that it was handed.",
            None,
        ),
    ] {
        let draft = ManifestDraft {
            trust_domain: TRUST_DOMAIN.to_owned(),
            name: name.to_owned(),
            intent: intent.to_owned(),
            code,
            prompt: None,
            policy,
            catalog: catalog.clone(),
        };
        let path = run.manifest(name);
        std::fs::write(&path, sign(&draft, &key)?).with_context(|| path.display().to_string())?;
        let may_spawn = match starts {
            Some(name) => Some(MaySpawn {
                agents: [agent_id(&office.layout, name)?].into(),
                at_once: MOST_WORKERS,
                outlive: false,
            }),
            None => None,
        };
        let request = RegisterAgent {
            may_spawn,
            ..RegisterAgent::default()
        };
        let agent = register(&server, &path, request).await?;
        seen.push(format!("{} {}", agent.agent_id, agent.manifest_digest));
    }
    story.tell(
        "two agents are registered by signed manifests",
        true,
        seen.join("; "),
    );
    Ok(())
}

fn start_orchestrator(
    office: &Office,
    run: &RunFolder,
    plan: &Plan,
) -> anyhow::Result<tokio::process::Child> {
    let program = own_program()?;
    let orders = Orders {
        server: plan.server.to_owned(),
        agent: worker_agent(),
        program: program.display().to_string(),
        workers: plan.workers.clone(),
    };
    Command::new(&program)
        .arg("run")
        .arg("--data")
        .arg(office.layout.data())
        .args([
            "--agent",
            "orchestrator",
            "--isolation",
            "best-effort",
            "--",
        ])
        .arg(&program)
        .args(["demo-agent", "orchestrator"])
        .arg(serde_json::to_string(&orders)?)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(run.log("orchestrator")?)
        .kill_on_drop(true)
        .spawn()
        .context("chancery run")
}

/// The agent that the workers are instances of.
fn worker_agent() -> String {
    format!("spiffe://{TRUST_DOMAIN}/agent/worker")
}

async fn waiting_instance(office: &Office) -> anyhow::Result<Instance> {
    let server = office.layout.server_client();
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    loop {
        let instances = server.instances().await?.instances;
        let ready = |instance: &Instance| {
            instance.state == InstanceState::Running && instance.has_agent_key
        };
        if let Some(instance) = instances.into_iter().find(ready) {
            return Ok(instance);
        }
        ensure!(
            tokio::time::Instant::now() < deadline,
            "the orchestrator does not start"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn read_told(stdout: &[u8]) -> anyhow::Result<Vec<Told>> {
    let text = std::str::from_utf8(stdout).context("what the orchestrator told")?;
    let lines = text.lines().map(serde_json::from_str);
    lines
        .collect::<Result<_, _>>()
        .context("what the orchestrator told")
}

/// Tells what the workers did; returns the session.
fn tell_workers(story: &mut Story, told: &[Told], plan: &Plan) -> anyhow::Result<SessionId> {
    let (mut identities, mut refusals, mut balances) = (BTreeSet::new(), Vec::new(), Vec::new());
    let (mut session, mut well) = (None, 0);
    for report in told {
        match report {
            Told::Tools { .. } => {}
            Told::Ended { session: ended } => session = Some(ended.parse()?),
            Told::Worker {
                exit_code, told, ..
            } => {
                well += usize::from(*exit_code == 0);
                for event in told {
                    match event {
                        WorkerTold::Identity { spiffe_id, .. } => {
                            identities.insert(spiffe_id.clone());
                        }
                        WorkerTold::Call {
                            purpose, result, ..
                        } => {
                            refusals.push((purpose.clone(), result.clone()));
                        }
                        WorkerTold::Balanced {
                            book,
                            balance,
                            reconciled,
                            posted,
                        } => {
                            balances.push((book.clone(), balance.clone(), *reconciled, *posted));
                        }
                        WorkerTold::Chain { .. } | WorkerTold::Tools { .. } => {}
                    }
                }
            }
        }
    }
    story.tell(
        "workers, each with a SPIFFE ID and X.509-SVID from the Workload API",
        well == plan.workers.len() && identities.len() == plan.workers.len(),
        identities.into_iter().collect::<Vec<_>>().join("; "),
    );
    for (purpose, title, expected) in [
        (
            OUT_OF_SCOPE,
            "a call outside of the delegated scope is denied",
            &["not_in_scope"][..],
        ),
        (
            FOREIGN_CHAIN,
            "a worker that presents another worker's delegation is refused",
            &["holder_mismatch", "pop_bad_signature"],
        ),
    ] {
        let seen = refusals.iter().find(|(known, _)| known == purpose);
        let result = seen.map_or("not tried", |(_, result)| result.as_str());
        story.tell(title, expected.contains(&result), result);
    }
    if plan.server == "ledger" {
        tell_balances(story, &balances)?;
    }
    session.context("the orchestrator did not end the session")
}

/// Tells how the worker fared that the operator stopped.
fn tell_withdrawal(story: &mut Story, told: &[Told], withdrawn: &Withdrawn) {
    let calls = told.iter().filter_map(|report| match report {
        Told::Worker { instance, told, .. } if *instance == withdrawn.instance => Some(told),
        _ => None,
    });
    let stopped = calls.flatten().find_map(|told| match told {
        WorkerTold::Call {
            purpose,
            result,
            before,
        } if purpose == REVOKED => Some((result.as_str(), *before)),
        _ => None,
    });
    let (result, before) = stopped.unwrap_or(("not tried", 0));
    story.tell(
        "the operator revokes a worker in the middle of its work: its next call is refused",
        result == "revoked" && before > 0 && !withdrawn.done.before,
        format!(
            "{} revoked, entry {} of the server's log; {before} calls before, then {result}",
            withdrawn.instance, withdrawn.done.log_index
        ),
    );
}

type Closing = (String, Value, usize, usize);

fn tell_balances(story: &mut Story, balances: &[Closing]) -> anyhow::Result<()> {
    let expected: Value = serde_json::from_str(assets::EXPECTED)?;
    let mut well = balances.len() == 3;
    let mut seen = Vec::new();
    for (book, balance, reconciled, posted) in balances {
        let accounts = balance.get("accounts").and_then(Value::as_array);
        let figure = |account: &Value, name: &str| account.get(name).cloned();
        for account in accounts.into_iter().flatten() {
            let name = figure(account, "account");
            let name = name.as_ref().and_then(Value::as_str).unwrap_or_default();
            let right = expected.pointer(&format!("/{book}/balances_cents/{name}"));
            well &= right.is_some() && right == figure(account, "balance_cents").as_ref();
        }
        well &= accounts.is_some_and(|accounts| !accounts.is_empty());
        seen.push(format!("{book}: {reconciled} matched, {posted} posted"));
    }
    story.tell(
        "the books balance as computed independently",
        well,
        seen.join("; "),
    );
    Ok(())
}

fn tell_deaths(story: &mut Story, told: &[Told], instances: &[Instance]) {
    let workers: Vec<&str> = told
        .iter()
        .filter_map(|report| match report {
            Told::Worker { instance, .. } => Some(instance.as_str()),
            Told::Tools { .. } | Told::Ended { .. } => None,
        })
        .collect();
    let dead = instances.iter().filter(|instance| {
        workers.contains(&instance.spiffe_id.as_str()) && instance.state == InstanceState::Ended
    });
    let dead: Vec<String> = dead
        .map(|instance| instance.instance_id.to_string())
        .collect();
    story.tell(
        "the workers are dead",
        dead.len() == workers.len(),
        dead.join("; "),
    );
    let isolated = instances
        .iter()
        .all(|instance| instance.isolation == "isolated");
    story
        .marks
        .push(if isolated { "isolated" } else { "unisolated" }.to_owned());
}

/// Everything that is shown from the evidence alone.
async fn prove(
    story: &mut Story,
    run: &RunFolder,
    authenticator: &Authenticator,
    session: SessionId,
) -> anyhow::Result<Proven> {
    let files = verify::read_evidence(&run.evidence())?;
    let trust = read_trust(&run.trust())?;
    let actions = actions(&files);
    let count = |ruling| {
        actions
            .iter()
            .filter(|action| action.ruling == ruling)
            .count()
    };
    let approved = actions.iter().find(|action| action.reason == "approved");
    story.tell(
        "the log shows: calls within scope and policy are allowed",
        count(Ruling::Allow) > 0,
        format!(
            "{} allowed, each decision durable before the call went out",
            count(Ruling::Allow)
        ),
    );
    story.tell(
        "the log shows: a call above the limit escalates, waits for a person and resumes",
        count(Ruling::Escalate) > 0 && approved.is_some(),
        format!(
            "{} escalated; {} approved it ({})",
            count(Ruling::Escalate),
            authenticator.person_id(),
            authenticator.marks()
        ),
    );
    story.marks.push(authenticator.marks().to_owned());
    story.marks.push("unwitnessed".to_owned());
    let action = approved.or_else(|| actions.iter().find(|action| action.ruling == Ruling::Allow));
    let action = action.context("the log holds no allowed action")?;
    let execution: ExecutionId = action.execution;
    let why_text = why::text(&files, Some(&trust), execution)?;
    story.tell(
        "from the log alone, `why` gives the five facts about an action of a dead worker",
        true,
        format!(
            "chancery why {execution} --evidence {}",
            run.evidence().display()
        ),
    );
    let verified = verify_by_command(&run.evidence(), Some(&run.trust())).await?;
    story.tell(
        "`verify` proves it offline, from the trust document alone",
        verified.0,
        verified.1.lines().next().unwrap_or_default(),
    );
    let asserted = verify_by_command(&run.evidence(), None).await?;
    story.tell(
        "without a trust document the same evidence proves nothing",
        !asserted.0 && asserted.1.contains("self-asserted"),
        asserted.1.lines().next().unwrap_or_default(),
    );
    let rows = actions.iter().map(|action| ActionRow {
        index: action.index,
        instance: (action.instance.rsplit('/').next())
            .unwrap_or_default()
            .to_owned(),
        tool: format!("{}/{}", action.server, action.name),
        ruling: word(action.ruling),
        reason: action.reason.clone(),
        outcome: action.outcome.map(word).unwrap_or_default(),
    });
    Ok(Proven {
        graph: graph::session_svg(&files, &trust, session)?,
        actions: rows.collect(),
        why: why_text,
        verification: verify::check(&files, Some(&trust)),
    })
}

/// A word of the log.
fn word(value: impl serde::Serialize) -> String {
    let value = serde_json::to_value(value).unwrap_or_default();
    value.as_str().unwrap_or_default().to_owned()
}

/// Runs the verifier as anybody would: whether it exits with 0, and what it prints.
async fn verify_by_command(
    evidence: &Path,
    trust: Option<&Path>,
) -> anyhow::Result<(bool, String)> {
    let mut command = Command::new(own_program()?);
    command.arg("verify").arg(evidence).stdin(Stdio::null());
    if let Some(trust) = trust {
        command.arg("--trust").arg(trust);
    }
    let output = command.output().await.context("chancery verify")?;
    Ok((
        output.status.success(),
        String::from_utf8_lossy(&output.stdout).into_owned(),
    ))
}
