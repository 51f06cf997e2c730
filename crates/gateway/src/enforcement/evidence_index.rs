use std::collections::BTreeMap;

use chancery_evidence::{EvidenceIndex, IndexFormat, Object, ObjectKind};
use chancery_journal::Subject;
use chancery_types::Digest;
use chancery_types::jws::Compact;

use super::live::Live;
use super::objects::Objects;

/// The index of exactly the objects that a session stands on: what its entries name, what those
/// name in turn, and what the gateway was shown when instances joined.
pub(crate) fn evidence_index(live: &Live, objects: &Objects) -> EvidenceIndex {
    let whose = live.whose();
    let whose = whose.as_ref();
    let mut found: BTreeMap<Digest, ObjectKind> = BTreeMap::new();
    let mut add = |digest: Digest, kind| {
        found.entry(digest).or_insert(kind);
    };
    for (digest, kind) in &live.memory.named {
        add(*digest, *kind);
        if *kind == ObjectKind::Chain {
            for link in links_of(whose, *digest, objects) {
                add(link, ObjectKind::Link);
            }
        }
    }
    // Only roots that were verified and enrolled name a consent that belongs here.
    for root in &live.memory.roots {
        if let Some(consent) = consent_of(whose, *root, objects) {
            add(consent, ObjectKind::Consent);
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
        .filter(|(digest, _)| objects.holds(whose, *digest))
        .map(|(digest, kind)| Object { digest, kind })
        .collect();
    EvidenceIndex {
        format: IndexFormat::V1,
        session: live.session().id(),
        objects,
    }
}

/// The links of a chain.
fn links_of(whose: Option<&Subject>, chain: Digest, objects: &Objects) -> Vec<Digest> {
    let text = objects
        .get(whose, chain)
        .and_then(|bytes| String::from_utf8(bytes).ok());
    text.map(|text| text.split(',').map(Digest::of).collect())
        .unwrap_or_default()
}

/// The consent that a root names.
fn consent_of(whose: Option<&Subject>, root: Digest, objects: &Objects) -> Option<Digest> {
    let text = String::from_utf8(objects.get(whose, root)?).ok()?;
    let claims = Compact::parse(&text).ok()?.claims;
    Digest::from_base64url(claims.get("prn")?.get("apr")?.as_str()?).ok()
}
