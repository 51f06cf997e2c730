//! A passkey that somebody makes at the console, put into the trust document by whoever has its root keys.

use std::time::Duration;

use anyhow::Context as _;
use chancery_api::server::{Invite, RegisteredPasskey, TrustText};
use chancery_identity::trust::Role;
use chancery_server::ConsoleOrigin;
use chancery_types::Digest;
use chancery_types::id::PersonId;
use serde::Serialize;
use tokio::time::Instant;

use super::wait_for_gateway;
use crate::args::{Format, InviteArgs, PersonRole};
use crate::deployment::{Admission, Layout, admit, one_time_code};
use crate::output;
use crate::server_config::ServerFile;

/// How long one request waits.
const WAIT_SECONDS: u64 = 20;

/// How long to wait after a request that failed.
const BREATH: Duration = Duration::from_secs(1);

#[derive(Serialize)]
struct Admitted {
    person: PersonId,
    credential: String,
    trust_version: u64,
}

/// Waits for somebody who has a fresh one-time code, and lets them in.
pub(super) async fn invite(
    format: Format,
    layout: &Layout,
    args: InviteArgs,
) -> anyhow::Result<()> {
    let console = console(layout)?;
    let admission = match args.person {
        Some(person) => {
            let trust = layout.trust()?;
            trust
                .person(person)
                .with_context(|| format!("the trust document names no {person}"))?;
            Admission::Known(person)
        }
        None => Admission::New(args.roles.iter().map(|role| (*role).into()).collect()),
    };
    let code = one_time_code()?;
    output::say(format!("open {console}/enrol and enter {code}"));
    let deadline = Instant::now() + Duration::from_secs(args.wait);
    let made = loop {
        let left = deadline.saturating_duration_since(Instant::now()).as_secs();
        anyhow::ensure!(left > 0, "nobody came; the code is closed");
        if let Some(made) = registered(layout, &code, left).await? {
            break made;
        }
    };
    let (person, trust_version) = let_in(layout, &made, &admission).await?;
    let admitted = Admitted {
        person,
        credential: made.registration.credential_id,
        trust_version,
    };
    output::result(format, &admitted, || {
        format!(
            "{person} has the passkey {}; trust document version {trust_version}",
            admitted.credential
        )
    })
}

/// Lets in the first person who has the one-time code of `up`, while nobody is enrolled.
pub(crate) async fn follow_first(layout: &Layout, code: &str) {
    loop {
        match first(layout, code).await {
            Ok(true) => return,
            Ok(false) => {}
            Err(error) => {
                output::say(format!("the first person: {error:#}"));
                tokio::time::sleep(BREATH).await;
            }
        }
    }
}

async fn first(layout: &Layout, code: &str) -> anyhow::Result<bool> {
    if !layout.trust()?.people.is_empty() {
        return Ok(true);
    }
    let Some(made) = registered(layout, code, WAIT_SECONDS).await? else {
        return Ok(false);
    };
    layout.check_enrol_code(code)?;
    let both = Admission::New(vec![Role::Principal, Role::Approver]);
    let (person, version) = let_in(layout, &made, &both).await?;
    layout.close_enrol_code()?;
    output::say(format!(
        "{person} is principal and approver; trust document version {version}"
    ));
    Ok(true)
}

/// Where this deployment's console is now.
fn console(layout: &Layout) -> anyhow::Result<ConsoleOrigin> {
    let console = ServerFile::read(&layout.server_config())?.console;
    let console =
        console.context("this deployment has no console; start `chancery up` with --console")?;
    Ok(console.config()?.origin)
}

async fn registered(
    layout: &Layout,
    code: &str,
    seconds: u64,
) -> anyhow::Result<Option<RegisteredPasskey>> {
    let invite = Invite {
        code: Digest::of(code),
        wait_seconds: seconds.min(WAIT_SECONDS),
    };
    Ok(layout.server_client().invite(&invite).await?.registered)
}

async fn let_in(
    layout: &Layout,
    made: &RegisteredPasskey,
    admission: &Admission,
) -> anyhow::Result<(PersonId, u64)> {
    check_console(made, &console(layout)?)?;
    let (person, trust) = admit(layout, made, admission)?;
    let document = String::from_utf8(trust).context("trust document")?;
    let server = layout.server_client();
    server.install_trust(&TrustText { document }).await?;
    let version = layout.trust()?.version;
    wait_for_gateway(layout, version).await;
    Ok((person, version))
}

/// Refuses a passkey that was made for other pages than those of this deployment's console: where it was
/// made is not the server's to say.
fn check_console(made: &RegisteredPasskey, console: &ConsoleOrigin) -> anyhow::Result<()> {
    anyhow::ensure!(
        made.rp_id == console.rp_id() && made.origin == console.as_str(),
        "the passkey that the console hands on was made at {} for {}, and the console is {console}",
        made.origin,
        made.rp_id
    );
    Ok(())
}

impl From<PersonRole> for Role {
    fn from(role: PersonRole) -> Self {
        match role {
            PersonRole::Principal => Self::Principal,
            PersonRole::Approver => Self::Approver,
        }
    }
}

#[cfg(test)]
mod tests {
    use chancery_delegation::Registration;

    use super::*;

    #[test]
    fn a_passkey_of_other_pages_is_not_let_in() {
        let made = |rp_id: &str, origin: &str| RegisteredPasskey {
            registration: Registration {
                credential_id: String::new(),
                client_data_json: String::new(),
                authenticator_data: String::new(),
            },
            challenge: Digest::of("challenge"),
            rp_id: rp_id.to_owned(),
            origin: origin.to_owned(),
        };
        let console = "https://console.example:8445".parse().unwrap();
        let own = made("console.example", "https://console.example:8445");
        assert!(check_console(&own, &console).is_ok());
        for (rp_id, origin) in [
            ("example", "https://console.example:8445"),
            ("console.example", "https://console.example"),
            ("console.example", "https://console.example:8446"),
            ("other.example", "https://other.example:8445"),
            ("", ""),
        ] {
            assert!(
                check_console(&made(rp_id, origin), &console).is_err(),
                "{origin}"
            );
        }
    }
}
