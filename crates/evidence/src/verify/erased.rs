//! What is not there because it was erased, which is proven, and what is simply missing.

use std::collections::{BTreeMap, BTreeSet};

use chancery_audit::{Erasure, ErasureDone, Event};

use super::case::{Case, Desk};
use super::roll::Logged;
use crate::report::{Axis, NoteValue, Place};
use crate::{Concern, ERASED_PATH, ErasedConcern, ErasedObject, ErasedObjects, Files, ObjectKind};

/// Why something does not count as erased: the reason code, and what is said of it.
type Fault = (&'static str, &'static str);

const UNPROVEN: &str = "erased_unproven";

/// Takes every missing object that the evidence proves to be erased for erased. Proven is what a person
/// is concerned by: by an entry of the gateway's log behind the session's end that names the object,
/// which follows one of the server's that names the session or the answer. Each of the others is a
/// finding.
pub(super) fn settle(files: &Files, case: &Case<'_>, desk: &mut Desk<'_>) {
    let mut erasures = Erasures::read(case, desk);
    let Some(bytes) = files.get(ERASED_PATH) else {
        return;
    };
    let Some(list) = ErasedObjects::parse(bytes) else {
        let text = "not a list of erased objects in canonical form";
        let found = &mut desk.found;
        found.add(Axis::Integrity, file(), "erased_malformed", text);
        return;
    };
    for concern in &list.concerns {
        if let Err(fault) = erasures.learn(concern) {
            refuse(desk, &concern.opened.value, fault);
        }
    }
    let mut counts: BTreeMap<(ObjectKind, u64), u64> = BTreeMap::new();
    for object in &list.erased {
        let absent = "names an object that is there, or that the index does not have";
        let kind = desk.objects.missing(object.digest);
        let kind = kind.ok_or((UNPROVEN, absent));
        match kind.and_then(|kind| erasures.check(case, object, kind)) {
            Ok(kind) => {
                desk.objects.erased(object.digest);
                let count = counts.entry((kind, object.entry)).or_default();
                *count = count.saturating_add(1);
            }
            Err(fault) => refuse(desk, &object.digest.to_string(), fault),
        }
    }
    for (erasure, text) in erasures.concerns.difference(&erasures.used) {
        let about = format!("{text} (entry {erasure} of {})", case.server.origin);
        refuse(desk, &about, (UNPROVEN, "nothing that is missing needs it"));
    }
    for ((kind, entry), count) in counts {
        let about = format!(
            "{count} {} {} (entry {entry} of {})",
            kind.name(),
            if count == 1 { "object" } else { "objects" },
            case.gateway.origin
        );
        desk.found.note(NoteValue::Erased, about);
    }
}

fn file() -> Place {
    Place::File(ERASED_PATH.to_owned())
}

fn refuse(desk: &mut Desk<'_>, what: &str, (reason, problem): Fault) {
    let text = format!("{what}: {problem}");
    desk.found.add(Axis::Integrity, file(), reason, text);
}

/// The erasures of both logs, by the index of their entries.
struct Erasures<'c> {
    done: BTreeMap<u64, (&'c Logged, &'c ErasureDone)>,
    asked: BTreeMap<u64, (&'c Logged, &'c Erasure)>,
    /// The index of the session's end.
    end: Option<u64>,
    /// What is proven to concern those who were erased, by the index of the server's entry.
    concerns: BTreeSet<(u64, String)>,
    used: BTreeSet<(u64, String)>,
}

impl<'c> Erasures<'c> {
    /// Reads both logs once. That a gateway follows one erasure twice is a finding.
    fn read(case: &'c Case<'_>, desk: &mut Desk<'_>) -> Self {
        let (mut done, mut followed) = (BTreeMap::new(), BTreeSet::new());
        for logged in &case.gateway.entries {
            if let Event::ErasureDone(body) = &logged.entry.event {
                let first = followed.insert((body.log.clone(), body.erasure));
                let (place, text) = (case.place(logged), "follows an erasure once more");
                desk.found
                    .require(first, Axis::Integrity, &place, "erased_twice", text);
                done.insert(logged.leaf.index, (logged, body));
            }
        }
        let asked = case.server.entries.iter();
        let asked = asked.filter_map(|logged| match &logged.entry.event {
            Event::Erasure(body) => Some((logged.leaf.index, (logged, body))),
            _ => None,
        });
        let mut ends = case.entries();
        let end = ends.find(|logged| matches!(logged.entry.event, Event::SessionEnd(_)));
        Self {
            done,
            asked: asked.collect(),
            end: end.map(|logged| logged.leaf.index),
            concerns: BTreeSet::new(),
            used: BTreeSet::new(),
        }
    }

    /// Takes what the server's log proves to concern somebody who was erased.
    fn learn(&mut self, concern: &ErasedConcern) -> Result<(), Fault> {
        let asked = self.asked.get(&concern.erasure);
        let (_, asked) = asked.ok_or((UNPROVEN, "the server's log has no such erasure"))?;
        let scope = asked.scope.zip(asked.scope_size);
        if !scope.is_some_and(|(root, size)| concern.is_under(size, root)) {
            return Err((UNPROVEN, "the erasure does not name it"));
        }
        let opened = (concern.erasure, concern.opened.value.clone());
        self.concerns.insert(opened);
        Ok(())
    }

    fn check(
        &mut self,
        case: &Case<'_>,
        object: &ErasedObject,
        kind: ObjectKind,
    ) -> Result<ObjectKind, Fault> {
        let concern = Concern::of(kind, object.digest, case.session)
            .ok_or(("erased_kind", "what is of this kind is about nobody"))?;
        let (logged, done) = (self.done.get(&object.entry))
            .ok_or((UNPROVEN, "the gateway's log has no such erasure"))?;
        if !object.is_under(done.values, done.objects) {
            return Err((UNPROVEN, "the erasure does not name it"));
        }
        let follows = self.asked.get(&done.erasure).is_some_and(|(asked, body)| {
            *case.server.name_at(done.erasure) == done.log
                && body.subject == done.subject
                && case.is_before(asked, logged)
        });
        if !follows {
            let text = "the server's log has no erasure that the gateway's follows";
            return Err((UNPROVEN, text));
        }
        if self.end.is_none_or(|end| logged.leaf.index < end) {
            return Err((
                "erased_early",
                "the session had not ended when it was erased",
            ));
        }
        let concern = (done.erasure, concern.to_string());
        if !self.concerns.contains(&concern) {
            let text = "the server's erasure is of somebody whom it does not concern";
            return Err(("erased_foreign", text));
        }
        self.used.insert(concern);
        Ok(kind)
    }
}
