use std::collections::{BTreeSet, HashMap};

use chancery_api::authority::{Authorities, AuthorityKind};
use chancery_audit::{CredentialForm, Entry, Event};
use chancery_journal::Journal;
use chancery_types::{Digest, Timestamp};

/// How long whoever was sent something newer may still use what it had.
const LEAVING_SECONDS: u64 = 2;

/// The longest that anything lives which an authority signs, as the server asks for it.
const LONGEST_SECONDS: u64 = 3_600;

/// What is behind an instance's name where its workload holds something of a kind beside its agent: no
/// SPIFFE ID has this sign.
const WORKLOAD: &str = "#workload";

/// The name of what an instance's workload holds.
pub(crate) fn workload(instance: &str) -> String {
    format!("{instance}{WORKLOAD}")
}

/// What instances and services hold: of each kind the newest, and which authority signed it.
#[derive(Debug, Default)]
pub(crate) struct Held {
    newest: HashMap<(AuthorityKind, String), Credential>,
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
#[derive(Debug, Clone, Copy)]
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
        let credential = Credential { by, expires };
        let before = self.newest.insert((kind, holder.to_owned()), credential);
        if let Some(By::Authority(before)) = before.map(|before| before.by)
            && before != authority
        {
            self.leaving
                .insert(before, now.plus_seconds(LEAVING_SECONDS));
        }
    }

    /// Takes up what a log says of before: an entry cannot be newer than what is known already.
    pub(crate) fn take_up(&mut self, journal: &Journal, before: u64, now: Timestamp) {
        let begin = now.minus_seconds(LONGEST_SECONDS);
        for index in (0..before).rev() {
            let Ok(bytes) = journal.read_entry(index) else {
                return;
            };
            let Ok(entry) = Entry::parse(&bytes) else {
                continue;
            };
            if entry.at < begin {
                return;
            }
            let Event::IdentityIssue(issue) = entry.event else {
                continue;
            };
            for credential in issue.credentials {
                let kind = match credential.form {
                    CredentialForm::X509Svid => AuthorityKind::X509,
                    CredentialForm::Wit => AuthorityKind::Wit,
                    CredentialForm::WitSvid => AuthorityKind::Wit,
                    CredentialForm::JwtSvid => AuthorityKind::Jwt,
                };
                let holder = match credential.form {
                    CredentialForm::WitSvid => workload(issue.instance.as_str()),
                    _ => issue.instance.as_str().to_owned(),
                };
                let known = self.newest.entry((kind, holder));
                known.or_insert(Credential {
                    by: By::Then(entry.at),
                    expires: credential.expires,
                });
            }
        }
    }

    /// Takes up what was found of before.
    pub(crate) fn join(&mut self, before: Self) {
        for (holder, credential) in before.newest {
            self.newest.entry(holder).or_insert(credential);
        }
    }

    /// How many rest on what each authority signed: `running` instances, and services.
    pub(crate) fn count(
        &mut self,
        known: &Authorities,
        running: &BTreeSet<String>,
        now: Timestamp,
    ) -> HashMap<Digest, u64> {
        self.newest
            .retain(|_, credential| now <= credential.expires);
        self.leaving.retain(|_, until| now < *until);
        let mut counts = HashMap::new();
        for ((kind, holder), credential) in &self.newest {
            let instance = holder.strip_suffix(WORKLOAD).unwrap_or(holder);
            if !running.contains(instance) && !holder.contains("/service/") {
                continue;
            }
            let id = match credential.by {
                By::Authority(id) => Some(id),
                By::Then(at) => known.active_at(*kind, at).map(|one| one.id),
            };
            if let Some(id) = id {
                *counts.entry(id).or_default() += 1;
            }
        }
        for id in self.leaving.keys() {
            *counts.entry(*id).or_default() += 1;
        }
        counts
    }
}
