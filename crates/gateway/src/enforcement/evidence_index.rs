use std::collections::BTreeMap;

use chancery_evidence::{EvidenceIndex, IndexFormat, Object, ObjectKind};
use chancery_types::Digest;
use chancery_types::jws::Compact;

use super::live::Live;
use super::objects::Objects;

/// The index of exactly the objects that a session stands on: what its entries name, what those
/// name in turn, and what the gateway was shown when instances joined.
pub(crate) fn evidence_index(live: &Live, objects: &Objects) -> EvidenceIndex {
    let mut found: BTreeMap<Digest, ObjectKind> = BTreeMap::new();
    let mut add = |digest: Digest, kind| {
        found.entry(digest).or_insert(kind);
    };
    for (digest, kind) in &live.memory.named {
        add(*digest, *kind);
        if *kind == ObjectKind::Chain {
            for (digest, kind) in of_chain(*digest, objects) {
                add(digest, kind);
            }
        }
    }
    for instance in live.joined() {
        if let Some(member) = live.dossier.members.get(instance) {
            add(member.manifest, ObjectKind::Manifest);
            add(member.wit, ObjectKind::Wit);
        }
    }
    for digest in &live.memory.policies {
        if let Some(policy) = live.dossier.policies.get(&digest.to_string()) {
            add(policy.object, ObjectKind::Policy);
        }
    }
    for digest in &live.dossier.disclosures {
        add(*digest, ObjectKind::Disclosure);
    }
    let objects = found
        .into_iter()
        .filter(|(digest, _)| objects.holds(*digest))
        .map(|(digest, kind)| Object { digest, kind })
        .collect();
    EvidenceIndex { format: IndexFormat::V1, session: live.session().id(), objects }
}

/// The links of a chain, and the consent that its root names.
fn of_chain(chain: Digest, objects: &Objects) -> Vec<(Digest, ObjectKind)> {
    let Some(text) = objects.get(chain).and_then(|bytes| String::from_utf8(bytes).ok()) else {
        return Vec::new();
    };
    let mut found: Vec<_> =
        text.split(',').map(|link| (Digest::of(link), ObjectKind::Link)).collect();
    let root = text.split(',').next().and_then(|root| Compact::parse(root).ok());
    let consent = root.as_ref().and_then(|root| root.claims.get("prn")?.get("apr")?.as_str());
    let consent = consent.and_then(|text| Digest::from_base64url(text).ok());
    found.extend(consent.map(|digest| (digest, ObjectKind::Consent)));
    found
}
