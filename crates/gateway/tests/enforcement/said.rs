//! What the gateway writes to its operator's log.

use std::io::Write;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

static SAID: Mutex<Vec<u8>> = Mutex::new(Vec::new());

struct Keep;

impl Write for Keep {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        said().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// From here on everything that is said is kept.
pub(crate) fn listen() {
    // Another test of the same process may have come first; it listens to the same.
    let _ = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(|| Keep)
        .try_init();
}

/// How much has been said.
pub(crate) fn mark() -> usize {
    said().len()
}

/// Whether a text was said after a mark.
pub(crate) fn is_heard(mark: usize, text: &str) -> bool {
    String::from_utf8_lossy(&said()[mark..]).contains(text)
}

/// Waits until a text is said after a mark.
pub(crate) async fn hear(mark: usize, text: &str) {
    for _ in 0..200 {
        if is_heard(mark, text) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let heard = String::from_utf8_lossy(&said()[mark..]).into_owned();
    panic!("nobody said {text:?}, but:\n{heard}");
}

fn said() -> MutexGuard<'static, Vec<u8>> {
    SAID.lock().unwrap_or_else(PoisonError::into_inner)
}
