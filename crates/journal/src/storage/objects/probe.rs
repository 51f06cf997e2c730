use std::io;
use std::path::Path;

use chancery_crypto::random_bytes;
use futures_util::future::join_all;

use super::bucket::{Bucket, Expected, PutError, Version};
use super::sequence::text;
use crate::disk::TEMPORARY;

/// So many creations of one object are under way together.
const TOGETHER: usize = 4;

/// Refuses a store that does not keep writers apart, by what it does with an object of its own in a
/// folder: of creations at the same time one may win, an object that is there is not created, and a
/// version that was replaced is not replaced again.
pub(super) async fn probe(bucket: &Bucket, dir: &Path) -> io::Result<()> {
    let random: [u8; 16] = random_bytes().map_err(io::Error::other)?;
    let random = u128::from_be_bytes(random);
    let name = text(&dir.join(TEMPORARY).join(format!("probe-{random:032x}")));
    let probed = conditions(bucket, &name).await;
    let deleted = bucket.delete(&name).await;
    probed.and(deleted)
}

async fn conditions(bucket: &Bucket, name: &str) -> io::Result<()> {
    let put = async |says: String, expected| put(bucket, name, says, expected).await;
    let created = (0..TOGETHER).map(|at| put(format!("{at}"), Expected::Absent));
    let mut won = Vec::new();
    for created in join_all(created).await {
        won.extend(created?);
    }
    let [first] = &won[..] else {
        let did = format!(
            "of {TOGETHER} creations of one object at the same time {} succeeded",
            won.len()
        );
        return Err(unfit(&did));
    };
    if put("again".to_owned(), Expected::Absent).await?.is_some() {
        return Err(unfit("an object that is there was created once more"));
    }
    let seen = || Expected::As(first.clone());
    let Some(second) = put("second".to_owned(), seen()).await? else {
        return Err(unfit("an object was not replaced as it was seen"));
    };
    if put("late".to_owned(), seen()).await?.is_some() {
        return Err(unfit("a version that was replaced was replaced again"));
    }
    match bucket.get(name).await? {
        Some(found) if found.bytes == "second" && found.version == second => Ok(()),
        _ => Err(unfit("an object is not read as it was written last")),
    }
}

/// The version that was written; none where that was refused.
async fn put(
    bucket: &Bucket,
    name: &str,
    says: String,
    expected: Expected,
) -> io::Result<Option<Version>> {
    match bucket.put(name, says.into(), expected).await {
        Ok(version) => Ok(Some(version)),
        Err(PutError::Refused) => Ok(None),
        Err(PutError::Failed(error)) => Err(error),
    }
}

fn unfit(did: &str) -> io::Error {
    let what = format!(
        "this store does not keep two writers of a log apart: {did}; keep the log in a store that honours \
         If-None-Match and If-Match on PUT"
    );
    io::Error::new(io::ErrorKind::Unsupported, what)
}
