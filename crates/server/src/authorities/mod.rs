//! Which authorities sign, and how another one comes in the place of one: prepared first, named by
//! the trust document, active once everybody has heard of it, old until all that it signed has ended.
//!
//! Each step that changes what signs or what is believed is enrolled before the signer is told to go
//! it, and nothing is issued meanwhile. What is prepared signs nothing, and is enrolled once it is made.

mod held;
mod schedule;

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use chancery_api::authority::{
    Authorities, Authority, AuthorityChanged, AuthorityKind, AuthorityList, AuthorityState,
    AuthorityView, CertifyAuthority, ChangeAuthority, PrepareAuthority,
};
use chancery_api::{ClientError, Problem};
use chancery_audit::{AuthorityChange, AuthorityKind as Kind, AuthorityStep};
use chancery_identity::bundle::{KeyName, Readiness};
use chancery_identity::trust::TrustDocument;
use chancery_types::{Digest, Timestamp, base64url};
use tokio::sync::{RwLockReadGuard, RwLockWriteGuard};

use crate::Server;
use crate::endpoints::stored;
use held::Held;
pub(crate) use held::{apart, brokered, workload};
use schedule::{Due, Waiting, due};

/// Where the highest count of the signer's changes is stored.
const META: &str = "authorities";

/// How often is looked at what is due.
const LOOK: Duration = Duration::from_secs(1);

/// How long gateways and agents may take to go by a new trust document.
const NOTICE_SECONDS: u64 = 15;

/// What the server knows of the authorities.
#[derive(Debug)]
pub(crate) struct Issuing {
    /// Held together by whoever issues, and alone by whoever changes what signs.
    known: tokio::sync::RwLock<Option<Authorities>>,
    held: Mutex<Held>,
    /// The entries before this one were written before the start; none once they were looked at.
    unread: tokio::sync::Mutex<Option<u64>>,
    /// Since when the trust document is in force.
    trust_since: RwLock<Timestamp>,
}

impl Issuing {
    pub(crate) fn new(log_size: u64, trust: &TrustDocument) -> Self {
        Self {
            known: tokio::sync::RwLock::default(),
            held: Mutex::default(),
            unread: tokio::sync::Mutex::new(Some(log_size)),
            trust_since: RwLock::new(trust.issued_at),
        }
    }

    /// Another trust document is in force.
    pub(crate) fn trust_changed(&self, now: Timestamp) {
        *self
            .trust_since
            .write()
            .unwrap_or_else(PoisonError::into_inner) = now;
    }
}

impl Server {
    /// What signs; as long as the answer is held, nothing else does.
    pub(crate) async fn signing(&self) -> Result<RwLockReadGuard<'_, Authorities>, Problem> {
        loop {
            let known = self.issuing.known.read().await;
            if let Ok(known) = RwLockReadGuard::try_map(known, Option::as_ref) {
                return Ok(known);
            }
            drop(self.changing().await?);
        }
    }

    /// The same, for whoever changes it. What is known is let go of before the signer goes a step:
    /// whatever becomes of it, the signer is asked anew.
    async fn changing(
        &self,
    ) -> Result<(RwLockWriteGuard<'_, Option<Authorities>>, Authorities), Problem> {
        let mut known = self.issuing.known.write().await;
        let all = match &*known {
            Some(all) => all.clone(),
            None => self.ask_signer().await?,
        };
        *known = Some(all.clone());
        Ok((known, all))
    }

    /// Asks the signer, which never forgets a change that the server has seen.
    async fn ask_signer(&self) -> Result<Authorities, Problem> {
        let said = self.signer.authorities().await.map_err(signer)?;
        let seen = self.store.meta(META).await.map_err(stored)?;
        let seen = seen.and_then(|seen| seen.parse().ok()).unwrap_or(0_u64);
        if said.generation < seen {
            let (held, seen) = (said.generation, seen);
            return Err(Problem::unavailable(
                "authority_rolled_back",
                format!(
                    "the signer's authorities are of change {held}, and change {seen} was seen"
                ),
            )
            .with_remedy("take back the newest copy of the signer's folder"));
        }
        if said.generation > seen {
            let text = said.generation.to_string();
            self.store.set_meta(META, &text).await.map_err(stored)?;
        }
        Ok(said)
    }

    /// An authority signed something for `holder`.
    pub(crate) fn holds(&self, authority: &Authority, holder: &str, expires: Timestamp) {
        // A clock that steps back issues nothing.
        let Ok(now) = self.now() else { return };
        let held = self.issuing.held.lock();
        let mut held = held.unwrap_or_else(PoisonError::into_inner);
        held.put(authority.kind, holder, authority.id, (now, expires));
    }

    /// The digests of the certificates of authorities that are not believed any more.
    pub(crate) async fn tainted(&self) -> BTreeSet<Digest> {
        let Ok(known) = self.signing().await else {
            return BTreeSet::new();
        };
        let all = known.authorities.iter();
        all.filter(|one| one.tainted)
            .filter_map(certificate)
            .collect()
    }

    /// Where all of them stand.
    pub(crate) async fn authorities(self: &Arc<Self>) -> Result<AuthorityList, Problem> {
        self.take_up_held().await?;
        let known = self.signing().await?.clone();
        let holders = self.holders(&known).await?;
        let mut views = Vec::new();
        for authority in &known.authorities {
            let ready = self.readiness(&known, authority).await?;
            views.push(AuthorityView {
                named: ready != Readiness::Unpublished,
                ready_at: match ready {
                    Readiness::Unpublished => None,
                    Readiness::Early(at) => Some(at),
                    Readiness::Ready => Some(self.now()?),
                },
                holders: holders.get(&authority.id).copied().unwrap_or_default(),
                authority: authority.clone(),
            });
        }
        Ok(AuthorityList {
            generation: known.generation,
            certifies: known.certifies,
            authorities: views,
        })
    }

    async fn holders(&self, known: &Authorities) -> Result<HashMap<Digest, u64>, Problem> {
        let instances = self.store.instances().await.map_err(stored)?;
        let running = instances.into_iter().filter(|one| one.running);
        let running: BTreeSet<String> = running.map(|one| one.spiffe_id).collect();
        let now = self.now()?;
        let held = self.issuing.held.lock();
        Ok(held
            .unwrap_or_else(PoisonError::into_inner)
            .count(known, &running, now))
    }

    /// Looks once at what was issued before the start.
    async fn take_up_held(self: &Arc<Self>) -> Result<(), Problem> {
        // INVARIANT: nobody counts holders before all of them were read.
        let mut unread = self.issuing.unread.lock().await;
        let Some(before) = *unread else {
            return Ok(());
        };
        let (server, now) = (Arc::clone(self), self.now()?);
        let reading = tokio::task::spawn_blocking(move || {
            let mut found = Held::default();
            found.take_up(&server.journal, before, now)?;
            let held = server.issuing.held.lock();
            held.unwrap_or_else(PoisonError::into_inner).join(found);
            Ok::<_, chancery_journal::JournalError>(())
        });
        let read = reading
            .await
            .map_err(|error| Problem::internal("log", &error))?;
        read.map_err(|error| Problem::internal("log", &error))?;
        *unread = None;
        Ok(())
    }

    /// Whether those who believe what the authority signs know of it.
    async fn readiness(
        &self,
        known: &Authorities,
        authority: &Authority,
    ) -> Result<Readiness, Problem> {
        let trust = self.trust();
        let active = known.active(authority.kind);
        let name = match authority.kind {
            AuthorityKind::X509 => authority.root.map(KeyName::X509),
            AuthorityKind::Jwt => Some(KeyName::Jwt(authority.key.kid())),
            AuthorityKind::Wit if trust.token_authorities.contains(&authority.key) => {
                let since = self.issuing.trust_since.read();
                let since = *since.unwrap_or_else(PoisonError::into_inner);
                let ready = since.plus_seconds(NOTICE_SECONDS);
                return Ok(match self.now()? < ready {
                    true => Readiness::Early(ready),
                    false => Readiness::Ready,
                });
            }
            AuthorityKind::Wit => None,
        };
        let now = self.now()?;
        let ready = match name {
            Some(name) => self.readiness_of(&name, now).await,
            None => Readiness::Unpublished,
        };
        // What stands below the root of the one that signs has nothing new to be heard of.
        let known_root = active.is_some_and(|active| active.root == authority.root);
        Ok(match ready {
            Readiness::Early(_) if known_root && authority.root.is_some() => Readiness::Ready,
            other => other,
        })
    }

    /// Has another authority made, which signs nothing yet. A root that is asked over HTTP may take
    /// its time: what signs goes on meanwhile.
    pub(crate) async fn prepare_authority(
        &self,
        request: PrepareAuthority,
    ) -> Result<AuthorityChanged, Problem> {
        drop(self.signing().await?);
        let made = self.signer.prepare_authority(&request).await;
        let known = self.issuing.known.write().await;
        self.made(known, made).await
    }

    /// Hands over the certificate that a root made.
    pub(crate) async fn certify_authority(
        &self,
        request: CertifyAuthority,
    ) -> Result<AuthorityChanged, Problem> {
        let (mut known, _) = self.changing().await?;
        *known = None;
        let made = self.signer.certify_authority(&request).await;
        self.made(known, made).await
    }

    /// Enrols what the signer made. It signs nothing: what makes it sign is enrolled before.
    async fn made(
        &self,
        mut known: RwLockWriteGuard<'_, Option<Authorities>>,
        made: Result<Authority, ClientError>,
    ) -> Result<AuthorityChanged, Problem> {
        *known = None;
        let authority = made.map_err(signer)?;
        let log_index = self
            .enrol(event(&authority, AuthorityStep::Prepare))
            .await?;
        Ok(AuthorityChanged {
            authority,
            log_index,
        })
    }

    /// Has a prepared authority sign.
    pub(crate) async fn activate_authority(
        &self,
        request: ChangeAuthority,
    ) -> Result<AuthorityChanged, Problem> {
        let (mut known, all) = self.changing().await?;
        let authority = find(&all, request.id)?;
        if authority.state != AuthorityState::Prepared {
            return Err(state(&authority, "prepared"));
        }
        match self.readiness(&all, &authority).await? {
            Readiness::Unpublished => return Err(unnamed(&authority)),
            Readiness::Early(at) if !request.force => return Err(early(&authority, at)),
            Readiness::Early(_) | Readiness::Ready => {}
        }
        let log_index = self
            .enrol(event(&authority, AuthorityStep::Activate))
            .await?;
        *known = None;
        let done = self.signer.activate_authority(&request).await;
        let authority = self.told(&mut known, done).await?;
        Ok(AuthorityChanged {
            authority,
            log_index,
        })
    }

    /// Believes an old authority no more: what it signed is issued again at once.
    pub(crate) async fn taint_authority(
        &self,
        request: ChangeAuthority,
    ) -> Result<AuthorityChanged, Problem> {
        let (mut known, all) = self.changing().await?;
        let authority = find(&all, request.id)?;
        match authority.state {
            AuthorityState::Active => return Err(signs(&authority)),
            AuthorityState::Prepared => return Err(state(&authority, "old")),
            AuthorityState::Old => {}
        }
        let log_index = self.enrol(event(&authority, AuthorityStep::Taint)).await?;
        *known = None;
        let done = self.signer.taint_authority(&request).await;
        let authority = self.told(&mut known, done).await?;
        drop(known);
        self.tell_nodes();
        Ok(AuthorityChanged {
            authority,
            log_index,
        })
    }

    /// Has the key of an authority destroyed on which nobody rests any more.
    pub(crate) async fn revoke_authority(
        self: &Arc<Self>,
        request: ChangeAuthority,
    ) -> Result<AuthorityChanged, Problem> {
        self.take_up_held().await?;
        let (mut known, all) = self.changing().await?;
        let authority = find(&all, request.id)?;
        if authority.state == AuthorityState::Active {
            return Err(signs(&authority));
        }
        let holders = self.holders(&all).await?;
        let holders = holders.get(&authority.id).copied().unwrap_or_default();
        if holders > 0 && !request.force {
            return Err(Problem::conflict(
                "authority_held",
                format!(
                    "{holders} instances or services rest on what {} signed",
                    authority.id
                ),
            )
            .with_remedy("taint it and wait, or say --force"));
        }
        self.destroy(&mut known, &authority, AuthorityStep::Revoke)
            .await
    }

    async fn destroy(
        &self,
        known: &mut Option<Authorities>,
        authority: &Authority,
        step: AuthorityStep,
    ) -> Result<AuthorityChanged, Problem> {
        let log_index = self.enrol(event(authority, step)).await?;
        let request = ChangeAuthority {
            id: authority.id,
            force: false,
        };
        *known = None;
        let done = self.signer.destroy_authority(&request).await;
        let authority = self.told(known, done).await?;
        Ok(AuthorityChanged {
            authority,
            log_index,
        })
    }

    /// Takes up what the signer says after a change. Where it does not answer, it is asked again by
    /// whoever wants to know next.
    async fn told(
        &self,
        known: &mut Option<Authorities>,
        done: Result<Authority, ClientError>,
    ) -> Result<Authority, Problem> {
        match self.ask_signer().await {
            Ok(said) => *known = Some(said),
            Err(problem) => tracing::warn!(%problem, "the signer's authorities are not known"),
        }
        done.map_err(signer)
    }

    /// Goes the steps that are due, until the future is dropped.
    pub(crate) async fn follow_schedule(self: Arc<Self>) {
        let mut waiting = Waiting::default();
        loop {
            tokio::time::sleep(LOOK).await;
            let known = match self.signing().await {
                Ok(known) => known.clone(),
                Err(_) => continue,
            };
            let Ok(now) = self.now() else { continue };
            let steps = due(&known, now);
            waiting.forget_all_but(&steps);
            for step in steps {
                if !waiting.is_over(step, now) {
                    continue;
                }
                if let Err(problem) = self.go(&known, step).await {
                    tracing::warn!(?step, %problem, "an authority's step is due");
                    waiting.failed(step, self.now().unwrap_or(now));
                }
            }
        }
    }

    async fn go(self: &Arc<Self>, known: &Authorities, step: Due) -> Result<(), Problem> {
        match step {
            // Who holds the root has to be there.
            Due::Prepare(AuthorityKind::X509) if !known.certifies => Ok(()),
            Due::Prepare(kind) => {
                let request = PrepareAuthority { kind, bare: false };
                let made = self.prepare_authority(request).await;
                made.map(drop)
            }
            Due::Activate(id) => match self.readiness(known, &find(known, id)?).await? {
                Readiness::Ready => {
                    let request = ChangeAuthority { id, force: false };
                    self.activate_authority(request).await.map(drop)
                }
                // Those who sign the trust document have time left.
                Readiness::Unpublished | Readiness::Early(_) => Ok(()),
            },
            Due::Retire(id) => {
                let (mut known, all) = self.changing().await?;
                let authority = find(&all, id)?;
                let retired = self.destroy(&mut known, &authority, AuthorityStep::Retire);
                retired.await.map(drop)
            }
        }
    }
}

fn find(known: &Authorities, id: Digest) -> Result<Authority, Problem> {
    known.by_id(id).cloned().ok_or_else(|| {
        Problem::not_found("authority_unknown", format!("{id}: no such authority"))
            .with_remedy("run: chancery authority show")
    })
}

fn certificate(authority: &Authority) -> Option<Digest> {
    let own = authority.chain.first()?;
    Some(Digest::of(base64url::decode(own).ok()?))
}

fn event(authority: &Authority, step: AuthorityStep) -> AuthorityChange {
    AuthorityChange {
        kind: match authority.kind {
            AuthorityKind::X509 => Kind::X509,
            AuthorityKind::Jwt => Kind::Jwt,
            AuthorityKind::Wit => Kind::Wit,
        },
        authority: authority.id,
        step,
        ends: authority.ends,
        root: authority.root,
        certificate: certificate(authority),
    }
}

fn signer(error: ClientError) -> Problem {
    match error {
        ClientError::Refused(problem) => problem,
        other => Problem::unavailable("signer", other.to_string()),
    }
}

fn state(authority: &Authority, wanted: &str) -> Problem {
    Problem::conflict(
        "authority_state",
        format!("{} is {}, and not {wanted}", authority.id, authority.state),
    )
    .with_remedy("run: chancery authority show")
}

fn signs(authority: &Authority) -> Problem {
    let text = format!("{} is the one that signs", authority.id);
    Problem::conflict("authority_active", text).with_remedy(format!(
        "have another one sign first: chancery authority prepare {0}, then activate {0}",
        authority.kind
    ))
}

fn unnamed(authority: &Authority) -> Problem {
    let text = format!("the trust document does not name {}", authority.id);
    Problem::forbidden("authority_unnamed", text)
        .with_remedy("have root keys sign one that does: chancery trust change")
}

fn early(authority: &Authority, at: Timestamp) -> Problem {
    let text = format!("not everybody has heard of {} before {at}", authority.id);
    Problem::conflict("authority_early", text).with_remedy("wait, or say --now")
}
