/// Why a recorder takes no entries, or acknowledges none.
pub const APPEND_REASONS: &[(&str, &str)] = &[
    (
        "append_not_admitted",
        "the X.509-SVID is of nobody who may append here; the log's owner admits producers with `--producer`",
    ),
    (
        "append_svid_expired",
        "the connection's X.509-SVID has expired; connect again with its successor",
    ),
    (
        "append_untrusted",
        "the connection's X.509-SVID leads to no authority of the bundle in force",
    ),
    (
        "append_protocol",
        "the stream does not begin with one `open` within ten seconds, or has another one",
    ),
    (
        "append_origin",
        "this is another log than the one that was meant",
    ),
    (
        "append_producer",
        "no name of a producer, or one over TLS, where the certificate says who it is",
    ),
    (
        "append_producers_full",
        "the log has as many producers as it may; begin another log",
    ),
    ("append_malformed", "the message is none of the protocol"),
    (
        "append_batch_size",
        "the batch has no entry, more than 1,024, or more than a mebibyte together",
    ),
    (
        "append_entry_size",
        "an entry is empty or has more than 32,768 bytes",
    ),
    (
        "append_gap",
        "entries of the producer before these are missing; `opened` says which one is due",
    ),
    (
        "append_changed",
        "the log has another entry of this sequence, and keeps it",
    ),
    (
        "append_forgotten",
        "the entry is in the log and too old to be compared: only the last 4,096 of a producer can be sent again",
    ),
    (
        "append_superseded",
        "another stream of the same producer was opened; a producer has one at a time",
    ),
    (
        "append_no_witnesses",
        "witnessed was asked for, and nobody cosigns this log",
    ),
    (
        "append_unpublished",
        "the entries are durable, and no checkpoint covered them within 30 seconds; send them again to be told when one does",
    ),
    (
        "append_unwitnessed",
        "the entries are durable, and no witness quorum cosigned a checkpoint of them within 30 seconds; send them again to be told when one did",
    ),
    (
        "append_closed",
        "the log is being closed; whether the entries are in it is seen by sending them again",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Refusal;

    #[test]
    fn every_refusal_has_a_code_of_its_own() {
        let all = [
            Refusal::NotAdmitted(String::new()),
            Refusal::SvidExpired,
            Refusal::Untrusted,
            Refusal::Protocol,
            Refusal::Origin(String::new()),
            Refusal::Producer,
            Refusal::TooManyProducers,
            Refusal::Malformed,
            Refusal::BatchSize,
            Refusal::EntrySize(0),
            Refusal::Gap { first: 1, next: 0 },
            Refusal::Changed(0),
            Refusal::Forgotten(0),
            Refusal::Superseded,
            Refusal::NoWitnesses,
            Refusal::Unpublished,
            Refusal::Unwitnessed,
            Refusal::Closed,
        ];
        let codes: Vec<_> = all.iter().map(Refusal::reason).collect();
        let documented: Vec<_> = APPEND_REASONS.iter().map(|(code, _)| *code).collect();
        assert_eq!(codes, documented);
        let mut once = codes.clone();
        once.sort_unstable();
        once.dedup();
        assert_eq!(once.len(), codes.len());
    }
}
