use std::io;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, sleep};

use super::bucket::{Bucket, Expected, PutError, Version};
use super::sequence::text;

const FORMAT: &str = "chancery-lease/1";

/// That a writer holds a folder, as an object says that it goes on renewing. It keeps two writers
/// from ending each other by turns and is no fence: that is the sequence.
#[derive(Debug)]
pub(super) struct Lease {
    name: String,
    holder: [u8; 16],
    renewed: u64,
    version: Version,
}

impl Lease {
    /// Takes the lease where nobody has it, or where it was given back, or where its holder did not
    /// renew it for a whole `term` by the clock of whoever waits. None where it is held.
    pub(super) async fn take(
        bucket: &Bucket,
        path: &Path,
        holder: [u8; 16],
        term: Duration,
    ) -> io::Result<Option<Self>> {
        let name = text(path);
        let expected = match bucket.get(&name).await? {
            None => Expected::Absent,
            Some(found) => {
                let seen = found.version;
                let is_free = found.bytes.ends_with(b"\nfree\n");
                let deadline = Instant::now() + term;
                while !is_free && Instant::now() < deadline {
                    sleep(term / 10).await;
                    let now = bucket.get(&name).await?;
                    if now.is_none_or(|now| now.version != seen) {
                        return Ok(None);
                    }
                }
                Expected::As(seen)
            }
        };
        let bytes = content(&holder, "1");
        match bucket.put(&name, bytes.into(), expected).await {
            Ok(version) => Ok(Some(Self {
                name,
                holder,
                renewed: 1,
                version,
            })),
            Err(PutError::Refused) => Ok(None),
            Err(PutError::Failed(error)) => Err(error),
        }
    }

    /// Says that the holder goes on.
    pub(super) async fn renew(&mut self, bucket: &Bucket) -> Result<(), PutError> {
        self.renewed += 1;
        let says = self.renewed.to_string();
        self.write(bucket, &says).await
    }

    /// Gives it back, so that the next holder need not wait.
    pub(super) async fn give_back(mut self, bucket: &Bucket) -> Result<(), PutError> {
        self.write(bucket, "free").await
    }

    async fn write(&mut self, bucket: &Bucket, says: &str) -> Result<(), PutError> {
        let bytes = Bytes::from(content(&self.holder, says));
        let expected = Expected::As(self.version.clone());
        let put = match bucket.put(&self.name, bytes.clone(), expected).await {
            Err(PutError::Refused) => {
                let found = bucket.get(&self.name).await.map_err(PutError::Failed)?;
                // An earlier renewal may have arrived after it was given up.
                let ours = content(&self.holder, "");
                let found =
                    found.filter(|found| found.bytes.starts_with(ours.trim_end().as_bytes()));
                let seen = found.ok_or(PutError::Refused)?.version;
                bucket.put(&self.name, bytes, Expected::As(seen)).await
            }
            put => put,
        };
        self.version = put?;
        Ok(())
    }
}

fn content(holder: &[u8; 16], says: &str) -> String {
    let holder = u128::from_be_bytes(*holder);
    format!("{FORMAT}\n{holder:032x}\n{says}\n")
}
