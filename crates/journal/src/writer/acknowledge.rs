use super::{AppendError, Journal, PublishError, Published};

/// When an entry counts as written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Acknowledgement {
    /// It survives any crash.
    Durable,
    /// A visible checkpoint covers it.
    Published,
    /// A visible checkpoint covers it, which the witness quorum cosigned.
    Witnessed,
}

/// An entry that was acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acknowledged {
    /// Its index.
    pub index: u64,
    /// The checkpoint that covers it; none where it is only durable.
    pub published: Option<Published>,
}

/// Why an entry is not acknowledged at the level that was asked for.
#[derive(Debug, thiserror::Error)]
pub enum AcknowledgeError {
    /// It is not in the log.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// It is durable, and no checkpoint covers it yet.
    #[error("entry {index} is durable and not published")]
    Publish {
        /// Its index.
        index: u64,
        /// Why there is no checkpoint.
        source: PublishError,
    },
    /// It is published, and the checkpoint that covers it has no quorum of cosignatures.
    #[error("entry {index} is published and not witnessed")]
    Unwitnessed {
        /// Its index.
        index: u64,
    },
}

impl Journal {
    /// Appends an entry and returns once it is acknowledged at that level. It stays in the log
    /// where it is acknowledged at a lower one: the error says at which.
    pub async fn append_until(
        &self,
        entry: Vec<u8>,
        level: Acknowledgement,
    ) -> Result<Acknowledged, AcknowledgeError> {
        let index = self.append(entry).await?;
        if level == Acknowledgement::Durable {
            return Ok(Acknowledged {
                index,
                published: None,
            });
        }
        let published = self.publish().await;
        let published = published.map_err(|source| AcknowledgeError::Publish { index, source })?;
        if level == Acknowledgement::Witnessed && !published.is_witnessed {
            return Err(AcknowledgeError::Unwitnessed { index });
        }
        Ok(Acknowledged {
            index,
            published: Some(published),
        })
    }
}
