//! Who is let in: somebody with a root key asks for a registration under a one-time code, a person makes
//! a passkey at the console, and the asker, who signs the trust document, is told of it. The server hands
//! it on and signs nothing.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use chancery_api::Problem;
use chancery_api::server::{Invite, Invited, RegisteredPasskey};
use chancery_types::Digest;

use crate::Server;

/// How long an invitation stays open between two requests of whoever asks.
const BREATH: Duration = Duration::from_secs(10);

/// Longest time that is waited for in one request.
const MAX_WAIT_SECONDS: u64 = 60;

/// Most invitations at a time.
const MOST: usize = 256;

/// The invitations that somebody waits for, by the digest of their code. In memory alone: whoever asks,
/// asks again.
#[derive(Debug, Default)]
pub(crate) struct Inviting(Mutex<BTreeMap<Digest, Invitation>>);

#[derive(Debug)]
struct Invitation {
    until: Instant,
    registered: Option<RegisteredPasskey>,
}

impl Inviting {
    /// Opens an invitation, or keeps it open.
    fn open(&self, code: Digest, until: Instant) -> bool {
        let mut open = self.lock();
        if open.len() >= MOST && !open.contains_key(&code) {
            return false;
        }
        let invitation = open.entry(code).or_insert(Invitation {
            until,
            registered: None,
        });
        invitation.until = until;
        true
    }

    /// Whether somebody waits for whoever has that code.
    pub(crate) fn is_open(&self, code: Digest) -> bool {
        let open = self.lock();
        open.get(&code).is_some_and(|one| one.registered.is_none())
    }

    /// Hands a registration to whoever waits for it; `false` where nobody does any more.
    pub(crate) fn answer(&self, code: Digest, registered: RegisteredPasskey) -> bool {
        let mut open = self.lock();
        let waits = open.get_mut(&code).filter(|one| one.registered.is_none());
        waits.is_some_and(|one| one.registered.replace(registered).is_none())
    }

    fn take(&self, code: Digest) -> Option<RegisteredPasskey> {
        let mut open = self.lock();
        let registered = open.get_mut(&code)?.registered.take()?;
        open.remove(&code);
        Some(registered)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Digest, Invitation>> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        open.retain(|_, one| one.until > now);
        open
    }
}

impl Server {
    /// Waits for a registration under a code.
    pub(crate) async fn invite(&self, request: Invite) -> Result<Invited, Problem> {
        let code = request.code;
        let seconds = request.wait_seconds.min(MAX_WAIT_SECONDS);
        let until = Instant::now() + Duration::from_secs(seconds) + BREATH;
        if !self.inviting.open(code, until) {
            return Err(Problem::unavailable(
                "invitations_full",
                "too many invitations are open",
            ));
        }
        let registered = self
            .wait_for(seconds, || async { Ok(self.inviting.take(code)) })
            .await?;
        Ok(Invited { registered })
    }
}
