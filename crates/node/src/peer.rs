use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use chancery_crypto::{RandomError, random_bytes};
use chancery_types::base64url;

use crate::process::Process;
use crate::workload::Connection;

/// How long a nonce is good.
const NONCE_LIFE: Duration = Duration::from_secs(60);

/// Who is at the other end of a connection, and what it was challenged with.
#[derive(Debug)]
pub(crate) struct Peer {
    process: Process,
    connection: Connection,
    nonce: Mutex<Option<Nonce>>,
}

#[derive(Debug)]
struct Nonce {
    text: String,
    issued: Instant,
}

impl Peer {
    pub(crate) fn new(process: Process, connection: Connection) -> Self {
        Self {
            process,
            connection,
            nonce: Mutex::default(),
        }
    }

    pub(crate) const fn process(&self) -> &Process {
        &self.process
    }

    /// What it is connected by.
    pub(crate) const fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Whether `sender`, as the kernel names it for a piece of what was read, is this peer. Its
    /// number has meant the peer since it connected, if it still does.
    pub(crate) fn wrote(&self, sender: Option<i32>) -> bool {
        sender == Some(self.process.pid()) && self.process.is_alive()
    }

    /// A fresh nonce; the one before is forgotten.
    pub(crate) fn challenge(&self) -> Result<String, RandomError> {
        let text = base64url::encode(random_bytes::<32>()?);
        *self.nonce() = Some(Nonce {
            text: text.clone(),
            issued: Instant::now(),
        });
        Ok(text)
    }

    /// The nonce that was handed out last, once, while it is good.
    pub(crate) fn take_nonce(&self) -> Option<String> {
        let nonce = self.nonce().take()?;
        (nonce.issued.elapsed() < NONCE_LIFE).then_some(nonce.text)
    }

    fn nonce(&self) -> std::sync::MutexGuard<'_, Option<Nonce>> {
        self.nonce.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
