use std::time::Duration;

use chancery_types::parse_strict;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadHalf, WriteHalf, split};
use tokio::time::timeout;

use super::HandoverError;
use crate::lines::{LineError, Lines};

/// Longest wait for one line.
const LINE: Duration = Duration::from_secs(30);

/// One JSON document a line, both ways.
pub(super) struct Conversation<S> {
    reader: Lines<ReadHalf<S>>,
    writer: WriteHalf<S>,
}

impl<S: AsyncRead + AsyncWrite> Conversation<S> {
    pub(super) fn new(stream: S) -> Self {
        let (reader, writer) = split(stream);
        Self {
            reader: Lines::new(reader),
            writer,
        }
    }

    pub(super) async fn say(&mut self, document: &impl Serialize) -> Result<(), HandoverError> {
        let mut line = serde_json::to_vec(document).map_err(|_| HandoverError::Malformed)?;
        line.push(b'\n');
        let writing = self.writer.write_all(&line);
        timeout(LINE, writing)
            .await
            .map_err(|_| HandoverError::Timeout)??;
        Ok(())
    }

    /// The next document, of at most `most` bytes.
    pub(super) async fn hear<D: DeserializeOwned>(
        &mut self,
        most: usize,
    ) -> Result<D, HandoverError> {
        let line = timeout(LINE, self.reader.next(most)).await;
        let line = line
            .map_err(|_| HandoverError::Timeout)?
            .map_err(|error| match error {
                LineError::TooLong => HandoverError::TooLong,
                LineError::NotText => HandoverError::Malformed,
                LineError::Broken(error) => HandoverError::Io(error),
            })?;
        let line = line.ok_or(HandoverError::Closed)?;
        let value = parse_strict(line.as_bytes()).map_err(|_| HandoverError::Malformed)?;
        serde_json::from_value(value).map_err(|_| HandoverError::Malformed)
    }
}
