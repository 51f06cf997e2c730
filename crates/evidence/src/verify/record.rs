//! The Trust Record says what the log says.

use chancery_audit::{DelegationRoot, Event, Ruling};
use chancery_types::Digest;

use super::case::{Case, Desk};
use super::chains::enrolled_root;
use super::follower::Followed;
use super::policies::Policies;
use crate::log::said;
use crate::report::{Axis, Found, NoteValue, Place};
use crate::trust_record::{EnforcementMode, Reference, VerifiedTrustRecord, transcript_hash};
use crate::{Files, TRUST_RECORD_PATH};

/// How many things a record refers to.
const REFERENCES: usize = 4;

fn file() -> Place {
    Place::File(TRUST_RECORD_PATH.to_owned())
}

/// Verifies the record's signature by a key of the trust document.
pub(super) fn read(
    files: &Files,
    trust: &chancery_identity::trust::VerifiedTrust,
    verifier: &dyn chancery_types::SignatureVerifier,
    found: &mut Found,
) -> Option<VerifiedTrustRecord> {
    let Some(bytes) = files.get(TRUST_RECORD_PATH) else {
        found.add(
            Axis::Completeness,
            file(),
            "file_missing",
            "the file is missing",
        );
        return None;
    };
    match VerifiedTrustRecord::verify(bytes, &trust.record_signers, verifier) {
        Ok(record) => Some(record),
        Err(error) => {
            found.add(Axis::Authenticity, file(), "record_refused", said(&error));
            None
        }
    }
}

/// Holds every member of the record against the log.
pub(super) fn check(
    case: &Case<'_>,
    desk: &mut Desk<'_>,
    record: &VerifiedTrustRecord,
    followed: &Followed,
) {
    check_enrolled(case, desk, record);
    let transcript = transcript(case);
    let calls = case
        .entries()
        .filter(|logged| matches!(logged.entry.event, Event::Decision(_)));
    let calls = calls.count() as u64;
    let gaps = case
        .entries()
        .filter(|logged| matches!(logged.entry.event, Event::GapDisclose(_)));
    let gaps = gaps.count() as u64;
    let unenforced = case.entries().filter(|logged| match &logged.entry.event {
        Event::Decision(decision) => {
            decision.outcome == Ruling::Allow && decision.unenforced.is_some()
        }
        _ => false,
    });
    let unenforced = unenforced.count() as u64;
    let ended = case
        .entries()
        .find(|logged| matches!(logged.entry.event, Event::SessionEnd(_)));
    let Some((opened, open)) = case.opened() else {
        return;
    };
    let subject = followed
        .chains
        .known(open.chain)
        .map(|chain| chain.root().subject().to_string())
        .or_else(|| root_left(case, desk).map(|root| root.delegate.to_string()));
    let own = is_own(case, &record.transparency);
    let whole_second = |logged: &super::roll::Logged| logged.entry.at.as_seconds();
    let not_before = ended.map_or(whole_second(opened), whole_second);
    let checks = [
        (Some(&record.subject) == subject.as_ref(), "subject"),
        (
            record.policy.bundle_hash == open.policy,
            "policy.bundle_hash",
        ),
        (
            is_version(&followed.policies, open.policy, &record.policy.version),
            "policy.version",
        ),
        (
            record.tool_transcript.hash == transcript,
            "tool_transcript.hash",
        ),
        (
            record.tool_transcript.call_count == calls,
            "tool_transcript.call_count",
        ),
        (
            record.tool_transcript.gap_count == gaps,
            "tool_transcript.gap_count",
        ),
        (
            record.tool_transcript.unenforced_count == unenforced,
            "tool_transcript.unenforced_count",
        ),
        (
            record.policy.enforcement_mode == EnforcementMode::of(unenforced),
            "policy.enforcement_mode",
        ),
        (own, "transparency"),
        (record.iat >= not_before, "iat"),
        (
            is_measured(case, followed, record.runtime.measurement),
            "runtime.measurement",
        ),
        (
            is_measured(case, followed, record.build_provenance.digest),
            "build_provenance.digest",
        ),
        (
            record.build_provenance.slsa_level == 0,
            "build_provenance.slsa_level",
        ),
    ];
    for (holds, member) in checks {
        if !holds {
            let text = format!("{member} is not what the log says");
            desk.found
                .add(Axis::Integrity, file(), "record_differs", text);
        }
    }
    for member in ["model", "data_class"] {
        desk.found
            .note(NoteValue::Unproven, format!("{member} of the Trust Record"));
    }
    check_references(case, desk, &record.references, followed);
}

/// The root that the session was opened with as the server's log has it, where its chain was erased.
fn root_left<'c>(case: &'c Case<'_>, desk: &Desk<'_>) -> Option<&'c DelegationRoot> {
    let (_, open) = case
        .opened()
        .filter(|(_, open)| desk.objects.is_erased(open.chain))?;
    enrolled_root(case, open.root.as_str()).map(|(_, root)| root)
}

/// The hash of the session's decisions, gaps and outcomes, in the order of the log.
fn transcript(case: &Case<'_>) -> Digest {
    let leaves = case
        .entries()
        .filter_map(|logged| match &logged.entry.event {
            Event::Decision(_) | Event::GapDisclose(_) | Event::Outcome(_) => {
                Some(logged.leaf.hash)
            }
            _ => None,
        });
    transcript_hash(leaves)
}

fn check_enrolled(case: &Case<'_>, desk: &mut Desk<'_>, record: &VerifiedTrustRecord) {
    let mut enrolled = false;
    for logged in &case.server.entries {
        let Event::RecordEnrol(enrol) = &logged.entry.event else {
            continue;
        };
        if enrol.session != case.session {
            continue;
        }
        let signer = Digest::from_base64url(&record.cnf.jwk.kid).ok();
        let same = enrol.record == record.digest()
            && Some(enrol.signer) == signer
            && enrol.evidence == desk.objects.index_digest();
        let text = "the server enrolled another Trust Record or evidence of this session";
        let place = case.server.place(logged);
        desk.found
            .require(same, Axis::Integrity, &place, "record_differs", text);
        enrolled |= same;
    }
    let text = "the server's log does not have this Trust Record";
    desk.found.require(
        enrolled,
        Axis::Completeness,
        &file(),
        "record_not_enrolled",
        text,
    );
}

fn is_version(policies: &Policies, digest: Digest, version: &str) -> bool {
    let bundle = policies.bundles.get(&digest);
    bundle.is_some_and(|bundle| bundle.index().version().to_string() == version)
}

/// Whether a digest is the code of an agent in the session: as its manifest binds it, or as the
/// server's log says that an instance executes it.
fn is_measured(case: &Case<'_>, followed: &Followed, digest: Digest) -> bool {
    let mut manifests = followed.members.manifests.values();
    let bound = manifests.any(|manifest| {
        manifest.container_image() == Some(digest) || manifest.payload_digest() == digest
    });
    let mut issued = case.server.entries.iter();
    bound
        || issued.any(|logged| match &logged.entry.event {
            Event::IdentityIssue(issue) => {
                issue.executable == digest && followed.members.expires.contains_key(&issue.instance)
            }
            _ => false,
        })
}

/// Every reference is to what it says, and none of them is missing.
fn check_references(
    case: &Case<'_>,
    desk: &mut Desk<'_>,
    references: &[Reference],
    followed: &Followed,
) {
    let Some((_, open)) = case.opened() else {
        return;
    };
    let manifest = followed.members.manifests.get(&open.manifest);
    let root = followed.chains.known(open.chain).map(|chain| {
        let root = chain.root();
        (root.jti().to_owned(), root.token_digest())
    });
    let left = || root_left(case, desk).map(|root| (root.delegation.to_string(), root.link));
    let expected = [
        (
            "agent-manifest",
            manifest.map(|it| (it.manifest_id().to_owned(), open.manifest)),
        ),
        (
            "evidence-index",
            Some((case.session.to_string(), desk.objects.index_digest())),
        ),
        ("delegation-root", root.or_else(left)),
    ];
    for (rel, thing) in expected {
        let named = references.iter().any(|reference| {
            reference.rel == rel
                && thing
                    .as_ref()
                    .is_some_and(|(id, digest)| reference.id == *id && reference.digest == *digest)
        });
        if !named {
            let text = format!("does not refer to the {rel} of this session");
            desk.found
                .add(Axis::Integrity, file(), "record_differs", text);
        }
    }
    let known = |reference: &&Reference| {
        let mut expected = ["agent-manifest", "evidence-index", "delegation-root"].into_iter();
        expected.any(|rel| rel == reference.rel)
    };
    let mut covered = false;
    for reference in references.iter().filter(|reference| !known(reference)) {
        let holds = reference.rel == "log-checkpoint" && is_checkpoint(case, reference);
        covered |= holds;
        if !holds {
            let text = format!(
                "refers to a {} that is nothing of this session",
                reference.rel
            );
            desk.found
                .add(Axis::Integrity, file(), "record_reference", text);
        }
    }
    let once = references.len() == REFERENCES;
    let text = "does not refer once to each thing that it stands on";
    desk.found.require(
        covered && once,
        Axis::Integrity,
        &file(),
        "record_differs",
        text,
    );
}

/// Whether the server enrolled that checkpoint of the gateway's log, and it covers the session's
/// end.
fn is_checkpoint(case: &Case<'_>, reference: &Reference) -> bool {
    let end = case
        .entries()
        .find(|logged| matches!(logged.entry.event, Event::SessionEnd(_)));
    let end = end.map_or(u64::MAX, |logged| logged.leaf.index);
    case.server
        .entries
        .iter()
        .any(|logged| match &logged.entry.event {
            Event::CheckpointEnrol(enrol) => {
                case.gateway.is_held(&enrol.log, enrol.size)
                    && enrol.checkpoint == reference.digest
                    && enrol.size > end
                    && reference.id == enrol.log.as_str()
            }
            _ => false,
        })
}

/// Whether a record names this log, or one that it goes on from.
fn is_own(case: &Case<'_>, transparency: &str) -> bool {
    let origin = transparency.strip_prefix("https://");
    let origin = origin.and_then(|origin| origin.parse().ok());
    origin.is_some_and(|origin| case.gateway.is_named(&origin))
}
