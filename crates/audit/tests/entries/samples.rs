//! One entry of every type.

use std::collections::BTreeMap;

use chancery_audit::*;
use chancery_types::id::{Id, Kind};
use chancery_types::{Digest, RevocationKind, Timestamp};

pub(crate) fn label(text: &str) -> Label {
    text.parse().unwrap()
}

pub(crate) fn id<K: Kind>(number: u8) -> Id<K> {
    Id::from_random([number; 16])
}

pub(crate) fn digest(text: &str) -> Digest {
    Digest::of(text)
}

pub(crate) fn link(seq: u64) -> InstanceLink {
    InstanceLink {
        seq,
        prev: (seq > 0).then(|| LeafRef {
            index: seq - 1,
            hash: digest("previous"),
        }),
    }
}

pub(crate) fn entry(event: impl Into<Event>) -> Entry {
    Entry {
        origin: label("example.org/log/gateway"),
        at: Timestamp::from_seconds(1_800_000_000),
        event: event.into(),
    }
}

pub(crate) fn join(session: u8, instance: &str, link: InstanceLink) -> SessionJoin {
    SessionJoin {
        session: id(session),
        instance: label(instance),
        link,
        agent: label("spiffe://example.org/agent/a"),
        manifest: digest("manifest"),
        chain: digest("chain"),
        leaf: label("leaf"),
        agent_key: digest("key"),
        attestation_level: label("launch"),
        isolation: Isolation::Isolated,
        expires: Timestamp::from_seconds(1_800_000_900),
        id: Some(id(3)),
    }
}

pub(crate) fn leave(session: u8, instance: &str, link: InstanceLink, entries: u64) -> SessionLeave {
    SessionLeave {
        session: id(session),
        instance: label(instance),
        link,
        reason: LeaveReason::Completed,
        entries,
        counts: counts(),
    }
}

pub(crate) fn outcome(session: u8, instance: &str, link: InstanceLink) -> Outcome {
    Outcome {
        execution: id(4),
        session: id(session),
        instance: label(instance),
        link,
        decision: 7,
        status: OutcomeStatus::Completed,
        bytes: 12,
        micros: 900,
        result: Some(digest("result")),
    }
}

pub(crate) fn decision() -> Decision {
    Decision {
        execution: id(4),
        session: id(1),
        instance: label("spiffe://example.org/agent/a/instance/1"),
        link: link(1),
        chain: digest("chain"),
        leaf: label("leaf"),
        proof: digest("proof"),
        request: CallRecord {
            server: label("bank"),
            kind: CallKind::Tool,
            name: label("pay"),
            args_digest: digest("args"),
            clear: BTreeMap::from([
                (label("amount"), ClearValue::Integer(-5)),
                (label("to"), ClearValue::Text("é".to_owned())),
                (label("urgent"), ClearValue::Bool(false)),
            ]),
        },
        policy: digest("policy"),
        outcome: Ruling::Allow,
        reason: label("permit"),
        determining: vec![label("small-payments")],
        approvals: vec![id(5)],
        cost_micros: 50_000,
        charges: vec![Charge {
            delegation: label("root"),
            entry: 0,
        }],
        step: Some(label("step-1")),
        revoked: None,
        opinion: Some(digest("opinion")),
        facts: Some(CallFacts {
            trust: 110,
            formula: digest("formula"),
            resource: digest("resource"),
            rows: 10,
            taint: vec![label("server:web")],
            reads: vec![label("notes")],
            taints: vec![label("notes")],
            grant_seconds: Some(60),
        }),
        unenforced: None,
    }
}

/// A call that went on though policy denied it.
pub(crate) fn observed() -> Decision {
    Decision {
        reason: label("observed"),
        determining: Vec::new(),
        unenforced: Some(Unenforced {
            outcome: Ruling::Deny,
            reason: label("policy_forbid"),
            determining: vec![label("never-large")],
            by: ObservedBy::Tool,
        }),
        ..decision()
    }
}

fn counts() -> Counts {
    Counts {
        allowed: 3,
        denied: 1,
        escalated: 1,
        outcomes: 3,
        cost_micros: 50_000,
        unenforced: Some(1),
    }
}

pub(crate) fn samples() -> Vec<Entry> {
    let expires = Timestamp::from_seconds(1_800_003_600);
    let instance = label("spiffe://example.org/agent/a/instance/1");
    let agent = label("spiffe://example.org/agent/a");
    let person = commit("principal", &[1; 32], b"Ada");
    vec![
        entry(TrustChange {
            version: 2,
            document: digest("trust"),
            signers: vec![digest("root key")],
            previous: Some(digest("trust 1")),
        }),
        entry(PolicyPublish {
            name: label("payments"),
            version: 1,
            policy: digest("policy"),
            signer: digest("key"),
            statement: digest("statement"),
            previous: None,
            cosigners: Some(vec![digest("cosigner")]),
        }),
        entry(ManifestRegister {
            agent: agent.clone(),
            manifest: digest("manifest"),
            issuer: digest("key"),
            expires: Some(expires),
            prompt: Some(digest("prompt")),
            tools: Some(digest("tools")),
            policy: None,
            code: Some(digest("code")),
            federates_with: Some(vec![label("partner.example")]),
            may_spawn: Some(vec![agent.clone()]),
            spawn_at_once: Some(20),
            spawn_outlive: Some(false),
            dns_names: Some(vec![label("a.example")]),
            hint: Some(label("internal")),
            x509_svid_seconds: Some(300),
            jwt_svid_seconds: Some(60),
            requires_isolation: Some(Isolation::Isolated),
            requires_attestation: Some(label("software-only/launch")),
            owner: Some(label("team-a")),
        }),
        entry(IdentityIssue {
            agent: agent.clone(),
            instance: instance.clone(),
            credentials: vec![
                Credential {
                    form: CredentialForm::X509Svid,
                    id: id(1),
                    key: digest("tls"),
                    expires,
                },
                Credential {
                    form: CredentialForm::Wit,
                    id: id(2),
                    key: digest("agent"),
                    expires,
                },
            ],
            manifest: digest("manifest"),
            attestation_level: label("launch"),
            isolation: Isolation::Unisolated,
            evidence: digest("evidence"),
            executable: digest("program"),
            node: label("spiffe://example.org/service/node"),
            renewal: false,
            expires,
            launch: Some(id(9)),
            operator: None,
            broker: None,
            dns_names: Some(vec![label("a.example")]),
        }),
        entry(IdentityEnd {
            instance: instance.clone(),
            reason: label("exited"),
            credentials: vec![id(1)],
            launch: Some(id(9)),
        }),
        entry(DelegationRoot {
            delegation: label("root"),
            link: digest("root"),
            session: id(1),
            delegate: instance.clone(),
            principal: person,
            mission: digest("mission"),
            assurance: Assurance::Consent,
            consent: digest("consent"),
            epoch: 1,
            expires,
            standing: Some(id(7)),
            standing_use: Some(3),
        }),
        entry(ConsentStanding {
            standing: id(7),
            statement: digest("statement"),
            consent: digest("consent"),
            principal: person,
            mission: digest("mission"),
            agent: agent.clone(),
            max_uses: 30,
            max_seconds: 600,
            expires,
        }),
        entry(ApprovalAnswer {
            approval: id(5),
            session: id(1),
            action: digest("action"),
            displayed: digest("page"),
            policy: digest("policy"),
            verdict: Verdict::Approve,
            approver: id(6),
            answer: digest("answer"),
            expires,
        }),
        entry(CheckpointEnrol {
            log: label("example.org/log/gateway"),
            size: 12,
            root: digest("root"),
            checkpoint: digest("note"),
        }),
        entry(RecordEnrol {
            session: id(1),
            record: digest("record"),
            signer: digest("key"),
            evidence: digest("index"),
        }),
        entry(SessionOpen {
            session: id(1),
            gateway: label("spiffe://example.org/service/gateway"),
            agent: agent.clone(),
            instance: instance.clone(),
            manifest: digest("manifest"),
            chain: digest("chain"),
            root: label("root"),
            principal: person,
            operator: commit("operator", &[2; 32], b"Example Ltd"),
            mission: digest("mission"),
            assurance: Assurance::Asserted,
            policy: digest("policy"),
            catalog: digest("catalog"),
            trust: 2,
            expires,
            max_calls: Some(100),
            max_cost_micros: None,
            approver: Some(id(6)),
        }),
        entry(join(1, instance.as_str(), link(0))),
        entry(leave(1, instance.as_str(), link(3), 4)),
        entry(SessionEnd {
            session: id(1),
            reason: EndReason::Completed,
            instances: 1,
            counts: counts(),
            evidence: Some(digest("index")),
            cause: Some(label("person")),
        }),
        entry(DelegationEnrol {
            session: id(1),
            delegation: label("leaf"),
            link: digest("leaf"),
            delegator: instance.clone(),
            delegate: label("spiffe://example.org/agent/b/instance/2"),
            depth: 1,
            expires,
            parent: Some(label("root")),
        }),
        entry(decision()),
        entry(ApprovalRequest {
            approval: id(5),
            session: id(1),
            instance: instance.clone(),
            link: link(2),
            execution: id(4),
            action: digest("action"),
            displayed: digest("page"),
            policy: digest("policy"),
            asks: vec![label("large"), label("chain:root")],
            expires,
            requester: Some(id(7)),
        }),
        entry(ApprovalGrant {
            approval: id(5),
            session: id(1),
            instance: instance.clone(),
            link: link(3),
            action: digest("action"),
            verdict: Verdict::Approve,
            approver: id(6),
            answer: digest("answer"),
            expires,
        }),
        entry(outcome(1, instance.as_str(), link(2))),
        entry(SessionRefuse {
            reason: label("untrusted_root"),
            session: None,
            instance: Some(instance.clone()),
            chain: None,
            manifest: None,
            link: Some(0),
            revoked: Some(RevocationKind::Agent),
        }),
        entry(RevocationAdd {
            kind: RevocationKind::Token,
            id: label("leaf"),
            by: commit("revoker", &[3; 32], b"uid 0"),
            reason: commit("revocation-reason", &[4; 32], b"left"),
        }),
        entry(RevocationLift {
            kind: RevocationKind::Person,
            id: label("per_00000000000000000000000007"),
            revoked: Timestamp::from_seconds(1),
            signers: vec![digest("root")],
            reason: commit("revocation-reason", &[5; 32], b"back"),
        }),
        entry(EpochRaise {
            epoch: 2,
            by: commit("revoker", &[6; 32], b"uid 0"),
            reason: commit("revocation-reason", &[7; 32], b"all"),
        }),
        entry(SnapshotAdopt {
            sequence: 7,
            issued: Timestamp::from_seconds(7),
            epoch: 1,
            revoked: 1,
            revocations: digest("revocations"),
            trust: 2,
            policy: digest("policy"),
        }),
        entry(Erasure {
            subject: person,
            by: commit("eraser", &[6; 32], b"uid 0"),
            reason: commit("erasure-reason", &[7; 32], b"asked"),
            values: 12,
            scope: Some(digest("scope")),
            scope_size: Some(3),
        }),
        entry(ErasureDone {
            subject: person,
            log: label("example.org/log/server"),
            erasure: 9,
            values: 30,
            objects: digest("objects"),
        }),
        entry(LogSucceed {
            log: label("example.org/log/gateway"),
            size: 300,
            root: digest("root"),
            checkpoint: digest("checkpoint"),
            signed: 340,
            signed_root: digest("signed root"),
            signed_checkpoint: digest("signed checkpoint"),
        }),
        entry(GapDisclose {
            session: id(1),
            instance: label("spiffe://example.org/agent/clerk/instance/ins_1"),
            execution: id(2),
            decision: 12,
        }),
        entry(IndexRoot {
            size: 12,
            root: digest("index"),
            instances: 2,
        }),
        entry(FederationAdd {
            trust_domain: label("partner.example"),
            endpoint: label("https://partner.example:8443/"),
            profile: EndpointProfile::HttpsSpiffe,
            endpoint_id: Some(label("spiffe://partner.example/service/server")),
            web_roots: None,
            bundle: Some(digest("bundle")),
        }),
        entry(FederationBundle {
            trust_domain: label("partner.example"),
            bundle: digest("next bundle"),
            x509_authorities: 2,
            jwt_authorities: 1,
            sequence: Some(2),
            previous: Some(digest("bundle")),
        }),
        entry(FederationRemove {
            trust_domain: label("partner.example"),
        }),
        entry(AuthorityChange {
            kind: AuthorityKind::X509,
            authority: digest("authority"),
            step: AuthorityStep::Activate,
            ends: Timestamp::from_seconds(1_800_000_000),
            root: Some(digest("root certificate")),
            certificate: Some(digest("certificate")),
        }),
        entry(NodeToken {
            token: digest("token"),
            expires: Timestamp::from_seconds(1_800_000_900),
        }),
        entry(NodeAuthority {
            authority: digest("ca"),
            subject: label("CN=hosts"),
            admitted: true,
            expires: Some(Timestamp::from_seconds(1_800_009_000)),
            admits: Some(NodeProof::Tpm),
            pcrs: Some(vec![label("7=00ff")]),
        }),
        entry(NodeTpm {
            tpm: digest("endorsement key"),
            admitted: true,
            pcrs: Some(vec![label("7=00ff")]),
        }),
        entry(NodeJoin {
            node: label("spiffe://example.org/service/node/nod_00000000000000000000000001"),
            proof: NodeProof::X509,
            key: digest("key"),
            token: None,
            certificate: Some(digest("certificate")),
            authority: Some(digest("ca")),
            subject: Some(label("CN=host-1")),
            names: Some(vec![label("dns:host-1.example.org")]),
            tpm: Some(digest("endorsement key")),
            attestation_key: Some(digest("attestation key")),
            pcrs: Some(vec![label("7=00ff")]),
            resets: Some(3),
        }),
        entry(NodeEvict {
            node: label("spiffe://example.org/service/node/nod_00000000000000000000000001"),
            instances: 2,
            by: commit("node-evictor", &[5; 32], b"uid 0"),
            reason: commit("node-eviction-reason", &[6; 32], b"lost"),
        }),
        entry(BrokerAllow {
            broker: label("spiffe://example.org/agent/office"),
            references: vec![label("agent"), label("pid")],
            within: vec![label("spiffe://example.org/agent")],
        }),
        entry(BrokerRemove {
            broker: label("spiffe://example.org/agent/office"),
        }),
        entry(InstanceOpen {
            agent: agent.clone(),
            instance: instance.clone(),
            node: label("spiffe://example.org/service/node"),
            outlive: false,
            parent: Some(label("spiffe://example.org/agent/a/instance/2")),
            task: Some(commit("instance-task", &[7; 32], b"count the books")),
            until: Some(expires),
            launch: Some(id(9)),
        }),
        entry(BrakeSet {
            on: BrakeOn::Tool,
            name: label("fs/pay"),
            mode: BrakeMode::Kill,
        }),
        entry(BrakeRelease {
            on: BrakeOn::Everywhere,
            name: label("everywhere"),
        }),
        entry(ObserveSet {
            session: id(1),
            policy: digest("policy"),
        }),
        entry(ObserveEnd { session: id(1) }),
        entry(SessionVisit {
            session: id(1),
            instance: instance.clone(),
            server: label("web"),
            policy: digest("policy"),
            taint: vec![label("server:web")],
            reads: vec![label("notes")],
        }),
        entry(ProducerEntry {
            producer: label("owner/ci"),
            sequence: 9,
            content: b"built".to_vec().try_into().unwrap(),
        }),
        entry(AgentRetire {
            agent,
            manifest: digest("manifest"),
            instances: 2,
            by: commit("agent-retirer", &[7; 32], b"uid 0"),
            reason: commit("agent-retirement-reason", &[8; 32], b"done"),
        }),
    ]
}
