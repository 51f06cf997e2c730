//! `chancery delegate`.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use chancery_api::server::{
    DraftRoot, Instance, InstanceState, IssuedRoot, ServerClient, SubmitRoot,
};
use chancery_delegation::{Entry, Mission, RootDraft};
use chancery_identity::InstanceSpiffeId;
use chancery_types::id::InstanceId;
use chancery_types::{Digest, base64url};
use serde::Serialize;
use serde_json::{Value, json};

use crate::args::{DelegateArgs, Format};
use crate::deployment::Authenticator;
use crate::output;

#[derive(Serialize)]
struct Delegated {
    instance: InstanceId,
    session: String,
    delegation: String,
    log_index: u64,
    /// The standing consent that it rests on.
    #[serde(skip_serializing_if = "Option::is_none")]
    consent: Option<String>,
    /// Which use of it.
    #[serde(rename = "use", skip_serializing_if = "Option::is_none")]
    number: Option<u64>,
    mark: &'static str,
}

pub(super) async fn run(format: Format, args: DelegateArgs) -> anyhow::Result<ExitCode> {
    let server = super::layout(&args.data)?.server_client();
    let authenticator = Authenticator::open(&args.authenticator)?;
    let mission = super::mission::read(&args.mission)?;
    let grants = args
        .allow
        .iter()
        .map(|text| grant(text))
        .collect::<anyhow::Result<_>>()?;
    let instance = find(&server, &args.to, args.wait).await?;
    let request = DraftRoot {
        instance_id: instance.instance_id,
        person_id: authenticator.person_id(),
        mission: base64url::encode(mission.as_bytes()),
        authorization_details: grants,
        lifetime_seconds: args.minutes.map(|minutes| minutes.saturating_mul(60)),
        max_depth: args.depth,
        gateway: None,
    };
    let Some(issued) = consent(&server, &request, &mission, &authenticator, args.yes).await? else {
        output::say("nothing was signed");
        return Ok(ExitCode::FAILURE);
    };
    told(format, instance.instance_id, &issued, authenticator.marks())?;
    Ok(ExitCode::SUCCESS)
}

/// Says what an instance holds now.
pub(crate) fn told(
    format: Format,
    instance: InstanceId,
    issued: &IssuedRoot,
    mark: &'static str,
) -> anyhow::Result<()> {
    let claims = claims_of(&issued.root)?;
    let text = |name: &str| {
        claims
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let standing = claims.get("prn").and_then(|person| person.get("standing"));
    let of_consent = |name: &str| standing.and_then(|used| used.get(name));
    let delegated = Delegated {
        instance,
        session: text("sid"),
        delegation: text("jti"),
        log_index: issued.log_index,
        consent: of_consent("consent")
            .and_then(Value::as_str)
            .map(str::to_owned),
        number: of_consent("use").and_then(Value::as_u64),
        mark,
    };
    output::result(format, &delegated, || {
        let basis = match (&delegated.consent, delegated.number) {
            (Some(consent), Some(number)) => format!("use {number} of {consent}"),
            _ => delegated.mark.to_owned(),
        };
        format!(
            "{} holds {} for session {}, enrolled as entry {} ({basis})",
            delegated.instance, delegated.delegation, delegated.session, delegated.log_index
        )
    })
}

/// Drafts a root, shows it, has it signed. `None` when the person says no.
pub(crate) async fn consent(
    server: &ServerClient,
    request: &DraftRoot,
    mission: &Mission,
    authenticator: &Authenticator,
    yes: bool,
) -> anyhow::Result<Option<IssuedRoot>> {
    let draft = server.draft_root(request).await?;
    if yes {
        anyhow::ensure!(
            authenticator.is_stand_in(),
            "--yes consents only with a stand-in authenticator; a person consents on a terminal"
        );
    } else {
        let claims: Value = serde_json::from_str(&draft.claims).context("draft")?;
        output::say(super::mission::shown(mission)?);
        output::say(serde_json::to_string_pretty(&claims)?);
        if !output::confirm("Grant exactly this, in your name?")? {
            return Ok(None);
        }
    }
    let consent = authenticator.assert(&challenge_of(&draft.claims, request)?)?;
    Ok(Some(
        server
            .submit_root(&SubmitRoot {
                claims: draft.claims,
                consent,
            })
            .await?,
    ))
}

/// The challenge of exactly these claims, once they are seen to be what was asked for. What the
/// server says about a challenge is never signed.
fn challenge_of(claims: &str, request: &DraftRoot) -> anyhow::Result<Digest> {
    let draft = RootDraft::from_claims(claims.as_bytes())
        .map_err(|reason| anyhow::anyhow!("the server's draft is not a root: {reason}"))?;
    let terms = &draft.terms;
    let asked = request.authorization_details.iter().map(Entry::parse);
    let asked = asked
        .collect::<Result<Vec<_>, _>>()
        .map_err(|reason| anyhow::anyhow!("{reason}"))?;
    let holder = terms.subject.as_str().parse::<InstanceSpiffeId>();
    let mission = base64url::decode(&request.mission).context("mission")?;
    let lifetime = terms.expires_at.micros_since(terms.issued_at) / 1_000_000;
    let same = terms.entries == asked
        && holder.is_ok_and(|holder| holder.instance() == request.instance_id)
        && draft.person.subject == request.person_id.to_string()
        && draft.mission == Digest::of(mission)
        && request
            .lifetime_seconds
            .is_none_or(|asked| lifetime <= asked)
        && terms.max_depth <= request.max_depth;
    anyhow::ensure!(
        same,
        "the server drafted something else than was asked for; nothing is signed"
    );
    draft
        .challenge()
        .map_err(|reason| anyhow::anyhow!("the draft has no challenge: {reason}"))
}

/// A grant: `SERVER/TOOL`, or the JSON object of an entry.
pub(crate) fn grant(text: &str) -> anyhow::Result<Value> {
    if text.trim_start().starts_with('{') {
        return serde_json::from_str(text).with_context(|| format!("--allow {text}"));
    }
    let (server, tool) = text
        .split_once('/')
        .filter(|(server, tool)| !server.is_empty() && !tool.is_empty())
        .with_context(|| format!("--allow {text}: expected SERVER/TOOL or a JSON object"))?;
    Ok(json!({"type": "mcp_tool", "server": server, "tool": tool}))
}

/// The instance to grant to, once it has proven an agent key.
pub(crate) async fn find(
    server: &ServerClient,
    to: &str,
    wait_seconds: u64,
) -> anyhow::Result<Instance> {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(wait_seconds);
    loop {
        let mut instances = server.instances().await?.instances.into_iter();
        let found = instances.find(|instance| {
            instance.state == InstanceState::Running
                && instance.has_agent_key
                && (to == "latest" || to == instance.instance_id.to_string())
        });
        let unheld = match &found {
            Some(instance) if to == "latest" => {
                server.root_of(instance.instance_id, 0).await?.is_none()
            }
            _ => true,
        };
        match found {
            Some(instance) if unheld => return Ok(instance),
            _ if tokio::time::Instant::now() < deadline => {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            _ => {
                let which = match to {
                    "latest" => String::new(),
                    id => format!(" {id}"),
                };
                bail!(
                    "no running instance{which} waits for a grant (--to {to}); start one with \
                     `chancery run`, list them with `chancery agent instances`, or pass --wait SECONDS"
                )
            }
        }
    }
}

fn claims_of(token: &str) -> anyhow::Result<serde_json::Map<String, Value>> {
    Ok(chancery_types::jws::Compact::parse(token)?.claims)
}
