//! What workloads send to a node over the Workload API's socket, and how brokers name them.

use chancery_api::server::RosterFilter;
use chancery_identity::jwt_svid::MAX_JWT_AUDIENCES;
use chancery_node::pb::broker::WorkloadReference;
use chancery_node::pb::workload::{
    JwtBundlesRequest, JwtsvidRequest, ValidateJwtsvidRequest, WitBundlesRequest, WitsvidRequest,
    X509BundlesRequest, X509svidRequest,
};
use chancery_node::requests::{JudgeRequest, JwtRequest, RequestedId};
use chancery_node::{Frames, Reference};
use prost::Message;

/// Bytes of one frame at least: nine of its header and eight of an answer to a PING.
const ANSWER_BYTES: usize = 17;

/// What a connection's bytes become is as long as they were, the same however they come in pieces,
/// and stays as it is when it is read once more.
pub(crate) fn frames(input: &[u8]) -> bool {
    let (whole, answers) = rewritten(input, input.len().max(1));
    assert_eq!(whole.len(), input.len());
    assert!(answers.len() <= input.len() / ANSWER_BYTES);
    for size in [1, 3, 10] {
        assert_eq!(rewritten(input, size), (whole.clone(), answers.clone()));
    }
    let again = rewritten(&whole, whole.len().max(1));
    assert_eq!(again, (whole.clone(), answers.clone()));
    whole != input || !answers.is_empty()
}

fn rewritten(input: &[u8], size: usize) -> (Vec<u8>, Vec<[u8; 8]>) {
    let (mut frames, mut bytes, mut answers) = (Frames::new(), input.to_vec(), Vec::new());
    for piece in bytes.chunks_mut(size) {
        frames.rewrite(piece);
        answers.extend(frames.answers());
    }
    (bytes, answers)
}

/// The first byte says which message the rest is. What is taken is in bounds, and the same when its
/// message is written and read again.
pub(crate) fn requests(input: &[u8]) -> bool {
    let Some((kind, message)) = input.split_first() else {
        return false;
    };
    match kind % 8 {
        0 => read::<X509svidRequest>(message).is_some(),
        1 => read::<X509BundlesRequest>(message).is_some(),
        2 => jwt(message),
        3 => read::<JwtBundlesRequest>(message).is_some(),
        4 => judge(message),
        5 => wit(message),
        7 => reference(message),
        _ => read::<WitBundlesRequest>(message).is_some(),
    }
}

fn jwt(bytes: &[u8]) -> bool {
    let Some(message) = read::<JwtsvidRequest>(bytes) else {
        return false;
    };
    let Ok(request) = JwtRequest::try_from(&message) else {
        return false;
    };
    let audience = request.audience();
    assert!((1..=MAX_JWT_AUDIENCES).contains(&audience.len()));
    for (place, one) in audience.iter().enumerate() {
        assert!(message.audience.iter().any(|text| text == one.as_str()));
        assert!(!audience.iter().skip(place + 1).any(|other| other == one));
    }
    let all: Vec<String> = audience.iter().map(|one| one.as_str().to_owned()).collect();
    let again = JwtRequest::new(&all, &message.spiffe_id);
    assert_eq!(again.as_ref(), Ok(&request));
    true
}

fn judge(bytes: &[u8]) -> bool {
    let Some(message) = read::<ValidateJwtsvidRequest>(bytes) else {
        return false;
    };
    let Ok(request) = JudgeRequest::try_from(&message) else {
        return false;
    };
    assert_eq!(request.audience().as_str(), message.audience);
    assert_eq!(request.svid(), message.svid);
    assert!(!request.svid().is_empty());
    true
}

fn wit(bytes: &[u8]) -> bool {
    let Some(message) = read::<WitsvidRequest>(bytes) else {
        return false;
    };
    let Ok(request) = RequestedId::try_from(&message) else {
        return false;
    };
    // One that names nobody asks for all; one that names somebody, for nobody else.
    let named = message.spiffe_id.parse();
    assert_eq!(named.is_err(), message.spiffe_id.is_empty());
    if let Ok(named) = named {
        assert!(request.is(&named));
        let other = format!("{}/other", named.trust_domain().to_spiffe_id());
        assert!(
            other
                .parse()
                .is_ok_and(|other| other == named || !request.is(&other))
        );
    }
    true
}

fn reference(bytes: &[u8]) -> bool {
    let Some(message) = read::<WorkloadReference>(bytes) else {
        return false;
    };
    let Ok(reference) = Reference::read(Some(&message)) else {
        return false;
    };
    match &reference {
        Reference::Pid(pid) => assert!(*pid > 0),
        Reference::Launch(id) => assert_eq!(id.to_string().parse(), Ok(*id)),
        Reference::Instance(id) => assert_eq!(id.to_string().parse().as_ref(), Ok(id)),
    }
    true
}

/// A message that is read is written and read the same.
fn read<M: Message + Default + PartialEq + std::fmt::Debug>(bytes: &[u8]) -> Option<M> {
    let message = M::decode(bytes).ok()?;
    let again = M::decode(message.encode_to_vec().as_slice());
    assert_eq!(again.as_ref().ok(), Some(&message));
    Some(message)
}

/// A filter of a roster, as an instance sends it through its bridge: what is taken of it makes one query with
/// as many members, none of which says more than it says.
pub(crate) fn roster(input: &[u8]) -> bool {
    let Ok(filter) = serde_json::from_slice::<RosterFilter>(input) else {
        return false;
    };
    let query = filter.query();
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._/:,_=&?".contains(&byte);
    assert!(query.bytes().all(is_plain), "{query}");
    let members = query.strip_prefix('?').unwrap_or_default().split('&');
    let members: Vec<_> = members.filter(|member| !member.is_empty()).collect();
    assert!(members.iter().all(|it| it.matches('=').count() == 1));
    assert!(!query.get(1..).unwrap_or_default().contains('?'));
    let written = serde_json::to_value(&filter).ok();
    let count = written
        .as_ref()
        .and_then(|it| it.as_object())
        .map(|it| it.len());
    assert_eq!(count, Some(members.len()));
    if let Some(place) = filter.after {
        assert_eq!(place.to_string().parse(), Ok(place));
    }
    true
}
