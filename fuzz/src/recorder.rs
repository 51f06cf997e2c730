//! What producers send to a recorder, and what it remembers of them.

use chancery_api::pb::append::AppendRequest;
use chancery_api::pb::append::append_request::Message as Sent;
use chancery_recorder::{Memory, Refusal};
use prost::Message as _;

/// A batch that is taken is in bounds, and the same when its message is written and read again.
pub(crate) fn request(input: &[u8]) -> bool {
    let Ok(request) = AppendRequest::decode(input) else {
        return false;
    };
    let again = AppendRequest::decode(request.encode_to_vec().as_slice());
    assert_eq!(again.as_ref(), Ok(&request));
    let Some(Sent::Batch(batch)) = request.message else {
        return request.message.is_some();
    };
    let sizes = || batch.entries.iter().map(|entry| entry.len());
    let taken = Refusal::of_sizes(batch.first, sizes());
    let in_bounds = (1..=1_024).contains(&batch.entries.len())
        && sizes().all(|size| (1..=32_768).contains(&size))
        && sizes().sum::<usize>() <= 1 << 20;
    assert_eq!(taken.is_ok(), in_bounds);
    assert!(taken.is_err() || taken == Ok(sizes().sum()));
    in_bounds
}

/// A memory that is taken is the same when it is written and read again.
pub(crate) fn memory(input: &[u8]) -> bool {
    let Ok(memory) = Memory::parse(input) else {
        return false;
    };
    assert_eq!(Memory::parse(&memory.to_bytes()), Ok(memory));
    true
}
