use std::sync::{Arc, PoisonError};

use chancery_audit::{CallKind, Label};
use chancery_crypto::{AwsLc, random_id};
use chancery_delegation::{ProofContext, VerifiedProof, verify_proof};
use chancery_identity::SpiffeId;
use chancery_journal::Subject;
use chancery_policy::{Annotations, Kind};
use chancery_session::{Action, CallInput, CatalogFacts, Effect, Event};
use chancery_types::id::{ExecutionId, SessionId};
use chancery_types::{Digest, Timestamp};

use super::Enforcement;
use super::approvals::{Question, Settled};
use super::catalog::Catalog;
use super::chains::{ChainFault, KnownChain};
use super::in_force::{Freshness, InForce};
use super::live::{Denied, Live};
use super::material::Material;
use super::opening::code_of;
use super::presentation::Seen;
use super::sessions::Home;
use crate::call::Call;
use crate::enforcer::{Pending, Permit, Refusal, Seat, Verdict};
use crate::envelope::ambiguous;
use crate::peer::Peer;

/// When repeating a call that waits for a person makes sense.
const RETRY_AFTER_SECONDS: u64 = 1;

/// A call whose chain and proof were verified for this peer, this gateway and now.
struct Examined {
    in_force: Arc<InForce>,
    chain: Arc<KnownChain>,
    proof: VerifiedProof,
    catalog: Arc<Catalog>,
    annotations: Option<Annotations>,
}

/// What a look at the session gave.
enum Looked {
    Decided(Verdict),
    /// The same action waits for a person.
    Waits(Question),
}

impl Enforcement {
    /// Decides one call: verify, judge, enrol; in this order.
    pub(crate) async fn decide_call(&self, peer: &Peer, call: &Call) -> Verdict {
        let mut material = Material::read(call, |chain| {
            self.references.find(peer.name(), chain, &self.sessions)
        });
        material.holds_token = self.holds_access_token(&call.visit().message().forwarded());
        let Ok(fresh) = random_id::<chancery_types::id::ExecutionKind>() else {
            return denied("random_unavailable", None);
        };
        let examined = self.examine(peer, &material).await;
        let execution = examined
            .as_ref()
            .ok()
            .and_then(|known| known.proof.execution());
        let execution = execution.unwrap_or(fresh);
        let Some((session, home)) = self.home_of(peer, &examined, &material) else {
            let fault = match (examined.err(), self.sessions.of(peer.name()).is_empty()) {
                (Some(fault), _) => fault,
                (None, true) => "not_joined".into(),
                (None, false) => "wrong_session".into(),
            };
            return self.refuse_stranger(peer, &material, fault).await;
        };
        let whose = match &examined {
            Ok(examined) => Some(Subject::person(&examined.chain.chain.principal().subject)),
            Err(_) => home.lock().await.whose(),
        };
        let Some(whose) = whose else {
            return denied("erased", None);
        };
        if examined.is_ok() && !material.is_referred {
            let (chain, links) = (material.chain, &material.links);
            self.references
                .remember(peer.name(), session, chain, links, &self.sessions);
        }
        let catalog = examined.as_ref().ok();
        let catalog = catalog.map(|known| known.catalog.bytes.clone());
        let objects = vec![
            (Some(whose), material.objects()),
            (None, catalog.into_iter().collect()),
        ];
        let stored = self.objects.put_all(objects).await;
        if let Err(error) = stored {
            tracing::error!(%error, "evidence was not stored");
            return denied("object_store", None);
        }
        match examined {
            Ok(examined) => {
                self.decide_in(session, &home, peer, &material, execution, examined)
                    .await
            }
            Err(fault) => {
                let mut live = home.lock().await;
                self.deny_in(&mut live, peer, &material, execution, fault)
                    .await
            }
        }
    }

    /// Everything that is asked before the session is. What was presented comes first: a proof that
    /// stands is used up whatever else denies the call, as evidence will find it.
    async fn examine(&self, peer: &Peer, material: &Material) -> Result<Examined, ChainFault> {
        let now = self.clock.now().map_err(|_| "clock_stepped_back")?;
        let in_force = self.in_force().ok_or("snapshot_missing")?;
        if let Some(fault) = material.fault {
            return Err(fault.into());
        }
        let peer_id: SpiffeId = peer.name().parse().map_err(|_| "certificate_invalid")?;
        let chain = self.verify_call_chain(&in_force, &peer_id, material, now)?;
        let proof = self.verify_call_proof(&chain, &peer_id, material, now)?;
        self.check_circumstances(peer, material, in_force, (chain, proof), now)
            .await
    }

    /// The same call under what is in force now: everything but the proof, which was used up and
    /// stands, is asked again.
    async fn examine_again(
        &self,
        peer: &Peer,
        material: &Material,
        before: Examined,
    ) -> Result<Examined, ChainFault> {
        let now = self.clock.now().map_err(|_| "clock_stepped_back")?;
        let in_force = self.in_force().ok_or("snapshot_missing")?;
        let peer_id: SpiffeId = peer.name().parse().map_err(|_| "certificate_invalid")?;
        let chain = self.verify_call_chain(&in_force, &peer_id, material, now)?;
        self.check_circumstances(peer, material, in_force, (chain, before.proof), now)
            .await
    }

    /// Everything about a call that is neither its chain nor its proof: who calls, how old what is
    /// known is, and what the catalog says.
    async fn check_circumstances(
        &self,
        peer: &Peer,
        material: &Material,
        in_force: Arc<InForce>,
        (chain, proof): (Arc<KnownChain>, VerifiedProof),
        now: Timestamp,
    ) -> Result<Examined, ChainFault> {
        let tls = self.tls().ok_or("certificate_invalid")?;
        let verified = self.peers.verify(peer.certificates(), &tls, now);
        if verified.as_ref().ok() != Some(chain.chain.leaf_subject()) {
            return Err("certificate_invalid".into());
        }
        let freshness = in_force.freshness(now, self.grace_seconds);
        check_fresh(freshness, None)?;
        if material.is_ungoverned {
            return Err("ungoverned_parameter".into());
        }
        if material.holds_token {
            return Err("token_in_call".into());
        }
        self.check_exchange(&chain.chain, material)?;
        let catalog = self.catalog().await.ok_or("catalog_unavailable")?;
        let annotations = annotations(&catalog, material);
        check_fresh(
            freshness,
            Some(annotations.is_none_or(|hints| hints.destructive)),
        )?;
        let tool = catalog.tool(&material.server, &material.name);
        let tool = tool.filter(|_| material.kind() == CallKind::Tool);
        if tool.is_some_and(|tool| material.arguments.keys().any(|name| !tool.admits(name))) {
            return Err("unknown_argument".into());
        }
        if is_confusable(tool, &in_force, material) {
            return Err("ambiguous_argument".into());
        }
        Ok(Examined {
            in_force,
            chain,
            proof,
            catalog,
            annotations,
        })
    }

    pub(super) fn verify_call_chain(
        &self,
        in_force: &InForce,
        peer: &SpiffeId,
        material: &Material,
        now: Timestamp,
    ) -> Result<Arc<KnownChain>, ChainFault> {
        let links: Vec<_> = material.links.iter().map(String::as_str).collect();
        let audience = self.own.as_str();
        self.chains
            .verify(&links, audience, in_force, peer, &self.objects, now)
    }

    fn verify_call_proof(
        &self,
        chain: &KnownChain,
        peer: &SpiffeId,
        material: &Material,
        now: Timestamp,
    ) -> Result<VerifiedProof, &'static str> {
        let context = ProofContext {
            now,
            audience: self.own.as_str(),
            verifier: &AwsLc,
            started_at: self.started_at,
            peer,
            call: material.call(),
        };
        let mut replay = self.replay.lock().unwrap_or_else(PoisonError::into_inner);
        verify_proof(
            material.proof.as_deref(),
            &chain.chain,
            &context,
            &mut *replay,
        )
        .map_err(|refusal| refusal.reason.code())
    }

    /// The session that the call, or its denial, belongs to: the one that the chain names when the
    /// peer is in it. A denial that another's chain or no chain was presented belongs to the only
    /// session that the peer is in.
    fn home_of(
        &self,
        peer: &Peer,
        examined: &Result<Examined, ChainFault>,
        material: &Material,
    ) -> Option<(SessionId, Home)> {
        let named = claimed_session(material);
        let session = match named.filter(|session| self.sessions.is_in(peer.name(), *session)) {
            Some(session) => session,
            None if examined.is_ok() || own_chain(peer, material) => return None,
            None => match self.sessions.of(peer.name()).as_slice() {
                [only] => *only,
                _ => return None,
            },
        };
        self.sessions.get(session).map(|home| (session, home))
    }

    async fn decide_in(
        &self,
        session: SessionId,
        home: &Home,
        peer: &Peer,
        material: &Material,
        execution: ExecutionId,
        mut examined: Examined,
    ) -> Verdict {
        let action = Action {
            session,
            instance: Label::or_digest(peer.name()),
            server: Label::or_digest(&material.server),
            kind: material.kind(),
            name: Label::or_digest(&material.name),
            args_digest: material.args_digest(),
        };
        let Ok(action) = action.digest() else {
            return denied("malformed", None);
        };
        let mut waited = false;
        loop {
            let mut live = home.lock().await;
            let looked = self
                .look(&mut live, peer, material, execution, &examined, action)
                .await;
            drop(live);
            let question = match looked {
                Looked::Decided(verdict) => return verdict,
                Looked::Waits(question) => question,
            };
            if waited {
                return pending(&question);
            }
            waited = true;
            let settled = self.settle(home, &question, &examined.in_force).await;
            let again = match settled {
                Settled::Answered => self.examine_again(peer, material, examined).await,
                Settled::Waits => return pending(&question),
                Settled::Refused(code) => Err(code.into()),
            };
            examined = match again {
                Ok(again) => again,
                Err(code) => {
                    let mut live = home.lock().await;
                    return self
                        .deny_in(&mut live, peer, material, execution, code)
                        .await;
                }
            };
        }
    }

    /// Judges under the session's lock, once nothing else waits about the same action.
    async fn look(
        &self,
        live: &mut Live,
        peer: &Peer,
        material: &Material,
        execution: ExecutionId,
        examined: &Examined,
        action: Digest,
    ) -> Looked {
        let policy = examined.in_force.policy.bundle.digest();
        let checked = self.check_seat(live, peer).and_then(|(seat, now)| {
            if live.is_refused(action, policy) {
                return Err("approval_denied");
            }
            if live.lapsed(action, now).is_some() {
                return Err("approval_expired");
            }
            Ok((seat, now))
        });
        let (seat, now) = match checked {
            Ok(checked) => checked,
            Err(code) => {
                let denied = self.deny_in(live, peer, material, execution, code).await;
                return Looked::Decided(denied);
            }
        };
        if let Some(question) = self.question(live, action, now) {
            return Looked::Waits(question);
        }
        let judged = self.judge(live, seat, material, execution, examined).await;
        Looked::Decided(match judged {
            Ok(verdict) => verdict,
            Err(fault) => self.deny_in(live, peer, material, execution, fault).await,
        })
    }

    /// That the session still takes calls and the instance still has a seat and a credential.
    fn check_seat(&self, live: &Live, peer: &Peer) -> Result<(Seat, Timestamp), &'static str> {
        let now = self.clock.now().map_err(|_| "clock_stepped_back")?;
        let open = live.open().ok_or("session_ended")?;
        if live.is_ending() {
            return Err("session_ending");
        }
        let seated = live.seated(peer.name()).ok_or("not_joined")?;
        if now >= seated.expires {
            return Err("credential_expired");
        }
        Ok((
            Seat {
                session: open.id(),
                instance: seated.id,
            },
            now,
        ))
    }

    /// What is in force when the decision falls: that trust and policy are as they were, that the
    /// chain still stands, and that nothing grew old while a person was asked or another call decided.
    fn check_in_force(
        &self,
        examined: &Examined,
        now: Timestamp,
    ) -> Result<Arc<InForce>, ChainFault> {
        let current = self.in_force().ok_or("snapshot_missing")?;
        let policy = |one: &InForce| one.policy.bundle.digest();
        let before = &examined.in_force;
        if current.trust.digest() != before.trust.digest() || policy(&current) != policy(before) {
            return Err(Freshness::STALE.into());
        }
        // What was revoked meanwhile is asked again; what else was revoked is no matter here.
        current.standing(now, |standing| examined.chain.chain.recheck(&standing))?;
        let destructive = examined.annotations.is_none_or(|hints| hints.destructive);
        let freshness = current.freshness(now, self.grace_seconds);
        check_fresh(freshness, Some(destructive))?;
        Ok(current)
    }

    async fn judge(
        &self,
        live: &mut Live,
        seat: Seat,
        material: &Material,
        execution: ExecutionId,
        examined: &Examined,
    ) -> Result<Verdict, ChainFault> {
        self.keep_policy(live, &examined.in_force).await?;
        let whose = live.whose().ok_or("erased")?;
        let mission = live.open().map(|open| open.opened().entry.mission);
        let mission =
            mission.and_then(|mission| self.missions.find(mission, &whose, &self.objects));
        let mission = mission.ok_or("mission_unavailable")?;
        let opinion = material.opinion();
        let principal = live.dossier.principal.clone().ok_or("erased")?;
        let (turn, now) = self.turn().await?;
        let current = self.check_in_force(examined, now)?;
        let judgement = current.standing(now, |standing| {
            let commons = self.log.commons();
            live.session().judge(&CallInput {
                execution,
                standing,
                chain: &examined.chain.chain,
                proof: &examined.proof,
                consent: Some(&examined.chain.consent),
                principal: &principal,
                mission: &mission,
                call: material.call(),
                opinion: opinion.as_ref(),
                policy: &examined.in_force.policy.bundle,
                catalog: CatalogFacts {
                    digest: examined.catalog.digest,
                    annotations: examined.annotations,
                },
                commons: &commons,
            })
        });
        let reason = judgement.reason().code();
        let determining: Vec<_> = judgement
            .determining()
            .iter()
            .map(ToString::to_string)
            .collect();
        let step = judgement.step().map(ToString::to_string);
        let facts = judgement.facts().cloned();
        let unenforced = judgement.unenforced().map(|said| said.outcome.name());
        let effects = live
            .step(&self.log, turn, now, Event::Decide(Box::new(judgement)))
            .await;
        let effects = effects.map_err(|error| {
            tracing::error!(%error, "a decision was not enrolled");
            code_of(&error)
        })?;
        for effect in effects {
            match effect {
                Effect::Forward(permit) => {
                    let permit = Permit::new(permit.execution(), seat);
                    let Some(verdict) = unenforced else {
                        return Ok(Verdict::Forward(permit));
                    };
                    metrics::counter!("chancery_unenforced_total", "verdict" => verdict)
                        .increment(1);
                    return Ok(Verdict::Forward(permit.unenforced()));
                }
                Effect::Refuse(execution) => return Ok(denied(reason, Some(execution))),
                Effect::Escalate(execution) => {
                    let rules = examined.in_force.policy.bundle.sessions();
                    let sums = live.open().map(|open| open.sums(rules));
                    let sums = sums.unwrap_or_default();
                    let asked = (step, determining, facts, sums);
                    let subject = self.subject(live, &examined.chain, material, asked);
                    let asked = self.ask(live, execution, &subject).await;
                    return Ok(match asked {
                        Ok(question) => pending(&question),
                        Err(code) => denied(code, Some(execution)),
                    });
                }
                _ => {}
            }
        }
        // Who is not in the session is refused without a decision of its own.
        Ok(denied(reason, None))
    }

    /// Enrols the denial of a call that was not judged, as the presenting instance's decision.
    async fn deny_in(
        &self,
        live: &mut Live,
        peer: &Peer,
        material: &Material,
        execution: ExecutionId,
        fault: impl Into<ChainFault>,
    ) -> Verdict {
        let fault = fault.into();
        let policy = self
            .in_force()
            .map(|in_force| in_force.policy.bundle.digest());
        let opened = live.open().map(|open| open.opened().entry.policy);
        let (Some(policy), true) = (policy.or(opened), live.seated(peer.name()).is_some()) else {
            return self.refuse_stranger(peer, material, fault).await;
        };
        if let Some(in_force) = self.in_force()
            && let Err(code) = self.keep_policy(live, &in_force).await
        {
            return denied(code, None);
        }
        let entry = Denied {
            instance: Label::or_digest(peer.name()),
            execution,
            chain: material.chain,
            leaf: leaf_of(material),
            proof: material.proof_digest(),
            request: material.record(),
            policy,
            reason: fault.code,
            revoked: fault.revoked,
        };
        let turn = self.log.turn().await;
        let now = self.clock.latest();
        match live.deny(&self.log, turn, now, entry).await {
            Ok(()) => denied(fault, Some(execution)),
            Err(error) => {
                tracing::error!(%error, "a denial was not enrolled");
                denied(fault, None)
            }
        }
    }

    /// Enrols that somebody without a seat was refused.
    async fn refuse_stranger(
        &self,
        peer: &Peer,
        material: &Material,
        fault: ChainFault,
    ) -> Verdict {
        let seen = Seen::of_call(material.chain, fault);
        let refusal = seen.refusal(fault.code, peer.name());
        if let Err(error) = self.log.enrol(&self.clock, refusal.into()).await {
            tracing::error!(%error, "a refusal was not enrolled");
        }
        denied(fault, None)
    }
}

/// What the catalog says of a target; what is read by its name changes nothing.
fn annotations(catalog: &Catalog, material: &Material) -> Option<Annotations> {
    match material.kind() {
        CallKind::Tool => catalog
            .tool(&material.server, &material.name)
            .map(super::catalog::Tool::annotations),
        CallKind::Resource | CallKind::Prompt => Some(Annotations {
            read_only: true,
            destructive: false,
        }),
    }
}

/// Whether an argument differs from one that the tool's schema or the policy bundle names only by case:
/// a server that reads names without regard to case would take it for the one that nobody judged.
fn is_confusable(
    tool: Option<&super::catalog::Tool>,
    in_force: &InForce,
    material: &Material,
) -> bool {
    let declared = in_force.policy.bundle.tool(&chancery_policy::Target {
        kind: match material.kind() {
            CallKind::Tool => Kind::Tool,
            CallKind::Resource => Kind::Resource,
            CallKind::Prompt => Kind::Prompt,
        },
        server: &material.server,
        name: &material.name,
    });
    let declared = declared.into_iter().flat_map(|tool| tool.args().keys());
    let known: Vec<&str> = declared
        .map(String::as_str)
        .chain(tool.into_iter().flat_map(super::catalog::Tool::properties))
        .collect();
    let mut names = material.arguments.keys().map(String::as_str);
    names.any(|name| !known.contains(&name) && ambiguous([name].into_iter(), &known))
}

/// The session that a chain says it is for; verified by nobody, so good for choosing a log only.
fn claimed_session(material: &Material) -> Option<SessionId> {
    let root = chancery_types::jws::Compact::parse(material.links.first()?).ok()?;
    root.claims.get("sid")?.as_str()?.parse().ok()
}

/// Whether the leaf says that it is the peer's; verified by nobody.
fn own_chain(peer: &Peer, material: &Material) -> bool {
    let leaf = material
        .links
        .last()
        .and_then(|link| chancery_types::jws::Compact::parse(link).ok());
    let subject = leaf
        .as_ref()
        .and_then(|leaf| leaf.claims.get("sub")?.as_str());
    subject == Some(peer.name())
}

/// The leaf's `jti` as it was presented.
fn leaf_of(material: &Material) -> Label {
    let leaf = material
        .links
        .last()
        .and_then(|link| chancery_types::jws::Compact::parse(link).ok());
    let jti = leaf
        .as_ref()
        .and_then(|leaf| leaf.claims.get("jti")?.as_str());
    Label::or_digest(jti.unwrap_or("unreadable"))
}

pub(crate) fn denied(fault: impl Into<ChainFault>, execution: Option<ExecutionId>) -> Verdict {
    let fault = fault.into();
    Verdict::Deny(Refusal {
        reason: fault.code,
        text: fault.said(),
        execution,
    })
}

fn pending(question: &Question) -> Verdict {
    Verdict::Pending(Pending {
        execution: question.asked.execution,
        approval: question.approval,
        text: "a person is asked to approve this action; repeat the same call to learn the answer"
            .to_owned(),
        retry_after_seconds: RETRY_AFTER_SECONDS,
    })
}

/// What the age of the snapshot lets happen to a call; `destructive` once that is known.
fn check_fresh(freshness: Freshness, destructive: Option<bool>) -> Result<(), &'static str> {
    match freshness {
        Freshness::Expired => Err(Freshness::EXPIRED),
        Freshness::Stale if destructive == Some(true) => Err(Freshness::STALE),
        Freshness::Stale | Freshness::Fresh => Ok(()),
    }
}
