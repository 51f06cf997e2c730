//! What other programs have recorded.

use crate::{Content, Label};

body! {
    /// Bytes of a program that keeps no log of its own. The log says who sent them, as which of its
    /// entries, and when they came; what they mean it does not know.
    pub struct ProducerEntry = "producer.entry" in Recorder {
        /// Who sent it: the SPIFFE ID of its X.509-SVID, or `owner/NAME` where it came over the
        /// socket of the log's owner.
        producer: Label,
        /// Its number among the entries of this producer: from 0, without gaps, each once.
        sequence: u64,
        /// The bytes, in base64url.
        content: Content,
    }
}
