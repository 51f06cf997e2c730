use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use chancery_agent::{Answer, Credential, Held, Instance, PresentError, Presenter, SessionError};
use chancery_audit::{Entry, Event, Label};
use chancery_evidence::presentation::{Challenge, Checkpoints, Enrolled, Parts, Presentation};
use chancery_identity::InstanceSpiffeId;
use chancery_journal::{JournalError, Reader};
use chancery_types::id::{CredentialId, SessionId};
use chancery_types::jws::Compact;
use chancery_types::limits::MAX_ROOT_SECONDS;
use chancery_types::{Timestamp, base64url};
use tokio::sync::Mutex;
use tokio::time::{Instant as Moment, sleep};

use crate::commands::mission::now;
use crate::deployment::Layout;

/// How long a presentation waits for the own delegation.
const DELEGATION: Duration = Duration::from_secs(120);

/// How long it waits until a checkpoint covers what was just enrolled.
const CHECKPOINT: Duration = Duration::from_secs(20);

/// Between two looks at the checkpoints.
const PAUSE: Duration = Duration::from_millis(200);

/// How many entries are read at a time, from the last one on backwards.
const STEP: u64 = 256;

/// How much older than a root may be an entry is not looked at, for clocks that differ.
const MARGIN_SECONDS: u64 = 60;

/// Puts presentations together from what the deployment on this machine published.
#[derive(Debug)]
pub(super) struct LogPresenter {
    layout: Layout,
    instance: Arc<Instance>,
    /// Logs are read for one at a time, whoever asks how often.
    alone: Mutex<()>,
}

/// What the entries are looked up by.
#[derive(Debug, Clone)]
struct Names {
    instance: Label,
    token: CredentialId,
    root: Label,
    session: SessionId,
    /// Nothing before is looked at: no root lives longer.
    since: Timestamp,
}

type Wanted = fn(&Names, &Event) -> bool;

/// The search for the last two entries of a log that are wanted. What was looked at once is not looked
/// at again.
#[derive(Debug, Clone)]
struct Hunt {
    folder: PathBuf,
    wanted: [Wanted; 2],
    found: [Option<u64>; 2],
    /// Everything before was looked at.
    seen: u64,
}

/// Both entries under the one checkpoint.
#[derive(Debug)]
struct Caught {
    entries: [Enrolled; 2],
    note: String,
}

impl LogPresenter {
    pub(super) fn new(layout: &Layout, instance: Arc<Instance>) -> Self {
        Self {
            layout: layout.clone(),
            instance,
            alone: Mutex::new(()),
        }
    }

    async fn make(&self, challenge: &Challenge) -> Result<Presentation, PresentError> {
        let _alone = self.alone.lock().await;
        let held = self.instance.session_authority(DELEGATION).await?;
        let credential = self.instance.credential().await;
        let credential = credential.map_err(SessionError::from)?;
        let server = self.layout.server_client();
        let own = InstanceSpiffeId::try_from(&credential.spiffe_id);
        let own = own.map_err(|_| PresentError::Inconsistent)?.instance();
        let evidence = server.instance_evidence(own).await;
        let evidence = evidence.map_err(|_| PresentError::ControlPlane)?.evidence;
        let evidence = evidence.to_bytes();
        let evidence = evidence.map_err(|_| PresentError::Inconsistent)?;
        let names = Names::of(&credential, &held).ok_or(PresentError::Inconsistent)?;
        let [of_server, of_gateway] = self.caught(names).await?;
        let [issued, rooted] = of_server.entries;
        let [opened, joined] = of_gateway.entries;
        let consent = held.consent().to_bytes();
        let parts = Parts {
            evidence: base64url::encode(evidence),
            issued,
            manifest: base64url::encode(&credential.manifest),
            chain: held.chain().to_vec(),
            consent: base64url::encode(consent.map_err(|_| PresentError::Inconsistent)?),
            rooted,
            opened,
            joined,
            checkpoints: Checkpoints {
                server: of_server.note,
                gateway: of_gateway.note,
            },
            credential: credential.wit,
            // Last, so that it is as fresh as can be.
            snapshot: (server.snapshot().await).map_err(|_| PresentError::ControlPlane)?,
        };
        Ok(self.instance.key().present(parts, challenge)?)
    }

    /// The entries of the server's log and of the gateway's, once checkpoints cover them.
    async fn caught(&self, names: Names) -> Result<[Caught; 2], PresentError> {
        let hunt = |folder, wanted| Hunt {
            folder,
            wanted,
            found: [None; 2],
            seen: 0,
        };
        let mut hunts = [
            hunt(
                self.layout.server_log(),
                [Names::is_issued, Names::is_rooted],
            ),
            hunt(
                self.layout.gateway_log(),
                [Names::is_opened, Names::is_joined],
            ),
        ];
        let deadline = Moment::now() + CHECKPOINT;
        while Moment::now() < deadline {
            let names = names.clone();
            let looking = tokio::task::spawn_blocking(move || {
                let [server, gateway] = &mut hunts;
                let caught = (server.look(&names)?, gateway.look(&names)?);
                Ok((caught, hunts))
            });
            let looked: Result<_, JournalError> = looking.await.map_err(|_| PresentError::Logs)?;
            let (caught, after) = looked.map_err(|_| PresentError::Logs)?;
            if let (Some(server), Some(gateway)) = caught {
                return Ok([server, gateway]);
            }
            hunts = after;
            sleep(PAUSE).await;
        }
        Err(PresentError::NotPublished)
    }
}

impl Presenter for LogPresenter {
    fn present(&self, challenge: Challenge) -> Answer<'_, Result<Presentation, PresentError>> {
        Box::pin(async move { self.make(&challenge).await })
    }
}

impl Names {
    fn of(credential: &Credential, held: &Held) -> Option<Self> {
        let root = held.chain().first()?;
        Some(Self {
            instance: Label::or_digest(credential.spiffe_id.as_str()),
            token: claim(&credential.wit, "jti")?.parse().ok()?,
            root: Label::or_digest(&claim(root, "jti")?),
            session: held.session(),
            since: now().ok()?.minus_seconds(MAX_ROOT_SECONDS + MARGIN_SECONDS),
        })
    }

    fn is_issued(&self, event: &Event) -> bool {
        matches!(event, Event::IdentityIssue(issue) if issue.instance == self.instance
            && issue.credentials.iter().any(|it| it.id == self.token))
    }

    fn is_rooted(&self, event: &Event) -> bool {
        matches!(event, Event::DelegationRoot(root) if root.delegation == self.root)
    }

    fn is_opened(&self, event: &Event) -> bool {
        matches!(event, Event::SessionOpen(open) if open.session == self.session)
    }

    fn is_joined(&self, event: &Event) -> bool {
        matches!(event, Event::SessionJoin(join) if join.instance == self.instance
            && join.session == self.session)
    }
}

fn claim(token: &str, name: &str) -> Option<String> {
    let claims = Compact::parse(token).ok()?.claims;
    Some(claims.get(name)?.as_str()?.to_owned())
}

impl Hunt {
    /// Looks at what was published since the last look, the newest first; both entries with their
    /// places under the checkpoint, or nothing yet.
    fn look(&mut self, names: &Names) -> Result<Option<Caught>, JournalError> {
        let reader = Reader::open(&self.folder)?;
        let Some((note, checkpoint)) = reader.checkpoint()? else {
            return Ok(None);
        };
        let (mut newer, mut end) = ([None; 2], checkpoint.size);
        while end > self.seen && newer.contains(&None) {
            let start = (end.saturating_sub(1) / STEP * STEP).max(self.seen);
            let (here, too_old) = self.look_through(&reader, start..end, names)?;
            for (known, here) in newer.iter_mut().zip(here) {
                *known = known.or(here);
            }
            if too_old {
                break;
            }
            end = start;
        }
        self.seen = checkpoint.size;
        for (known, newer) in self.found.iter_mut().zip(newer) {
            *known = newer.or(*known);
        }
        let [Some(first), Some(second)] = self.found else {
            return Ok(None);
        };
        let enrolled = |index| -> Result<Enrolled, JournalError> {
            let path = reader.prove_inclusion(index, checkpoint.size)?;
            Ok(Enrolled {
                entry: base64url::encode(reader.read_entry(index)?),
                index,
                path: path.iter().map(ToString::to_string).collect(),
            })
        };
        let entries = [enrolled(first)?, enrolled(second)?];
        Ok(Some(Caught { entries, note }))
    }

    /// The last entries of a range that are wanted, and whether the range begins before anything can be.
    fn look_through(
        &self,
        reader: &Reader,
        range: std::ops::Range<u64>,
        names: &Names,
    ) -> Result<([Option<u64>; 2], bool), JournalError> {
        let (start, mut found, mut too_old) = (range.start, [None; 2], false);
        for entry in reader.entries(range)? {
            let (index, bytes) = entry?;
            // What a later version wrote is none of ours.
            let Ok(entry) = Entry::parse(&bytes) else {
                continue;
            };
            too_old |= index == start && entry.at < names.since;
            for (wanted, found) in self.wanted.iter().zip(&mut found) {
                if wanted(names, &entry.event) {
                    *found = Some(index);
                }
            }
        }
        Ok((found, too_old))
    }
}

#[cfg(test)]
mod tests {
    use chancery_audit::IdentityEnd;
    use chancery_journal::{CheckpointSigner, Config, Journal, LocalSigner};

    use super::*;

    const ORIGIN: &str = "td/log/gateway";

    /// An entry whose reason is that word.
    fn entry(word: &str) -> Vec<u8> {
        let end = IdentityEnd {
            instance: "spiffe://td/agent/a/instance/i".parse().unwrap(),
            reason: word.parse().unwrap(),
            credentials: Vec::new(),
            launch: None,
        };
        let entry = Entry {
            origin: ORIGIN.parse().unwrap(),
            at: Timestamp::from_seconds(1),
            event: end.into(),
        };
        entry.to_bytes().unwrap()
    }

    fn says(event: &Event, word: &str) -> bool {
        matches!(event, Event::IdentityEnd(end) if end.reason == *word)
    }

    fn names() -> Names {
        Names {
            instance: "x".parse().unwrap(),
            token: CredentialId::from_random([1; 16]),
            root: "x".parse().unwrap(),
            session: SessionId::from_random([1; 16]),
            since: Timestamp::from_micros(0),
        }
    }

    #[tokio::test]
    async fn the_last_of_each_is_found_wherever_the_other_one_stands() {
        let folder = tempfile::tempdir().unwrap();
        let (keys, log) = (folder.path().join("keys"), folder.path().join("log"));
        let config = Config::new(&log, ORIGIN.parse().unwrap());
        let journal = tokio::task::spawn_blocking(move || {
            let signer = LocalSigner::open_or_create(&keys, &ORIGIN.parse().unwrap()).unwrap();
            Journal::open(config, Arc::new(signer) as Arc<dyn CheckpointSigner>).unwrap()
        });
        let journal = journal.await.unwrap();
        // What is looked for stands beyond a bundle, before it, and on both sides of its end.
        let words = |index| match index {
            10 => "one",
            100 | 290 => "other",
            _ => "none",
        };
        let entries = (0..300).map(|index| entry(words(index))).collect();
        journal.append_all(entries).await.unwrap();
        journal.publish().await.unwrap();
        let mut hunt = Hunt {
            folder: log,
            wanted: [|_, it| says(it, "one"), |_, it| says(it, "other")],
            found: [None; 2],
            seen: 0,
        };
        let caught = hunt.look(&names()).unwrap().unwrap();
        assert_eq!(caught.entries.map(|entry| entry.index), [10, 290]);
        // What came since takes the place of what was found.
        journal.append_all(vec![entry("one")]).await.unwrap();
        journal.publish().await.unwrap();
        let caught = hunt.look(&names()).unwrap().unwrap();
        assert_eq!(caught.entries.map(|entry| entry.index), [300, 290]);
    }
}
