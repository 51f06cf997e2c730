//! The verification of a session's evidence.

mod answers;
mod case;
mod chains;
mod consents;
mod decisions;
mod ending;
mod erased;
mod follower;
mod heard;
mod left;
mod members;
mod objects;
mod policies;
mod proofs;
mod reasons;
mod record;
mod revocations;
mod roll;
mod trust;

use std::collections::BTreeSet;

use chancery_audit::{Event, Writer};
use chancery_identity::trust::VerifiedTrust;
use chancery_types::{Digest, SignatureVerifier, Timestamp};

use crate::log::checkpoint_digest;
use crate::report::{Axis, Found, NoteValue, Place, Report};
use crate::{ERASED_PATH, Files, INDEX_PATH, ObjectKind, TRUST_RECORD_PATH};

pub use decisions::Replay;

pub(crate) use case::Case;
pub(crate) use chains::{enrolled_root, enrolment};
pub(crate) use follower::Followed;
pub(crate) use members::is_token;
pub(crate) use objects::Objects;
pub(crate) use revocations::up_to;
pub(crate) use roll::{Logged, Roll};

use case::Desk;

/// Verifies evidence against trust from outside of it: every byte of every file, every signature,
/// what was enrolled before what, and every decision from the bytes that were presented. Total; goes
/// on after a finding wherever it can. Without `trust` nothing is proven: the outcome is
/// `self-asserted`, which is a failure.
pub fn verify(
    files: &Files,
    trust: Option<&VerifiedTrust>,
    verifier: &dyn SignatureVerifier,
    now: Timestamp,
) -> Report {
    examine(files, trust, verifier, now).0
}

/// What was learnt of a session whose logs could be read.
pub(crate) struct Known<'a> {
    pub(crate) case: Case<'a>,
    pub(crate) objects: Objects<'a>,
    pub(crate) followed: Followed,
}

/// Verifies, and keeps what was learnt.
pub(crate) fn examine<'a>(
    files: &'a Files,
    trust: Option<&'a VerifiedTrust>,
    verifier: &'a dyn SignatureVerifier,
    now: Timestamp,
) -> (Report, Option<Known<'a>>) {
    let mut found = Found::default();
    let objects = Objects::read(files, &mut found);
    let session = objects.as_ref().map(Objects::session);
    let Some(trust) = trust else {
        let text = "no trust document was given; evidence cannot vouch for itself: give --trust";
        found.add(Axis::Authenticity, Place::Trust, "self_asserted", text);
        if let Some(objects) = &objects {
            objects.report_missing(&mut found);
        }
        return (found.report(session, None, now), None);
    };
    let digest = Some(trust.digest());
    let record = record::read(files, trust, verifier, &mut found);
    let gateway = Roll::read(files, Writer::Gateway, trust, verifier, &mut found);
    let server = Roll::read(files, Writer::Server, trust, verifier, &mut found);
    check_files(
        files,
        objects.as_ref(),
        [gateway.as_ref(), server.as_ref()],
        &mut found,
    );
    let (Some(gateway), Some(server)) = (gateway, server) else {
        if let Some(objects) = &objects {
            objects.report_missing(&mut found);
        }
        return (found.report(session, digest, now), None);
    };
    let Some(mut objects) = objects else {
        return (found.report(session, digest, now), None);
    };
    let session = objects.session();
    let case = Case::new(trust, verifier, session, gateway, server, &mut objects);
    let mut desk = Desk { found, objects };
    erased::settle(files, &case, &mut desk);
    desk.objects.report_missing(&mut desk.found);
    desk.found.followed();
    trust::check_time(&case, now, &mut desk);
    trust::check_trust(&case, &mut desk);
    let note = files
        .get(&format!("{}/checkpoint", case.gateway.folder))
        .unwrap_or_default();
    // A note that was refused was refused before.
    let note = checkpoint_digest(note).unwrap_or_else(|_| Digest::of(note));
    trust::check_checkpoints(&case, note, &mut desk);
    // Whatever is there is asked all the same, and what the logs alone say.
    if desk.objects.has_erased() {
        desk.found.erased();
    }
    let followed = follower::follow(&case, &mut desk);
    ending::check_ending(&case, &followed, &mut desk);
    revocations::check_adopted(&case, &mut desk);
    revocations::check_revoked_end(&case, &mut desk);
    if let Some(record) = &record {
        record::check(&case, &mut desk, record, &followed);
    }
    take_what_may_stay(&case, &mut desk);
    let Desk { mut found, objects } = desk;
    objects.check_all_used(&mut found);
    (
        found.report(Some(session), digest, now),
        Some(Known {
            case,
            objects,
            followed,
        }),
    )
}

/// Exactly the files that evidence has.
fn check_files(
    files: &Files,
    objects: Option<&Objects<'_>>,
    rolls: [Option<&Roll>; 2],
    found: &mut Found,
) {
    let mut expected = BTreeSet::from([INDEX_PATH.to_owned(), TRUST_RECORD_PATH.to_owned()]);
    let mut unknown = Vec::new();
    match objects {
        Some(objects) => {
            expected.extend(objects.paths());
            expected.extend(objects.has_missing().then(|| ERASED_PATH.to_owned()));
        }
        None => unknown.push("objects/"),
    }
    for (roll, folder) in rolls.into_iter().zip(["log/gateway/", "log/server/"]) {
        match roll {
            Some(roll) => expected.extend(roll.log.paths(roll.folder)),
            None => unknown.push(folder),
        }
    }
    for path in files.paths().filter(|path| !expected.contains(*path)) {
        // What belongs into a folder cannot be told where its index or checkpoint is refused.
        if unknown.iter().any(|folder| path.starts_with(folder)) {
            continue;
        }
        let text = "nothing of this evidence: not in the index, not of the logs";
        found.add(
            Axis::Completeness,
            Place::File(path.to_owned()),
            "file_unexpected",
            text,
        );
    }
}

/// Objects that entries may name and that prove nothing here: what refused instances presented.
fn take_what_may_stay(case: &Case<'_>, desk: &mut Desk<'_>) {
    for logged in case.entries() {
        if let Event::SessionRefuse(refuse) = &logged.entry.event {
            let about = format!("refusal at {}: {}", case.place(logged), refuse.reason);
            desk.found.note(NoteValue::Unproven, about);
            if let Some(chain) = refuse.chain {
                desk.objects.take(chain, ObjectKind::Chain);
            }
        }
    }
}
