//! The durable log writer and the reader of what it wrote.
//!
//! An entry is durable when [`Journal::append`] returns its index. It is first in a write-ahead
//! log; in the background it goes into entry bundles and tiles, and a signed checkpoint that
//! covers it becomes visible, cosigned by witnesses where there are any. The directory is a C2SP
//! tiled log that any web server can serve; [`LogServer`] is one that serves nothing else.
//! [`Monitor`] follows a log that somebody serves. The other side of C2SP tlog-witness, which cosigns the
//! checkpoints of others, is [`Witness`].
//!
//! A failed write or sync ends the process: what the disk holds afterwards is for the recovery of
//! the next start to say, not for a process that would have to guess.

mod accept;
mod content;
mod disk;
mod error;
mod export;
mod local_signer;
mod reader;
mod serve;
mod signer;
mod storage;
mod succession;
mod wal;
mod watch;
mod witness;
mod writer;

pub use accept::peer_of;
pub use content::{ContentError, Erasing, KeyId, Keyring, ObjectStore, Subject, Tombstone};
pub use error::{Damage, JournalError};
pub use export::Exported;
pub use local_signer::{Clock, LocalSigner, LocalSignerError};
pub use reader::{Entries, Reader};
pub use serve::{LogServer, ServeError};
pub use signer::{CheckpointSigner, SignError};
pub use storage::{
    Access, LocalDisk, ObjectDisk, ObjectDiskError, Record, RecordBody, RecordError, RecordWrite,
    Storage, StorageFile, StorageLock, keep_log_in,
};
pub use succession::{Succession, SuccessionError};
pub use wal::{Frame, FrameError};
pub use watch::{LogSource, Monitor, SourceError, WatchError, Watched};
pub use witness::{
    AddressError, LogAlarm, Refusal, Unwitnessed, Witness, WitnessAddress, WitnessError,
    WitnessKeyError, WitnessKeys, WitnessServer, WitnessSetupError, Witnesses,
};
pub use writer::{
    AcknowledgeError, Acknowledged, Acknowledgement, AppendError, Config, Journal, PublishError,
    Published, ReceiptError, Submitted,
};
