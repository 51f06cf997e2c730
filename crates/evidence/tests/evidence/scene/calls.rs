//! Calls, questions and answers.

use std::collections::BTreeMap;

use chancery_audit::*;
use chancery_crypto::AwsLc;
use chancery_delegation::{
    Answer, ApprovalStatement, BoundedReplayMemory, Call, ProofContext, ProofDraft, RevocationSet,
    Standing, Target, VerifiedChain, verify_approval, verify_proof,
};
use chancery_evidence::ObjectKind;
use chancery_policy::Annotations;
use chancery_session::{
    Answered, ApprovalQuestion, CallInput, CatalogFacts, Commons, Event as Step, ExecutionEnd,
    Opinion,
};
use chancery_types::id::{ApprovalId, ExecutionId};
use chancery_types::{Digest, to_canonical, to_jcs};
use serde_json::{Map, Value, json};

use super::{Builder, GATEWAY, approver, at, id, person};

impl Builder {
    pub(super) fn proof_text(
        &mut self,
        holder: usize,
        chain: &VerifiedChain,
        call: Call<'_>,
    ) -> String {
        self.proofs += 1;
        let key = &self.holders[holder].key;
        let jti = format!("proof-{}", self.proofs);
        let draft = ProofDraft {
            audience: GATEWAY,
            issued_at: self.now,
            jti: &jti,
            chain: chain.digest(),
            call,
            execution: None,
            step: Some("step-1"),
        };
        draft.sign(key.public(), &|bytes| key.sign(bytes)).unwrap()
    }

    pub(super) fn call(
        &mut self,
        holder: usize,
        chain: &VerifiedChain,
        consent: &chancery_delegation::Consent,
        principal: &Disclosure,
        execution: u8,
        (name, args): (&str, Value),
    ) -> Ruling {
        let canonical = to_jcs(&args).unwrap();
        self.keep(ObjectKind::Arguments, canonical);
        let args: Map<String, Value> = args.as_object().cloned().unwrap();
        let call = Call {
            server: "bank",
            target: Target::Tool(name),
            args: &args,
        };
        let text = self.proof_text(holder, chain, call);
        self.keep(ObjectKind::Proof, text.clone().into_bytes());
        // The first call comes with an opinion that has nothing against it.
        let opinion = (execution == 1).then_some(br#"{"verdict":"allow"}"#);
        if let Some(opinion) = opinion {
            self.keep(ObjectKind::Opinion, opinion.to_vec());
        }
        let opinion = opinion.map(|opinion| Opinion::read(opinion));
        let context = ProofContext {
            now: self.now,
            audience: GATEWAY,
            verifier: &AwsLc,
            started_at: at(0).minus_seconds(100),
            peer: &self.holders[holder].name,
            call,
        };
        let mut memory = BoundedReplayMemory::new(9, 9);
        let proof = verify_proof(Some(&text), chain, &context, &mut memory).unwrap();
        let judgement = self.session.as_ref().unwrap().judge(&CallInput {
            execution: id(execution),
            standing: Standing {
                now: self.now,
                epoch: 1,
                revoked: RevocationSet::none(),
            },
            chain,
            proof: &proof,
            consent: Some(consent),
            principal,
            mission: &self.mission,
            call,
            opinion: opinion.as_ref(),
            policy: &self.bundle,
            catalog: CatalogFacts {
                digest: Digest::of(to_canonical(&self.catalog).unwrap()),
                annotations: Some(Annotations {
                    read_only: false,
                    destructive: true,
                }),
            },
            commons: &Commons::default(),
        });
        let ruling = judgement.ruling();
        self.step(Step::Decide(Box::new(judgement)));
        ruling
    }

    /// The second instance comes with the first one's chain; the gateway denies without judging.
    pub(super) fn foreign_chain(&mut self, root: &VerifiedChain, execution: u8) {
        let args = Map::new();
        let args_digest = self.keep(ObjectKind::Arguments, b"{}".to_vec());
        let call = Call {
            server: "bank",
            target: Target::Tool("list"),
            args: &args,
        };
        let text = self.proof_text(1, root, call);
        let proof = self.keep(ObjectKind::Proof, text.into_bytes());
        let last = self.last_of(&self.label(1));
        let decision = Decision {
            execution: id(execution),
            session: id(1),
            instance: self.label(1),
            link: last,
            chain: root.digest(),
            leaf: Label::or_digest(root.leaf().jti()),
            proof,
            request: CallRecord {
                server: Label::or_digest("bank"),
                kind: CallKind::Tool,
                name: Label::or_digest("list"),
                args_digest,
                clear: BTreeMap::new(),
            },
            policy: self.bundle.digest(),
            outcome: Ruling::Deny,
            reason: Label::or_digest("holder_mismatch"),
            determining: Vec::new(),
            approvals: Vec::new(),
            cost_micros: 0,
            charges: Vec::new(),
            step: None,
            revoked: None,
            opinion: None,
            facts: None,
            unenforced: None,
        };
        let entry = Entry {
            origin: self.gateway.origin.clone(),
            at: self.now,
            event: decision.into(),
        };
        let leaf = self.gateway.push(&entry);
        let session = self.session.take().unwrap();
        self.session = Some(session.fold(&leaf, &entry).unwrap());
    }

    pub(super) fn last_of(&self, instance: &Label) -> InstanceLink {
        let entries = self.gateway.parsed().into_iter().enumerate().rev();
        let mut own = entries.filter_map(|(index, entry)| {
            let (_, name, link) = entry.event.instance_link()?;
            (name == instance).then(|| (index, link.seq, entry.to_bytes().unwrap()))
        });
        let (index, seq, bytes) = own.next().unwrap();
        let prev = LeafRef {
            index: index as u64,
            hash: leaf_hash(&bytes),
        };
        InstanceLink {
            seq: seq + 1,
            prev: Some(prev),
        }
    }

    pub(super) fn end_execution(&mut self, execution: u8) {
        self.step(Step::Outcome(ExecutionEnd {
            execution: id(execution),
            status: OutcomeStatus::Completed,
            result: Some(Digest::of("result")),
            bytes: 2,
            micros: 3,
        }));
    }

    pub(super) fn ask(&mut self, execution: u8, chain: &VerifiedChain, args: &Value) {
        let open = self.session.as_ref().unwrap().as_open().unwrap();
        let first = self.label(0);
        let (_, trust) = open
            .trust(self.now)
            .find(|(name, _)| **name == first)
            .unwrap();
        let display = json!({
            "instance": self.holders[0].name.as_str(),
            "principal": chain.principal().subject,
            "server": "bank",
            "tool": "pay",
            "arguments": String::from_utf8(to_jcs(args).unwrap()).unwrap(),
            "mission_s256": chain.mission().to_string(),
            "step": "step-1",
            "policies": ["large"],
            "session_calls": open.counts().allowed,
            "trust": trust,
            "taint": [],
        });
        let displayed = self.keep(ObjectKind::Display, to_canonical(&display).unwrap());
        self.step(Step::Ask(ApprovalQuestion {
            execution: id::<chancery_types::id::ExecutionKind>(execution) as ExecutionId,
            approval: id(1),
            displayed,
            expires: self.now.plus_seconds(600),
            requester: None,
        }));
    }

    pub(super) fn approve(&mut self) {
        let open = self.session.as_ref().unwrap().as_open().unwrap();
        let wanted: ApprovalId = id(1);
        let (_, pending) = open.pending().find(|(id, _)| *id == wanted).unwrap();
        let statement = ApprovalStatement {
            id: wanted,
            verdict: chancery_delegation::Verdict::Approve,
            action: pending.action,
            display: pending.displayed,
            session: id(1),
            policy: pending.policy,
            expires_at: self.later(500),
        };
        let another = self.another;
        let person = if another { approver() } else { person() };
        let assertion = self.assert(another, &statement.challenge().unwrap());
        let signed = json!({"statement": statement, "assertion": assertion});
        let evidence = self.keep(ObjectKind::Approval, to_canonical(&signed).unwrap());
        let relayed = ApprovalAnswer {
            approval: wanted,
            session: id(1),
            action: statement.action,
            displayed: statement.display,
            policy: statement.policy,
            verdict: Verdict::Approve,
            approver: person,
            answer: evidence,
            expires: statement.expires_at,
        };
        self.server.append(self.later(29), relayed.into());
        let credential = self.credential(another);
        let answer: Answer =
            verify_approval(statement, &assertion, &credential, self.now, &AwsLc).unwrap();
        let approver_key = self.key_of(another).public().thumbprint();
        let answered = Answered {
            answer,
            approver: person,
            approver_key,
            evidence,
        };
        self.step(Step::Answer(Box::new(answered)));
    }
}
