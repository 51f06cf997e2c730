//! Policy bundles: from the object to the decision, and whether they were published.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use chancery_audit::Event;
use chancery_identity::trust::PolicySignersError;
use chancery_policy::SignedBundle;
use chancery_session::Rulebook;
use chancery_types::{Digest, parse_strict, to_canonical};

use super::case::{Case, Desk};
use super::roll::Logged;
use crate::log::said;
use crate::report::{Axis, Place};
use crate::{ObjectKind, object_path};

/// How long after another bundle was published one may still decide.
const GRACE_SECONDS: u64 = 900;

/// The bundles among the objects, by the digest that names a bundle.
#[derive(Debug, Default)]
pub(crate) struct Policies {
    pub(crate) bundles: BTreeMap<Digest, Rc<Rulebook>>,
    objects: BTreeMap<Digest, Digest>,
    /// The bundles that enough people signed.
    enough: BTreeSet<Digest>,
    /// Why the signatures of a bundle do not suffice, where they do not.
    short: BTreeMap<Digest, PolicySignersError>,
}

impl Policies {
    /// Loads every bundle among the objects.
    pub(crate) fn read(case: &Case<'_>, desk: &mut Desk<'_>) -> Self {
        let mut policies = Self::default();
        for (object, bytes) in desk.objects.of_kind(ObjectKind::Policy) {
            let place = Place::File(object_path(object));
            let Some(signed) = read_bundle(bytes) else {
                let text = "not the canonical JSON of a signed bundle";
                desk.found.add(Axis::Scope, place, "policy_malformed", text);
                continue;
            };
            let signers = signed.signers(&case.trust.policy_signers, case.verifier);
            let text = "no key that the trust document names for policies signed these files";
            desk.found.require(
                !signers.is_empty(),
                Axis::Authenticity,
                &place,
                "policy_signature",
                text,
            );
            match Rulebook::load(&signed.to_files()) {
                Ok(bundle) => {
                    let digest = bundle.digest();
                    // Of two objects of one bundle the one with more signatures counts.
                    let enough = case.trust.check_policy_signers(signers);
                    match enough {
                        Ok(()) => policies.enough.extend([digest]),
                        Err(error) => policies.short.extend([(digest, error)]),
                    }
                    policies.objects.insert(bundle.digest(), object);
                    policies.bundles.insert(bundle.digest(), Rc::new(bundle));
                }
                Err(error) => {
                    desk.found
                        .add(Axis::Scope, place, "policy_refused", said(&error));
                }
            }
        }
        policies
    }

    /// The bundle that an entry names; published by then, and not superseded for long.
    pub(crate) fn in_force(
        &self,
        case: &Case<'_>,
        desk: &mut Desk<'_>,
        digest: Digest,
        at: &Logged,
    ) -> Option<Rc<Rulebook>> {
        let place = case.place(at);
        check_published(case, desk, digest, at, &place);
        self.check_quorum(case, desk, digest, at);
        if let Some(object) = self.objects.get(&digest) {
            desk.objects.take(*object, ObjectKind::Policy);
        }
        let bundle = self.bundles.get(&digest).map(Rc::clone);
        if bundle.is_none() {
            let text = format!("the policy bundle {digest} is not among the objects");
            desk.found
                .add(Axis::Completeness, place, "policy_missing", text);
        }
        bundle
    }
}

impl Policies {
    /// Enough people signed what governed, from when on the trust document demands it.
    fn check_quorum(&self, case: &Case<'_>, desk: &mut Desk<'_>, digest: Digest, at: &Logged) {
        let Some(quorum) = &case.trust.policy_quorum else {
            return;
        };
        let late = at.entry.at.micros_since(quorum.since) > GRACE_SECONDS * 1_000_000;
        let short = self.short.get(&digest).filter(|_| late);
        if let Some(error) = short.filter(|_| !self.enough.contains(&digest)) {
            let place = case.place(at);
            desk.found
                .add(Axis::Authenticity, place, error.code(), error.to_string());
        }
    }
}

fn check_published(
    case: &Case<'_>,
    desk: &mut Desk<'_>,
    digest: Digest,
    at: &Logged,
    place: &Place,
) {
    let mut published = None;
    let mut superseded = false;
    for logged in &case.server.entries {
        let Event::PolicyPublish(publish) = &logged.entry.event else {
            continue;
        };
        if publish.policy == digest && case.is_before(logged, at) {
            published = Some((logged, publish.signer));
            superseded = false;
        } else if at.entry.at.micros_since(logged.entry.at) > GRACE_SECONDS * 1_000_000 {
            superseded = published.is_some();
        }
    }
    let text = "another bundle had been published long before";
    desk.found.require(
        !superseded,
        Axis::Freshness,
        place,
        "policy_superseded",
        text,
    );
    let Some((logged, signer)) = published else {
        let text = format!("the server's log has not published the bundle {digest} before");
        desk.found.add(
            Axis::Authenticity,
            place.clone(),
            "policy_not_published",
            text,
        );
        return;
    };
    let named = case
        .trust
        .policy_signers
        .iter()
        .any(|key| key.thumbprint() == signer);
    let text = "signed by a key that the trust document does not name for policies";
    let place = case.server.place(logged);
    desk.found
        .require(named, Axis::Authenticity, &place, "policy_signer", text);
}

fn read_bundle(bytes: &[u8]) -> Option<SignedBundle> {
    let value = parse_strict(bytes).ok()?;
    let is_canonical = to_canonical(&value).ok()? == bytes;
    is_canonical.then(|| serde_json::from_value(value).ok())?
}
