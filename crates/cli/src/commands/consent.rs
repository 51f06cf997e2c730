//! `chancery consent`.

use std::process::ExitCode;

use anyhow::Context as _;
use chancery_api::server::{ServerClient, StandingConsent, SubmitConsent, UseConsent};
use chancery_crypto::random_id;
use chancery_delegation::{Mission, SignedStanding, StandingForm, StandingStatement};
use chancery_identity::trust::GatewayName;
use chancery_types::{Timestamp, base64url};

use super::delegate::{find, grant, told};
use super::mission;
use super::run::agent_id;
use crate::args::{ConsentArgs, ConsentCommand, Format, NewConsentArgs, UseConsentArgs};
use crate::deployment::{Authenticator, Layout};
use crate::output;

const DAY_SECONDS: u64 = 86_400;

pub(super) async fn run(format: Format, args: ConsentArgs) -> anyhow::Result<ExitCode> {
    let layout = super::layout(&args.data)?;
    let server = layout.server_client();
    match args.command {
        ConsentCommand::New(args) => return new(format, &layout, &args).await,
        ConsentCommand::List => list(format, &server).await?,
        ConsentCommand::Show { id } => {
            let consent = server.consent(id).await?;
            output::result(format, &consent, || shown(&consent))?;
        }
        ConsentCommand::Use(args) => spend(format, &server, &args).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn list(format: Format, server: &ServerClient) -> anyhow::Result<()> {
    let all = server.consents().await?;
    output::result(format, &all, || {
        if all.consents.is_empty() {
            return "no standing consent was signed".to_owned();
        }
        let rows = all.consents.iter().map(|consent| {
            let statement = &consent.statement;
            [
                statement.id.to_string(),
                consent.state.name().to_owned(),
                format!("{} of {}", consent.uses, statement.max_uses),
                statement.agent.to_string(),
                statement.expires_at.to_string(),
            ]
        });
        output::table(["consent", "state", "uses", "agent", "expires"], rows)
    })
}

async fn spend(format: Format, server: &ServerClient, args: &UseConsentArgs) -> anyhow::Result<()> {
    let instance = find(server, &args.to, args.wait).await?;
    let request = UseConsent {
        instance_id: instance.instance_id,
    };
    let issued = server.use_consent(args.id, &request).await?;
    told(format, instance.instance_id, &issued, "standing")
}

async fn new(format: Format, layout: &Layout, args: &NewConsentArgs) -> anyhow::Result<ExitCode> {
    let server = layout.server_client();
    let authenticator = Authenticator::open(&args.authenticator)?;
    let mission = mission::read(&args.mission)?;
    let epoch = server.revocations().await?.epoch;
    let statement = statement(layout, args, &authenticator, &mission, epoch)?;
    statement.check()?;
    if args.yes {
        anyhow::ensure!(
            authenticator.is_stand_in(),
            "--yes consents only with a stand-in authenticator; a person consents on a terminal"
        );
    } else {
        output::say(mission::shown(&mission)?);
        output::say(serde_json::to_string_pretty(&statement)?);
        let question = format!(
            "Grant this up to {} times, in your name, without being asked again?",
            statement.max_uses
        );
        if !output::confirm(&question)? {
            output::say("nothing was signed");
            return Ok(ExitCode::FAILURE);
        }
    }
    let assertion = authenticator.assert(&statement.challenge()?)?;
    let request = SubmitConsent {
        signed: SignedStanding {
            statement,
            assertion,
        },
        mission: base64url::encode(mission.as_bytes()),
    };
    let consent = server.submit_consent(&request).await?;
    output::result(format, &consent, || shown(&consent))?;
    Ok(ExitCode::SUCCESS)
}

/// What the person is asked to sign: put together here, nothing of it by the server but the epoch.
fn statement(
    layout: &Layout,
    args: &NewConsentArgs,
    authenticator: &Authenticator,
    mission: &Mission,
    epoch: u64,
) -> anyhow::Result<StandingStatement> {
    let trust = layout.trust()?;
    let authority = trust.delegation_authorities.first();
    let entries = args.allow.iter().map(|text| grant(text));
    let signed_at = Timestamp::from_seconds(mission::now()?.as_seconds());
    let until = signed_at.plus_seconds(args.days.saturating_mul(DAY_SECONDS));
    Ok(StandingStatement {
        standing: StandingForm::V1,
        id: random_id()?,
        issuer: authority
            .context("the trust document names no delegation authority")?
            .issuer
            .clone(),
        person: authenticator.person_id(),
        signed_at,
        epoch,
        mission: mission.digest(),
        agent: agent_id(layout, &args.agent)?,
        gateway: GatewayName::default().spiffe_id(&trust.trust_domain),
        entries: entries.collect::<anyhow::Result<_>>()?,
        max_uses: args.uses,
        max_seconds: args.minutes.saturating_mul(60),
        max_depth: args.depth,
        expires_at: until.min(mission.expires()),
    })
}

fn shown(consent: &StandingConsent) -> String {
    let statement = &consent.statement;
    let entries: Vec<_> = statement.entries.iter().map(ToString::to_string).collect();
    let mut rows = vec![
        ["consent".to_owned(), statement.id.to_string()],
        ["state".to_owned(), consent.state.name().to_owned()],
        [
            "uses".to_owned(),
            format!("{} of {}", consent.uses, statement.max_uses),
        ],
        ["person".to_owned(), statement.person.to_string()],
        ["agent".to_owned(), statement.agent.to_string()],
        ["gateway".to_owned(), statement.gateway.clone()],
        ["mission".to_owned(), statement.mission.to_string()],
        ["each grants".to_owned(), entries.join("; ")],
        [
            "each lives".to_owned(),
            format!("{} s at most", statement.max_seconds),
        ],
        ["expires".to_owned(), statement.expires_at.to_string()],
        ["signed".to_owned(), statement.signed_at.to_string()],
        ["signed as".to_owned(), consent.consent.to_string()],
        [
            "enrolled".to_owned(),
            format!("entry {}", consent.log_index),
        ],
    ];
    rows.extend(consent.roots.iter().map(|root| {
        let text = format!(
            "{} for {}, session {}, {} to {}, entry {}",
            root.jti, root.instance, root.session, root.issued_at, root.expires_at, root.log_index
        );
        [format!("use {}", root.number), text]
    }));
    output::table(["what", "value"], rows)
}
