//! `chancery apply`: registrations as files in version control.

mod files;
mod plan;

use std::process::ExitCode;

use chancery_api::ClientError;
use chancery_api::server::{ExpectedRegistration, RegisterAgent, RetireAgent, ServerClient};
use chancery_identity::RegistrationOwner;
use chancery_types::base64url;

use self::files::{Fault, Found};
use self::plan::{Action, Change, Outcome, Plan, Wanted};
use super::DIFFERS;
use crate::args::{ApplyArgs, Format};
use crate::output;

/// Whose files they are where nobody says.
const UNNAMED: &str = "files";

/// What the log commits to as the reason of a retirement.
const PRUNED: &str = "no file of its owner's registers it any more";

pub(super) async fn run(format: Format, args: ApplyArgs) -> anyhow::Result<ExitCode> {
    let server = super::layout(&args.data)?.server_client();
    let owner = match &args.owner {
        Some(owner) => owner.clone(),
        None => UNNAMED.parse()?,
    };
    // Nothing is changed before everything was read and judged.
    let wanted = match files::read(&args.dir) {
        Ok(found) => judge(&server, found, (&owner, args.adopt)).await?,
        Err(faults) => Err(faults),
    };
    let wanted = match wanted {
        Ok(wanted) => wanted,
        Err(faults) => return Ok(refuse(&faults)),
    };
    if args.prune && wanted.is_empty() {
        anyhow::bail!(
            "{}: there is no registration in it, and --prune would retire every agent of owner `{}`; \
             retire one with `chancery agent retire NAME`",
            args.dir.display(),
            owner
        );
    }
    let known = server.agents().await?.agents;
    let mut plan = Plan::new(&owner, wanted, known, args.prune)?;
    if args.plan {
        output::result(format, &plan, || plan.to_text())?;
        return Ok(match plan.changes.is_empty() {
            true => ExitCode::SUCCESS,
            false => ExitCode::from(DIFFERS),
        });
    }
    if let Some(expected) = args.expect.filter(|expected| *expected != plan.digest) {
        anyhow::bail!(
            "the plan is {} and not {expected}: files or registrations have changed since; look at it \
             with --plan and apply that one",
            plan.digest
        );
    }
    let done = carry_out(&server, &mut plan).await;
    output::result(format, &plan, || plan.to_text())?;
    done.map(|()| ExitCode::SUCCESS)
}

fn refuse(faults: &[Fault]) -> ExitCode {
    for fault in faults {
        output::say(format_args!("error: {}", fault.said));
        output::say(format_args!("help: {}", fault.remedy));
    }
    output::say(format_args!(
        "{} wrong; nothing was changed",
        match faults.len() {
            1 => "1 thing in the files is".to_owned(),
            many => format!("{many} things in the files are"),
        }
    ));
    ExitCode::from(crate::FAILED)
}

/// Has the server judge every file. The outer error is one of the server's, not of a file.
async fn judge(
    server: &ServerClient,
    found: Vec<Found>,
    (owner, adopt): (&RegistrationOwner, bool),
) -> anyhow::Result<Result<Vec<Wanted>, Vec<Fault>>> {
    let (mut wanted, mut faults) = (Vec::<Wanted>::new(), Vec::new());
    for Found {
        file,
        registration,
        text,
        envelope,
    } in found
    {
        let request = RegisterAgent {
            manifest: base64url::encode(envelope),
            federates_with: registration.federates_with.into_iter().collect(),
            may_spawn: registration.may_spawn,
            terms: registration.terms,
            owner: Some(owner.clone()),
            adopt,
            expected: None,
        };
        let judged = match server.judge_agent(&request).await {
            Ok(judged) => judged,
            Err(ClientError::Refused(problem)) => {
                faults.push(Fault::of_server(&file, &text, &problem));
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        let twin = wanted
            .iter()
            .find(|other| other.judged.agent_id == judged.agent_id);
        match twin {
            Some(twin) => faults.push(Fault::twice(&file, &twin.file, &judged.agent_id)),
            None => wanted.push(Wanted {
                file,
                request,
                judged,
            }),
        }
    }
    Ok(match faults.is_empty() {
        true => Ok(wanted),
        false => Err(faults),
    })
}

/// Does what the plan says, in its order, up to the first that fails; each outcome stands in the plan.
async fn carry_out(server: &ServerClient, plan: &mut Plan) -> anyhow::Result<()> {
    let mut failed = None;
    for change in &mut plan.changes {
        if failed.is_some() {
            change.outcome = Some(Outcome::NotDone);
            continue;
        }
        match one(server, change).await {
            Ok(log_index) => change.outcome = Some(Outcome::Done { log_index }),
            Err(error) => {
                let problem = output::causes(&anyhow::Error::new(error));
                change.outcome = Some(Outcome::Failed { problem });
                failed = Some(change.agent_id.clone());
            }
        }
    }
    match failed {
        Some(agent) => anyhow::bail!(
            "{agent} failed, and nothing after it was done; the rest is done by applying once more"
        ),
        None => Ok(()),
    }
}

async fn one(server: &ServerClient, change: &mut Change) -> Result<u64, ClientError> {
    let expected = Some(match change.entry {
        Some(entry) => ExpectedRegistration::Entry(entry),
        None => ExpectedRegistration::Absent,
    });
    match (change.action, change.request.take()) {
        (Action::Add | Action::Change, Some(request)) => {
            let request = RegisterAgent {
                expected,
                ..request
            };
            Ok(server.register_agent(&request).await?.log_index)
        }
        _ => {
            let request = RetireAgent {
                agent_id: change.agent_id.clone(),
                reason: PRUNED.to_owned(),
                expected,
            };
            Ok(server.retire_agent(&request).await?.log_index)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use axum::Json;
    use axum::response::{IntoResponse as _, Response};
    use axum::routing::post;
    use chancery_api::server::{Agent, JudgedAgent, MaySpawn};
    use chancery_api::{OwnerListener, Problem};
    use chancery_types::{Digest, Timestamp};
    use serde_json::{Value, json};

    use super::*;

    fn agent(name: &str, entry: u64, owner: Option<&str>) -> Agent {
        Agent {
            agent_id: format!("spiffe://td/agent/{name}"),
            manifest_id: "m".to_owned(),
            manifest_digest: Digest::of(name),
            expires_at: Timestamp::from_seconds(9),
            federates_with: Vec::new(),
            may_spawn: None,
            terms: Default::default(),
            owner: owner.map(|owner| owner.parse().unwrap()),
            log_index: entry,
        }
    }

    fn wanted(name: &str, hint: Option<&str>) -> Wanted {
        let mut request = RegisterAgent {
            owner: Some("files".parse().unwrap()),
            ..RegisterAgent::default()
        };
        request.terms.hint = hint.map(|hint| hint.parse().unwrap());
        Wanted {
            file: format!("{name}.json"),
            request,
            judged: JudgedAgent {
                agent_id: format!("spiffe://td/agent/{name}"),
                manifest_digest: Digest::of(name),
                expires_at: Timestamp::from_seconds(9),
            },
        }
    }

    fn plan(wanted: Vec<Wanted>, known: Vec<Agent>, prune: bool) -> Plan {
        Plan::new(&"files".parse().unwrap(), wanted, known, prune).unwrap()
    }

    fn told(plan: &Plan) -> Vec<(Action, &str, Option<u64>)> {
        let changes = plan.changes.iter();
        changes
            .map(|it| {
                let name = it.agent_id.rsplit('/').next().unwrap();
                (it.action, name, it.entry)
            })
            .collect()
    }

    #[test]
    fn nothing_of_others_is_retired_and_the_digest_is_of_what_is_done() {
        let known = || {
            vec![
                agent("gone", 4, Some("files")),
                agent("hand", 5, None),
                agent("same", 6, Some("files")),
                agent("other", 7, Some("team-b")),
                agent("hinted", 8, Some("files")),
            ]
        };
        let files = |hint| {
            vec![
                wanted("same", None),
                wanted("new", None),
                wanted("hinted", Some(hint)),
            ]
        };
        let kept = plan(files("a"), known(), false);
        let expected = [
            (Action::Change, "hinted", Some(8)),
            (Action::Add, "new", None),
        ];
        assert_eq!(told(&kept), expected);
        assert_eq!(kept.kept, ["spiffe://td/agent/gone"]);
        assert_eq!(kept.unchanged, ["spiffe://td/agent/same"]);
        let pruned = plan(files("a"), known(), true);
        assert_eq!(told(&pruned)[2], (Action::Retire, "gone", Some(4)));
        assert_eq!(pruned.changes.len(), 3);
        // Of other files, of more that is done, over another registration it is another plan.
        assert_eq!(kept.digest, plan(files("a"), known(), false).digest);
        assert_ne!(kept.digest, plan(files("b"), known(), false).digest);
        assert_ne!(kept.digest, pruned.digest);
        let mut later = known();
        later[4].log_index = 9;
        assert_ne!(kept.digest, plan(files("a"), later, false).digest);
    }

    #[test]
    fn a_difference_names_each_member_and_a_member_that_goes() {
        let mut before = agent("a", 3, None);
        before.terms.hint = Some("old".parse().unwrap());
        before.federates_with = ["b.example", "a.example"]
            .map(|name| name.parse().unwrap())
            .into();
        let mut after = wanted("a", None);
        after.request.federates_with = ["a.example", "b.example"]
            .map(|name| name.parse().unwrap())
            .into();
        after.judged.manifest_digest = Digest::of("another");
        let plan = plan(vec![after], vec![before], false);
        let fields = serde_json::to_value(&plan.changes[0].fields).unwrap();
        let manifest = json!({
            "name": "manifest", "from": Digest::of("a"), "to": Digest::of("another"),
        });
        assert_eq!(
            fields,
            json!([
                {"name": "hint", "from": "old", "to": null},
                manifest,
                {"name": "owner", "from": null, "to": "files"},
            ])
        );
        assert!(plan.to_text().contains("    hint: \"old\" -> nothing\n"));
    }

    /// What a file does not say is taken away, and what it says in another order is the same.
    #[test]
    fn a_right_to_start_others_is_planned_like_any_other_member() {
        let may = |names: &[&str]| MaySpawn {
            agents: (names.iter())
                .map(|name| format!("spiffe://td/agent/{name}").parse().unwrap())
                .collect(),
            at_once: 3,
            outlive: false,
        };
        let planned = |before: &[&str], after: &[&str]| {
            let mut known = agent("a", 3, Some("files"));
            known.may_spawn = (!before.is_empty()).then(|| may(before));
            let mut file = wanted("a", None);
            file.request.may_spawn = (!after.is_empty()).then(|| may(after));
            plan(vec![file], vec![known], false)
        };
        assert!(planned(&["b", "c"], &["c", "b", "c"]).changes.is_empty());
        let fields = |plan: Plan| serde_json::to_value(&plan.changes[0].fields).unwrap();
        let gone = fields(planned(&["b"], &[]));
        assert_eq!(
            (&gone[0]["name"], &gone[0]["to"]),
            (&json!("may_spawn"), &Value::Null)
        );
        let more = fields(planned(&["b"], &["b", "c"]));
        assert_eq!(more[0]["to"], json!(may(&["b", "c"])));
        let given = planned(&[], &["b"]);
        assert!(given.to_text().contains("    may_spawn: {"));
        let other = planned(&[], &["c"]);
        assert_ne!(given.digest, other.digest);
    }

    /// What was done is told, what failed, and what was not done.
    #[tokio::test]
    async fn a_failure_halfway_says_how_far_it_went() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("server.sock");
        let listener = OwnerListener::bind(&socket).unwrap();
        static ASKED: AtomicUsize = AtomicUsize::new(0);
        let register = |Json(request): Json<Value>| async move {
            // Each names what it was planned over.
            assert_eq!(request["expected"], "absent");
            let answer: Response = match ASKED.fetch_add(1, Ordering::SeqCst) {
                0 => Json(agent("a", 12, Some("files"))).into_response(),
                _ => Problem::conflict("registration_changed", "meanwhile").into_response(),
            };
            answer
        };
        let router = axum::Router::new().route("/v1/agents", post(register));
        tokio::spawn(async move { axum::serve(listener, router).await });
        let server = ServerClient::new(socket);
        let mut plan = plan(
            vec![wanted("a", None), wanted("b", None), wanted("c", None)],
            vec![agent("gone", 4, Some("files"))],
            true,
        );
        let failed = carry_out(&server, &mut plan).await.unwrap_err();
        assert!(failed.to_string().contains("agent/b failed"), "{failed}");
        assert_eq!(ASKED.load(Ordering::SeqCst), 2);
        let text = plan.to_text();
        for line in [
            "added spiffe://td/agent/a, entry 12\n",
            "failed spiffe://td/agent/b: ",
            "not done spiffe://td/agent/c\n",
            "not done spiffe://td/agent/gone\n",
        ] {
            assert!(text.contains(line), "{line}: {text}");
        }
    }
}
