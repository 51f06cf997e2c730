//! What is not there because it was erased, which is proven, and what is simply missing.

use std::collections::BTreeMap;

use chancery_audit::{ErasureDone, Event};

use super::objects::Objects;
use super::roll::{Logged, Roll};
use crate::report::{Axis, Found, NoteValue, Place};
use crate::{ERASED_PATH, ErasedObject, ErasedObjects, Files, ObjectKind};

fn file() -> Place {
    Place::File(ERASED_PATH.to_owned())
}

/// Takes every missing object that the evidence proves to be erased for erased: by an entry of the
/// gateway's log that names it, which follows one of the server's. Each of the others is a finding.
pub(super) fn settle(
    files: &Files,
    gateway: &Roll,
    server: &Roll,
    objects: &mut Objects<'_>,
    found: &mut Found,
) {
    let Some(bytes) = files.get(ERASED_PATH) else {
        return;
    };
    let Some(erased) = ErasedObjects::parse(bytes) else {
        let text = "not a list of erased objects in canonical form";
        found.add(Axis::Integrity, file(), "erased_malformed", text);
        return;
    };
    let mut counts: BTreeMap<(ObjectKind, u64), u64> = BTreeMap::new();
    for object in &erased.erased {
        let problem = match objects.missing(object.digest) {
            None => Some("names an object that is there, or that the index does not have"),
            Some(kind) => match check(object, gateway, server) {
                Ok(()) => {
                    objects.erased(object.digest);
                    let count = counts.entry((kind, object.entry)).or_default();
                    *count = count.saturating_add(1);
                    None
                }
                Err(problem) => Some(problem),
            },
        };
        if let Some(problem) = problem {
            let text = format!("{}: {problem}", object.digest);
            found.add(Axis::Integrity, file(), "erased_unproven", text);
        }
    }
    for ((kind, entry), count) in counts {
        let about = format!(
            "{count} {} {} (entry {entry} of {})",
            kind.name(),
            if count == 1 { "object" } else { "objects" },
            gateway.origin
        );
        found.note(NoteValue::Erased, about);
    }
}

fn check(object: &ErasedObject, gateway: &Roll, server: &Roll) -> Result<(), &'static str> {
    let (logged, done) =
        entry(gateway, object.entry).ok_or("the gateway's log has no such erasure")?;
    if !object.is_under(done.values, done.objects) {
        return Err("the erasure does not name it");
    }
    let asked = server
        .entries
        .iter()
        .find(|logged| logged.leaf.index == done.erasure);
    let follows = asked.is_some_and(|asked| {
        server.is_named(&done.log)
            && matches!(&asked.entry.event, Event::Erasure(asked) if asked.subject == done.subject)
            && asked.entry.at <= logged.entry.at.plus_seconds(super::case::SKEW_SECONDS)
    });
    match follows {
        true => Ok(()),
        false => Err("the server's log has no erasure that the gateway's follows"),
    }
}

fn entry(gateway: &Roll, index: u64) -> Option<(&Logged, &ErasureDone)> {
    let mut entries = gateway.entries.iter();
    let logged = entries.find(|logged| logged.leaf.index == index)?;
    match &logged.entry.event {
        Event::ErasureDone(done) => Some((logged, done)),
        _ => None,
    }
}
