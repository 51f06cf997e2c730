//! Policy bundles: from the object to the decision, and whether they were published.

use std::collections::BTreeMap;
use std::rc::Rc;

use chancery_audit::Event;
use chancery_policy::{Bundle, Files as BundleFiles, bundle_digest};
use chancery_types::{Digest, parse_strict, to_canonical};
use serde_json::Value;

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
    pub(crate) bundles: BTreeMap<Digest, Rc<Bundle>>,
    objects: BTreeMap<Digest, Digest>,
}

impl Policies {
    /// Loads every bundle among the objects.
    pub(crate) fn read(desk: &mut Desk<'_>) -> Self {
        let mut policies = Self::default();
        for (object, bytes) in desk.objects.of_kind(ObjectKind::Policy) {
            let place = Place::File(object_path(object));
            let Some((digest, files)) = read_bundle(bytes) else {
                let text = "not the canonical JSON of path to text";
                desk.found.add(Axis::Scope, place, "policy_malformed", text);
                continue;
            };
            policies.objects.insert(digest, object);
            match Bundle::load(&files) {
                Ok(bundle) => {
                    policies.bundles.insert(digest, Rc::new(bundle));
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
    ) -> Option<Rc<Bundle>> {
        let place = case.place(at);
        check_published(case, desk, digest, at, &place);
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

fn read_bundle(bytes: &[u8]) -> Option<(Digest, BundleFiles)> {
    let value = parse_strict(bytes).ok()?;
    if to_canonical(&value).ok()? != bytes {
        return None;
    }
    let Value::Object(members) = value else {
        return None;
    };
    let mut files = BundleFiles::new();
    for (path, text) in members {
        files.insert(path, text.as_str()?.as_bytes().to_vec());
    }
    Some((bundle_digest(&files).ok()?, files))
}
