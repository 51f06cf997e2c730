use chancery_audit::{Event, Writer};
use chancery_identity::trust::VerifiedTrust;
use chancery_types::{SignatureVerifier, Timestamp};

use super::build::Builder;
use super::select::select;
use super::{Basis, Extent, Graph, LogBasis, Subject};
use crate::report::{Axis, Found, Place};
use crate::verify::{Roll, examine};
use crate::{Files, INDEX_PATH, Report, ReportOutcome};

/// Why there is no graph.
#[derive(Debug, thiserror::Error)]
pub enum GraphError {
    /// Nothing was verified: there was no trust document, or the logs do not hold.
    #[error("{}", said_of(.0))]
    Unverified(Box<Report>),
    /// The logs do not name it.
    #[error(
        "the logs know of no {0}; check the id, or give the evidence or deployment that has it"
    )]
    Unknown(Subject),
    /// Several agents have that name.
    #[error("several agents are called {name}: {}; give the whole SPIFFE ID", .agents.join(", "))]
    Ambiguous {
        /// The name.
        name: String,
        /// The agents.
        agents: Vec<String>,
    },
}

/// The graph of a subject, from a folder of evidence, or from the logs and objects of a deployment
/// laid out in the same way without an index. Both logs must verify against `trust`; evidence is
/// verified as a whole besides, and the graph says how that went.
pub fn graph(
    files: &Files,
    trust: Option<&VerifiedTrust>,
    verifier: &dyn SignatureVerifier,
    subject: &Subject,
    now: Timestamp,
) -> Result<Graph, GraphError> {
    let (report, rolls) = read(files, trust, verifier, now);
    let (Some([gateway, server]), Some(trust)) = (rolls, trust) else {
        return Err(GraphError::Unverified(Box::new(report)));
    };
    let verified = match (files.get(INDEX_PATH), report.outcome) {
        (None, _) => Extent::Logs,
        (Some(_), ReportOutcome::Verified) => Extent::Evidence,
        (Some(_), ReportOutcome::Unenforced) if !report.is_erased() => Extent::Evidence,
        (Some(_), _) => Extent::EvidenceFailed,
    };
    let basis = Basis {
        verified,
        trust: trust.digest(),
        logs: [&gateway, &server].map(log_basis).to_vec(),
    };
    let mut builder = Builder::new(files, trust, verifier, subject);
    builder.read_server(&server.entries);
    builder.read_gateway(&gateway.entries);
    let whole = builder.finish(subject.clone(), basis);
    select(whole)
}

fn log_basis(roll: &Roll) -> LogBasis {
    let checkpoint = roll.log.checkpoint();
    LogBasis {
        origin: roll.origin.to_string(),
        size: checkpoint.size(),
        root: checkpoint.root().digest(),
    }
}

/// The two logs, gateway first, where they verify.
fn read(
    files: &Files,
    trust: Option<&VerifiedTrust>,
    verifier: &dyn SignatureVerifier,
    now: Timestamp,
) -> (Report, Option<[Roll; 2]>) {
    let mut found = Found::default();
    let Some(trust) = trust else {
        let text = "no trust document was given; logs cannot vouch for themselves: give --trust";
        found.add(Axis::Authenticity, Place::Trust, "self_asserted", text);
        return (found.report(None, None, now), None);
    };
    if files.get(INDEX_PATH).is_some() {
        let (report, known) = examine(files, Some(trust), verifier, now);
        return (
            report,
            known.map(|known| [known.case.gateway, known.case.server]),
        );
    }
    let gateway = Roll::read(files, Writer::Gateway, trust, verifier, &mut found);
    let server = Roll::read(files, Writer::Server, trust, verifier, &mut found);
    if let (Some(gateway), Some(server)) = (&gateway, &server) {
        check_same_log(gateway, server, &mut found);
        check_latest_trust(trust, server, &mut found);
    }
    let report = found.report(None, Some(trust.digest()), now);
    let rolls = gateway
        .zip(server)
        .map(|(gateway, server)| [gateway, server]);
    (report.clone(), rolls.filter(|_| report.findings.is_empty()))
}

/// What the server enrolled of the gateway's log is this log.
fn check_same_log(gateway: &Roll, server: &Roll, found: &mut Found) {
    for logged in &server.entries {
        if let Event::CheckpointEnrol(enrol) = &logged.entry.event
            && gateway.is_held(&enrol.log, enrol.size)
            && let Ok(root) = gateway.log.tree().root_at(enrol.size)
        {
            let same = root.digest() == enrol.root;
            let text = "the gateway's log is another one than the server enrolled";
            let place = server.place(logged);
            found.require(same, Axis::Integrity, &place, "log_forked", text);
        }
    }
}

/// The trust document that was given is the latest that the server enrolled.
fn check_latest_trust(trust: &VerifiedTrust, server: &Roll, found: &mut Found) {
    for logged in &server.entries {
        if let Event::TrustChange(change) = &logged.entry.event {
            let known = change.version < trust.version
                || change.version == trust.version && change.document == trust.digest();
            let text = "another or a newer trust document was in force: give that one";
            let place = server.place(logged);
            found.require(known, Axis::Freshness, &place, "trust_superseded", text);
        }
    }
}

fn said_of(report: &Report) -> String {
    if report.outcome == ReportOutcome::SelfAsserted {
        return "self-asserted: nothing is proven without a trust document; give --trust FILE"
            .to_owned();
    }
    let mut text = "the logs do not verify against the trust document".to_owned();
    if let Some(first) = report.findings.first() {
        text.push_str(&format!(
            ": {}: {} ({})",
            first.place, first.text, first.reason
        ));
    }
    text
}
