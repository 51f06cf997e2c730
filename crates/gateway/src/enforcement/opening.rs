use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chancery_api::gateway::SessionView;
use chancery_audit::{Disclosure, Label};
use chancery_crypto::random_bytes;
use chancery_journal::Subject;
use chancery_session::{
    Budgets, Event, Fault, Joining, Opening, PRINCIPAL, Reason, principal_text,
};
use chancery_types::id::SessionId;
use chancery_types::{Timestamp, to_canonical};
use tokio::sync::Mutex;

use super::Enforcement;
use super::catalog::Catalog;
use super::dossier::{Dossier, PolicyObject};
use super::in_force::InForce;
use super::live::{Live, StepError};
use super::presentation::{Presented, Refused, Seen};
use crate::peer::Peer;

/// The name under which the operator is committed to.
const OPERATOR: &str = "operator";

impl Enforcement {
    /// Opens the session that a chain names, and joins the one who presents it.
    pub(crate) async fn open_session(
        &self,
        peer: &Peer,
        body: &[u8],
    ) -> Result<SessionView, &'static str> {
        let result = self.try_open(peer, body).await;
        self.refusals_are_enrolled(peer, result).await
    }

    /// Joins an instance to an open session.
    pub(crate) async fn join_session(
        &self,
        peer: &Peer,
        session: &str,
        body: &[u8],
    ) -> Result<SessionView, &'static str> {
        let result = self.try_join(peer, session, body).await;
        self.refusals_are_enrolled(peer, result).await
    }

    async fn refusals_are_enrolled<T>(
        &self,
        peer: &Peer,
        result: Result<T, Refused>,
    ) -> Result<T, &'static str> {
        let Err(refused) = result else {
            return result.map_err(|refused| refused.code);
        };
        let entry = refused.seen.refusal(refused.code, peer.name());
        match self.log.enrol(&self.clock, entry.into()).await {
            Ok(()) => Err(refused.code),
            Err(error) => {
                tracing::error!(%error, "a refusal was not enrolled");
                Err("log_unavailable")
            }
        }
    }

    async fn try_open(&self, peer: &Peer, body: &[u8]) -> Result<SessionView, Refused> {
        let (now, in_force, catalog) = self.circumstances().await?;
        let presented = self.verify_presentation(peer, body, &in_force, &catalog, now)?;
        let session = presented.session;
        let seen = Box::new(presented.seen.clone());
        let fail = |code| Refused {
            code,
            seen: seen.clone(),
        };
        let disclosures = disclosures(&presented, self.trust_domain.as_str()).map_err(fail)?;
        let [principal, operator] = &disclosures;
        let dossier = Dossier {
            principal: Some(principal.clone()),
            disclosures: BTreeSet::new(),
            members: BTreeMap::new(),
            policies: BTreeMap::new(),
        };
        // Nobody is erased between what is kept of a session and its place among the others.
        let _turn = self.erasures.turn.read().await;
        let home = Arc::new(Mutex::new(Live::new(session, dossier)));
        let mut live = home.lock().await;
        // A session that ended is known no more here, and to the log alone.
        if self.records.knows(session) || !self.sessions.add(session, Arc::clone(&home)) {
            return Err(fail("session_exists"));
        }
        let mut presented = presented;
        presented.open_objects.push(catalog.bytes.clone());
        let opened = async {
            self.check_join(&presented)?;
            self.keep_evidence(&mut live, &mut presented, &disclosures, &in_force)
                .await?;
            let opening = Opening {
                gateway: Label::or_digest(self.own.as_str()),
                member: presented.member.clone(),
                chain: presented.chain.clone(),
                mission: presented.mission.clone(),
                consent: Some(presented.consent.clone()),
                principal: principal.clone(),
                operator: operator.commitment(),
                policy: in_force.policy.bundle.digest(),
                catalog: catalog.digest,
                trust: in_force.trust.version,
                expires: presented.chain.root().expires_at(),
                budgets: Budgets::default(),
            };
            let opening = Event::Open(Box::new(opening));
            let (turn, now) = self.turn().await?;
            live.step(&self.log, turn, now, opening)
                .await
                .map_err(|error| code_of(&error))
        };
        if let Err(code) = opened.await {
            self.sessions.withdraw(session);
            return Err(fail(code));
        }
        self.join(&mut live, presented).await.map_err(fail)?;
        self.view(&live).ok_or_else(|| fail("session_unknown"))
    }

    async fn try_join(&self, peer: &Peer, id: &str, body: &[u8]) -> Result<SessionView, Refused> {
        let (now, in_force, catalog) = self.circumstances().await?;
        let mut presented = self.verify_presentation(peer, body, &in_force, &catalog, now)?;
        let session = presented.session;
        let seen = Box::new(presented.seen.clone());
        let fail = |code| Refused {
            code,
            seen: seen.clone(),
        };
        if id.parse() != Ok(session) {
            return Err(fail("wrong_session"));
        }
        let home = self
            .sessions
            .get(session)
            .ok_or_else(|| fail("session_unknown"))?;
        let mut live = home.lock().await;
        let open = live.open().ok_or_else(|| fail("session_ended"))?;
        if live.is_ending() {
            return Err(fail("session_ending"));
        }
        if open.opened().entry.catalog != catalog.digest {
            return Err(fail("catalog_mismatch"));
        }
        if live.joined().any(|name| *name == *peer.name().as_ref()) {
            return Err(fail("already_joined"));
        }
        self.check_join(&presented).map_err(fail)?;
        let kept = self
            .keep_evidence(&mut live, &mut presented, &[], &in_force)
            .await;
        kept.map_err(fail)?;
        self.join(&mut live, presented).await.map_err(fail)?;
        self.view(&live).ok_or_else(|| fail("session_unknown"))
    }

    /// Everything that a presentation is judged by.
    async fn circumstances(&self) -> Result<(Timestamp, Arc<InForce>, Arc<Catalog>), Refused> {
        let fail = |code| Refused {
            code,
            seen: Box::new(Seen::default()),
        };
        let catalog = self
            .catalog()
            .await
            .ok_or_else(|| fail("catalog_unavailable"))?;
        let in_force = self.in_force().ok_or_else(|| fail("snapshot_missing"))?;
        let now = self.clock.now().map_err(|_| fail("clock_stepped_back"))?;
        Ok((now, in_force, catalog))
    }

    /// Stores what evidence will need, before any entry rests on it.
    async fn keep_evidence(
        &self,
        live: &mut Live,
        presented: &mut Presented,
        disclosures: &[Disclosure],
        in_force: &InForce,
    ) -> Result<(), &'static str> {
        const FAILED: &str = "object_store";
        let person = Subject::person(&presented.chain.principal().subject);
        let mut objects = std::mem::take(&mut presented.objects);
        let mut of_operator = Vec::new();
        for disclosure in disclosures {
            let bytes = to_canonical(disclosure).map_err(|_| FAILED)?;
            live.dossier
                .disclosures
                .insert(chancery_types::Digest::of(&bytes));
            match disclosure.name == OPERATOR {
                true => of_operator.push(bytes),
                false => objects.push(bytes),
            }
        }
        let instance = Label::or_digest(presented.member.instance().as_str());
        live.dossier
            .members
            .insert(instance, presented.member_objects.clone());
        let digest = in_force.policy.bundle.digest().to_string();
        live.dossier
            .policies
            .insert(digest, policy_object(in_force));
        let open_objects = std::mem::take(&mut presented.open_objects);
        let all = vec![
            (Some(person), objects),
            (Some(Subject::operator()), of_operator),
            (None, open_objects),
        ];
        let stored = self.objects.put_all(all).await;
        let kept = self.dossiers.keep(live.session().id(), &live.dossier).await;
        stored.and(kept).map_err(|error| {
            tracing::error!(%error, "evidence was not stored");
            FAILED
        })
    }

    /// Notes which object holds the policy in force, before a decision names it.
    pub(crate) async fn keep_policy(
        &self,
        live: &mut Live,
        in_force: &InForce,
    ) -> Result<(), &'static str> {
        let digest = in_force.policy.bundle.digest().to_string();
        let object = policy_object(in_force);
        // The same bundle may be there with signatures of fewer people.
        if live.dossier.policies.get(&digest) == Some(&object) {
            return Ok(());
        }
        live.dossier.policies.insert(digest, object);
        let kept = self.dossiers.keep(live.session().id(), &live.dossier).await;
        kept.map_err(|error| {
            tracing::error!(%error, "evidence was not stored");
            "object_store"
        })
    }

    /// Whether who presents this has joined no other session. Asked again when it joins.
    fn check_join(&self, presented: &Presented) -> Result<(), &'static str> {
        let member = &presented.member;
        let (instance, key) = (member.instance().as_str(), member.agent_key());
        let commons = self.log.commons();
        commons
            .check_join(presented.session, instance, key)
            .map_err(Reason::code)
    }

    async fn join(&self, live: &mut Live, presented: Presented) -> Result<(), &'static str> {
        let instance = Label::or_digest(presented.member.instance().as_str());
        let session = live.session().id();
        let joining = Joining {
            member: presented.member,
            chain: presented.chain,
            principal: live.dossier.principal.clone().ok_or("erased")?,
        };
        let (turn, now) = self.turn().await?;
        // Nobody joined another session meanwhile: whoever has the turn sees what stands before.
        let key = joining.member.agent_key();
        let first = self
            .log
            .commons()
            .check_join(session, instance.as_str(), key);
        first.map_err(Reason::code)?;
        let joined = live
            .step(&self.log, turn, now, Event::Join(Box::new(joining)))
            .await;
        joined.map_err(|error| code_of(&error))?;
        self.sessions.seat(instance, session);
        Ok(())
    }

    /// A session as its instances see it.
    pub(crate) fn view(&self, live: &Live) -> Option<SessionView> {
        let servers = self.upstreams.names().map(ToString::to_string).collect();
        let (opened, ended) = match live.session() {
            chancery_session::Session::Open(open) => (open.opened(), false),
            chancery_session::Session::Ended(ended) => (&ended.opened, true),
            chancery_session::Session::Opening(_) => return None,
        };
        let in_force = self
            .in_force()
            .map(|in_force| in_force.policy.bundle.digest());
        Some(SessionView {
            session: opened.entry.session,
            policy: in_force.unwrap_or(opened.entry.policy),
            expires_at: opened.entry.expires,
            servers,
            ended,
        })
    }

    /// Shows a session to an instance that is or was in it.
    pub(crate) async fn read_session(
        &self,
        peer: &Peer,
        session: &str,
    ) -> Result<SessionView, &'static str> {
        let unknown = "session_unknown";
        let session: SessionId = session.parse().map_err(|_| unknown)?;
        let home = self.sessions.get(session).ok_or(unknown)?;
        let live = home.lock().await;
        let known = live.joined().any(|name| *name == *peer.name().as_ref());
        self.view(&live).filter(|_| known).ok_or(unknown)
    }
}

fn policy_object(in_force: &InForce) -> PolicyObject {
    PolicyObject {
        object: in_force.policy.object,
        version: in_force.policy.bundle.index().version(),
    }
}

/// The session's own disclosures: the person with issuer and identifier, and the operator.
fn disclosures(presented: &Presented, operator: &str) -> Result<[Disclosure; 2], &'static str> {
    let person = principal_text(presented.chain.principal()).map_err(|_| "principal_mismatch")?;
    let disclosure = |name: &str, value: String| {
        let salt = random_bytes().map_err(|_| "random_unavailable")?;
        Ok::<_, &'static str>(Disclosure {
            name: Label::or_digest(name),
            salt,
            value,
        })
    };
    Ok([
        disclosure(PRINCIPAL, person)?,
        disclosure(OPERATOR, operator.to_owned())?,
    ])
}

/// The reason code of a step that was not taken.
pub(crate) const fn code_of(error: &StepError) -> &'static str {
    match error {
        StepError::Log(_) | StepError::Broken => "log_unavailable",
        StepError::Fault(fault) => match fault {
            Fault::Unfit(reason) => reason.code(),
            Fault::AlreadyJoined => "already_joined",
            Fault::AlreadyOpen => "session_exists",
            Fault::NotOpen | Fault::Ended => "session_ended",
            Fault::AlreadyOver => "expired",
            Fault::PolicyMismatch => "policy_mismatch",
            Fault::ClockSteppedBack => "clock_stepped_back",
            Fault::NotJoined => "not_joined",
            Fault::ApprovalExpired => "approval_expired",
            _ => "refused",
        },
    }
}
