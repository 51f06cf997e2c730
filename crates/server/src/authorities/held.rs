use std::collections::{BTreeSet, HashMap};

use chancery_api::authority::{Authorities, AuthorityKind};
use chancery_audit::{CredentialForm, Entry, Event, IdentityIssue};
use chancery_journal::{Journal, JournalError};
use chancery_types::{Digest, Timestamp};

/// How long whoever was sent something newer may still use what it had.
const LEAVING_SECONDS: u64 = 2;

/// The longest that anything lives which an authority signs, as the server asks for it.
const LONGEST_SECONDS: u64 = 3_600;

/// What parts the name of a holder from what tells apart those that share it: no SPIFFE ID has this
/// sign.
const APART: char = '#';

/// The name of what an instance's workload holds of a kind beside its agent.
pub(crate) fn workload(instance: &str) -> String {
    apart(instance, "workload")
}

/// The name of what a broker holds of an instance, beside the instance itself.
pub(crate) fn brokered(instance: &str, broker: Option<&str>) -> String {
    broker.map_or_else(|| instance.to_owned(), |broker| apart(instance, broker))
}

/// The name of one of several that are `holder`.
pub(crate) fn apart(holder: &str, which: &str) -> String {
    format!("{holder}{APART}{which}")
}

/// What instances and services hold, and which authority signed it: of each kind the newest; of
/// bearer tokens, in whose place nothing comes, all.
#[derive(Debug, Default)]
pub(crate) struct Held {
    held: HashMap<(AuthorityKind, String), Vec<Credential>>,
    /// Until when somebody may not have taken up yet what came in the place of what an authority
    /// signed.
    leaving: HashMap<Digest, Timestamp>,
}

#[derive(Debug, Clone, Copy)]
struct Credential {
    by: By,
    expires: Timestamp,
}

/// Which authority signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    Authority(Digest),
    /// The one that signed then.
    Then(Timestamp),
}

impl Held {
    /// Something newer was signed for `holder`.
    pub(crate) fn put(
        &mut self,
        kind: AuthorityKind,
        holder: &str,
        authority: Digest,
        (now, expires): (Timestamp, Timestamp),
    ) {
        let by = By::Authority(authority);
        let held = self.held.entry((kind, holder.to_owned())).or_default();
        if kind == AuthorityKind::Jwt {
            held.retain(|one| now <= one.expires);
            match held.iter_mut().find(|one| one.by == by) {
                Some(one) => one.expires = one.expires.max(expires),
                None => held.push(Credential { by, expires }),
            }
            return;
        }
        for before in std::mem::replace(held, vec![Credential { by, expires }]) {
            if let By::Authority(before) = before.by
                && before != authority
            {
                self.leaving
                    .insert(before, now.plus_seconds(LEAVING_SECONDS));
            }
        }
    }

    /// Takes up what a log says of before: an entry cannot be newer than what is known already.
    pub(crate) fn take_up(
        &mut self,
        journal: &Journal,
        before: u64,
        now: Timestamp,
    ) -> Result<(), JournalError> {
        let begin = now.minus_seconds(LONGEST_SECONDS);
        for index in (0..before).rev() {
            let Ok(entry) = Entry::parse(&journal.read_entry(index)?) else {
                continue;
            };
            if entry.at < begin {
                break;
            }
            if let Event::IdentityIssue(issue) = &entry.event {
                self.was_issued(issue, entry.at, now);
            }
        }
        Ok(())
    }

    /// What was issued before all that is known already.
    fn was_issued(&mut self, issue: &IdentityIssue, at: Timestamp, now: Timestamp) {
        // The keys of the server's own parts ended with the process that had them.
        if issue.instance.as_str().ends_with("/service/server") {
            return;
        }
        for credential in &issue.credentials {
            let kind = match credential.form {
                CredentialForm::X509Svid => AuthorityKind::X509,
                CredentialForm::Wit | CredentialForm::WitSvid => AuthorityKind::Wit,
                CredentialForm::JwtSvid => AuthorityKind::Jwt,
            };
            let instance = issue.instance.as_str();
            let holder = match credential.form {
                CredentialForm::WitSvid => workload(instance),
                _ => brokered(instance, issue.broker.as_ref().map(|one| one.as_str())),
            };
            let held = self.held.entry((kind, holder)).or_default();
            let all = kind == AuthorityKind::Jwt && now <= credential.expires;
            if all || held.is_empty() {
                held.push(Credential {
                    by: By::Then(at),
                    expires: credential.expires,
                });
            }
        }
    }

    /// Takes up what was found of before.
    pub(crate) fn join(&mut self, before: Self) {
        for ((kind, holder), credentials) in before.held {
            let held = self.held.entry((kind, holder)).or_default();
            if kind == AuthorityKind::Jwt || held.is_empty() {
                held.extend(credentials);
            }
        }
    }

    /// How many rest on what each authority signed: `running` instances, and services.
    pub(crate) fn count(
        &mut self,
        known: &Authorities,
        running: &BTreeSet<String>,
        now: Timestamp,
    ) -> HashMap<Digest, u64> {
        self.held.retain(|_, held| {
            held.retain(|one| now <= one.expires);
            !held.is_empty()
        });
        self.leaving.retain(|_, until| now < *until);
        let mut counts = HashMap::new();
        for ((kind, holder), held) in &self.held {
            let instance = holder.split(APART).next().unwrap_or(holder);
            if !running.contains(instance) && !instance.contains("/service/") {
                continue;
            }
            let by = held.iter().filter_map(|one| match one.by {
                By::Authority(id) => Some(id),
                By::Then(at) => known.active_at(*kind, at).map(|one| one.id),
            });
            for id in by.collect::<BTreeSet<_>>() {
                *counts.entry(id).or_default() += 1;
            }
        }
        for id in self.leaving.keys() {
            *counts.entry(*id).or_default() += 1;
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);
    const INSTANCE: &str = "spiffe://example.org/agent/a/i";

    /// How many rest on `id`.
    fn count(held: &mut Held, id: Digest, now: Timestamp) -> u64 {
        let known = Authorities {
            generation: 1,
            certifies: false,
            authorities: vec![],
        };
        let running = BTreeSet::from([INSTANCE.to_owned()]);
        let counts = held.count(&known, &running, now);
        counts.get(&id).copied().unwrap_or_default()
    }

    #[test]
    fn what_brokers_and_two_listeners_hold_is_held_beside_the_name_that_they_share() {
        let (old, new) = (Digest::of("old"), Digest::of("new"));
        let mut held = Held::default();
        let times = (NOW, NOW.plus_seconds(600));
        let kind = AuthorityKind::X509;
        let server = "spiffe://example.org/service/server";
        let broker = "spiffe://example.org/service/broker";
        for holder in [
            brokered(INSTANCE, Some(broker)),
            brokered(INSTANCE, Some("spiffe://example.org/service/other")),
            apart(server, "bundle"),
        ] {
            held.put(kind, &holder, old, times);
        }
        held.put(kind, INSTANCE, new, times);
        held.put(kind, server, new, times);
        let later = NOW.plus_seconds(60);
        assert_eq!(count(&mut held, old, later), 3);
        held.put(kind, &brokered(INSTANCE, Some(broker)), new, times);
        assert_eq!(count(&mut held, old, later), 2);
        assert_eq!(count(&mut held, new, later), 3);
        // Of an instance that ended, a broker's counts no more than its own.
        held.put(
            kind,
            &brokered("spiffe://example.org/agent/a/j", Some(broker)),
            old,
            times,
        );
        assert_eq!(count(&mut held, old, later), 2);
    }

    #[test]
    fn a_bearer_token_counts_until_it_ends_whatever_came_later() {
        let (old, new) = (Digest::of("old"), Digest::of("new"));
        let mut held = Held::default();
        let at = |seconds| NOW.plus_seconds(seconds);
        held.put(AuthorityKind::Jwt, INSTANCE, old, (NOW, at(300)));
        held.put(AuthorityKind::Jwt, INSTANCE, old, (at(1), at(200)));
        held.put(AuthorityKind::Jwt, INSTANCE, new, (at(2), at(302)));
        assert_eq!(count(&mut held, old, at(300)), 1);
        assert_eq!(count(&mut held, new, at(300)), 1);
        assert_eq!(count(&mut held, old, at(301)), 0);
        assert_eq!(count(&mut held, new, at(301)), 1);
    }
}
