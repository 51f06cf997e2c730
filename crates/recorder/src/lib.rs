//! A log for programs that keep none: it has an origin of its own, and holds what they send in one
//! typed envelope that names the producer and numbers its entries.
//!
//! A producer is who its connection says: a process of the log's owner over a Unix socket,
//! or an X.509-SVID that the operator admitted. An entry is acknowledged once it is durable, published
//! or witnessed; what was not acknowledged is sent again under the same sequence, and is in the log
//! once ([decision record 5](../../../docs/decisions/0005-recorder.md)). What a restarted recorder needs
//! for that, it reads from the log.

mod caller;
mod envelope;
mod listen;
mod memory;
mod producers;
mod reasons;
mod recorder;
mod refusal;
mod service;
mod stream;

use caller::Caller;

pub use listen::{Admission, ListenError, Listeners, TlsSetup, serve};
pub use memory::{Memory, MemoryError};
pub use reasons::APPEND_REASONS;
pub use recorder::{Recorder, RecorderError};
pub use refusal::Refusal;

/// The methods of the append service: each asks who is there.
pub const METHODS: &[&str] = &["/chancery.append.v1.LogAppend/Append"];
