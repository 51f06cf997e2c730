//! `chancery trust logs` and `chancery trust witness`.

use anyhow::Context as _;
use chancery_api::server::TrustText;
use chancery_evidence::log::{log_keys, witness_policy};
use chancery_gateway::witnesses;
use chancery_identity::trust::{UnwitnessedRule, VerifiedTrust, WitnessRule};
use chancery_tlog::LogPolicy;
use serde::Serialize;

use super::wait_for_gateway;
use crate::args::{Format, TrustWitnessArgs};
use crate::deployment::Layout;
use crate::output;

/// Most bytes of a policy file that is put into a trust document.
const MAX_POLICY_FILE_BYTES: u64 = 65_536;

/// The keys of the logs, as a policy that names no witness.
pub(super) fn logs(format: Format, trust: &VerifiedTrust) -> anyhow::Result<()> {
    let mut policy = String::new();
    for origin in &trust.log_origins {
        let keys = log_keys(origin)?;
        for key in [keys.ed25519(), keys.ml_dsa_44()] {
            policy += &format!("log {key}\n");
        }
    }
    policy += "quorum none\n";
    output::result(format, &policy, || policy.clone())
}

/// What `trust show` says of the witnesses.
pub(super) fn rows(rule: &WitnessRule) -> Vec<[String; 2]> {
    let policy = LogPolicy::parse(rule.policy.as_bytes());
    let mut rows = Vec::new();
    for witness in policy.iter().flat_map(LogPolicy::witnesses) {
        let url = witness.url().map(String::from_utf8_lossy);
        let url = url.map_or("without an address".to_owned(), |url| format!("at {url}"));
        let key = witness.key();
        rows.push([
            "witness".to_owned(),
            format!("{} ({}), {url}", key.name(), key.kind()),
        ]);
    }
    let quorum = rule.policy.lines().find_map(|line| {
        let mut words = line.split_ascii_whitespace();
        (words.next() == Some("quorum")).then(|| words.next().unwrap_or_default().to_owned())
    });
    let unwitnessed = match rule.unwitnessed {
        UnwitnessedRule::Publish => "published as unwitnessed",
        UnwitnessedRule::Withhold => "withheld",
    };
    rows.push([
        "quorum".to_owned(),
        format!(
            "{}; checkpoints without it are {unwitnessed}",
            quorum.unwrap_or_default()
        ),
    ]);
    rows
}

#[derive(Serialize)]
struct Named {
    witnesses: Vec<String>,
    unwitnessed: Option<UnwitnessedRule>,
    trust_version: u64,
}

/// Signs the next trust document with those witnesses, and has the deployment take it over.
pub(super) async fn name(
    format: Format,
    layout: &Layout,
    args: TrustWitnessArgs,
) -> anyhow::Result<()> {
    let rule = match &args.policy {
        None => None,
        Some(file) => {
            let shown = || file.display().to_string();
            let length = std::fs::metadata(file).with_context(shown)?.len();
            anyhow::ensure!(
                length <= MAX_POLICY_FILE_BYTES,
                "{}: longer than {MAX_POLICY_FILE_BYTES} bytes; name fewer witnesses",
                file.display()
            );
            Some(WitnessRule {
                policy: std::fs::read_to_string(file).with_context(shown)?,
                unwitnessed: match args.withhold {
                    true => UnwitnessedRule::Withhold,
                    false => UnwitnessedRule::Publish,
                },
            })
        }
    };
    let named = check(&layout.trust()?, rule.as_ref()).with_context(|| {
        let file = args.policy.as_ref();
        file.map_or_else(String::new, |file| file.display().to_string())
    })?;
    let unwitnessed = rule.as_ref().map(|rule| rule.unwitnessed);
    let trust = layout.next_trust(|next| next.witnesses = rule)?;
    let document = String::from_utf8(trust).context("trust document")?;
    layout
        .server_client()
        .install_trust(&TrustText { document })
        .await?;
    let trust_version = layout.trust()?.version;
    wait_for_gateway(layout, trust_version).await;
    let named = Named {
        witnesses: named,
        unwitnessed,
        trust_version,
    };
    output::result(format, &named, || {
        let who = match named.witnesses.as_slice() {
            [] => "nobody cosigns the logs".to_owned(),
            names => format!("the logs are cosigned by {}", names.join(", ")),
        };
        format!(
            "{who} from the next start of `chancery up` on; trust document version {trust_version}"
        )
    })
}

/// Fails where a log could not be opened with these witnesses. Returns their names.
fn check(trust: &VerifiedTrust, rule: Option<&WitnessRule>) -> anyhow::Result<Vec<String>> {
    let mut next = trust.signed().trust.clone();
    next.witnesses = rule.cloned();
    for origin in &next.log_origins {
        if let Some(witnesses) = witnesses(&next, &origin.origin)? {
            witnesses.check()?;
        }
    }
    let policy = witness_policy(&next)?;
    let mut names: Vec<String> = Vec::new();
    for witness in policy.iter().flat_map(LogPolicy::witnesses) {
        let name = witness.key().name().to_string();
        if !names.contains(&name) {
            names.push(name);
        }
    }
    Ok(names)
}
