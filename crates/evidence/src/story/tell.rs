use chancery_audit::{
    Decision, Disclosure, Event, IdentityIssue, Label, LeafRef, SessionJoin, SessionOpen,
};
use chancery_delegation::{ChainReading, Refusal, VerifiedLink};
use chancery_identity::trust::VerifiedTrust;
use chancery_tlog::{TreeHash, prove_inclusion};
use chancery_types::id::ExecutionId;
use chancery_types::{SignatureVerifier, Timestamp, parse_strict};

use super::{
    ActionFact, ApprovalFact, AuthorityFact, BehalfFact, EndFact, InstanceFact, LinkFact, LogPlace,
    MakeupFact, PolicyFact, ScopeFact, Story, UnenforcedFact,
};
use crate::verify::{Known, Logged, Roll, enrolled_root, examine, up_to};
use crate::{Files, NoteValue, ObjectKind, Replay, Report};

/// Why there is no story.
#[derive(Debug, thiserror::Error)]
pub enum WhyError {
    /// The logs could not be verified, so that nothing can be told from them.
    #[error("the evidence's logs do not verify: run verify and read its findings")]
    Unverified(Box<Report>),
    /// The session's log has no such execution.
    #[error("the session has no action {0}")]
    UnknownExecution(ExecutionId),
    /// The instance or the session never began in the log.
    #[error("the log does not say how the session or the instance of {0} began")]
    NoBeginning(ExecutionId),
}

/// Tells the five facts of one action from its session's evidence alone. Every place was verified to
/// be in its log; what the evidence as a whole is stands in [`Story::evidence`].
pub fn why(
    files: &Files,
    trust: Option<&VerifiedTrust>,
    verifier: &dyn SignatureVerifier,
    execution: ExecutionId,
    now: Timestamp,
) -> Result<Story, WhyError> {
    let (report, known) = examine(files, trust, verifier, now);
    let Some(mut known) = known else {
        return Err(WhyError::Unverified(Box::new(report)));
    };
    let decided = known
        .case
        .entries()
        .find_map(|logged| match &logged.entry.event {
            Event::Decision(decision) if decision.execution == execution => {
                Some((logged.clone(), decision.clone()))
            }
            _ => None,
        });
    let (logged, decision) = decided.ok_or(WhyError::UnknownExecution(execution))?;
    let arguments = known
        .objects
        .take(decision.request.args_digest, ObjectKind::Arguments)
        .map(text_of);
    let opened = known
        .case
        .opened()
        .map(|(logged, open)| (logged.clone(), open.clone()));
    let joined = known
        .case
        .entries()
        .find_map(|logged| match &logged.entry.event {
            Event::SessionJoin(join) if join.instance == decision.instance => {
                Some((logged.clone(), join.clone()))
            }
            _ => None,
        });
    let (Some((opening, open)), Some((joining, join))) = (opened, joined) else {
        return Err(WhyError::NoBeginning(execution));
    };
    let mission = known
        .objects
        .take(open.mission, ObjectKind::Mission)
        .map(text_of);
    let erased = erased(&known, &decision, &open);
    let teller = Teller {
        known: &known,
        decision: &decision,
        open: &open,
        join: &join,
        now,
    };
    Ok(Story {
        execution,
        session: known.case.session,
        evidence: report.outcome,
        erased,
        asked_at: now,
        action: teller.action(&logged, arguments),
        instance: teller.instance(&joining),
        made_of: teller.made_of(),
        on_behalf: teller.on_behalf(&opening, mission),
        allowed: teller.allowed(&logged, &report),
        authority: teller.authority(),
    })
}

struct Teller<'k, 'a> {
    known: &'k Known<'a>,
    decision: &'k Decision,
    open: &'k SessionOpen,
    join: &'k SessionJoin,
    now: Timestamp,
}

impl Teller<'_, '_> {
    fn action(&self, decided: &Logged, arguments: Option<String>) -> ActionFact {
        let ended = self
            .known
            .case
            .entries()
            .find_map(|logged| match &logged.entry.event {
                Event::Outcome(outcome) if outcome.execution == self.decision.execution => {
                    Some((logged, outcome.status))
                }
                _ => None,
            });
        let mut entries = self.known.case.entries();
        let left = entries.find(|logged| match &logged.entry.event {
            Event::GapDisclose(gap) => gap.execution == self.decision.execution,
            _ => false,
        });
        let request = &self.decision.request;
        let mut places = vec![decided];
        places.extend(left);
        places.extend(ended.map(|(logged, _)| logged));
        ActionFact {
            server: request.server.to_string(),
            kind: request.kind,
            name: request.name.to_string(),
            arguments,
            outcome: ended.map(|(_, status)| status),
            gap: left.is_some(),
            places: self.gateway(places),
        }
    }

    fn instance(&self, joined: &Logged) -> InstanceFact {
        let issued: Vec<(&Logged, &IdentityIssue)> = self.issued().collect();
        let last = issued.last().map(|(_, issue)| *issue);
        let ended = self.ended();
        let mut places = self.server(issued.iter().map(|(logged, _)| *logged));
        places.extend(self.gateway([joined]));
        places.extend(self.server(ended.iter().map(|(logged, _)| *logged)));
        InstanceFact {
            instance: self.join.instance.to_string(),
            agent: self.join.agent.to_string(),
            launch: last.and_then(|issue| issue.launch),
            node: last.map(|issue| issue.node.to_string()),
            ended: ended.map(|(_, end)| end),
            places,
        }
    }

    fn issued(&self) -> impl Iterator<Item = (&Logged, &IdentityIssue)> {
        self.known
            .case
            .server
            .entries
            .iter()
            .filter_map(|logged| match &logged.entry.event {
                Event::IdentityIssue(issue) if issue.instance == self.join.instance => {
                    Some((logged, issue))
                }
                _ => None,
            })
    }

    fn ended(&self) -> Option<(&Logged, EndFact)> {
        self.known
            .case
            .server
            .entries
            .iter()
            .find_map(|logged| match &logged.entry.event {
                Event::IdentityEnd(end)
                    if end.instance == self.join.instance && end.credentials.is_empty() =>
                {
                    let fact = EndFact {
                        at: logged.entry.at,
                        reason: end.reason.to_string(),
                    };
                    Some((logged, fact))
                }
                _ => None,
            })
    }

    fn made_of(&self) -> MakeupFact {
        let manifest = self
            .known
            .followed
            .members
            .manifests
            .get(&self.join.manifest);
        let places =
            self.known
                .case
                .server
                .entries
                .iter()
                .filter(|logged| match &logged.entry.event {
                    Event::ManifestRegister(register) => register.manifest == self.join.manifest,
                    Event::PolicyPublish(publish) => publish.policy == self.decision.policy,
                    _ => false,
                });
        MakeupFact {
            manifest: self.join.manifest,
            manifest_id: manifest
                .map(|it| it.manifest_id().to_owned())
                .unwrap_or_default(),
            intent: manifest.and_then(|it| it.intent()).map(str::to_owned),
            code: manifest.and_then(|it| it.container_image()),
            executable: self.issued().last().map(|(_, issue)| issue.executable),
            prompt: manifest.and_then(|it| it.system_prompt()),
            tools: self.open.catalog,
            policy: self.decision.policy,
            attestation_level: self.join.attestation_level.to_string(),
            isolation: self.join.isolation.name(),
            places: self.server(places),
        }
    }

    fn on_behalf(&self, opening: &Logged, mission: Option<String>) -> BehalfFact {
        let chain = self.known.followed.chains.known(self.decision.chain);
        let links: Vec<LinkFact> = chain
            .into_iter()
            .flat_map(|chain| chain.links())
            .map(|link| LinkFact {
                delegation: link.jti().to_owned(),
                delegator: link.grant().issuer.clone(),
                delegate: link.subject().to_string(),
                expires: link.expires_at(),
            })
            .collect();
        let root = chain.and_then(|chain| enrolled_root(&self.known.case, chain.root().jti()));
        let mut places = self.server(root.map(|(logged, _)| logged));
        places.extend(self.gateway([opening]));
        places.extend(self.gateway(self.known.case.entries().filter(|logged| {
            let Event::DelegationEnrol(enrol) = &logged.entry.event else {
                return false;
            };
            links
                .iter()
                .any(|link| enrol.delegation == Label::or_digest(&link.delegation))
        })));
        let followed = &self.known.followed;
        let operator = followed
            .disclosures
            .iter()
            .find(|known| known.commitment() == self.open.operator);
        BehalfFact {
            principal: followed.principal.as_ref().map(person),
            operator: operator.map(|known| known.value.clone()),
            assurance: self.open.assurance.name(),
            goal: followed
                .mission
                .as_ref()
                .map(|mission| mission.goal().to_owned()),
            step: self.step(),
            mission,
            mission_digest: self.open.mission,
            chain: links,
            places,
        }
    }

    fn step(&self) -> Option<String> {
        let id = self.decision.step.as_ref()?;
        let mission = self.known.followed.mission.as_ref();
        let step = mission.and_then(|mission| mission.step(id.as_str()));
        Some(step.map_or_else(
            || format!("{id} (the mission has no such step)"),
            |step| format!("{id}: {}", step.text()),
        ))
    }

    fn allowed(&self, decided: &Logged, report: &Report) -> ScopeFact {
        let bundle = self
            .known
            .followed
            .policies
            .bundles
            .get(&self.decision.policy);
        let policy = |id: &Label| PolicyFact {
            id: id.to_string(),
            reason: bundle
                .and_then(|it| it.reason(id.as_str()))
                .map(str::to_owned),
        };
        let determining = self.decision.determining.iter().map(policy);
        let said = self.decision.unenforced.as_ref();
        let unenforced = said.map(|said| UnenforcedFact {
            verdict: said.outcome,
            reason: said.reason.to_string(),
            determining: said.determining.iter().map(policy).collect(),
            by: said.by,
        });
        let (mut approvals, mut places) = (Vec::new(), Vec::new());
        for logged in self.known.case.entries() {
            let (approval, answered) = match &logged.entry.event {
                Event::ApprovalRequest(request) => (request.approval, None),
                Event::ApprovalGrant(grant) => (grant.approval, Some(grant)),
                _ => continue,
            };
            if !self.decision.approvals.contains(&approval) {
                continue;
            }
            places.push(logged);
            let about = format!("approval {approval} ");
            let marks = report
                .notes
                .iter()
                .filter(|note| note.about.starts_with(&about));
            let marks: Vec<NoteValue> = marks.map(|note| note.value).collect();
            approvals.extend(answered.map(|grant| ApprovalFact {
                approval,
                approver: grant.approver,
                verdict: grant.verdict,
                marks,
            }));
        }
        let replays = &self.known.followed.replays;
        ScopeFact {
            ruling: self.decision.outcome,
            reason: self.decision.reason.to_string(),
            determining: determining.collect(),
            unenforced,
            approvals,
            replay: replays.get(&decided.leaf.index).copied().unwrap_or(
                match self.known.objects.has_erased() {
                    true => Replay::Erased,
                    false => Replay::Differs,
                },
            ),
            places: self.gateway(places),
        }
    }

    fn authority(&self) -> AuthorityFact {
        let chain = self.known.followed.chains.known(self.decision.chain);
        let chain_expires = chain.map(|chain| chain.expires_at());
        let session_end = self
            .known
            .case
            .entries()
            .find_map(|logged| match &logged.entry.event {
                Event::SessionEnd(end) => {
                    let fact = EndFact {
                        at: logged.entry.at,
                        reason: end.reason.name().to_owned(),
                    };
                    Some((logged, fact))
                }
                _ => None,
            });
        let ended = self.ended();
        let mut over = Vec::new();
        if self.known.objects.is_erased(self.decision.chain) {
            over.push("the chain was erased".to_owned());
        } else if chain_expires.is_none_or(|expires| self.now >= expires) {
            over.push("the chain is over".to_owned());
        }
        let withdrawn = self.withdrawn();
        if let Some((refusal, _)) = &withdrawn {
            let link = refusal.link.unwrap_or_default();
            over.push(match refusal.revoked {
                Some(kind) => format!("the {kind} of link {link} of the chain is revoked"),
                None => "the authorities' epoch was raised".to_owned(),
            });
        }
        if self.now >= self.join.expires {
            over.push("the instance's credential is over".to_owned());
        }
        if self.now >= self.open.expires {
            over.push("the session's time is over".to_owned());
        }
        if let Some((_, end)) = &session_end {
            over.push(format!("the session ended ({})", end.reason));
        }
        if let Some((_, end)) = &ended {
            over.push(format!("the instance ended ({})", end.reason));
        }
        let mut places = self.gateway(session_end.iter().map(|(logged, _)| *logged));
        places.extend(self.server(ended.iter().map(|(logged, _)| *logged)));
        places.extend(self.server(withdrawn.and_then(|(_, logged)| logged)));
        AuthorityFact {
            valid: over.is_empty(),
            over,
            chain_expires,
            credential_expires: self.join.expires,
            session_ended: session_end.map(|(_, end)| end),
            places,
        }
    }

    /// What of the chain is revoked by the end of the server's log, and the entry that says so.
    fn withdrawn(&self) -> Option<(Refusal, Option<&Logged>)> {
        let case = &self.known.case;
        let chain = self.known.followed.chains.known(self.decision.chain)?;
        let state = up_to(&case.server, self.now);
        let texts: Vec<_> = chain.links().map(VerifiedLink::token).collect();
        let reading = ChainReading::read(&texts).ok()?;
        let refusal = reading.withdrawn(state.epoch, &state.revoked)?;
        let named = refusal.revoked.zip(refusal.link);
        let named = named.and_then(|(kind, link)| Some((kind, reading.identifier(link, kind)?)));
        let mut entries = case.server.entries.iter().rev();
        let entry = entries.find(|logged| match (&logged.entry.event, &named) {
            (Event::RevocationAdd(add), Some((kind, id))) => add.kind == *kind && add.id == **id,
            (Event::EpochRaise(_), None) => true,
            _ => false,
        });
        Some((refusal, entry))
    }

    fn gateway<'l>(&self, entries: impl IntoIterator<Item = &'l Logged>) -> Vec<LogPlace> {
        places(&self.known.case.gateway, entries)
    }

    fn server<'l>(&self, entries: impl IntoIterator<Item = &'l Logged>) -> Vec<LogPlace> {
        places(&self.known.case.server, entries)
    }
}

/// What of the story was erased.
fn erased(known: &Known<'_>, decision: &Decision, open: &SessionOpen) -> Vec<&'static str> {
    let objects = &known.objects;
    let undisclosed = objects.has_erased() && known.followed.principal.is_none();
    let parts = [
        ("principal", undisclosed),
        ("mission", objects.is_erased(open.mission)),
        ("arguments", objects.is_erased(decision.request.args_digest)),
        ("chain", objects.is_erased(decision.chain)),
    ];
    let erased = parts.into_iter().filter(|(_, is_erased)| *is_erased);
    erased.map(|(name, _)| name).collect()
}

/// The places of entries, each with its proof, verified. An entry without one has no place.
fn places<'l>(roll: &Roll, entries: impl IntoIterator<Item = &'l Logged>) -> Vec<LogPlace> {
    entries
        .into_iter()
        .filter_map(|logged| place(roll, logged))
        .collect()
}

fn place(roll: &Roll, logged: &Logged) -> Option<LogPlace> {
    let LeafRef { index, hash } = logged.leaf.clone();
    let checkpoint = roll.log.checkpoint();
    let bytes = roll.log.entries().get(usize::try_from(index).ok()?)?;
    let proof = prove_inclusion(roll.log.tree(), index, checkpoint.size()).ok()?;
    checkpoint.verify_inclusion(index, bytes, &proof).ok()?;
    Some(LogPlace {
        origin: roll.origin.to_string(),
        index,
        entry: logged.entry.event.type_name(),
        leaf: hash,
        at: logged.entry.at,
        tree_size: checkpoint.size(),
        proof: proof.iter().map(TreeHash::digest).collect(),
    })
}

/// The identifier of the person in the disclosed text.
fn person(disclosure: &Disclosure) -> String {
    let read = parse_strict(disclosure.value.as_bytes()).ok();
    let subject = read.as_ref().and_then(|value| value.get("sub")?.as_str());
    subject.unwrap_or(&disclosure.value).to_owned()
}

fn text_of(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
