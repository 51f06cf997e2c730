use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chancery_types::Digest;
use chancery_types::id::SessionId;

use super::sessions::Sessions;

/// Most chains that one instance may refer to, and most instances that refer to any.
const MOST_PER_INSTANCE: usize = 8;
const MOST_INSTANCES: usize = 4_096;

/// Chains that instances presented in full with a call of theirs, so that their later calls may
/// refer to them. A reference is good for the instance that presented the chain, while it is in the
/// session that the chain is for; what it refers to is verified as if it came in full.
#[derive(Debug, Default)]
pub(crate) struct References(Mutex<HashMap<Arc<str>, Vec<Known>>>);

#[derive(Debug)]
struct Known {
    chain: Digest,
    session: SessionId,
    links: Vec<String>,
}

impl References {
    /// Remembers what an instance presented in a session that it is in. Where there is no room it
    /// is not remembered, and presented in full again.
    pub(crate) fn remember(
        &self,
        instance: &Arc<str>,
        session: SessionId,
        chain: Digest,
        links: &[String],
        sessions: &Sessions,
    ) {
        let mut all = self.lock();
        if !all.contains_key(instance) && all.len() >= MOST_INSTANCES {
            all.retain(|name, known| {
                known.retain(|one| sessions.is_in(name, one.session));
                !known.is_empty()
            });
            if all.len() >= MOST_INSTANCES {
                return;
            }
        }
        let known = all.entry(Arc::clone(instance)).or_default();
        known.retain(|one| one.chain != chain && sessions.is_in(instance, one.session));
        if known.len() >= MOST_PER_INSTANCE {
            known.remove(0);
        }
        known.push(Known {
            chain,
            session,
            links: links.to_vec(),
        });
    }

    /// The links that an instance refers to.
    pub(crate) fn find(
        &self,
        instance: &str,
        chain: &Digest,
        sessions: &Sessions,
    ) -> Option<Vec<String>> {
        let all = self.lock();
        let known = all.get(instance)?.iter().find(|one| one.chain == *chain)?;
        sessions
            .is_in(instance, known.session)
            .then(|| known.links.clone())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, Vec<Known>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use chancery_audit::Label;

    use super::*;

    fn session(byte: u8) -> SessionId {
        SessionId::from_random([byte; 16])
    }

    fn seated(instances: &[(&str, u8)]) -> Sessions {
        let sessions = Sessions::default();
        for (instance, byte) in instances {
            sessions.seat(Label::or_digest(instance), session(*byte));
        }
        sessions
    }

    #[test]
    fn a_reference_is_its_instances_own_and_its_sessions() {
        let (one, two): (Arc<str>, Arc<str>) = ("spiffe://t/1".into(), "spiffe://t/2".into());
        let sessions = seated(&[("spiffe://t/1", 1), ("spiffe://t/2", 1)]);
        let references = References::default();
        let (chain, links) = (Digest::of("a"), vec!["a".to_owned()]);
        references.remember(&one, session(1), chain, &links, &sessions);
        assert_eq!(references.find(&one, &chain, &sessions), Some(links));
        assert_eq!(references.find(&two, &chain, &sessions), None);
        assert_eq!(references.find(&one, &Digest::of("b"), &sessions), None);
        sessions.unseat(&one, session(1));
        assert_eq!(references.find(&one, &chain, &sessions), None);
        sessions.seat(Label::or_digest(&one), session(2));
        assert_eq!(references.find(&one, &chain, &sessions), None);
    }

    #[test]
    fn an_instance_fills_its_own_part_only() {
        let (one, two): (Arc<str>, Arc<str>) = ("spiffe://t/1".into(), "spiffe://t/2".into());
        let sessions = seated(&[("spiffe://t/1", 1), ("spiffe://t/2", 1)]);
        let references = References::default();
        let remember = |instance: &Arc<str>, text: &str| {
            let chain = Digest::of(text);
            references.remember(instance, session(1), chain, &[text.to_owned()], &sessions);
        };
        remember(&two, "theirs");
        for at in 0..=MOST_PER_INSTANCE {
            remember(&one, &at.to_string());
        }
        let found = |instance: &str, text: &str| {
            references
                .find(instance, &Digest::of(text), &sessions)
                .is_some()
        };
        assert!(!found(&one, "0"));
        assert!(found(&one, "1") && found(&one, &MOST_PER_INSTANCE.to_string()));
        assert!(found(&two, "theirs"));
    }
}
