use std::collections::HashMap;

use chancery_audit::{Content, ContentSizeError};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::producers::{MOST_PRODUCERS, WINDOW};
use crate::recorder::{MOST_BATCH_BYTES, MOST_ENTRIES};

/// Whose reasons these are.
const DOMAIN: &str = "chancery";

/// Why entries are not taken, or not acknowledged. Nothing of a refused batch is in the log, unless it
/// is said otherwise.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The X.509-SVID is of nobody who may append here.
    #[error("{0} may not append to this log; its owner admits producers with --producer")]
    NotAdmitted(String),
    /// The X.509-SVID has expired since the connection was made.
    #[error("the connection's X.509-SVID has expired; connect again with its successor")]
    SvidExpired,
    /// The X.509-SVID leads to no authority of the bundle in force.
    #[error("the connection's X.509-SVID leads to no authority that is trusted now")]
    Untrusted,
    /// The stream does not begin with one `Open`, in time.
    #[error("a stream begins with one `open` within 10 seconds, and has no other")]
    Protocol,
    /// Another log is meant.
    #[error("this is the log {0}")]
    Origin(String),
    /// No name of a producer, or one where the certificate says it.
    #[error(
        "over the owner's socket a producer has a name of 1 to 64 letters, digits, '.', '-' and '_'; over TLS it is empty"
    )]
    Producer,
    /// There are as many producers as there may be.
    #[error("this log has {MOST_PRODUCERS} producers already; begin another log")]
    TooManyProducers,
    /// A message is no message of the protocol.
    #[error("the message is malformed")]
    Malformed,
    /// A batch has no entry, or too much in it.
    #[error("a batch has 1 to {MOST_ENTRIES} entries, {MOST_BATCH_BYTES} bytes together")]
    BatchSize,
    /// An entry is empty or too large.
    #[error("entry {0}: {ContentSizeError}")]
    EntrySize(u64),
    /// Entries before these are missing.
    #[error("sequence {first} leaves a gap: {next} is due")]
    Gap {
        /// The sequence that was sent.
        first: u64,
        /// The one that is due.
        next: u64,
    },
    /// The log has another entry of that sequence.
    #[error("the log has another entry of sequence {0}")]
    Changed(u64),
    /// Sent so long after it was appended that it is not known whether it is the same.
    #[error(
        "sequence {0} is in the log, before the last {WINDOW} of its producer, which alone can be repeated"
    )]
    Forgotten(u64),
    /// Another stream of the same producer was opened.
    #[error("another stream of this producer was opened")]
    Superseded,
    /// Nobody cosigns this log.
    #[error("this log has no witnesses; ask for durable or published")]
    NoWitnesses,
    /// The entries are durable, and no checkpoint covered them in time.
    #[error("the entries are durable, and no checkpoint covers them yet")]
    Unpublished,
    /// The entries are durable, and no quorum of witnesses cosigned them in time.
    #[error("the entries are durable, and no witness quorum cosigned them yet")]
    Unwitnessed,
    /// The log is being closed. Whether the entries are in it is seen by sending them again.
    #[error("the log is being closed; send the entries again later")]
    Closed,
}

impl Refusal {
    /// The code of the reason, for programs.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::NotAdmitted(_) => "append_not_admitted",
            Self::SvidExpired => "append_svid_expired",
            Self::Untrusted => "append_untrusted",
            Self::Protocol => "append_protocol",
            Self::Origin(_) => "append_origin",
            Self::Producer => "append_producer",
            Self::TooManyProducers => "append_producers_full",
            Self::Malformed => "append_malformed",
            Self::BatchSize => "append_batch_size",
            Self::EntrySize(_) => "append_entry_size",
            Self::Gap { .. } => "append_gap",
            Self::Changed(_) => "append_changed",
            Self::Forgotten(_) => "append_forgotten",
            Self::Superseded => "append_superseded",
            Self::NoWitnesses => "append_no_witnesses",
            Self::Unpublished => "append_unpublished",
            Self::Unwitnessed => "append_unwitnessed",
            Self::Closed => "append_closed",
        }
    }

    const fn code(&self) -> Code {
        match self {
            Self::NotAdmitted(_) => Code::PermissionDenied,
            Self::SvidExpired | Self::Untrusted => Code::Unauthenticated,
            Self::Protocol
            | Self::Origin(_)
            | Self::Producer
            | Self::Malformed
            | Self::BatchSize
            | Self::EntrySize(_) => Code::InvalidArgument,
            Self::Gap { .. } | Self::Forgotten(_) => Code::OutOfRange,
            Self::Changed(_) => Code::AlreadyExists,
            Self::Superseded => Code::Aborted,
            Self::NoWitnesses => Code::FailedPrecondition,
            Self::TooManyProducers => Code::ResourceExhausted,
            Self::Unpublished | Self::Unwitnessed | Self::Closed => Code::Unavailable,
        }
    }

    /// What is sent: code, sentence, and the reason in `google.rpc.ErrorInfo`.
    pub(crate) fn status(&self) -> Status {
        let details = ErrorDetails::with_error_info(self.reason(), DOMAIN, HashMap::new());
        Status::with_error_details(self.code(), self.to_string(), details)
    }

    /// How many bytes a batch has, of which these are the sizes of the entries from sequence `first` on; why
    /// it is refused, where it is not of 1 to 1,024 entries of 1 to 32,768 bytes, a mebibyte together.
    pub fn of_sizes(first: u64, sizes: impl Iterator<Item = usize>) -> Result<usize, Self> {
        let (mut count, mut bytes) = (0, 0_usize);
        for size in sizes {
            if !Content::is_size(size) {
                // A producer may name any first sequence.
                return Err(Self::EntrySize(first.saturating_add(count as u64)));
            }
            count += 1;
            bytes = bytes.saturating_add(size);
        }
        match (1..=MOST_ENTRIES).contains(&count) && bytes <= MOST_BATCH_BYTES {
            true => Ok(bytes),
            false => Err(Self::BatchSize),
        }
    }
}
