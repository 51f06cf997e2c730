use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use chancery_agent::{Answer, Credential, Held, Instance, PresentError, Presenter};
use chancery_audit::{Entry, Event, Label};
use chancery_evidence::presentation::{Challenge, Checkpoints, Enrolled, Parts, Presentation};
use chancery_evidence::snapshot::SignedSnapshot;
use chancery_identity::InstanceSpiffeId;
use chancery_journal::Reader;
use chancery_types::base64url;
use chancery_types::jws::Compact;
use tokio::time::{Instant as Moment, sleep};

use crate::deployment::Layout;

/// How long a presentation waits for the own delegation.
const DELEGATION: Duration = Duration::from_secs(120);

/// How long it waits until a checkpoint covers what was just enrolled.
const CHECKPOINT: Duration = Duration::from_secs(20);

/// Between two looks at the checkpoints.
const PAUSE: Duration = Duration::from_millis(100);

/// How many entries are read at a time, from the last one on backwards.
const STEP: u64 = 256;

/// Puts presentations together from what the deployment on this machine published.
#[derive(Debug)]
pub(super) struct LogPresenter {
    layout: Layout,
    instance: Arc<Instance>,
}

/// What the entries are looked up by.
#[derive(Debug, Clone)]
struct Names {
    instance: Label,
    token: String,
    root: Label,
    session: String,
}

/// What was found in the two logs.
#[derive(Debug)]
struct FromLogs {
    issued: Enrolled,
    rooted: Enrolled,
    opened: Enrolled,
    joined: Enrolled,
    checkpoints: Checkpoints,
}

impl LogPresenter {
    pub(super) fn new(layout: &Layout, instance: Arc<Instance>) -> Self {
        Self {
            layout: layout.clone(),
            instance,
        }
    }

    async fn make(&self, challenge: &Challenge) -> anyhow::Result<Presentation> {
        self.instance.enter_session(DELEGATION).await?;
        let held = self.instance.held(DELEGATION).await?;
        let credential = self.instance.credential().await?;
        let server = self.layout.server_client();
        let own = InstanceSpiffeId::try_from(&credential.spiffe_id)?.instance();
        let evidence = server.instance_evidence(own).await?.evidence;
        let names = Names::of(&credential, &held)?;
        let logs = self.from_logs(names).await?;
        // Last, so that it is as fresh as can be.
        let snapshot = server.snapshot().await?;
        let parts = put_together(&credential, &held, evidence.to_bytes()?, logs, snapshot)?;
        Ok(self.instance.key().present(parts, challenge)?)
    }

    /// The entries, once checkpoints cover them.
    async fn from_logs(&self, names: Names) -> anyhow::Result<FromLogs> {
        let folders = [self.layout.server_log(), self.layout.gateway_log()];
        let deadline = Moment::now() + CHECKPOINT;
        loop {
            let (names, folders) = (names.clone(), folders.clone());
            let found = tokio::task::spawn_blocking(move || look_up(&names, &folders)).await?;
            if let Some(found) = found? {
                return Ok(found);
            }
            anyhow::ensure!(
                Moment::now() < deadline,
                "no checkpoint covers what was enrolled within {} seconds",
                CHECKPOINT.as_secs()
            );
            sleep(PAUSE).await;
        }
    }
}

impl Presenter for LogPresenter {
    fn present(&self, challenge: Challenge) -> Answer<'_, Result<Presentation, PresentError>> {
        Box::pin(async move {
            self.make(&challenge).await.map_err(|error| PresentError {
                reason: "not_presented".to_owned(),
                message: format!("{error:#}"),
                remedy: None,
            })
        })
    }
}

impl Names {
    fn of(credential: &Credential, held: &Held) -> anyhow::Result<Self> {
        let root = held.chain().first().context("the chain is empty")?;
        Ok(Self {
            instance: Label::or_digest(credential.spiffe_id.as_str()),
            token: claim(&credential.wit, "jti")?,
            root: Label::or_digest(&claim(root, "jti")?),
            session: held.session().to_string(),
        })
    }

    fn is_issued(&self, event: &Event) -> bool {
        matches!(event, Event::IdentityIssue(issue) if issue.instance == self.instance
            && issue.credentials.iter().any(|it| it.id.to_string() == self.token))
    }

    fn is_rooted(&self, event: &Event) -> bool {
        matches!(event, Event::DelegationRoot(root) if root.delegation == self.root)
    }

    fn is_opened(&self, event: &Event) -> bool {
        matches!(event, Event::SessionOpen(open) if open.session.to_string() == self.session)
    }

    fn is_joined(&self, event: &Event) -> bool {
        matches!(event, Event::SessionJoin(join) if join.instance == self.instance
            && join.session.to_string() == self.session)
    }
}

fn claim(token: &str, name: &str) -> anyhow::Result<String> {
    let read = Compact::parse(token)?;
    let text = read.claims.get(name).and_then(|value| value.as_str());
    Ok(text
        .with_context(|| format!("a token without {name}"))?
        .to_owned())
}

/// What the published logs have; nothing where a checkpoint does not cover all of it yet.
fn look_up(names: &Names, folders: &[PathBuf; 2]) -> anyhow::Result<Option<FromLogs>> {
    let [server, gateway] = folders;
    let wanted = [Names::is_issued, Names::is_rooted];
    let Some((issued, rooted, server)) = both(server, names, wanted)? else {
        return Ok(None);
    };
    let wanted = [Names::is_opened, Names::is_joined];
    let Some((opened, joined, gateway)) = both(gateway, names, wanted)? else {
        return Ok(None);
    };
    Ok(Some(FromLogs {
        issued,
        rooted,
        opened,
        joined,
        checkpoints: Checkpoints { server, gateway },
    }))
}

type Wanted = fn(&Names, &Event) -> bool;

/// The last entries of a log that are wanted, both under its one checkpoint.
fn both(
    folder: &PathBuf,
    names: &Names,
    [first, second]: [Wanted; 2],
) -> anyhow::Result<Option<(Enrolled, Enrolled, String)>> {
    let reader = Reader::open(folder)?;
    let Some((note, checkpoint)) = reader.checkpoint()? else {
        return Ok(None);
    };
    let (mut one, mut other, mut end) = (None, None, checkpoint.size);
    while end > 0 && (one.is_none() || other.is_none()) {
        let start = end.saturating_sub(1) / STEP * STEP;
        for entry in reader.entries(start..end)? {
            let (index, bytes) = entry?;
            let event = Entry::parse(&bytes)?.event;
            // The last of each bundle: an earlier bundle does not take its place.
            if first(names, &event) && one.as_ref().is_none_or(|(at, _)| *at >= start) {
                one = Some((index, bytes));
            } else if second(names, &event) && other.as_ref().is_none_or(|(at, _)| *at >= start) {
                other = Some((index, bytes));
            }
        }
        end = start;
    }
    let (Some(one), Some(other)) = (one, other) else {
        return Ok(None);
    };
    let enrolled = |(index, bytes): (u64, Vec<u8>)| -> anyhow::Result<Enrolled> {
        let path = reader.prove_inclusion(index, checkpoint.size)?;
        Ok(Enrolled {
            entry: base64url::encode(bytes),
            index,
            path: path.iter().map(ToString::to_string).collect(),
        })
    };
    Ok(Some((enrolled(one)?, enrolled(other)?, note)))
}

fn put_together(
    credential: &Credential,
    held: &Held,
    evidence: Vec<u8>,
    logs: FromLogs,
    snapshot: SignedSnapshot,
) -> anyhow::Result<Parts> {
    Ok(Parts {
        credential: credential.wit.clone(),
        evidence: base64url::encode(evidence),
        issued: logs.issued,
        manifest: base64url::encode(&credential.manifest),
        chain: held.chain().to_vec(),
        consent: base64url::encode(held.consent().to_bytes()?),
        rooted: logs.rooted,
        snapshot,
        opened: logs.opened,
        joined: logs.joined,
        checkpoints: logs.checkpoints,
    })
}
