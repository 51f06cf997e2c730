//! `chancery federation`.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use chancery_api::server::{AddFederation, BundleView, FederationView, Federations, ServerClient};
use chancery_identity::federation::EndpointProfile;
use chancery_identity::{Relationship, TrustDomain};

use crate::args::{AddArgs, FederationArgs, FederationCommand, Format, Profile};
use crate::output;

pub(super) async fn run(format: Format, args: FederationArgs) -> anyhow::Result<ExitCode> {
    let server = super::layout(&args.data)?.server_client();
    match args.command {
        FederationCommand::Add(args) => add(format, &server, args).await?,
        FederationCommand::Remove { trust_domain } => {
            let ended = server.remove_federation(&trust_domain).await?;
            output::result(format, &ended, || {
                format!(
                    "{} is foreign again, entry {}: nothing of it is fetched or handed out",
                    ended.trust_domain, ended.log_index
                )
            })?;
        }
        FederationCommand::List => {
            let known = server.federations().await?;
            output::result(format, &known, || listed(&known))?;
        }
        FederationCommand::Show {
            trust_domain,
            bundle,
        } => show(format, &server, trust_domain, bundle).await?,
        FederationCommand::Refresh { trust_domain } => {
            let view = server.refresh_federation(&trust_domain).await?;
            output::result(format, &view, || shown(&view))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn add(format: Format, server: &ServerClient, args: AddArgs) -> anyhow::Result<()> {
    let profile = match (args.profile, args.endpoint_id) {
        (Profile::HttpsWeb, None) => EndpointProfile::HttpsWeb,
        (Profile::HttpsWeb, Some(_)) => {
            anyhow::bail!("--endpoint-id is of --profile https_spiffe; leave it out")
        }
        (Profile::HttpsSpiffe, endpoint) => EndpointProfile::HttpsSpiffe {
            endpoint: endpoint.context("--profile https_spiffe needs --endpoint-id")?,
        },
    };
    let request = AddFederation {
        relationship: Relationship::new(args.trust_domain, args.url, profile)
            .context("--endpoint-id")?,
        bundle: args.bundle.as_deref().map(text).transpose()?,
        web_roots: args.web_roots.as_deref().map(text).transpose()?,
    };
    let view = server.add_federation(&request).await?;
    output::result(format, &view, || shown(&view))
}

fn text(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| path.display().to_string())
}

async fn show(
    format: Format,
    server: &ServerClient,
    name: Option<TrustDomain>,
    bundle: bool,
) -> anyhow::Result<()> {
    let known = server.federations().await?;
    let Some(name) = name else {
        return match bundle {
            true => document(&known.own),
            false => output::result(format, &known.own, || {
                output::table(["what", "value"], rows(&known.own))
            }),
        };
    };
    let relations = known.relations.into_iter();
    let mut relations = relations.filter(|one| *one.relationship.trust_domain() == name);
    let relation = relations.next().with_context(|| {
        format!("there is no relation to {name}; see `chancery federation list`")
    })?;
    match (bundle, &relation.bundle) {
        (false, _) => output::result(format, &relation, || shown(&relation)),
        (true, Some(known)) => document(known),
        (true, None) => anyhow::bail!("no bundle of {name} was taken yet"),
    }
}

/// The document as it stands: it is JSON in either format.
fn document(bundle: &BundleView) -> anyhow::Result<()> {
    output::result(Format::Text, &bundle.document, || bundle.document.clone())
}

fn listed(known: &Federations) -> String {
    let rows = known.relations.iter().map(|one| {
        let bundle = one.bundle.as_ref();
        [
            one.relationship.trust_domain().to_string(),
            profile(one).to_owned(),
            one.relationship.url().to_string(),
            bundle.map_or("none".to_owned(), sequence),
            outcome(one),
        ]
    });
    output::table(
        ["trust domain", "profile", "url", "sequence", "last fetch"],
        rows,
    )
}

fn shown(view: &FederationView) -> String {
    let relationship = &view.relationship;
    let mut all = vec![
        [
            "trust domain".to_owned(),
            relationship.trust_domain().to_string(),
        ],
        ["url".to_owned(), relationship.url().to_string()],
        ["profile".to_owned(), profile(view).to_owned()],
    ];
    if let EndpointProfile::HttpsSpiffe { endpoint } = relationship.profile() {
        all.push(["endpoint".to_owned(), endpoint.to_string()]);
    }
    if let Some(roots) = &view.web_roots {
        all.push(["web roots".to_owned(), roots.to_string()]);
    }
    match &view.bundle {
        Some(bundle) => all.extend(rows(bundle)),
        None => all.push(["bundle".to_owned(), "none was taken yet".to_owned()]),
    }
    all.push(["last fetch".to_owned(), outcome(view)]);
    all.push(["next fetch".to_owned(), view.next_fetch.to_string()]);
    all.push(["enrolled".to_owned(), format!("entry {}", view.log_index)]);
    output::table(["what", "value"], all)
}

fn rows(bundle: &BundleView) -> Vec<[String; 2]> {
    vec![
        ["bundle".to_owned(), bundle.digest.to_string()],
        ["sequence".to_owned(), sequence(bundle)],
        [
            "keys".to_owned(),
            format!(
                "{} of X.509-SVIDs, {} of JWT-SVIDs",
                bundle.x509_authorities, bundle.jwt_authorities
            ),
        ],
        [
            "fetched again".to_owned(),
            format!("after {} s", bundle.refresh_seconds),
        ],
    ]
}

fn sequence(bundle: &BundleView) -> String {
    let sequence = bundle.sequence.map(|sequence| sequence.to_string());
    sequence.unwrap_or_else(|| "not told".to_owned())
}

const fn profile(view: &FederationView) -> &'static str {
    match view.relationship.profile() {
        EndpointProfile::HttpsWeb => "https_web",
        EndpointProfile::HttpsSpiffe { .. } => "https_spiffe",
    }
}

fn outcome(view: &FederationView) -> String {
    match &view.last_fetch {
        None => "none since the server started".to_owned(),
        Some(last) => match &last.problem {
            None => format!("{}, taken", last.at),
            Some(problem) => format!("{}, failed: {problem}", last.at),
        },
    }
}
