//! Those who write through the owner's socket without a pause: each acknowledged thing is remembered.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use chancery_api::UnixClient;
use chancery_api::server::{NewNodeToken, NodeToken};
use chancery_types::Digest;

/// How many write at the same time.
const WRITERS: usize = 4;

/// No faster than unused tokens are let go again, of which a server knows 256 at most.
const PAUSE: Duration = Duration::from_millis(200);
const LIFETIME_SECONDS: u64 = 10;

/// Clients that have tokens made, each of which is an entry of the log and a row of the tables.
pub(crate) struct Writers {
    stop: Arc<AtomicBool>,
    acknowledged: Arc<AtomicUsize>,
    threads: Vec<JoinHandle<Written>>,
}

/// What was acknowledged, with its place in the log, and how often nothing was.
#[derive(Debug, Default)]
pub(crate) struct Written {
    pub(crate) tokens: Vec<(Digest, u64)>,
    pub(crate) refused: Vec<String>,
}

impl Writers {
    pub(crate) fn start(socket: PathBuf) -> Self {
        let (stop, acknowledged) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let thread = |_| {
            let (socket, stop, acknowledged) =
                (socket.clone(), Arc::clone(&stop), Arc::clone(&acknowledged));
            std::thread::spawn(move || write(socket, &stop, &acknowledged))
        };
        Self {
            threads: (0..WRITERS).map(thread).collect(),
            stop,
            acknowledged,
        }
    }

    /// How much was acknowledged so far.
    pub(crate) fn acknowledged(&self) -> usize {
        self.acknowledged.load(Ordering::Relaxed)
    }

    /// Waits until so much more is acknowledged.
    #[track_caller]
    pub(crate) fn go_on(&self, more: usize) {
        let before = self.acknowledged();
        crate::place::until("writes are acknowledged", || {
            (self.acknowledged() >= before + more).then_some(())
        });
    }

    pub(crate) fn stop(self) -> Written {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Written::default();
        for thread in self.threads {
            let written = thread.join().unwrap();
            all.tokens.extend(written.tokens);
            all.refused.extend(written.refused);
        }
        all
    }
}

fn write(socket: PathBuf, stop: &AtomicBool, acknowledged: &AtomicUsize) -> Written {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().build().unwrap();
    let client = UnixClient::new(socket);
    let request = NewNodeToken {
        lifetime_seconds: LIFETIME_SECONDS,
    };
    let mut written = Written::default();
    while !stop.load(Ordering::Relaxed) {
        let asked = async {
            let asked = client.post::<_, NodeToken>("/v1/nodes/tokens", &request);
            tokio::time::timeout(Duration::from_secs(20), asked).await
        };
        match runtime.block_on(asked) {
            Ok(Ok(made)) => {
                acknowledged.fetch_add(1, Ordering::Relaxed);
                written.tokens.push((made.token.digest(), made.log_index));
            }
            Ok(Err(error)) => written.refused.push(error.to_string()),
            Err(_) => written.refused.push("no answer".to_owned()),
        }
        std::thread::sleep(PAUSE);
    }
    written
}
